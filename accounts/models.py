"""Users, their platform identities and their tokens. One user table for learners and operators."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from kernel import clock


class UserManager(BaseUserManager["User"]):
    """Makes users with a usable or an unusable password; `createsuperuser` asks it too."""

    use_in_migrations = True

    def create_user(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """A saved user. Without a password nobody can sign in to the admin as this user."""
        user = self.model(username=self.model.normalize_username(username), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """A saved operator who may do everything in the admin."""
        return self.create_user(
            username, password, **{**fields, "is_staff": True, "is_superuser": True}
        )


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Learners are named `wx_…` and have no password; operators have one."""

    username = models.CharField(_("用户名"), max_length=150, unique=True)
    nickname = models.CharField(_("昵称"), max_length=32, blank=True, default="")
    avatar_url = models.CharField(_("头像"), max_length=500, blank=True, default="")
    birth_year = models.PositiveSmallIntegerField(_("出生年份"), null=True, blank=True)
    occupation = models.CharField(_("职业"), max_length=32, blank=True, default="")
    interests = ArrayField(
        models.CharField(max_length=64), verbose_name=_("兴趣分类"), blank=True, default=list
    )
    phone_encrypted = models.TextField(_("手机号(加密)"), blank=True, default="")
    personalised_feed = models.BooleanField(_("个性化推荐"), default=True)
    personalised_offers = models.BooleanField(_("个性化优惠"), default=True)
    marketing_messages = models.BooleanField(_("接收营销消息"), default=True)
    is_active = models.BooleanField(_("可登录"), default=True)
    is_staff = models.BooleanField(_("可进后台"), default=False)
    date_joined = models.DateTimeField(_("注册时间"), default=clock.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("用户")
        verbose_name_plural = _("用户")

    def __str__(self) -> str:
        return self.nickname or self.username

    def get_full_name(self) -> str:
        """What the admin greets the operator by."""
        return str(self)

    def get_short_name(self) -> str:
        """Same as the full name: Chinese names are not cut."""
        return str(self)


class Identity(models.Model):
    """One account of a person in one of our WeChat apps.

    `user` is empty while only the openid of a follower is known: it is filled when the unionid
    shows who it is, and an identity never moves from one user to another afterwards.
    """

    class App(models.TextChoices):
        MP = "mp", _("小程序")
        OA = "oa", _("公众号")

    user = models.ForeignKey(
        User,
        verbose_name=_("用户"),
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="identities",
    )
    app = models.CharField(_("应用"), max_length=8, choices=App.choices)
    appid = models.CharField(_("AppID"), max_length=64)
    openid = models.CharField(_("OpenID"), max_length=128)
    unionid = models.CharField(_("UnionID"), max_length=128, blank=True, default="")
    session_key_encrypted = models.TextField(_("会话密钥(加密)"), blank=True, default="")
    session_key_at = models.DateTimeField(_("会话密钥时间"), null=True, blank=True)
    followed = models.BooleanField(_("已关注"), default=False)
    followed_at = models.DateTimeField(_("关注时间"), null=True, blank=True)
    unfollowed_at = models.DateTimeField(_("取消关注时间"), null=True, blank=True)
    entry_scene = models.CharField(_("来源渠道"), max_length=128, blank=True, default="")
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("平台身份")
        verbose_name_plural = _("平台身份")
        constraints = [
            models.UniqueConstraint(fields=["appid", "openid"], name="identity_once_per_app"),
        ]
        indexes = [
            models.Index(
                fields=["unionid"], name="identity_unionid", condition=~models.Q(unionid="")
            ),
            models.Index(fields=["user", "app"], name="identity_user_app"),
        ]

    def __str__(self) -> str:
        return f"{self.app}:{self.openid[:4]}…{self.openid[-4:]}"


class TokenFamily(models.Model):
    """All tokens that grew from one login. Ending it ends each of them at once."""

    class EndReason(models.TextChoices):
        LOGOUT = "logout", _("用户退出")
        REUSE = "reuse", _("旧刷新令牌被重复使用")
        OPERATOR = "operator", _("运营人员结束")

    user = models.ForeignKey(
        User, verbose_name=_("用户"), on_delete=models.CASCADE, related_name="token_families"
    )
    created_at = models.DateTimeField(_("登录时间"), default=clock.now)
    refreshed_at = models.DateTimeField(_("最近刷新时间"), null=True, blank=True)
    ended_at = models.DateTimeField(_("结束时间"), null=True, blank=True)
    end_reason = models.CharField(
        _("结束原因"), max_length=16, choices=EndReason.choices, blank=True, default=""
    )

    class Meta:
        verbose_name = _("登录会话")
        verbose_name_plural = _("登录会话")

    def __str__(self) -> str:
        return f"#{self.pk}"


class AccessToken(models.Model):
    """SHA-256 of an access token: the token itself is only ever in the client's hands."""

    hash = models.BinaryField(_("令牌摘要"), primary_key=True, max_length=32)
    family = models.ForeignKey(TokenFamily, on_delete=models.CASCADE, related_name="access_tokens")
    expires_at = models.DateTimeField(_("过期时间"), db_index=True)

    class Meta:
        verbose_name = _("访问令牌")
        verbose_name_plural = _("访问令牌")

    def __str__(self) -> str:
        return bytes(self.hash).hex()[:8]


class RefreshToken(models.Model):
    """SHA-256 of a refresh token. A row with `used_at` is a spent one: seen again, it is theft."""

    hash = models.BinaryField(_("令牌摘要"), primary_key=True, max_length=32)
    family = models.ForeignKey(TokenFamily, on_delete=models.CASCADE, related_name="refresh_tokens")
    expires_at = models.DateTimeField(_("过期时间"), db_index=True)
    used_at = models.DateTimeField(_("使用时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("刷新令牌")
        verbose_name_plural = _("刷新令牌")

    def __str__(self) -> str:
        return bytes(self.hash).hex()[:8]
