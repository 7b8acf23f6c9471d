"""The one object that holds a sandbox together."""

from __future__ import annotations

import random
import secrets
import threading
from pathlib import Path

from wechat_sandbox.clock import Clock
from wechat_sandbox.faults import FaultBook
from wechat_sandbox.identity import Identity
from wechat_sandbox.schedule import Schedule
from wechat_sandbox.state import State
from wechat_sandbox.wire import Json


class Sandbox:
    """State, clock, faults and schedule of one running platform.

    `lock` guards `state`; it is never held while a request goes out.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        target: str,
        clock_file: Path | None = None,
        seed: int | None = None,
    ) -> None:
        self.identity = identity
        self.target = target.rstrip("/")
        self.clock = Clock(clock_file)
        self.seed = secrets.randbelow(2**31) if seed is None else seed
        self.random = random.Random(self.seed)  # noqa: S311 - reproducible, not secret
        self.faults = FaultBook(self.seed)
        self.schedule = Schedule(self.clock)
        self.state = State()
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.notifies: list[Notify] = []
        self.base_url = ""

    def start(self) -> None:
        self.schedule.start()

    def stop(self) -> None:
        self.stopping.set()
        self.schedule.stop()

    def reset(self, *, keep_clock: bool) -> None:
        """Forgets everything but the keys; faults and planned notifies too."""
        self.schedule.clear()
        self.faults.clear()
        with self.lock:
            for notify in self.notifies:
                notify.cancelled = True
            self.notifies = []
            self.state = State()
            self.random.seed(self.seed)
        if not keep_clock:
            self.clock.advance(-self.clock.offset())


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
        self.state = "pending"  # pending | received | given_up
        self.attempts = 0
        self.next_due: float | None = None
        self.postponed = -1  # the attempt that a fault has already put off
        self.held = False
        self.cancelled = False
        self.deliveries: list[Json] = []
        self.last_sent: tuple[dict[str, str], bytes] | None = None
        self.first_attempt = threading.Event()

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
