"""Shells around training: the schedule, the queue and the sweeper. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celery import shared_task
from celery.schedules import crontab
from django.utils.translation import gettext as _

from recommender.models import TrainingRun
from recommender.selectors import training_is_due
from recommender.services.feedback import feeds_forget
from recommender.services.runs import run_wake_next, runs_sweep_dead, training_queue

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
}


def queue_training(
    model: str = "auto",
    reason: str = "",
    params: Mapping[str, Any] | None = None,
    requested_by_id: int | None = None,
) -> TrainingRun:
    """A queued run; the worker of queue `train` is woken by the task's name after commit."""
    return training_queue(
        model=model, params=params, reason=reason, requested_by_id=requested_by_id
    )


@shared_task(name="recommender.train_daily", ignore_result=True)
def train_daily() -> None:
    """Asked every hour: one run a day, from 04:00 on, whoever asked for the day's run.

    None while another one waits or runs. A scheduler that was away at four asks at five; two
    schedulers are harmless.
    """
    if training_is_due(from_hour=FROM_HOUR):
        queue_training(reason=_("每日定时训练"))


@shared_task(name="recommender.forget_feeds", ignore_result=True)
def forget_feeds() -> int:
    return feeds_forget()


@shared_task(name="recommender.sweep_runs", ignore_result=True)
def sweep_runs() -> None:
    runs_sweep_dead()
    run_wake_next()
