"""Login, tokens, profile, preferences."""

from typing import Any, cast

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.authentication import get_authorization_header
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import flows, rules, services
from accounts.models import User
from accounts.serializers import (
    LoginInput,
    LoginOutput,
    LogoutInput,
    PhoneInput,
    PhoneOutput,
    PreferencesInput,
    PreferencesOutput,
    ProfileInput,
    ProfileOutput,
    RefreshInput,
    TokenPairOutput,
)
from kernel import ratelimit
from kernel.api import ApiView, parse

_LOGIN_TAG: Any = [_("登录")]
_ME_TAG: Any = [_("我的")]


class _PublicView(ApiView):
    """Works without a token and ignores one."""

    authentication_classes = ()
    permission_classes = ()


class LoginView(_PublicView):
    @extend_schema(
        summary=_("微信登录"),
        description=_("用 wx.login 得到的 code 换取令牌；首次登录会创建用户。"),
        tags=_LOGIN_TAG,
        request=LoginInput,
        responses=LoginOutput,
        examples=[OpenApiExample("登录", value={"code": "0a3Jx2Ga1"}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        _count(request, "login", settings.KPAY.login_per_minute)
        done = flows.wechat_login(**parse(LoginInput, request.data))
        user = {
            "id": done.user.pk,
            "nickname": done.user.nickname,
            "avatar_url": done.user.avatar_url,
            "is_new": done.is_new,
        }
        return Response(LoginOutput({**vars(done.tokens), "user": user}).data)


class RefreshView(_PublicView):
    @extend_schema(
        summary=_("刷新令牌"),
        description=_("旧的 refresh 随即失效；再次使用旧令牌会结束整个登录会话。"),
        tags=_LOGIN_TAG,
        request=RefreshInput,
        responses=TokenPairOutput,
    )
    def post(self, request: Request) -> Response:
        _count(request, "refresh", settings.KPAY.login_per_minute)
        pair = services.tokens_refresh(**parse(RefreshInput, request.data))
        return Response(TokenPairOutput(vars(pair)).data)


class LogoutView(_PublicView):
    @extend_schema(
        summary=_("退出登录"),
        description=_("凭请求头中的 access 或正文中的 refresh，两种令牌立即同时失效。"),
        tags=_LOGIN_TAG,
        request=LogoutInput,
        responses={204: None},
        auth=[{"Bearer": []}, {}],  # type: ignore[list-item]
    )
    def post(self, request: Request) -> Response:
        refresh = parse(LogoutInput, request.data)["refresh"]
        services.tokens_end(access=_bearer(request), refresh=refresh)
        return Response(status=204)


class MeView(ApiView):
    @extend_schema(
        summary=_("我的资料"),
        description=_("手机号只返回是否已绑定。"),
        tags=_ME_TAG,
        responses=ProfileOutput,
    )
    def get(self, request: Request) -> Response:
        return Response(ProfileOutput(request.user).data)

    @extend_schema(
        summary=_("修改我的资料"),
        description=_("只修改提交的字段；昵称和职业须通过内容安全检查。"),
        tags=_ME_TAG,
        request=ProfileInput,
        responses=ProfileOutput,
    )
    def patch(self, request: Request) -> Response:
        fields = parse(ProfileInput, request.data)
        user = flows.profile_update(user=_user(request), **fields)
        return Response(ProfileOutput(user).data)


class PreferencesView(ApiView):
    @extend_schema(
        summary=_("我的偏好设置"),
        description=_("个性化推荐、个性化优惠、营销消息三个开关，默认开启。"),
        tags=_ME_TAG,
        responses=PreferencesOutput,
    )
    def get(self, request: Request) -> Response:
        return Response(PreferencesOutput(request.user).data)

    @extend_schema(
        summary=_("修改偏好设置"),
        description=_("关闭个性化推荐后，下一次请求即生效。未提交的开关保持不变。"),
        tags=_ME_TAG,
        request=PreferencesInput,
        responses=PreferencesOutput,
    )
    def put(self, request: Request) -> Response:
        switches = parse(PreferencesInput, request.data)
        user = services.preferences_set(user=_user(request), **switches)
        return Response(PreferencesOutput(user).data)


class PhoneView(ApiView):
    @extend_schema(
        summary=_("绑定手机号"),
        description=_("用手机号快速验证组件返回的 code 绑定；号码加密保存。"),
        tags=_ME_TAG,
        request=PhoneInput,
        responses=PhoneOutput,
    )
    def post(self, request: Request) -> Response:
        user = _user(request)
        ratelimit.hit(f"phone:{user.pk}", limit=10, seconds=60)
        number = flows.phone_bind(user=user, **parse(PhoneInput, request.data))
        return Response(PhoneOutput({"phone": f"{number[:3]}****{number[-4:]}"}).data)


def _user(request: Request) -> User:
    return cast(User, request.user)


def _count(request: Request, what: str, limit: int) -> None:
    address = rules.client_address(request.META, settings.KPAY.proxy_hops)
    ratelimit.hit(f"{what}:{address}", limit=limit, seconds=60)


def _bearer(request: Request) -> str:
    """The bearer token as it stands, valid or not; "" when there is none."""
    parts = get_authorization_header(request).split()
    if len(parts) == 2 and parts[0].lower() == b"bearer" and parts[1].isascii():
        return parts[1].decode("ascii")
    return ""
