"""Errors named for what happened. Each has a stable code, an HTTP status and a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class InvariantBroken(RuntimeError):
    """The program is wrong: never shown as a client's mistake."""


class DomainError(Exception):
    """A rule said no. `detail` holds facts that a client may act on."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 409
    message: str | Promise = _("操作未能完成。")
    retry_after: int | None = None

    def __init__(self, message: str | Promise | None = None, **detail: Any) -> None:
        if message is not None:
            self.message = message
        self.detail: dict[str, Any] = detail
        super().__init__(str(self.message))


class InvalidInput(DomainError):
    """The request says something that can't be understood; `detail` is {field: [sentences]}."""

    code = "invalid_input"
    status = 400
    message = _("提交的内容有误，请检查后再试。")

    def __init__(
        self,
        message: str | Promise | None = None,
        *,
        fields: Mapping[str, Sequence[str | Promise]] | None = None,
    ) -> None:
        super().__init__(message)
        self.detail = {name: [str(s) for s in said] for name, said in (fields or {}).items()}


class BodyTooLarge(DomainError):
    code = "body_too_large"
    status = 413
    message = _("提交的内容过大。")


class Unauthenticated(DomainError):
    code = "unauthenticated"
    status = 401
    message = _("请先登录。")


class Forbidden(DomainError):
    code = "forbidden"
    status = 403
    message = _("您没有权限进行此操作。")


class AccessRequired(DomainError):
    """`detail.products` lists what would open the door."""

    code = "access_required"
    status = 403
    message = _("购买后即可学习。")


class NotFound(DomainError):
    """Absent, or not yours: the two look the same from outside."""

    code = "not_found"
    status = 404
    message = _("内容不存在。")


class Conflict(DomainError):
    code = "conflict"
    status = 409
    message = _("当前状态不允许此操作。")


class Unprocessable(DomainError):
    code = "unprocessable"
    status = 422
    message = _("请求无法处理。")


class TooManyRequests(DomainError):
    code = "too_many_requests"
    status = 429
    message = _("操作太频繁，请稍后再试。")

    def __init__(self, *, retry_after: int, **detail: Any) -> None:
        super().__init__(**detail)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """The platform or the database is away for a moment; the same call may be repeated."""

    code = "unavailable"
    status = 503
    message = _("服务暂时不可用，请稍后再试。")

    def __init__(
        self, message: str | Promise | None = None, *, retry_after: int = 5, **detail: Any
    ) -> None:
        super().__init__(message, **detail)
        self.retry_after = retry_after
