"""What can go wrong with a login, a token or a profile."""

from django.utils.translation import gettext_lazy as _

from kernel.errors import Forbidden, InvalidInput, Unauthenticated


class TokenInvalid(Unauthenticated):
    code = "token_invalid"
    message = _("登录状态无效，请重新登录。")


class TokenExpired(Unauthenticated):
    code = "token_expired"
    message = _("登录已过期，请重新登录。")


class RefreshTokenInvalid(Unauthenticated):
    code = "refresh_token_invalid"
    message = _("登录已失效，请重新登录。")


class RefreshTokenReused(Unauthenticated):
    """A spent refresh token came again: the whole family is over."""

    code = "refresh_token_reused"
    message = _("登录凭证已被使用过，为了账户安全请重新登录。")


class SessionExpired(Unauthenticated):
    """The platform's session of the mini-program is needed, and is not known (any more)."""

    code = "session_expired"
    message = _("微信登录状态已失效，请重新登录后再试。")


class WeChatCodeInvalid(InvalidInput):
    code = "wechat_code_invalid"
    message = _("微信登录凭证无效或已过期，请重新打开小程序再试。")


class WeChatCodeUsed(InvalidInput):
    code = "wechat_code_used"
    message = _("微信登录凭证已被使用，请重新打开小程序再试。")


class LoginBlocked(Forbidden):
    """The platform calls this person a high risk (40226)."""

    code = "login_blocked"
    message = _("微信提示当前账号存在风险，暂时无法登录。")


class UserBlocked(Forbidden):
    code = "user_blocked"
    message = _("该账户已停用，请联系客服。")
