"""The doors of the platform's message server: plain views, outside the API's schema."""

import logging

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from kernel.api.views import render_error
from kernel.errors import DomainError, Unavailable
from kernel.transactions import retrying
from kernel.wire.bodies import bounded_body
from messaging import services
from payments.flows.pushes import virtual_push
from wechat.errors import WeChatForged
from wechat.push import MAX_BODY, Account, echo, verify_and_parse
from wechat.xpay import is_xpay

logger = logging.getLogger(__name__)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def oa_callback(request: HttpRequest) -> HttpResponse:
    """The official account: address check by GET, messages and events by POST."""
    return _callback("oa", request)


@csrf_exempt
@require_http_methods(["GET", "POST"])
def mp_callback(request: HttpRequest) -> HttpResponse:
    """The mini-program: address check by GET, messages and events by POST."""
    return _callback("mp", request)


def _callback(account: Account, request: HttpRequest) -> HttpResponse:
    try:
        if request.method == "GET":
            return _plain(echo(account, request.GET.dict()).encode())
        push = verify_and_parse(account, request.GET.dict(), bounded_body(request, MAX_BODY))
        if is_xpay(push):
            return _plain(virtual_push(push))
        if push.event.lower().startswith("trade_manage_"):
            logger.info("order shipping: %s", push.event)  # kept, nothing follows from it
        return _plain(retrying(lambda: services.push_received(push=push)))
    except WeChatForged as forged:
        logger.warning("a push to %s is refused: %s", account, forged.said)
        return render_error(forged)
    except DomainError as refused:
        return render_error(refused)
    except OperationalError:
        logger.exception("the database is away")
        return render_error(Unavailable(retry_after=2))


def _plain(body: bytes) -> HttpResponse:
    """XML, JSON or plain text; never HTML, whatever an echo holds."""
    kind = "text/plain"
    if body.startswith(b"<xml>"):
        kind = "application/xml"
    elif body.startswith(b"{"):
        kind = "application/json"
    response = HttpResponse(body, content_type=f"{kind}; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    return response
