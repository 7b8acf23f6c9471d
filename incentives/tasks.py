"""Shells around what is due by time."""

from celery import shared_task

from incentives import services

SCHEDULE = {
    "incentives.expire_points": {"task": "incentives.expire_points", "schedule": 300.0},
    "incentives.expire_coupons": {"task": "incentives.expire_coupons", "schedule": 300.0},
}


@shared_task(name="incentives.expire_points", ignore_result=True)
def expire_points() -> int:
    return services.points_expire()


@shared_task(name="incentives.expire_coupons", ignore_result=True)
def expire_coupons() -> int:
    return services.coupons_expire()
