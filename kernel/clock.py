"""One clock. Every "now" of the product comes from here, so that tests can move it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings

SHOP_ZONE = ZoneInfo("Asia/Shanghai")


def _offset() -> timedelta:
    """Seconds added to now; only with KPAY_ENV=test, read at each call (contract section 7)."""
    name = settings.KPAY.clock_offset_file
    if not name:
        return timedelta(0)
    try:
        text = Path(name).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return timedelta(0)
    return timedelta(seconds=int(text or "0"))


def now() -> datetime:
    """The current moment, aware, in UTC."""
    return datetime.now(UTC) + _offset()


def timestamp() -> float:
    """The current moment in Unix seconds."""
    return now().timestamp()


def local_date(at: datetime | None = None) -> date:
    """The shop's calendar day (Asia/Shanghai) of `at`, or of now."""
    return (at or now()).astimezone(SHOP_ZONE).date()
