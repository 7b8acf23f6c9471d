"""Assigning users to arms, recording who saw what, and starting and stopping experiments."""

import threading
from collections import OrderedDict

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import NumericRange

from experiments import rules
from experiments.errors import (
    ExperimentNotDraft,
    ExperimentNotRunning,
    ExperimentWithoutArms,
    LayerFull,
)
from experiments.locks import layer_locked
from experiments.models import Experiment, Exposure
from experiments.selectors import Running, running_cache
from kernel import clock

_REMEMBERED = 20_000  # (experiment, user) pairs that a process knows to be recorded; about 2 MB


class _Recorded:
    """The exposures that this process has seen committed: those need no second INSERT."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: OrderedDict[tuple[int, int], None] = OrderedDict()

    def __contains__(self, pair: tuple[int, int]) -> bool:
        return pair in self._pairs

    def add(self, pair: tuple[int, int]) -> None:
        with self._lock:
            self._pairs[pair] = None
            if len(self._pairs) > _REMEMBERED:
                self._pairs.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._pairs.clear()


_recorded = _Recorded()


def assign(user_id: int, layer: str, *, record: bool = True) -> dict[str, str]:
    """`{experiment key: arm}` of the layer for this user: empty, or one entry. Sticky.

    A user gets the same arm from every process for as long as the experiment runs. With `record`
    the first call writes the exposure: ask where the arm is really served. While nothing runs
    this reads no table but once per refresh (five seconds) and process.
    """
    running = running_cache.layer(layer)
    if not running:
        return {}
    bucket = rules.bucket_of(layer, user_id)
    for experiment in running:
        if experiment.lower <= bucket < experiment.upper:
            arm = rules.arm_of(experiment.key, user_id, experiment.arms)
            if record:
                _exposure_record(experiment, user_id, arm)
            return {experiment.key: arm}
    return {}


def _exposure_record(experiment: Running, user_id: int, arm: str) -> None:
    pair = (experiment.id, user_id)
    if pair in _recorded:
        return
    Exposure.objects.bulk_create(
        [Exposure(experiment_id=experiment.id, user_id=user_id, arm=arm)], ignore_conflicts=True
    )
    transaction.on_commit(lambda: _recorded.add(pair))


@transaction.atomic
def experiment_start(*, experiment_id: int) -> Experiment:
    """Let a draft run on the first free stretch of its layer. Holds the layer's lock.

    Raises ExperimentNotDraft, ExperimentWithoutArms, LayerFull. Starting a running one again
    changes nothing.
    """
    experiment = Experiment.objects.get(pk=experiment_id)
    layer_locked(experiment.layer)
    experiment.refresh_from_db()
    if experiment.status == Experiment.Status.RUNNING:
        return experiment
    if experiment.status != Experiment.Status.DRAFT:
        raise ExperimentNotDraft
    if experiment.arms.filter(weight__gt=0).count() < 2:
        raise ExperimentWithoutArms
    lower = _first_fit(experiment)
    experiment.buckets = NumericRange(lower, lower + experiment.traffic_bp)
    experiment.status = Experiment.Status.RUNNING
    experiment.started_at = clock.now()
    experiment.save(update_fields=["buckets", "status", "started_at"])
    transaction.on_commit(cache_forget)
    return experiment


def _first_fit(experiment: Experiment) -> int:
    beside = Experiment.objects.filter(layer=experiment.layer, status=Experiment.Status.RUNNING)
    held = beside.filter(buckets__isnull=False).values_list("buckets", flat=True)
    taken = [(buckets.lower, buckets.upper) for buckets in held if buckets is not None]
    free = rules.free_ranges(taken)
    for lower, upper in free:
        if upper - lower >= experiment.traffic_bp:
            return lower
    raise LayerFull(free_bp=max((upper - lower for lower, upper in free), default=0))


@transaction.atomic
def experiment_stop(*, experiment_id: int) -> Experiment:
    """End a running experiment for good; its buckets are free for the next one."""
    experiment = Experiment.objects.get(pk=experiment_id)
    layer_locked(experiment.layer)
    experiment.refresh_from_db()
    if experiment.status == Experiment.Status.STOPPED:
        return experiment
    if experiment.status != Experiment.Status.RUNNING:
        raise ExperimentNotRunning
    experiment.status = Experiment.Status.STOPPED
    experiment.stopped_at = clock.now()
    experiment.save(update_fields=["status", "stopped_at"])
    transaction.on_commit(cache_forget)
    return experiment


def cache_forget() -> None:
    """Make this process ask the database at its next `assign`; others follow in five seconds."""
    running_cache.forget()
    _recorded.forget()
