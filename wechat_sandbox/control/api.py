"""Routes of the control API and the one place where its errors are rendered."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from wechat_sandbox.control import bills, books, money, people, shipping, virtual
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import (
    BadJsonError,
    ControlError,
    Json,
    Reply,
    Request,
    control_error_reply,
    json_reply,
)

Handler = Callable[..., Any]


def _not_offered(_sandbox: Sandbox, _data: Json, **_: str) -> Json:
    raise ControlError(501, "not_offered", "this part of the platform is not offered yet")


_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/users", people.user_create),
    ("GET", "/users", people.user_list),
    ("POST", "/users/{openid}/login", people.login_code),
    ("POST", "/users/{openid}/phone", people.phone_code),
    ("POST", "/users/{openid}/oauth", people.oauth_code),
    ("POST", "/users/{openid}/grants", people.grant),
    ("POST", "/templates", people.template_create),
    ("POST", "/messages", people.message),
    ("POST", "/messages/verify", people.verify),
    ("GET", "/messages", people.sent_list),
    ("POST", "/payments/{number}", money.payment),
    ("POST", "/refunds", money.console_refund),
    ("POST", "/refunds/{number}", money.refund),
    ("GET", "/bills/{day}", bills.bill_read),
    ("POST", "/bills/{day}", bills.bill_plant),
    ("DELETE", "/bills/{day}", bills.bill_forget),
    ("POST", "/bills/{day}/rows", bills.rows_create),
    ("POST", "/notifies/{number}/forge", money.forge),
    ("GET", "/notifies", money.notify_list),
    ("POST", "/faults", books.fault_create),
    ("GET", "/faults", books.fault_list),
    ("DELETE", "/faults", books.fault_clear),
    ("DELETE", "/faults/{fault_id}", books.fault_clear),
    ("POST", "/clock", books.clock_move),
    ("GET", "/clock", books.clock_read),
    ("POST", "/settings", books.settings_change),
    ("GET", "/calls", books.call_list),
    ("GET", "/state", books.state_read),
    ("POST", "/reset", books.reset),
    ("POST", "/virtual-payments", virtual.payment),
    ("POST", "/virtual-refunds/{number}", virtual.refund),
    ("GET", "/virtual-orders/{number}", virtual.order_read),
    ("POST", "/virtual-orders/{number}/apple-refund-question", virtual.apple_question),
    ("POST", "/virtual-orders/{number}/apple-refund", virtual.apple_refund),
    ("POST", "/virtual-orders/{number}/complaint", virtual.complaint),
    ("POST", "/virtual-withdrawals/{number}", virtual.withdrawal),
    ("POST", "/virtual-items", virtual.item_create),
    ("POST", "/virtual-items/{item_id}", virtual.item_plan),
    ("POST", "/virtual-bills/{day}", virtual.bill),
    ("POST", "/shipping/{number}/remind", shipping.remind),
    ("POST", "/shipping/{number}/settle", shipping.settle),
    ("POST", "/contracts/{number}", _not_offered),
    ("POST", "/deductions/{number}", _not_offered),
    ("POST", "/transfers/{number}", _not_offered),
)
_COMPILED = tuple(
    (method, re.compile(r"/_sandbox" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), handler)
    for method, path, handler in _ROUTES
)


def control_answer(sandbox: Sandbox, request: Request) -> Reply:
    """One control call; GET parameters and the JSON body arrive as one object."""
    try:
        for method, pattern, handler in _COMPILED:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                data = request.json() if request.body else dict(request.query)
                return json_reply(handler(sandbox, data, **match.groupdict()))
        raise ControlError(404, "no_such_call", f"{request.method} {request.path}")
    except BadJsonError as error:
        return control_error_reply(ControlError(400, "invalid_json", str(error)))
    except ControlError as error:
        return control_error_reply(error)
