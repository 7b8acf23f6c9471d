"""Stretches of the shop's calendar that figures are counted over."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from kernel import clock

LENGTHS = (7, 30, 90)


@dataclass(frozen=True)
class Period:
    """Whole days in Asia/Shanghai, both ends included. The last one may still be running."""

    first: date
    last: date

    @classmethod
    def ending_today(cls, length: int) -> "Period":
        """The last `length` days, today included."""
        today = clock.local_date()
        return cls(first=today - timedelta(days=length - 1), last=today)

    @property
    def days(self) -> list[date]:
        """Every day, oldest first."""
        length = (self.last - self.first).days + 1
        return [self.first + timedelta(days=offset) for offset in range(length)]

    @property
    def start(self) -> datetime:
        """The first moment that belongs to the period."""
        return _midnight(self.first)

    @property
    def end(self) -> datetime:
        """The first moment after the period."""
        return _midnight(self.last + timedelta(days=1))

    def aligned(self, counted: dict[date, int]) -> list[int]:
        """One figure per day, oldest first; 0 where `counted` names no such day."""
        return [counted.get(day, 0) for day in self.days]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=clock.SHOP_ZONE)


def chosen_length(raw: str | None) -> int:
    """The length an operator asked for; 7 days when it is none of those offered."""
    return int(raw) if raw in {str(length) for length in LENGTHS} else LENGTHS[0]
