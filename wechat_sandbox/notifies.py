"""Notifies on their way to the merchant, and the bounded record of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from wechat_sandbox.wire import Json

NOTIFIES_KEPT = 20_000

_PAST = threading.Event()
_PAST.set()


class Notify:
    """One fact on its way to the merchant (D4): the id and the body stay over all retries."""

    def __init__(
        self,
        *,
        notify_id: str,
        event_type: str,
        url: str,
        plain: Json,
        body: bytes,
        created_at: float,
    ) -> None:
        self.id = notify_id
        self.event_type = event_type
        self.url = url
        self.plain = plain
        self.body = body
        self.created_at = created_at
        self.state = "pending"  # pending | received | given_up | forged_only
        self.attempts = 0
        self.next_due: float | None = None
        self.postponed = -1  # the attempt that a fault has already put off
        self.held = False
        self.cancelled = False
        self.deliveries: list[Json] = []
        self.last_sent: tuple[dict[str, str], bytes] | None = None
        self.first_attempt = threading.Event()

    def attempted(self) -> None:
        """Whoever waits for the first attempt goes on. An event of its own is needed no more."""
        waited_for, self.first_attempt = self.first_attempt, _PAST
        if waited_for is not _PAST:
            waited_for.set()

    def view(self) -> Json:
        return {
            "id": self.id,
            "event_type": self.event_type,
            "out_trade_no": self.plain.get("out_trade_no"),
            "out_refund_no": self.plain.get("out_refund_no"),
            "url": self.url,
            "state": self.state,
            "attempts": self.attempts,
            "created_at": self.created_at,
            "next_due": self.next_due,
            "deliveries": list(self.deliveries),
            "resource": self.plain,
            "body": self.body.decode(),
        }


class NotifyLog:
    """The newest notifies, oldest first, found by order number. Guarded by the sandbox's lock."""

    def __init__(self) -> None:
        self._all: deque[Notify] = deque()
        self._by_order: dict[str, list[Notify]] = {}
        self._held: list[Notify] = []

    def add(self, notify: Notify) -> None:
        self._all.append(notify)
        self._by_order.setdefault(_order_of(notify), []).append(notify)
        if len(self._all) > NOTIFIES_KEPT:
            oldest = self._all.popleft()
            siblings = self._by_order[_order_of(oldest)]
            siblings.remove(oldest)
            if not siblings:
                del self._by_order[_order_of(oldest)]

    def of_order(self, out_trade_no: str) -> list[Notify]:
        return list(self._by_order.get(out_trade_no, ()))

    def latest_sent(self, other_than: Notify) -> Notify | None:
        """The newest one that went out as it should, for a replay."""
        return next(
            (n for n in reversed(self._all) if n is not other_than and n.last_sent is not None),
            None,
        )

    def hold(self, notify: Notify) -> bool:
        """Keeps `notify` back until another is delivered; False when one is kept back already."""
        if self._held:
            return False
        notify.held = True
        self._held.append(notify)
        return True

    def release(self, notify: Notify | None = None) -> list[Notify]:
        """Lets go what was kept back: all, or this one. Returns those that may go now."""
        freed = [n for n in self._held if notify is None or n is notify]
        self._held = [n for n in self._held if n not in freed]
        for one in freed:
            one.held = False
        return freed

    def cancel(self) -> None:
        """Nothing planned goes out any more."""
        for notify in self._all:
            notify.cancelled = True

    def __iter__(self) -> Iterator[Notify]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def _order_of(notify: Notify) -> str:
    return str(notify.plain.get("out_trade_no", ""))
