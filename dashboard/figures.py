"""How a figure is written for operators."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils.translation import gettext as _


@dataclass(frozen=True)
class Card:
    """One figure of today. `meaning` is its definition in a sentence, `url` the rows behind it."""

    key: str
    label: str
    value: str
    note: str
    meaning: str
    url: str
    icon: str


def number(count: int) -> str:
    """`1234567` → `1,234,567`."""
    return f"{count:,}"


def share(part: float | None) -> str:
    """`0.0831` → `8.3%`; a dash where nothing was counted."""
    return "—" if part is None else f"{part:.1%}"


def money(fen: int) -> str:
    """`123456789` → `¥1,234,567.89`."""
    sign = "-" if fen < 0 else ""
    return f"{sign}¥{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def yesterday(figures: Sequence[int], write: Callable[[int], str] = number) -> str:
    """The whole of yesterday beside a day that still runs: a percentage would mislead."""
    return _("昨日 %(figure)s") % {"figure": write(figures[-2])}


def age_text(age: timedelta) -> str:
    """A rough age: minutes below an hour, hours below two days, then days."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        return _("%(count)d 分钟前") % {"count": minutes}
    if minutes < 48 * 60:
        return _("%(count)d 小时前") % {"count": minutes // 60}
    return _("%(count)d 天前") % {"count": minutes // (24 * 60)}
