"""Fixed-window counters shared by all processes: in PostgreSQL, or in the cache when one is set."""

from django.conf import settings
from django.core.cache import cache
from django.db import connection

from kernel import clock
from kernel.errors import TooManyRequests

_COUNT = """
INSERT INTO kernel_ratecounter (key, "window", count, expires_at)
VALUES (%s, %s, 1, to_timestamp(%s))
ON CONFLICT (key, "window") DO UPDATE SET count = kernel_ratecounter.count + 1
RETURNING count
"""


def hit(key: str, *, limit: int, seconds: int) -> None:
    """Count one use of `key`; more than `limit` in a window of `seconds` raises TooManyRequests."""
    if not settings.KPAY.rate_limits:
        return
    at = int(clock.timestamp())
    window = at - at % seconds
    ends = window + seconds
    if settings.KPAY.cache_url:
        name = f"rate:{key}:{window}"
        cache.add(name, 0, timeout=seconds + 1)
        count = cache.incr(name)
    else:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, [key, window, ends + 60])
            (count,) = cursor.fetchone()
    if count > limit:
        raise TooManyRequests(retry_after=max(1, ends - at))
