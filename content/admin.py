"""The catalogue in the operators' hands. Saves run through services: clean texts, right index."""

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import BaseModelForm, DecimalField, ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from import_export.admin import ImportExportModelAdmin
from unfold.admin import StackedInline
from unfold.contrib.import_export.forms import ExportForm, ImportForm
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from accounts.models import User
from content import services
from content.models import Category, Course, Creator, Lesson, SearchMiss, SearchTerm, Tag
from content.resources import CourseResource
from content.rules import rating_mean
from kernel.admin import ModelAdmin, ReadOnlyAdmin
from kernel.errors import DomainError
from kernel.money import yuan
from kernel.staff import record


@admin.register(Category)
class CategoryAdmin(ModelAdmin[Category]):
    list_display = ("name", "key", "parent", "position")
    list_editable = ("position",)
    list_select_related = ("parent",)
    search_fields = ("name", "key")
    autocomplete_fields = ("parent",)


@admin.register(Tag)
class TagAdmin(ModelAdmin[Tag]):
    list_display = ("name",)
    search_fields = ("name",)


@admin.register(Creator)
class CreatorAdmin(ModelAdmin[Creator]):
    list_display = ("nickname", "key", "user")
    search_fields = ("nickname", "=key")
    list_select_related = ("user",)
    raw_id_fields = ("user",)


class CourseForm(ModelForm[Course]):
    """The course with its price in yuan; the price itself lives in the main product."""

    price_yuan = DecimalField(
        label=_("售价(元)"),
        required=False,
        min_value=0,
        max_value=1_000_000,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("留空表示不单独设置商品；填 0 为免费。"),
    )
    list_yuan = DecimalField(
        label=_("原价(元)"),
        required=False,
        min_value=0,
        max_value=1_000_000,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text=_("留空则与售价相同。"),
    )

    class Meta:
        model = Course
        fields = (
            "title",
            "subtitle",
            "kind",
            "in_membership",
            "category",
            "creator",
            "tags",
            "intro",
            "cover_url",
            "publish_at",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        product = self.instance.product if self.instance.pk else None
        if product is not None:
            self.initial["price_yuan"] = yuan(product.price_fen)
            self.initial["list_yuan"] = yuan(product.list_fen)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        price, listed = cleaned.get("price_yuan"), cleaned.get("list_yuan")
        if price is None and (listed is not None or self.instance.product_id):
            self.add_error("price_yuan", _("请填写售价。"))
        elif price is not None and listed is not None and listed < price:
            self.add_error("list_yuan", _("原价不能低于售价。"))
        return cleaned


class LessonInline(StackedInline):  # type: ignore[misc]
    model = Lesson
    extra = 0
    ordering_field = "position"
    hide_title = False
    tab = True
    fields = (
        ("title", "kind", "is_trial"),
        ("position", "duration_seconds", "media_key"),
        "content",
    )


@admin.register(Course)
class CourseAdmin(ModelAdmin[Course], ImportExportModelAdmin):  # type: ignore[misc]
    """Status moves through the actions alone, so that products follow and events are told."""

    form = CourseForm
    resource_classes = (CourseResource,)
    import_form_class = ImportForm
    export_form_class = ExportForm
    list_display = (
        "title",
        "status_label",
        "kind",
        "category",
        "creator",
        "price",
        "rating",
        "learner_count",
        "lesson_count",
        "published_at",
    )
    list_filter = ("status", "kind", "in_membership", "category", "creator", "published_at")
    search_fields = ("title", "subtitle", "=external_key")
    list_select_related = ("category", "creator", "product")
    autocomplete_fields = ("category", "creator", "tags")
    readonly_fields = (
        "status",
        "product",
        "published_at",
        "withdrawn_at",
        "external_key",
        "rating",
        "learner_count",
        "lesson_count",
        "duration_seconds",
        "hot_score",
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("title", "status"),
                    "subtitle",
                    ("kind", "in_membership"),
                    ("price_yuan", "list_yuan"),
                    ("category", "creator"),
                    "tags",
                    "intro",
                    "cover_url",
                    ("publish_at", "published_at", "withdrawn_at"),
                )
            },
        ),
        (
            _("数据"),
            {
                "fields": (
                    ("product", "external_key"),
                    ("rating", "learner_count", "hot_score"),
                    ("lesson_count", "duration_seconds"),
                )
            },
        ),
    )
    inlines = (LessonInline,)
    actions = ("submit", "schedule", "publish", "withdraw", "reopen")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Course]:
        courses: QuerySet[Course] = super().get_queryset(request)
        return courses.defer("search_vector", "search_key")

    @display(  # type: ignore[untyped-decorator]
        description=_("状态"),
        ordering="status",
        label={
            "published": "success",
            "review": "warning",
            "scheduled": "info",
            "withdrawn": "danger",
        },
    )
    def status_label(self, course: Course) -> tuple[str, str]:
        return course.status, course.get_status_display()

    @admin.display(description=_("售价"), ordering="product__price_fen")
    def price(self, course: Course) -> str:
        return f"¥{yuan(course.product.price_fen)}" if course.product else str(_("免费"))

    @admin.display(description=_("评分"), ordering="rating_rank")
    def rating(self, course: Course) -> str:
        mean = rating_mean(course.rating_sum, course.rating_count)
        return "—" if mean is None else f"{mean} ({course.rating_count})"

    def save_related(
        self, request: HttpRequest, form: BaseModelForm[Any], formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        course = services.course_refresh(form.instance.pk)
        if {"price_yuan", "list_yuan"} & set(form.changed_data):
            self._price(request, course, form.cleaned_data)

    def _price(self, request: HttpRequest, course: Course, sent: dict[str, Any]) -> None:
        """Sets the price and keeps who did it; the form has checked the figures."""
        price, listed = sent["price_yuan"], sent["list_yuan"]
        product = services.course_price_set(
            course_id=course.pk,
            price_fen=int(price * 100),
            list_fen=None if listed is None else int(listed * 100),
        )
        record(
            by=cast("User", request.user),
            action="content.course_price_set",
            target=course.scope,
            reason=str(_("在课程页修改价格")),
            price_fen=product.price_fen,
            list_fen=product.list_fen,
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Courses are withdrawn, not deleted: their owners keep access."""
        return False

    @action(description=_("提交审核"))  # type: ignore[untyped-decorator]
    def submit(self, request: HttpRequest, queryset: QuerySet[Course]) -> None:
        self._move(request, queryset, Course.Status.REVIEW)

    @action(description=_("定时上架(按课程的定时上架时间)"))  # type: ignore[untyped-decorator]
    def schedule(self, request: HttpRequest, queryset: QuerySet[Course]) -> None:
        self._move(request, queryset, Course.Status.SCHEDULED)

    @action(description=_("上架"))  # type: ignore[untyped-decorator]
    def publish(self, request: HttpRequest, queryset: QuerySet[Course]) -> None:
        self._move(request, queryset, Course.Status.PUBLISHED)

    @action(description=_("下架(已购用户仍可学习)"))  # type: ignore[untyped-decorator]
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Course]) -> None:
        self._move(request, queryset, Course.Status.WITHDRAWN)

    @action(description=_("退回草稿"))  # type: ignore[untyped-decorator]
    def reopen(self, request: HttpRequest, queryset: QuerySet[Course]) -> None:
        self._move(request, queryset, Course.Status.DRAFT)

    def _move(self, request: HttpRequest, queryset: QuerySet[Course], to: str) -> None:
        moved = 0
        for pk, title in queryset.values_list("pk", "title"):
            try:
                services.course_move(course_id=pk, to=to)
                moved += 1
            except DomainError as refused:
                said = f"{title}：{refused.message}"
                self.message_user(request, said, messages.ERROR)
        if moved:
            said = _("已更新 %(count)d 门课程。") % {"count": moved}
            self.message_user(request, said, messages.SUCCESS)


@admin.register(SearchMiss)
class SearchMissAdmin(ReadOnlyAdmin[SearchMiss]):
    list_display = ("query", "times", "first_at", "last_at")
    list_filter = ("last_at",)
    search_fields = ("query",)
    ordering = ("-times",)


@admin.register(SearchTerm)
class SearchTermAdmin(ReadOnlyAdmin[SearchTerm]):
    list_display = ("query", "day", "times")
    list_filter = ("day",)
    search_fields = ("query",)
    ordering = ("-day", "-times")
