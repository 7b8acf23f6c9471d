"""Shells around the catalogue's due work."""

from celery import shared_task

from content.services import publish_due, searches_forget

SCHEDULE = {
    "content.publish_due": {"task": "content.publish_due", "schedule": 30.0},
    "content.forget_searches": {"task": "content.forget_searches", "schedule": 3600.0},
}


@shared_task(name="content.publish_due", ignore_result=True)
def publish_due_courses() -> int:
    return publish_due()


@shared_task(name="content.forget_searches", ignore_result=True)
def forget_searches() -> int:
    return searches_forget()
