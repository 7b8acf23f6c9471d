"""Jobs that are due on the platform's clock, which tests may move."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from wechat_sandbox.clock import Clock

Job = Callable[[float], None]  # called with the moment it was due

_LOOK_SECONDS = 0.25  # the clock file may be moved by others
_MOST_AT_ONCE = 128  # a long step of the clock may make thousands due


class Schedule:
    """Runs each job once its moment has come, in a thread of its own.

    A job that plans its successor counts from the moment it was due, so one long step of the
    clock runs through a whole retry plan.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: list[tuple[float, int, Job]] = []
        self._order = itertools.count()
        self._running = 0
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="sandbox-schedule", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(2)

    def at(self, due: float, job: Job) -> None:
        with self._changed:
            heapq.heappush(self._jobs, (due, next(self._order), job))
            self._changed.notify_all()

    def wake(self) -> None:
        """The clock was moved: look again."""
        with self._changed:
            self._changed.notify_all()

    def settle(self, timeout: float) -> bool:
        """Waits until nothing is due or running; False when `timeout` passed first."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._running or (self._jobs and self._jobs[0][0] <= self._clock.now()):
                left = deadline - time.monotonic()
                if left <= 0 or self._stopped:
                    return False
                self._changed.wait(min(left, _LOOK_SECONDS))
        return True

    def clear(self) -> None:
        with self._changed:
            self._jobs.clear()

    def pending(self) -> int:
        with self._changed:
            return len(self._jobs) + self._running

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                now = self._clock.now()
                wait = self._jobs[0][0] - now if self._jobs else _LOOK_SECONDS
                if self._running >= _MOST_AT_ONCE:
                    wait = _LOOK_SECONDS  # the next one that ends wakes us
                if wait > 0:
                    self._changed.wait(min(max(wait, 0.001), _LOOK_SECONDS))
                    continue
                due, _, job = heapq.heappop(self._jobs)
                self._running += 1
            threading.Thread(target=self._do, args=(job, due), daemon=True).start()

    def _do(self, job: Job, due: float) -> None:
        try:
            job(due)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()
