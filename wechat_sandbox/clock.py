"""The platform's clock: real time plus an offset that tests may move."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

BEIJING = timezone(timedelta(hours=8))


class Clock:
    """`now()` runs schedules and expiries; `wire()` is the time that signatures carry.

    With a clock file the offset lives in it (integer seconds), the product reads the same file
    and both times agree. Without one, only `now()` moves (`contract.md` section 3).
    """

    def __init__(self, clock_file: Path | None = None) -> None:
        self._file = clock_file
        self._offset = 0.0
        self._lock = threading.Lock()

    def offset(self) -> float:
        if self._file is None:
            with self._lock:
                return self._offset
        try:
            return int(self._file.read_text().strip() or "0")
        except FileNotFoundError:
            return 0
        except ValueError:
            return 0  # half a write by somebody else: the next look sees it whole

    def now(self) -> float:
        return time.time() + self.offset()

    def wire(self) -> float:
        return self.now() if self._file is not None else time.time()

    def advance(self, seconds: float) -> None:
        self._set_offset(self.offset() + seconds)

    def set_now(self, moment: float) -> None:
        self._set_offset(moment - time.time())

    def _set_offset(self, offset: float) -> None:
        if self._file is None:
            with self._lock:
                self._offset = offset
            return
        fresh = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        fresh.write_text(f"{round(offset)}\n")
        fresh.replace(self._file)


def rfc3339(moment: float) -> str:
    """Seconds since 1970 as the platform writes them: +08:00, no fractions."""
    return datetime.fromtimestamp(moment, BEIJING).isoformat(timespec="seconds")


def parse_rfc3339(text: str) -> float:
    """Seconds since 1970; ValueError when there is no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no UTC offset in {text!r}")
    return moment.astimezone(UTC).timestamp()


def beijing_day(moment: float) -> str:
    """The quota day: midnight to midnight in Beijing."""
    return datetime.fromtimestamp(moment, BEIJING).date().isoformat()


def beijing_stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, BEIJING).strftime("%Y%m%d%H%M%S")
