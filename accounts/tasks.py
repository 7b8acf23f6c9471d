"""Shells around the accounts' regular work."""

from celery import shared_task

from accounts import services

SCHEDULE = {"accounts.purge_tokens": {"task": "accounts.purge_tokens", "schedule": 3600.0}}


@shared_task(name="accounts.purge_tokens", ignore_result=True)
def purge_tokens() -> int:
    return services.tokens_purge()
