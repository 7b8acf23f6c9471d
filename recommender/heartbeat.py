"""A sign of life beside long fits: its own thread, its own database connection."""

from __future__ import annotations

import logging
import math
import threading
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from django.db import Error, connection

from recommender.run_words import SECOND_FITS
from recommender.services.runs import run_report

logger = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
MOST_POINTS = 400  # of one curve; longer ones are thinned
Curve = list[list[float]]  # [epoch from 0, figure]


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
        self._fits, self._fit, self._share = 1, 0, 0.0
        self._curves: dict[str, Curve] = {}
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

    def go_on(self, curves: Mapping[str, Curve], progress: float) -> None:
        """Begin with what the run that this one takes up had reached."""
        with self._lock:
            self._curves = {name: [list(point) for point in p] for name, p in curves.items()}
            self._at = progress

    def begin_anew(self) -> None:
        """What was reached is lost: the work that it stood for is gone."""
        with self._lock:
            self._curves, self._at = {}, 0.0

    def stage(self, name: str, low: float, high: float, fits: int = 1) -> None:
        """What is done now, the part of the bar it fills, and how many fits share that part."""
        with self._lock:
            self._stage, self._low, self._high = name, low, high
            self._fits, self._fit, self._share = fits, 0, 0.0
            self._at = max(self._at, low)

    def alive(self, done: int, total: int) -> None:
        """One report on the way. The bar never falls back: a fit that begins is the next one."""
        share = min(done / max(total, 1), 1.0)
        with self._lock:
            if share < self._share:
                self._fit = min(self._fit + 1, self._fits - 1)
            self._share = share
            within = (self._fit + share) / self._fits
            self._at = max(self._at, self._low + (self._high - self._low) * within)

    def drawn(self, model: str, validated: bool, curves: Mapping[str, Sequence[float]]) -> None:
        """The curves of one fit as far as it has come, a figure for each of its epochs.

        A model that was chosen is fitted a second time, without validation: a line of its own. A
        fit that has to begin again does not take away what its line has shown already.
        """
        with self._lock:
            stage = self._stage if validated else SECOND_FITS.get(self._stage, self._stage)
            for figure, values in curves.items():
                name = " ".join(part for part in (stage, model, figure) if part)
                points: Curve = [
                    [at, round(float(value), 6)]
                    for at, value in enumerate(values)
                    if math.isfinite(value) and abs(value) < 1e30
                ]
                known = self._curves.get(name)
                if not known or (points and points[-1][0] >= known[-1][0]):
                    self._curves[name] = points

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
