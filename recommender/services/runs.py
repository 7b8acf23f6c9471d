"""The life of a training run: queued, leased to one worker, closed once.

Heartbeats and leases use the database's clock, so that workers on several machines and a moved
test clock agree about who is dead.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_noop as _

from kernel.errors import InvalidInput
from kernel.queue import send
from recommender.core.errors import CoreError, UnknownModel
from recommender.core.orders import check_order
from recommender.models import TrainingRun
from recommender.words import error_sentence

logger = logging.getLogger(__name__)

TASK = "recommender.train"
QUEUE = "train"
DEAD_AFTER = timedelta(seconds=60)  # `stack.md`: a run whose heartbeat is 60 s old is failed
WAKE_AFTER = timedelta(seconds=60)
MOST_ATTEMPTS = 3
Status = TrainingRun.Status


@transaction.atomic
def training_queue(
    *,
    model: str = "auto",
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    reason: str = "",
    requested_by_id: int | None = None,
    trigger: str = TrainingRun.Trigger.DEMAND,
    publish: str = TrainingRun.Publish.PROMOTE,
    lineage: Mapping[str, Any] | None = None,
) -> TrainingRun:
    """A queued run; a worker of queue `train` is woken after commit, by task name alone.

    InvalidInput, and nothing queued, for a model or parameters that no training takes.
    """
    try:
        check_order(model, params or {})
    except CoreError as why:
        field = "model" if isinstance(why, UnknownModel) else "params"
        told = error_sentence(why)
        raise InvalidInput(told, fields={field: [told]}) from why
    run = TrainingRun.objects.create(
        model_name=model,
        params=dict(params or {}),
        seed=seed,
        reason=reason[:200],
        requested_by_id=requested_by_id,
        trigger=trigger,
        publish=publish,
        lineage=dict(lineage or {}),
    )
    _wake_on_commit(run.pk)
    return run


def _wake_on_commit(run_id: int) -> None:
    transaction.on_commit(lambda: send(TASK, run_id, queue=QUEUE), robust=True)


def run_start(*, run_id: int) -> uuid.UUID | None:
    """The lease of a queued run that now runs; None when there is nothing to do.

    None means: closed already, leased to a living worker, or another run is under way (then
    this one stays queued and the sweeper wakes it later). A run whose worker died ends as
    failed here and goes on as its successor, so a redelivered task never trains twice.
    """
    runs_sweep_dead()
    lease = uuid.uuid4()
    try:
        with transaction.atomic():
            taken = TrainingRun.objects.filter(pk=run_id, status=Status.QUEUED).update(
                status=Status.RUNNING, lease=lease, started_at=Now(), heartbeat_at=Now()
            )
    except IntegrityError:
        logger.info("training run waits for another one", extra={"run": run_id})
        return None
    return lease if taken else None


def run_report(*, run_id: int, lease: uuid.UUID, **changes: Any) -> bool:
    """Write a sign of life and `changes`; False when the lease is not the worker's any more."""
    mine = TrainingRun.objects.filter(pk=run_id, lease=lease, status=Status.RUNNING)
    return bool(mine.update(heartbeat_at=Now(), **changes))


def run_close(*, run_id: int, lease: uuid.UUID, status: str, **changes: Any) -> bool:
    """Close a run exactly once; False when it was closed before or the lease is lost."""
    mine = TrainingRun.objects.filter(pk=run_id, lease=lease, status=Status.RUNNING)
    return bool(mine.update(status=status, finished_at=Now(), heartbeat_at=Now(), **changes))


@transaction.atomic
def runs_sweep_dead() -> int:
    """Every run without a heartbeat for 60 s is failed; what serves stays as it was.

    A successor takes up its work from the last checkpoint, unless MOST_ATTEMPTS workers died at
    it already: then it is the training that kills them.
    """
    silent = TrainingRun.objects.filter(status=Status.RUNNING, heartbeat_at__lt=Now() - DEAD_AFTER)
    swept = 0
    for run in silent:
        closed = silent.filter(pk=run.pk).update(
            status=Status.FAILED,
            finished_at=Now(),
            error=_("训练进程中断：超过 60 秒没有心跳。"),  # said in the reader's language later
        )
        if not closed:
            continue
        swept += 1
        logger.error("training run lost its worker", extra={"run": run.pk})
        if run.attempt < MOST_ATTEMPTS:
            _succeed(run)
    return swept


def _succeed(dead: TrainingRun) -> None:
    """A queued run with the same order, that goes on where the dead one stood."""
    successor = TrainingRun.objects.create(
        model_name=dead.model_name,
        params=dead.params,
        seed=dead.seed,
        reason=dead.reason,
        trigger=dead.trigger,
        publish=dead.publish,
        requested_by_id=dead.requested_by_id,
        cleaning=dead.cleaning,
        lineage=dead.lineage,
        curves=dead.curves,
        progress=dead.progress,
        resumes=dead,
        attempt=dead.attempt + 1,
    )
    _wake_on_commit(successor.pk)


@transaction.atomic
def run_wake_next() -> int | None:
    """Send the oldest queued run again when nothing runs: its first message may be lost."""
    if TrainingRun.objects.filter(status=Status.RUNNING).exists():
        return None
    queued = TrainingRun.objects.filter(status=Status.QUEUED).order_by("pk").first()
    if queued is None:
        return None
    due = TrainingRun.objects.filter(pk=queued.pk, woken_at__lt=Now() - WAKE_AFTER)
    if not due.update(woken_at=Now()):
        return None
    _wake_on_commit(queued.pk)
    return queued.pk
