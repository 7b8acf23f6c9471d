"""How a figure is written for operators."""

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


def change_text(part: float | None) -> str:
    """Today against yesterday in words."""
    if part is None:
        return _("昨日无数据")
    if round(part, 3) == 0:
        return _("与昨日持平")
    direction = _("较昨日 ↑ %(share)s") if part > 0 else _("较昨日 ↓ %(share)s")
    return direction % {"share": f"{abs(part):.0%}"}


def age_text(age: timedelta) -> str:
    """A rough age: minutes below an hour, hours below two days, then days."""
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:
        return _("%(count)d 分钟前") % {"count": minutes}
    if minutes < 48 * 60:
        return _("%(count)d 小时前") % {"count": minutes // 60}
    return _("%(count)d 天前") % {"count": minutes // (24 * 60)}
