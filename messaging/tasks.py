"""Shells around messaging's regular work."""

from celery import shared_task

from messaging import services

SCHEDULE = {"messaging.forget_pushes": {"task": "messaging.forget_pushes", "schedule": 3600.0}}


@shared_task(name="messaging.forget_pushes", ignore_result=True)
def forget_pushes() -> int:
    return services.pushes_forget()
