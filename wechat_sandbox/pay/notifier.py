"""Delivery of notifies: the retry plan of D4, and the faults on the way."""

from __future__ import annotations

import threading

from wechat_sandbox.faults import FORGERIES, Fault
from wechat_sandbox.notifies import Notify
from wechat_sandbox.outgoing import Answer, send
from wechat_sandbox.pay.forging import Message, forged_message, new_notify, true_message
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import Json

# D4: 15s/15s/30s/3m/10m/20m/30m/30m/30m/60m/3h/3h/3h/6h/6h, 24h4m in all.
RETRY_SECONDS = (
    15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600,
)  # fmt: skip
_FORGED_IN_A_ROW = 100
_HOLD_SECONDS = 600.0
_PUTS_OFF = ("delay", "reorder")
_TRICKS = {
    "timeout": "deaf",
    "reset_after_effect": "deaf",
    "reset_before_effect": "half",
    "hang": "slow",
}


def publish(
    sandbox: Sandbox, *, event_type: str, url: str, plain: Json, delay_seconds: float = 0.0
) -> Notify:
    """Records a notify and plans its first delivery."""
    notify = new_notify(sandbox, event_type=event_type, url=url, plain=plain)
    with sandbox.lock:
        sandbox.notifies.add(notify)
    _plan(sandbox, notify, sandbox.clock.now() + delay_seconds)
    return notify


def release_held(sandbox: Sandbox, delivered: Notify) -> None:
    """A reordered notify goes out once a later one was delivered."""
    with sandbox.lock:
        freed = sandbox.notifies.release()
    for notify in freed:
        if notify is not delivered:
            _plan(sandbox, notify, sandbox.clock.now())


def _plan(sandbox: Sandbox, notify: Notify, due: float) -> None:
    notify.next_due = due
    sandbox.schedule.at(due, lambda moment: _attempt(sandbox, notify, moment))


def _attempt(sandbox: Sandbox, notify: Notify, due: float) -> None:
    """One attempt of the plan; a failed one plans the next, counted from when it was due."""
    if notify.cancelled or notify.state != "pending" or notify.held:
        return
    fault = _draw(sandbox, notify)
    if fault is not None and fault.kind in _PUTS_OFF:
        if _postpone(sandbox, notify, fault):
            notify.attempted()
            return
        fault = None
    received = _deliver(sandbox, notify, fault)
    attempts = notify.attempts
    notify.attempts += 1
    if received:
        notify.state = "received"
        notify.next_due = None
    elif attempts < len(RETRY_SECONDS):
        if not notify.cancelled:
            _plan(sandbox, notify, due + RETRY_SECONDS[attempts])
    else:
        notify.state = "given_up"
        notify.next_due = None
    notify.attempted()
    if received:
        release_held(sandbox, notify)


def _draw(sandbox: Sandbox, notify: Notify, *, going: bool = False) -> Fault | None:
    """The fault that strikes this attempt; one that was put off or is `going` is not put off."""
    path = "/" + notify.url.split("://", 1)[-1].partition("/")[2]
    late = going or notify.postponed == notify.attempts
    return sandbox.faults.draw(
        "notify", path=path, event_type=notify.event_type, without=_PUTS_OFF if late else ()
    )


def _postpone(sandbox: Sandbox, notify: Notify, fault: Fault) -> bool:
    """Puts this attempt off. Of two to be reordered the second goes first, so it goes now."""
    now = sandbox.clock.now()
    if fault.kind == "delay":
        notify.postponed = notify.attempts
        _record(notify, sandbox, fault.kind, None)
        _plan(sandbox, notify, now + fault.seconds(60.0))
        return True
    with sandbox.lock:
        if not sandbox.notifies.hold(notify):
            return False
    notify.postponed = notify.attempts
    _record(notify, sandbox, fault.kind, None)
    limit = now + fault.seconds(_HOLD_SECONDS)
    notify.next_due = limit

    def let_go(_: float) -> None:
        with sandbox.lock:
            freed = sandbox.notifies.release(notify)
        if freed:
            _plan(sandbox, notify, sandbox.clock.now())

    sandbox.schedule.at(limit, let_go)
    return True


def _deliver(sandbox: Sandbox, notify: Notify, fault: Fault | None) -> bool:
    """True when the merchant's 2xx reached the platform."""
    in_a_row = 0
    while fault is not None and fault.kind in FORGERIES:
        in_a_row += 1
        with sandbox.lock:
            other = sandbox.notifies.latest_sent(notify)
        _go(sandbox, notify, forged_message(sandbox, notify, fault.kind, other), fault.kind)
        if not fault.follow:
            return False
        counted = fault.count is not None and in_a_row < _FORGED_IN_A_ROW
        fault = _draw(sandbox, notify, going=True) if counted else None
    if fault is None:
        return _go(sandbox, notify, true_message(sandbox, notify), "").received
    if fault.kind == "drop":
        _record(notify, sandbox, "drop", None)
        return False
    if fault.kind == "duplicate":
        return _twice(sandbox, notify, fault.copies)
    answer = _go(
        sandbox,
        notify,
        true_message(sandbox, notify),
        fault.kind,
        trick=_TRICKS.get(fault.kind, ""),
        seconds=fault.seconds(3.0),
    )
    return answer.received and fault.kind == "hang"


def _twice(sandbox: Sandbox, notify: Notify, copies: int) -> bool:
    """The same notify several times at once, each with a signature of its own."""
    answers: list[Answer] = []

    def one() -> None:
        answers.append(_go(sandbox, notify, true_message(sandbox, notify), "duplicate"))

    threads = [threading.Thread(target=one, daemon=True) for _ in range(copies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return any(answer.received for answer in answers)


def _go(
    sandbox: Sandbox,
    notify: Notify,
    message: Message,
    fault: str,
    *,
    trick: str = "",
    seconds: float = 0.0,
) -> Answer:
    headers, body = message
    if fault not in FORGERIES:
        notify.last_sent = message
    answer = send("POST", notify.url, body, headers, trick=trick, trick_seconds=seconds)
    _record(notify, sandbox, fault, answer)
    return answer


def _record(notify: Notify, sandbox: Sandbox, fault: str, answer: Answer | None) -> None:
    notify.deliveries.append(
        {
            "at": sandbox.clock.now(),
            "fault": fault or None,
            "status": None if answer is None else answer.status,
            "body": "" if answer is None else answer.body.decode("utf-8", "replace"),
            "error": "" if answer is None else answer.error,
            "seconds": 0.0 if answer is None else round(answer.seconds, 4),
        }
    )
