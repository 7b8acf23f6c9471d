"""Events of virtual payment on their way to the message server (B4): until ErrCode 0."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from wechat_sandbox.faults import Fault
from wechat_sandbox.outgoing import ANSWER_SECONDS
from wechat_sandbox.push import Push, attempt, drawn, new_record
from wechat_sandbox.replies import shown
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import Json

# 2, 4, 8, 16 … seconds, fifteen repeats: 16 deliveries in all.
RETRY_SECONDS = tuple(2**n for n in range(1, 16))
# The sender of these events is the platform itself, whoever paid.
OFFICIAL_OPENID = "oWeixinVirtualPayOfficial000"
_DELAY_SECONDS = 60.0
_HOLD_SECONDS = 600.0


def _nothing() -> None:
    """An event that changes nothing of ours when it is sent or accepted."""


@dataclass(eq=False)
class Delivery:
    """One event with its plan. `sent` and `accepted` say what then becomes of the order."""

    push: Push
    record: Json
    number: str
    sent: Callable[[], None] = _nothing
    accepted: Callable[[], None] = _nothing
    state: str = "pending"  # pending | accepted | given_up | stopped
    attempts: int = 0
    next_due: float | None = None
    postponed: int = -1  # the attempt that a fault has already put off
    held: bool = False
    reply: Json = field(default_factory=dict)
    first_attempt: threading.Event = field(default_factory=threading.Event)

    def view(self) -> Json:
        return {
            "event": self.push.name,
            "out_trade_no": self.number,
            "state": self.state,
            "attempts": self.attempts,
            "next_due": self.next_due,
            "fields": self.push.fields,
            "reply": self.reply,
            "deliveries": list(self.record["deliveries"]),
        }


def new_event(sandbox: Sandbox, name: str, fields: Json) -> Push:
    """An event to the mini-program's message server, in the account's form."""
    account = sandbox.identity.mp
    settings = sandbox.state.settings
    envelope: Json = {
        "ToUserName": account.original_id,
        "FromUserName": OFFICIAL_OPENID,
        "CreateTime": int(sandbox.clock.wire()),
        "MsgType": "event",
        "Event": name,
    }
    return Push(
        account=account,
        openid=OFFICIAL_OPENID,
        name=name,
        fields=envelope | fields,
        form="xml" if settings.mp_push_xml else "json",
        encrypted=bool(account.aes_key) and not settings.mp_push_plain,
        tamper="",
    )


def publish(
    sandbox: Sandbox,
    push: Push,
    *,
    number: str,
    sent: Callable[[], None] = _nothing,
    accepted: Callable[[], None] = _nothing,
    delay_seconds: float = 0.0,
) -> Delivery:
    """Records an event and plans its first delivery."""
    item = Delivery(push, new_record(sandbox, push), number, sent, accepted)
    with sandbox.lock:
        sandbox.state.xpay.deliveries.append(item)
    _plan(sandbox, item, sandbox.clock.now() + delay_seconds)
    return item


def stop(sandbox: Sandbox, number: str, name: str) -> None:
    """The merchant knows already: nothing more is sent of this event."""
    with sandbox.lock:
        for item in sandbox.state.xpay.deliveries:
            if item.number == number and item.push.name == name and item.state == "pending":
                item.state = "stopped"
                item.next_due = None


def took(reply: Json) -> bool:
    """`{"ErrCode": 0}`, plain or encrypted, JSON or XML; the case of the name is free."""
    if reply["status"] != 200:
        return False
    codes = [v for n, v in reply["message"].items() if n.lower() == "errcode"]
    return bool(codes) and str(codes[0]).strip() == "0"


def _plan(sandbox: Sandbox, item: Delivery, due: float) -> None:
    item.next_due = due
    sandbox.schedule.at(due, lambda moment: _attempt(sandbox, item, moment))


def _attempt(sandbox: Sandbox, item: Delivery, due: float) -> None:
    """One attempt of the plan; one that was not taken plans the next, from when it was due."""
    with sandbox.lock:
        known = item in sandbox.state.xpay.deliveries
    if not known or item.state != "pending" or item.held:
        return
    fault = drawn(sandbox, item.push)
    if fault is not None and fault.kind in {"delay", "reorder"}:
        if item.postponed != item.attempts:
            item.postponed = item.attempts
            _postpone(sandbox, item, fault)
            item.first_attempt.set()
            return
        fault = None
    item.sent()
    push = _numbered(item)
    answer = attempt(sandbox, push, item.record, ANSWER_SECONDS, fault)
    item.reply = shown(push.account, answer)
    _conclude(sandbox, item, due, taken=took(item.reply))


def _conclude(sandbox: Sandbox, item: Delivery, due: float, *, taken: bool) -> None:
    attempts = item.attempts
    item.attempts += 1
    if taken:
        item.state = "accepted"
        item.next_due = None
        item.accepted()
    elif attempts >= len(RETRY_SECONDS):
        item.state = "given_up"
        item.next_due = None
    elif item.state == "pending":
        _plan(sandbox, item, due + RETRY_SECONDS[attempts])
    item.first_attempt.set()
    if taken:
        _release_held(sandbox, item)


def _numbered(item: Delivery) -> Push:
    """Some events count their repeats in the body."""
    if "RetryTimes" not in item.push.fields:
        return item.push
    return replace(item.push, fields=item.push.fields | {"RetryTimes": item.attempts})


def _postpone(sandbox: Sandbox, item: Delivery, fault: Fault) -> None:
    now = sandbox.clock.now()
    item.record["deliveries"].append({"at": now, "fault": fault.kind, "status": None})
    if fault.kind == "delay":
        _plan(sandbox, item, now + fault.seconds(_DELAY_SECONDS))
        return
    item.held = True
    limit = now + fault.seconds(_HOLD_SECONDS)
    item.next_due = limit

    def let_go(_: float) -> None:
        if item.held:
            item.held = False
            _plan(sandbox, item, sandbox.clock.now())

    sandbox.schedule.at(limit, let_go)


def _release_held(sandbox: Sandbox, delivered: Delivery) -> None:
    """A reordered event goes out once a later one was taken."""
    with sandbox.lock:
        held = [i for i in sandbox.state.xpay.deliveries if i.held and i is not delivered]
        for item in held:
            item.held = False
    for item in held:
        _plan(sandbox, item, sandbox.clock.now())
