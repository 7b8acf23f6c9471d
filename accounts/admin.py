"""Operators' pages of people: look and switch, never read a secret."""

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import services
from accounts.models import Identity, TokenFamily, User
from accounts.rules import masked
from kernel import staff
from kernel.admin import ModelAdmin, ReadOnlyAdmin

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin[Group]):
    """Roles. Their permissions are set by the product after each migration."""

    readonly_fields = ("permissions",)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin[User]):  # type: ignore[type-arg]
    """Learners and operators in one list. Phone numbers are not shown."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("nickname", "username", "is_active", "is_staff", "date_joined")
    list_display_links = ("nickname", "username")
    list_filter = ("is_staff", "is_active", "groups", "personalised_feed", "date_joined")
    search_fields = ("nickname", "=username", "=identities__openid", "=identities__unionid")
    ordering = ("-date_joined", "-pk")
    readonly_fields = ("date_joined", "last_login", "has_phone", "identities_shown")
    actions = ("end_sessions",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (
            _("资料"),
            {"fields": ("nickname", "avatar_url", "birth_year", "occupation", "interests")},
        ),
        (_("微信"), {"fields": ("identities_shown", "has_phone")}),
        (
            _("偏好"),
            {"fields": ("personalised_feed", "personalised_offers", "marketing_messages")},
        ),
        (_("权限"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        (_("时间"), {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "nickname", "is_staff", "password1", "password2"),
            },
        ),
    )
    filter_horizontal = ("groups",)

    @admin.display(description=_("已绑定手机"), boolean=True)
    def has_phone(self, user: User) -> bool:
        return bool(user.phone_encrypted)

    @admin.display(description=_("平台身份"))
    def identities_shown(self, user: User) -> str:
        rows = user.identities.order_by("pk")
        return "、".join(f"{row.get_app_display()} {masked(row.openid)}" for row in rows) or "—"

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Only a superuser hands out rights."""
        fixed = tuple(str(name) for name in super().get_readonly_fields(request, obj))
        if not getattr(request.user, "is_superuser", False):
            fixed += ("is_superuser", "is_staff", "groups")
        return fixed

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Operators (and with them their passwords) are changed by superusers alone."""
        if obj is not None and obj.is_staff and not getattr(request.user, "is_superuser", False):
            return False
        return bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """People are switched off: their orders and journals stay."""
        return False

    @action(description=_("结束所选用户的全部登录会话"))  # type: ignore[untyped-decorator]
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        ended = 0
        for user in queryset:
            count = services.user_sessions_end(user_id=user.pk)
            ended += count
            if isinstance(request.user, User):
                staff.record(
                    by=request.user,
                    action="accounts.end_sessions",
                    target=f"user:{user.pk}",
                    reason=str(_("后台操作")),
                    ended=count,
                )
        said = _("已结束 %(count)s 个登录会话。") % {"count": ended}
        self.message_user(request, said, messages.SUCCESS)


@admin.register(Identity)
class IdentityAdmin(ReadOnlyAdmin[Identity]):
    list_display = (
        "app",
        "openid_masked",
        "user",
        "joined",
        "followed",
        "entry_scene",
        "created_at",
    )
    list_filter = ("app", "followed", "created_at")
    search_fields = ("=openid", "=unionid", "entry_scene")
    list_select_related = ("user",)
    fields = (
        "user",
        "app",
        "appid",
        "openid_masked",
        "joined",
        "session_key_at",
        "followed",
        "followed_at",
        "unfollowed_at",
        "entry_scene",
        "created_at",
    )
    readonly_fields = fields

    @admin.display(description=_("OpenID"), ordering="openid")
    def openid_masked(self, identity: Identity) -> str:
        return masked(identity.openid)

    @admin.display(description=_("已知 UnionID"), boolean=True)
    def joined(self, identity: Identity) -> bool:
        return bool(identity.unionid)


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin[TokenFamily]):
    list_display = ("id", "user", "created_at", "refreshed_at", "ended_at", "end_reason")
    list_filter = ("end_reason", "created_at")
    search_fields = ("=user__username", "user__nickname")
    list_select_related = ("user",)
