"""The base of all API views and the one exception handler."""

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel.api.fields import flatten
from kernel.errors import (
    DomainError,
    Forbidden,
    InvalidInput,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from kernel.requests import current_request_id

logger = logging.getLogger(__name__)


class ApiView(APIView):
    """Parses, checks permission, makes one call, renders. Bearer token by default."""


class MethodRefused(DomainError):
    code = "method_not_allowed"
    status = 405


class MediaTypeRefused(DomainError):
    code = "unsupported_media_type"
    status = 415


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Every refusal in the one error shape (contract section 2); anything else is a 500."""
    refused = as_domain_error(error)
    if refused is None:
        return None
    response = Response(error_body(refused), status=refused.status)
    if refused.retry_after is not None:
        response["Retry-After"] = str(refused.retry_after)
    if refused.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def error_body(refused: DomainError) -> dict[str, Any]:
    return {
        "error": {
            "code": refused.code,
            "message": str(refused.message),
            "detail": refused.detail,
            "request_id": current_request_id(),
        }
    }


def as_domain_error(error: Exception) -> DomainError | None:
    """What a framework's exception means in our words, None where it is a fault of ours."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, exceptions.ValidationError):
        return InvalidInput(fields=flatten(error.detail))
    if isinstance(error, OperationalError):
        logger.error("the database is away", exc_info=error)
        return Unavailable(retry_after=2)
    return next((make() for kinds, make in _MEANING if isinstance(error, kinds)), None)


_MEANING: tuple[tuple[tuple[type[Exception], ...], Callable[[], DomainError]], ...] = (
    ((exceptions.ParseError,), lambda: InvalidInput(_("请求内容无法解析。"))),
    ((exceptions.NotAuthenticated, exceptions.AuthenticationFailed), Unauthenticated),
    ((exceptions.PermissionDenied, PermissionDenied), Forbidden),
    ((Http404, exceptions.NotFound), NotFound),
    ((exceptions.Throttled,), lambda: TooManyRequests(retry_after=60)),
    ((exceptions.MethodNotAllowed,), lambda: MethodRefused(_("此接口不支持该请求方法。"))),
    (
        (exceptions.UnsupportedMediaType,),
        lambda: MediaTypeRefused(_("请使用 application/json 提交。")),
    ),
    ((exceptions.NotAcceptable,), lambda: InvalidInput(_("此接口只返回 application/json。"))),
)


def render_error(refused: DomainError) -> JsonResponse:
    """The same shape for plain Django views (callbacks, media)."""
    response = JsonResponse(error_body(refused), status=refused.status)
    if refused.retry_after is not None:
        response["Retry-After"] = str(refused.retry_after)
    return response


class _ServerFault(DomainError):
    code = "internal_error"
    status = 500


def handler404(request: HttpRequest, exception: Exception) -> JsonResponse:
    return render_error(NotFound())


def handler400(request: HttpRequest, exception: Exception) -> JsonResponse:
    return render_error(InvalidInput())


def handler403(request: HttpRequest, exception: Exception) -> JsonResponse:
    return render_error(Forbidden())


def handler500(request: HttpRequest) -> JsonResponse:
    return render_error(_ServerFault(_("服务器开小差了，请稍后再试。")))
