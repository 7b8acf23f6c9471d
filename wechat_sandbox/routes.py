"""Which path is answered by what, and how errors look on each host."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from wechat_sandbox.pay import abnormal, bills, certificates, orders, refunds
from wechat_sandbox.pay.signing import answer_headers, verify_request, wanted_serial
from wechat_sandbox.platform import login, messages, security, shipping, tokens
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import (
    BadJsonError,
    PayError,
    PlatformError,
    Reply,
    Request,
    pay_error_reply,
    platform_error_reply,
)
from wechat_sandbox.xpay.endpoints import ENDPOINTS as XPAY

Handler = Callable[..., Reply]


@dataclass(frozen=True)
class Route:
    method: str
    pattern: re.Pattern[str]
    handler: Handler


def _route(method: str, path: str, handler: Handler) -> Route:
    """`{name}` in a path is one segment, passed as a keyword."""
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))
    return Route(method, re.compile(pattern), handler)


PLATFORM = (
    _route("GET", "/sns/jscode2session", login.jscode2session),
    _route("GET", "/sns/oauth2/access_token", login.oauth_token),
    _route("GET", "/sns/oauth2/refresh_token", login.oauth_refresh),
    _route("GET", "/sns/userinfo", login.oauth_userinfo),
    _route("GET", "/sns/auth", login.oauth_check),
    _route("GET", "/cgi-bin/token", tokens.token),
    _route("POST", "/cgi-bin/stable_token", tokens.stable_token),
    _route("POST", "/cgi-bin/clear_quota", tokens.clear_quota),
    _route("GET", "/cgi-bin/user/info", messages.user_info),
    _route("POST", "/cgi-bin/message/custom/send", messages.custom_send),
    _route("POST", "/cgi-bin/message/subscribe/send", messages.subscribe_send),
    _route("GET", "/wxa/checksession", login.check_session),
    _route("GET", "/wxa/resetusersessionkey", login.reset_session),
    _route("POST", "/wxa/business/getuserphonenumber", login.phone_number),
    _route("POST", "/wxa/msg_sec_check", security.msg_sec_check),
    _route("POST", "/wxa/sec/order/upload_shipping_info", shipping.upload_shipping_info),
    _route("POST", "/wxa/sec/order/get_order", shipping.get_order),
    _route("POST", "/wxa/sec/order/is_trade_managed", shipping.is_trade_managed),
    *(_route(method, path, handler) for method, path, handler in XPAY),
)
PAY = (
    *(
        _route("POST", f"/v3/pay/transactions/{p}", partial(orders.prepay, product=p))
        for p in ("jsapi", "native", "h5")
    ),
    _route("GET", "/v3/pay/transactions/out-trade-no/{number}", orders.query),
    _route("GET", "/v3/pay/transactions/id/{number}", orders.query_by_id),
    _route("POST", "/v3/pay/transactions/out-trade-no/{number}/close", orders.close),
    _route("POST", "/v3/refund/domestic/refunds", refunds.create),
    _route("GET", "/v3/refund/domestic/refunds/{number}", refunds.query),
    _route("POST", "/v3/refund/domestic/refunds/{number}/apply-abnormal-refund", abnormal.apply),
    _route("GET", "/v3/bill/tradebill", bills.trade_bill),
    _route("GET", "/v3/bill/fundflowbill", bills.fundflow_bill),
    _route("GET", bills.DOWNLOAD_PATH, bills.download),
    _route("GET", "/v3/certificates", certificates.certificates),
)


def is_pay(path: str) -> bool:
    return path.startswith("/v3/")


def answer_platform(sandbox: Sandbox, request: Request) -> Reply:
    """HTTP 200 whatever happens, errors as errcode."""
    try:
        for route in PLATFORM:
            match = route.pattern.fullmatch(request.path)
            if match and route.method == request.method:
                return route.handler(sandbox, request, **match.groupdict())
            if match and route.method == "POST":
                raise PlatformError(43002, "require POST method")
        raise PlatformError(40066, "invalid url")
    except BadJsonError as error:
        empty = not request.body
        return platform_error_reply(
            PlatformError(44002, "empty post data")
            if empty
            else PlatformError(47001, f"data format error: {error}")
        )
    except PlatformError as error:
        return platform_error_reply(error)


def answer_pay(sandbox: Sandbox, request: Request) -> Reply:
    """Verified first, answered with real statuses; unsigned yet, see `sign_answer`."""
    try:
        verify_request(sandbox, request)
        for route in PAY:
            match = route.pattern.fullmatch(request.path)
            if match and route.method == request.method:
                return route.handler(sandbox, request, **match.groupdict())
        raise PayError(404, "RESOURCE_NOT_EXISTS", f"{request.method} {request.path} 不存在")
    except BadJsonError:
        return pay_error_reply(PayError(400, "PARAM_ERROR", "请求体不是合法的JSON对象"))
    except PayError as error:
        return pay_error_reply(error)


def sign_answer(sandbox: Sandbox, request: Request, reply: Reply, tamper: str = "") -> Reply:
    if reply.unsigned:
        return reply
    serial = wanted_serial(sandbox, request.path, request.headers)
    reply.headers |= answer_headers(sandbox, reply.body, serial=serial, tamper=tamper)
    return reply
