"""Shells around training: the schedule, the queue and the sweeper. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import shared_task
from celery.schedules import crontab

from recommender import run_words
from recommender.drift import drift_to_train
from recommender.models import TrainingRun
from recommender.scoring import shards_score
from recommender.selectors import training_is_due
from recommender.services.batches import batches_sweep
from recommender.services.feedback import feeds_forget
from recommender.services.runs import run_wake_next, runs_sweep_dead, training_queue
from recommender.shadow import shadow_compare

FROM_HOUR = 4  # in the shop's time zone, when the fewest people learn
SCHEDULE = {
    "recommender.train_daily": {
        "task": "recommender.train_daily",
        "schedule": crontab(minute="0"),
    },
    "recommender.forget_feeds": {
        "task": "recommender.forget_feeds",
        "schedule": crontab(minute="30"),
    },
    "recommender.sweep_runs": {"task": "recommender.sweep_runs", "schedule": 15.0},
    "recommender.train_on_drift": {
        "task": "recommender.train_on_drift",
        "schedule": crontab(minute="20"),
    },
    "recommender.compare_shadow": {
        "task": "recommender.compare_shadow",
        "schedule": crontab(minute="40"),
    },
    "recommender.sweep_batches": {"task": "recommender.sweep_batches", "schedule": 30.0},
}


def queue_training(
    model: str = "auto",
    reason: str = "",
    params: Mapping[str, Any] | None = None,
    requested_by_id: int | None = None,
    publish: str = TrainingRun.Publish.PROMOTE,
) -> TrainingRun:
    """A queued run; the worker of queue `train` is woken by the task's name after commit.

    InvalidInput for a model or parameters that no training takes.
    """
    return training_queue(
        model=model,
        params=params,
        reason=reason,
        requested_by_id=requested_by_id,
        publish=publish,
    )


@shared_task(name="recommender.train_daily", ignore_result=True)
def train_daily() -> None:
    """Asked every hour: one run a day, from 04:00 on, whoever asked for the day's run.

    None while another one waits or runs. A scheduler that was away at four asks at five; two
    schedulers are harmless.
    """
    if training_is_due(from_hour=FROM_HOUR):
        training_queue(reason=run_words.DAILY, trigger=TrainingRun.Trigger.SCHEDULE)


@shared_task(name="recommender.train_on_drift", ignore_result=True)
def train_on_drift() -> None:
    """A run when learners or the shelf have moved away from what the serving model learned."""
    crossed = drift_to_train()
    if crossed:
        training_queue(
            reason="；".join(signal.text for signal in crossed),
            trigger=TrainingRun.Trigger.DRIFT,
            lineage={"drift": [signal.as_json() for signal in crossed]},
        )


@shared_task(name="recommender.compare_shadow", ignore_result=True)
def compare_shadow() -> None:
    shadow_compare()


@shared_task(name="recommender.score_shards", ignore_result=True, time_limit=12 * 3600)
def score_shards(batch_id: int) -> int:
    """Of queue `batch`: as many shards as this worker gets hold of."""
    return shards_score(batch_id)


@shared_task(name="recommender.sweep_batches", ignore_result=True)
def sweep_batches() -> None:
    batches_sweep()


@shared_task(name="recommender.forget_feeds", ignore_result=True)
def forget_feeds() -> int:
    return feeds_forget()


@shared_task(name="recommender.sweep_runs", ignore_result=True)
def sweep_runs() -> None:
    runs_sweep_dead()
    run_wake_next()
