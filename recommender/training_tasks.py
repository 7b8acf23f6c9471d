"""The training task. Imports torch: only the worker of queue `train` includes this module."""

from __future__ import annotations

from celery import shared_task

from recommender.services.runs import QUEUE, TASK
from recommender.training_flow import training_run

HOURS = 3600


# Acknowledged late: a killed worker's message comes back, and `run_start` then finds the run's
# lease dead. The house's short time limit is for payments, not for fits.
@shared_task(
    name=TASK, queue=QUEUE, ignore_result=True, time_limit=12 * HOURS, soft_time_limit=11 * HOURS
)
def train(run_id: int) -> None:
    """Carry out one queued run."""
    training_run(run_id)
