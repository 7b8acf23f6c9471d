"""Which experiments run now, remembered by each process for a few seconds."""

import threading
import time
from dataclasses import dataclass

from django.db.models import Prefetch

from experiments.models import Arm, Experiment

REFRESH_SECONDS = 5.0


@dataclass(frozen=True)
class Running:
    """A running experiment as the hot path needs it; buckets are half-open."""

    id: int
    key: str
    lower: int
    upper: int
    arms: tuple[tuple[str, int], ...]


def running_by_layer() -> dict[str, tuple[Running, ...]]:
    """Every running experiment, by layer. Two queries."""
    arms = Prefetch("arms", queryset=Arm.objects.filter(weight__gt=0).order_by("name"))
    rows = Experiment.objects.filter(status=Experiment.Status.RUNNING).prefetch_related(arms)
    found: dict[str, tuple[Running, ...]] = {}
    for row in rows.order_by("pk"):
        one = Running(
            id=row.pk,
            key=row.key,
            lower=row.buckets.lower,
            upper=row.buckets.upper,
            arms=tuple((arm.name, arm.weight) for arm in row.arms.all()),
        )
        found[row.layer] = (*found.get(row.layer, ()), one)
    return found


class RunningCache:
    """`running_by_layer`, asked again at most every `seconds`; a start or stop is seen by then.

    One thread refreshes while the others go on with the old answer.
    """

    def __init__(self, seconds: float = REFRESH_SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._fresh_until = 0.0
        self._layers: dict[str, tuple[Running, ...]] | None = None

    def layer(self, name: str) -> tuple[Running, ...]:
        """The running experiments of one layer."""
        known = self._layers
        stale = known is None or time.monotonic() >= self._fresh_until
        if stale and self._lock.acquire(blocking=known is None):
            try:
                if self._layers is None or time.monotonic() >= self._fresh_until:
                    self._layers = running_by_layer()
                    self._fresh_until = time.monotonic() + self._seconds
                known = self._layers
            finally:
                self._lock.release()
        return known.get(name, ()) if known is not None else ()

    def forget(self) -> None:
        """Ask the database at the next call."""
        with self._lock:
            self._layers = None


running_cache = RunningCache()
