"""The project: settings, urls, queue. Importing it makes the Celery app the current one."""

from kpay_site.celery import app as celery_app

__all__ = ["celery_app"]
