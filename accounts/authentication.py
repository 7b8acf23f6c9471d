"""Who calls the API: a bearer token, looked up by its hash in one SELECT."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from accounts.errors import TokenExpired, TokenInvalid
from accounts.models import AccessToken, User
from kernel import clock
from kernel.ids import token_hash

# new_token() makes 43 characters; anything much longer is not ours and is not hashed.
_LONGEST = 128


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access>`. Logout, reuse of a refresh token and a blocked user
    end it with the next request. Raises TokenInvalid or TokenExpired (401)."""

    def authenticate(self, request: Request) -> tuple[User, AccessToken] | None:
        parts = get_authorization_header(request).split()
        if not parts or parts[0].lower() != b"bearer":
            return None
        if len(parts) != 2 or len(parts[1]) > _LONGEST or not parts[1].isascii():
            raise TokenInvalid
        token = (
            AccessToken.objects.select_related("family__user")
            .filter(pk=token_hash(parts[1].decode("ascii")))
            .first()
        )
        if token is None or token.family.ended_at is not None or not token.family.user.is_active:
            raise TokenInvalid
        if token.expires_at <= clock.now():
            raise TokenExpired
        return token.family.user, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the API documents describe it."""

    target_class = "accounts.authentication.BearerAuthentication"
    name = "Bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": str(_("登录接口返回的 access 令牌。")),
        }
