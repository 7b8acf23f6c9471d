"""A sign of life beside long fits: its own thread, its own database connection."""

from __future__ import annotations

import logging
import threading
import uuid
from types import TracebackType
from typing import Any

from django.db import Error, connection

from recommender.services.runs import run_report

logger = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
MOST_POINTS = 400  # of one curve; longer ones are thinned


class Heartbeat:
    """Writes stage, progress and curves every few seconds until the block ends.

    `lost` becomes True when the run no longer belongs to this worker; whoever trains asks it
    through `FitOptions.should_stop`.
    """

    def __init__(self, run_id: int, lease: uuid.UUID, every: float = EVERY_SECONDS) -> None:
        self._run_id, self._lease, self._every = run_id, lease, every
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._beat, name="training-heartbeat", daemon=True)
        self._stage, self._low, self._high, self._at = "", 0.0, 0.0, 0.0
        self._curves: dict[str, list[list[float]]] = {}
        self.lost = False

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join(timeout=30)
        if not self.lost:
            run_report(run_id=self._run_id, lease=self._lease, **self.told())

    def go_on(self, curves: dict[str, list[list[float]]]) -> None:
        """Keep the curves of the run that this one takes up; new points follow theirs."""
        with self._lock:
            self._curves = {name: [list(point) for point in p] for name, p in curves.items()}

    def stage(self, name: str, low: float, high: float) -> None:
        """What is done now, and the part of the bar it fills."""
        with self._lock:
            self._stage, self._low, self._high, self._at = name, low, high, low

    def alive(self, done: int, total: int) -> None:
        with self._lock:
            self._at = self._low + (self._high - self._low) * min(done / max(total, 1), 1.0)

    def progressed(self, done: int, total: int, metrics: dict[str, float]) -> None:
        """One report of a trainer: moves the bar and adds a point to each curve."""
        self.alive(done, total)
        with self._lock:
            for name, value in metrics.items():
                if isinstance(value, int | float) and value == value and abs(value) < 1e30:
                    points = self._curves.setdefault(f"{self._stage} {name}", [])
                    at = points[-1][0] + 1 if points else 0
                    points.append([at, round(float(value), 6)])

    def told(self) -> dict[str, Any]:
        """Stage, progress and curves as the run's row holds them."""
        with self._lock:
            curves = {
                name: points[:: max(1, len(points) // MOST_POINTS)]
                for name, points in self._curves.items()
            }
            return {"stage": self._stage[:40], "progress": round(self._at, 4), "curves": curves}

    def _beat(self) -> None:
        try:
            while not self._end.wait(self._every):
                self._once()
        finally:
            connection.close()

    def _once(self) -> None:
        try:
            if not run_report(run_id=self._run_id, lease=self._lease, **self.told()):
                self.lost = True
                self._end.set()
        except Error:
            # a database that is away for a moment must not end the training; if it stays away,
            # the run is swept and the lease is found lost
            logger.exception("heartbeat could not be written", extra={"run": self._run_id})
            connection.close()
