"""Failures of the platform, split by what the caller may do next."""

from django.utils.translation import gettext_lazy as _

from kernel.errors import DomainError


class WeChatError(DomainError):
    """Base. `wechat_code` is the platform's own code ("" where there was no answer)."""

    code = "wechat_error"
    status = 503
    message = _("微信服务暂时不可用，请稍后再试。")
    retry_after: int | None = 5

    def __init__(self, wechat_code: str | int = "", said: str = "") -> None:
        self.wechat_code = str(wechat_code)
        detail = {"wechat_code": self.wechat_code} if self.wechat_code else {}
        super().__init__(**detail)
        # For logs only: the platform's sentence is not for learners.
        self.said = said[:300]

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.wechat_code} {self.said}".rstrip()


class WeChatUncertain(WeChatError):
    """It may have happened: repeat with the same number, or query."""

    code = "wechat_uncertain"


class WeChatNotNow(WeChatError):
    """It has not happened; the same call may be repeated later."""

    code = "wechat_unavailable"


class WeChatNotConfigured(WeChatNotNow):
    """Credentials of this app are missing from the environment."""

    code = "wechat_not_configured"
    message = _("尚未配置微信参数，请联系运营人员。")
    retry_after = 60


class WeChatRefused(WeChatError):
    """The platform understood and said no; repeating changes nothing."""

    code = "wechat_refused"
    status = 409
    message = _("微信拒绝了此次操作。")
    retry_after = None


class WeChatBillWrong(WeChatError):
    """The file is the platform's, yet can't be read or does not agree with its own sums.

    Asking again changes nothing: somebody must look.
    """

    code = "wechat_bill_wrong"
    status = 502
    message = _("微信账单内容无法核对，请联系技术人员。")
    retry_after = None


class WeChatForged(WeChatError):
    """What came does not carry the platform's signature: no effect, no answer about why."""

    code = "signature_invalid"
    status = 403
    message = _("签名校验失败。")
    retry_after = None
