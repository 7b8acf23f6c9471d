"""The model of this process: mapped from disk, swapped whole when the pointer moves."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from recommender.config import matrix_config
from recommender.core.artifacts import load_artifact, load_manifest
from recommender.core.errors import CoreError
from recommender.core.matrix import MatrixConfig
from recommender.core.models.base import Model
from recommender.core.models.cold_start import known_as
from recommender.services.versions import artifact_path
from recommender.serving.metrics import model_loads

logger = logging.getLogger(__name__)

NEIGHBOURS = 120
REMEMBERED = 200  # courses whose neighbours are kept, half a megabyte
Near = tuple[NDArray[np.int64], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in service. `course_ids` is parallel to the model's rows, -1 for a foreign id."""

    version: str
    name: str
    model: Model
    manifest: dict[str, Any]
    course_ids: NDArray[np.int64]  # [items]
    order: NDArray[np.int64]  # [items], rows sorted by course id
    sorted_ids: NDArray[np.int64]  # [items]
    matrix: MatrixConfig = field(default_factory=MatrixConfig)  # how its training weighed events
    _near: OrderedDict[int, Near] = field(default_factory=OrderedDict)

    def rows(self, course_ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """The model's row of each course, -1 where the model does not know it."""
        if not len(self.sorted_ids):
            return np.full(len(course_ids), -1, np.int32)
        at = np.searchsorted(self.sorted_ids, course_ids)
        at = np.minimum(at, len(self.sorted_ids) - 1)
        found = self.sorted_ids[at] == course_ids
        return np.where(found, self.order[at], -1).astype(np.int32)

    def near(self, row: int) -> Near:
        """Course ids most like the one in `row`, best first, and their likeness in 0..1.

        Kept for the courses asked for lately: a search over all items takes longer than the
        rest of a feed's ranking.
        """
        kept = self._near.get(row)
        if kept is None:
            rows, scores = self.model.similar(np.array([row], np.int32), NEIGHBOURS)
            good = (rows[0] >= 0) & (scores[0] > 0)
            likeness = scores[0][good] / scores[0].max(initial=np.float32(1e-9))
            kept = self._near[row] = (self.course_ids[rows[0][good]], likeness)
            with suppress(KeyError):  # another thread may have made room already
                while len(self._near) > REMEMBERED:
                    self._near.popitem(last=False)
        return kept


def load(version: str, path: str) -> Loaded:
    """Map an artifact and try one score, so that a broken file fails here and not in a feed.

    Raises CoreError (missing, truncated, of another format, not finite) or OSError.
    """
    folder = artifact_path(path)
    manifest = load_manifest(folder)
    model = load_artifact(folder)
    ids = np.array([_course_id(i) for i in model.items.ids(range(len(model.items)))], np.int64)
    order = np.argsort(ids, kind="stable")
    matrix = matrix_config(manifest.get("matrix"))
    return Loaded(version, known_as(model), model, manifest, ids, order, ids[order], matrix)


def _course_id(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


class Holder:
    """Keeps the last good model. One thread loads while the others serve the old one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current: Loaded | None = None
        self._refused = ""
        self._again_at = 0.0

    @property
    def current(self) -> Loaded | None:
        return self._current

    def wanted(self, version: str | None, path: str | None) -> Loaded | None:
        """The model to serve when the pointer names `version`; None without any model.

        A version that cannot be loaded is logged, counted and tried again after
        `KPAY_MODEL_RELOAD_SECONDS`; until then the old model goes on.
        """
        present = self._current
        if version is None:
            return None
        if present is not None and present.version == version:
            return present
        if self._refused == version and time.monotonic() < self._again_at:
            return present
        if self._lock.acquire(blocking=present is None):
            try:
                if self._current is None or self._current.version != version:
                    self._swap(version, path or "")
            finally:
                self._lock.release()
        return self._current

    def _swap(self, version: str, path: str) -> None:
        if self._refused == version and time.monotonic() < self._again_at:
            return
        try:
            self._current = load(version, path)
        except (CoreError, OSError, ValueError, KeyError, TypeError) as why:
            self._refused = version
            self._again_at = time.monotonic() + max(1, settings.KPAY.model_reload_seconds)
            model_loads.labels("failed").inc()
            logger.exception(
                "model could not be loaded, the old one goes on",
                extra={"version": version, "why": type(why).__name__},
            )
        else:
            self._refused = ""
            model_loads.labels("loaded").inc()
            logger.info("model loaded", extra={"version": version})

    def forget(self) -> None:
        """Back to the state of a new process."""
        with self._lock:
            self._current = None
            self._refused = ""


holder = Holder()
