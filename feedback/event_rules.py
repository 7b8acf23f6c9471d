"""Checking one event of a batch: either it is clean, or it is refused with a code. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any
from uuid import UUID

# contract section 2; rating and purchase are facts of the server, never reported by clients.
CLIENT_TYPES = frozenset(
    {
        *("impression", "click", "view", "play", "complete"),
        *("search", "share", "favourite", "question"),
    }
)
MAX_BATCH = 100
# Phones' clocks are wrong by minutes; a phone that was off-line reports within the month.
FUTURE = timedelta(minutes=5)
OLDEST = timedelta(days=30)
QUERY_LONGEST = 100
MAX_POSITION = 100_000
MAX_ID = 2**63 - 1

_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,64}")
# Ids that the server gives to its own rows; a client may not stand in their way.
RESERVED = ("server:", "import:")


@dataclass(frozen=True)
class CleanEvent:
    """An event that is well formed; whether its course exists is not known yet."""

    client_event_id: str
    type: str
    course_id: int | None
    lesson_id: int | None
    request_id: UUID | None
    position: int | None
    value: float | None
    query: str
    occurred_at: datetime


class Refused(ValueError):
    """`code` says why, for the client's log."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def client_id(raw: Any) -> str | None:
    """The event's own id if it is one: 1 to 64 visible ASCII characters, not reserved."""
    if not isinstance(raw, str) or not _CLIENT_ID.fullmatch(raw) or raw.startswith(RESERVED):
        return None
    return raw


def clean(raw: Any, *, now: datetime) -> CleanEvent:
    """The event in `raw`. Raises `Refused` with the code of the first thing that is wrong."""
    if not isinstance(raw, Mapping):
        raise Refused("event_invalid")
    own_id = client_id(raw.get("client_event_id"))
    if own_id is None:
        raise Refused("client_event_id_invalid")
    kind = raw.get("type")
    if not isinstance(kind, str) or kind not in CLIENT_TYPES:
        raise Refused("type_unknown")
    course_id = _id(raw.get("course_id"), "course_not_found")
    query = _query(raw.get("query")) if kind == "search" else ""
    if kind != "search" and course_id is None:
        raise Refused("course_not_found")
    return CleanEvent(
        client_event_id=own_id,
        type=kind,
        course_id=course_id,
        lesson_id=_id(raw.get("lesson_id"), "lesson_not_found"),
        request_id=_uuid(raw.get("request_id")),
        position=_position(raw.get("position")),
        value=_value(raw.get("value")),
        query=query,
        occurred_at=_moment(raw.get("occurred_at"), now),
    )


def _id(raw: Any, code: str) -> int | None:
    if raw is None or raw == "":
        return None
    text = str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 19:
        raise Refused(code)
    if int(text) > MAX_ID:
        raise Refused(code)
    return int(text)


def _query(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip() or "\x00" in raw:
        raise Refused("query_invalid")
    return raw.strip()[:QUERY_LONGEST]


def _uuid(raw: Any) -> UUID | None:
    if raw is None or raw == "":
        return None
    try:
        return UUID(raw)
    except (ValueError, AttributeError, TypeError) as error:
        raise Refused("request_id_invalid") from error


def _position(raw: Any) -> int | None:
    if raw is None:
        return None
    if not isinstance(raw, int) or isinstance(raw, bool) or not 0 <= raw <= MAX_POSITION:
        raise Refused("position_invalid")
    return raw


def _value(raw: Any) -> float | None:
    if raw is None:
        return None
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not isfinite(raw):
        raise Refused("value_invalid")
    if not 0 <= raw <= 1_000_000:
        raise Refused("value_invalid")
    return float(raw)


def _moment(raw: Any, now: datetime) -> datetime:
    """A moment with offset; up to five minutes ahead counts as now."""
    if not isinstance(raw, str) or len(raw) > 40:
        raise Refused("occurred_at_invalid")
    try:
        at = datetime.fromisoformat(raw)
        if at.tzinfo is None:
            raise Refused("occurred_at_invalid")
        ahead = at - now
    except (ValueError, OverflowError) as error:
        raise Refused("occurred_at_invalid") from error
    if ahead > FUTURE:
        raise Refused("occurred_at_future")
    if -ahead > OLDEST:
        raise Refused("occurred_at_too_old")
    return min(at, now)
