"""Faults: what goes wrong on the way, drawn from a seeded generator."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from wechat_sandbox.wire import ControlError, Json

# A forged notify stands before the right one; see docs/sandbox.md.
FORGERIES = (
    "bad_signature",
    "signtest",
    "stale_timestamp",
    "wrong_amount",
    "wrong_mchid",
    "wrong_appid",
    "unknown_serial",
    "wrong_apiv3_key",
    "plain_downgrade",
    "replay",
)
_CONNECTION = ("drop", "delay", "timeout", "reset_after_effect", "reset_before_effect", "hang")
KINDS = {
    "notify": (*_CONNECTION, "duplicate", "reorder", "http_500", *FORGERIES),
    "push": (
        *_CONNECTION,
        "duplicate",
        "reorder",
        "http_500",
        "bad_signature",
        "stale_timestamp",
        "wrong_amount",
        "wrong_appid",
        "plain_downgrade",
    ),
    "api": (
        *_CONNECTION,
        "duplicate",
        "http_500",
        "errcode",
        "rate_limit",
        "notify_before_response",
        "bad_signature",
        "signtest",
        "stale_timestamp",
        "unknown_serial",
        "wrong_amount",
        "wrong_mchid",
        "corrupt_bill",
        "expired_url",
    ),
}
# These strike the download of a bill, unless another path is named.
_ON_BILLS = {"corrupt_bill", "expired_url"}
_DOWNLOAD_PATH = "/v3/billdownload/"
_FIELDS = {
    "id": str,
    "on": str,
    "path": str,
    "event_type": str,
    "kind": str,
    "probability": float,
    "count": int,
    "seed": int,
    "after_n": int,
    "delay_seconds": float,
    "follow": bool,
    "effected": bool,
    "copies": int,
}


@dataclass
class Fault:
    """One rule. `matched` and `fired` count what it saw and what it did."""

    id: str
    on: str
    kind: str
    argument: str
    path: str | None
    event_type: str | None
    probability: float
    count: int | None
    after_n: int
    delay_seconds: float | None
    follow: bool
    effected: bool
    copies: int
    draw: Callable[[], float]
    matched: int = 0
    fired: int = 0

    @property
    def spent(self) -> bool:
        return self.count is not None and self.fired >= self.count

    def seconds(self, default: float) -> float:
        """The wait that `kind:<seconds>` or `delay_seconds` asks for."""
        if self.argument:
            return float(self.argument)
        return default if self.delay_seconds is None else self.delay_seconds

    def view(self) -> Json:
        return {name: value for name, value in self.__dict__.items() if name != "draw"}


class FaultBook:
    """The rules in force, oldest first; the first that fires wins."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._made = 0

    def add(self, data: Json) -> Fault:
        """Puts a rule in force; one with the same id is replaced."""
        _check_types(data)
        kind, _, argument = str(data.get("kind", "")).partition(":")
        on = str(data.get("on", "notify"))
        if on not in KINDS:
            raise ControlError(400, "invalid_fault", "on must be notify, push or api")
        if kind not in KINDS[on]:
            raise ControlError(400, "invalid_fault", f"{kind!r} is no fault on {on}")
        _check_argument(kind, argument)
        seed = data.get("seed")
        source = self._random if seed is None else random.Random(seed)  # noqa: S311
        with self._lock:
            self._made += 1
            fault = Fault(
                id=data.get("id") or f"fault-{self._made}",
                on=on,
                kind=kind,
                argument=argument,
                path=data.get("path") or (_DOWNLOAD_PATH if kind in _ON_BILLS else None),
                event_type=data.get("event_type"),
                probability=float(data.get("probability", 1.0)),
                count=data.get("count"),
                after_n=data.get("after_n", 0),
                delay_seconds=data.get("delay_seconds"),
                follow=data.get("follow", True),
                effected=data.get("effected", False),
                copies=data.get("copies", 2),
                draw=source.random,
            )
            self._faults = [known for known in self._faults if known.id != fault.id]
            self._faults.append(fault)
        return fault

    def draw(
        self, on: str, *, path: str, event_type: str = "", without: Collection[str] = ()
    ) -> Fault | None:
        """The fault that strikes here, if one does; every match draws once.

        Kinds in `without` cannot strike here and are not counted.
        """
        with self._lock:
            for fault in self._faults:
                if fault.spent or fault.kind in without:
                    continue
                if not _matches(fault, on, path, event_type):
                    continue
                fault.matched += 1
                if fault.matched > fault.after_n and fault.draw() < fault.probability:
                    fault.fired += 1
                    return fault
        return None

    def clear(self, fault_id: str | None = None) -> int:
        with self._lock:
            kept = [f for f in self._faults if fault_id is not None and f.id != fault_id]
            gone = len(self._faults) - len(kept)
            self._faults = kept
        return gone

    def view(self) -> list[Json]:
        with self._lock:
            return [fault.view() for fault in self._faults]


def _matches(fault: Fault, on: str, path: str, event_type: str) -> bool:
    if fault.on != on and not (fault.on == "notify" and on == "push" and fault.event_type):
        return False
    if fault.path is not None and not path.startswith(fault.path):
        return False
    if fault.event_type is None:
        return True
    wanted = fault.event_type
    return event_type.startswith(wanted[:-1]) if wanted.endswith("*") else event_type == wanted


def _check_types(data: Json) -> None:
    for name, value in data.items():
        wanted: Any = _FIELDS.get(name)
        if wanted is None:
            raise ControlError(400, "invalid_fault", f"unknown field {name!r}")
        if value is None:
            continue
        allowed = (int, float) if wanted is float else (wanted,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and wanted is not bool):
            raise ControlError(400, "invalid_fault", f"{name} must be {wanted.__name__}")
    if not 0 <= data.get("probability", 1.0) <= 1:
        raise ControlError(400, "invalid_fault", "probability is between 0 and 1")


def _check_argument(kind: str, argument: str) -> None:
    if kind == "errcode" and not argument:
        raise ControlError(400, "invalid_fault", "errcode needs a code: errcode:45009")
    if kind == "corrupt_bill" and argument not in {"", "cut", "reset"}:
        raise ControlError(400, "invalid_fault", "corrupt_bill, corrupt_bill:cut or :reset")
    if (
        kind in {"hang", "delay", "timeout"}
        and argument
        and not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", argument)
    ):
        raise ControlError(400, "invalid_fault", f"{kind}:<seconds> needs a number")
