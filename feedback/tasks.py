"""Shells around feedback's scheduled work."""

from celery import shared_task

from feedback.services import hot_scores_refresh

SCHEDULE = {
    "feedback.refresh_heat": {"task": "feedback.refresh_heat", "schedule": 300.0},
}


@shared_task(name="feedback.refresh_heat", ignore_result=True)
def refresh_heat() -> int:
    return hot_scores_refresh()
