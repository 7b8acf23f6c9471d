"""Shapes of the account API (contract section 2)."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts import rules
from kernel import clock
from kernel.api import IdField, StrictSerializer


class LoginInput(StrictSerializer):
    code = serializers.CharField(max_length=256, help_text=_("wx.login 返回的 code"))


class RefreshInput(StrictSerializer):
    refresh = serializers.CharField(max_length=256)


class LogoutInput(StrictSerializer):
    refresh = serializers.CharField(max_length=256, required=False, default="", allow_blank=True)


class PhoneInput(StrictSerializer):
    code = serializers.CharField(max_length=256, help_text=_("getPhoneNumber 返回的 code"))


class LoginUserOutput(StrictSerializer):
    id = IdField()
    nickname = serializers.CharField()
    avatar_url = serializers.CharField()
    is_new = serializers.BooleanField()


class TokenPairOutput(StrictSerializer):
    access = serializers.CharField()
    refresh = serializers.CharField()
    expires_in = serializers.IntegerField(help_text=_("access 的有效秒数"))


class LoginOutput(TokenPairOutput):
    user = LoginUserOutput()


class PhoneOutput(StrictSerializer):
    phone = serializers.CharField(help_text=_("打码后的手机号"))


class ProfileInput(StrictSerializer):
    """Every field is optional; what is not sent stays."""

    nickname = serializers.CharField(required=False, max_length=200)
    avatar_url = serializers.CharField(required=False, max_length=500, allow_blank=True)
    birth_year = serializers.IntegerField(required=False, allow_null=True)
    occupation = serializers.CharField(required=False, max_length=200, allow_blank=True)
    interests = serializers.ListField(
        required=False, max_length=20, child=serializers.CharField(max_length=64)
    )

    def validate_nickname(self, value: str) -> str:
        return _name(value, _("昵称"), empty=False)

    def validate_occupation(self, value: str) -> str:
        return _name(value, _("职业"), empty=True)

    def validate_avatar_url(self, value: str) -> str:
        """Only https, or what we serve ourselves; no credentials, no other scheme."""
        try:
            parts = urlsplit(value)
        except ValueError as error:
            raise serializers.ValidationError(_("头像地址格式不正确。")) from error
        ours = value.startswith(f"{settings.KPAY.public_base_url}/")
        if value and not (ours or (parts.scheme == "https" and parts.hostname)):
            raise serializers.ValidationError(_("头像地址必须以 https:// 开头。"))
        if "@" in parts.netloc or any(c.isspace() or c in "<>\"'\\" for c in value):
            raise serializers.ValidationError(_("头像地址格式不正确。"))
        return value

    def validate_birth_year(self, value: int | None) -> int | None:
        year = clock.local_date().year
        if value is not None and not year - rules.OLDEST <= value <= year - rules.YOUNGEST:
            raise serializers.ValidationError(_("请填写正确的出生年份。"))
        return value

    def validate_interests(self, value: list[str]) -> list[str]:
        if not all(rules.INTEREST.fullmatch(key) for key in value):
            raise serializers.ValidationError(_("兴趣分类格式不正确。"))
        return list(dict.fromkeys(value))


class ProfileOutput(StrictSerializer):
    id = IdField(source="pk")
    nickname = serializers.CharField()
    avatar_url = serializers.CharField()
    birth_year = serializers.IntegerField(allow_null=True)
    occupation = serializers.CharField()
    interests = serializers.ListField(child=serializers.CharField())
    has_phone = serializers.SerializerMethodField()

    def get_has_phone(self, user: Any) -> bool:
        return bool(user.phone_encrypted)


class PreferencesInput(StrictSerializer):
    personalised_feed = serializers.BooleanField(required=False)
    personalised_offers = serializers.BooleanField(required=False)
    marketing_messages = serializers.BooleanField(required=False)


class PreferencesOutput(StrictSerializer):
    personalised_feed = serializers.BooleanField(help_text=_("个性化推荐"))
    personalised_offers = serializers.BooleanField(help_text=_("个性化优惠"))
    marketing_messages = serializers.BooleanField(help_text=_("接收营销消息"))


def _name(value: str, label: Any, *, empty: bool) -> str:
    cleaned = rules.clean_name(value)
    if not cleaned and not empty:
        raise serializers.ValidationError(_("%(label)s不能为空。") % {"label": label})
    if len(cleaned) > rules.NICKNAME_LONGEST:
        raise serializers.ValidationError(
            _("%(label)s最多 %(most)s 个字。") % {"label": label, "most": rules.NICKNAME_LONGEST}
        )
    return cleaned
