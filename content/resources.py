"""Courses as a spreadsheet: operators export, edit and import; saving runs through services."""

from typing import Any

from import_export import fields, resources
from import_export.widgets import ForeignKeyWidget, SimpleArrayWidget

from content.models import Category, Course, Creator
from content.services import course_save


class CourseResource(resources.ModelResource):  # type: ignore[misc]
    """One row per course, known by its external key. New rows become drafts; status, prices and
    lessons are not changed by an import."""

    category = fields.Field("category", "category", ForeignKeyWidget(Category, "key"))
    creator = fields.Field("creator", "creator", ForeignKeyWidget(Creator, "key"))
    tags = fields.Field("tag_names", "tags", SimpleArrayWidget(separator="|"))
    price_fen = fields.Field("product__price_fen", "price_fen", readonly=True)

    class Meta:
        model = Course
        import_id_fields = ("external_key",)
        skip_unchanged = False
        fields = (
            "external_key",
            "title",
            "subtitle",
            "kind",
            "category",
            "creator",
            "tags",
            "in_membership",
            "intro",
            "status",
            "price_fen",
            "rating_sum",
            "rating_count",
            "learner_count",
            "lesson_count",
            "published_at",
        )
        export_order = fields

    # What the shop counts or moves itself is shown, never read back.
    READ_ONLY = frozenset(
        {
            *("status", "price_fen", "rating_sum", "rating_count"),
            *("learner_count", "lesson_count", "published_at"),
        }
    )

    def get_import_fields(self) -> list[Any]:
        return [
            field
            for field in super().get_import_fields()
            if field.column_name not in self.READ_ONLY
        ]

    def save_instance(
        self, instance: Course, is_create: bool, row: dict[str, Any], **kwargs: Any
    ) -> None:
        """The row is saved as an operator's form would be: clean texts, right index."""
        saved = course_save(
            key=instance.external_key or "",
            title=instance.title,
            subtitle=instance.subtitle,
            kind=instance.kind or Course.Kind.COURSE,
            category=instance.category.key if instance.category else None,
            creator=instance.creator.key if instance.creator else None,
            tags=instance.tag_names or [],
            in_membership=bool(instance.in_membership),
            intro=instance.intro,
            cover_url=instance.cover_url,
        )
        instance.pk = saved.course.pk

    def save_m2m(self, *args: Any, **kwargs: Any) -> None:
        """Tags are saved with the course."""
