"""The one object that holds a sandbox together."""

from __future__ import annotations

import random
import secrets
import threading
from pathlib import Path

from wechat_sandbox.clock import Clock
from wechat_sandbox.faults import FaultBook
from wechat_sandbox.identity import Identity
from wechat_sandbox.notifies import NotifyLog
from wechat_sandbox.schedule import Schedule
from wechat_sandbox.state import State


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
        self.notifies = NotifyLog()
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
            self.notifies.cancel()
            self.notifies = NotifyLog()
            self.state = State()
            self.random.seed(self.seed)
        if not keep_clock:
            self.clock.advance(-self.clock.offset())
