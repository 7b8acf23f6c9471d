"""Faults, the clock, settings, and what the sandbox has seen."""

from __future__ import annotations

import types
from dataclasses import fields as dataclass_fields
from typing import Any, get_args, get_type_hints

from wechat_sandbox.clock import parse_rfc3339, rfc3339
from wechat_sandbox.control import fields, virtual
from wechat_sandbox.pay import bodies
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Settings
from wechat_sandbox.wire import ControlError, Json

_SETTLE_SECONDS = 120.0
_FIRST_TIME = 10**9  # larger numbers are times, smaller ones ids


def fault_create(sandbox: Sandbox, data: Json) -> Json:
    return sandbox.faults.add(data).view()


def fault_list(sandbox: Sandbox, _: Json) -> Json:
    return {"items": sandbox.faults.view()}


def fault_clear(sandbox: Sandbox, _: Json, *, fault_id: str | None = None) -> Json:
    return {"cleared": sandbox.faults.clear(fault_id)}


def clock_read(sandbox: Sandbox, _: Json) -> Json:
    now = sandbox.clock.now()
    return {"now": now, "time": rfc3339(now), "offset_seconds": sandbox.clock.offset()}


def clock_move(sandbox: Sandbox, data: Json) -> Json:
    """Moves the clock and returns after everything that fell due was delivered."""
    if "now" in data:
        sandbox.clock.set_now(_moment(data["now"]))
    else:
        sandbox.clock.advance(fields.number(data, "advance_seconds", 0, least=-(10**9), most=10**9))
    sandbox.schedule.wake()
    settled = True
    if fields.flag(data, "wait", True):
        settled = sandbox.schedule.settle(_SETTLE_SECONDS)
    return {**clock_read(sandbox, {}), "settled": settled}


def _moment(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        return parse_rfc3339(value)
    except (TypeError, ValueError) as error:
        raise ControlError(
            400, "invalid_now", "now is RFC 3339 with offset, or seconds since 1970"
        ) from error


def settings_change(sandbox: Sandbox, data: Json) -> Json:
    """Sets any of `state.Settings`; returns them all."""
    hints = get_type_hints(Settings)
    for name, value in data.items():
        if name not in hints or not _fits(value, hints[name]):
            raise ControlError(400, "invalid_setting", f"{name} = {value!r}")
    if data.get("signing", "public_key") not in ("public_key", "certificate", "mixed"):
        raise ControlError(400, "invalid_setting", "signing: public_key, certificate or mixed")
    with sandbox.lock:
        for name, value in data.items():
            setattr(sandbox.state.settings, name, value)
        return _settings(sandbox)


def call_list(sandbox: Sandbox, data: Json) -> Json:
    """Calls received, oldest first: ?path=prefix&since= the id of a call, or seconds since 1970."""
    path = str(data.get("path", ""))
    try:
        since = float(data.get("since", 0) or 0)
    except ValueError as error:
        raise ControlError(400, "invalid_since", "since is a number") from error
    with sandbox.lock:
        items = [
            call.view()
            for call in sandbox.state.calls
            if (call.at if since >= _FIRST_TIME else call.id) > since and call.path.startswith(path)
        ]
        return {"items": items, "last": sandbox.state.call_ids}


def state_read(sandbox: Sandbox, data: Json) -> Json:
    """Everything that is remembered, in short; `?brief=1` counts people, orders and refunds."""
    brief = str(data.get("brief", "")).lower() in {"1", "true"}
    with sandbox.lock:
        state = sandbox.state
        return {
            "seed": sandbox.seed,
            "target": sandbox.target,
            "base_url": sandbox.base_url,
            "clock": clock_read(sandbox, {}),
            "settings": _settings(sandbox),
            "mp_appid": sandbox.identity.mp.appid,
            "oa_appid": sandbox.identity.oa.appid,
            "mchid": sandbox.identity.mchid,
            **(_counts(sandbox) if brief else _lists(sandbox)),
            **virtual.state_view(sandbox, state),
            "sent": list(state.sent),
            "pushes": list(state.pushes),
            "faults": sandbox.faults.view(),
            "calls": len(state.calls),
            "notifies": len(sandbox.notifies),
            "scheduled": sandbox.schedule.pending(),
        }


def _counts(sandbox: Sandbox) -> Json:
    state = sandbox.state
    return {"users": len(state.users), "orders": len(state.orders), "refunds": len(state.refunds)}


def _lists(sandbox: Sandbox) -> Json:
    state = sandbox.state
    return {
        "users": [user.view() for user in state.users],
        "orders": [
            {**bodies.transaction(order), "time_expire": rfc3339(order.time_expire)}
            for order in state.orders.values()
        ],
        "refunds": [bodies.refund(item) for item in state.refunds.values()],
    }


def reset(sandbox: Sandbox, data: Json) -> Json:
    """Forgets all but the keys. `keep_clock`: leaves the moved clock where it is."""
    sandbox.reset(keep_clock=fields.flag(data, "keep_clock", False))
    return {"reset": True}


def _settings(sandbox: Sandbox) -> Json:
    settings = sandbox.state.settings
    return {item.name: getattr(settings, item.name) for item in dataclass_fields(settings)}


def _fits(value: Any, hint: Any) -> bool:
    """Enough of a type check for the settings' types."""
    if isinstance(hint, types.UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    if get_args(hint) and hint.__origin__ is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if get_args(hint):
        return isinstance(value, dict) and all(isinstance(n, int) for n in value.values())
    if hint is int and isinstance(value, bool):
        return False
    return isinstance(value, hint)
