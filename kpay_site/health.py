"""Liveness, readiness, metrics."""

from datetime import timedelta

from django.conf import settings
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kernel import clock
from kernel.models import Heartbeat

WORKER_SILENCE = timedelta(seconds=60)
_LOCAL = {"127.0.0.1", "::1"}


def healthz(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 while the database answers; the worker and the model are reported, not required."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        beat = Heartbeat.objects.filter(name="worker").values_list("beat_at", flat=True).first()
    except OperationalError:
        return JsonResponse({"status": "database_away"}, status=503)
    alive = beat is not None and clock.now() - beat < WORKER_SILENCE
    return JsonResponse({"status": "ok", "worker": "ok" if alive else "silent"})


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text for this process; only from this machine, or in development."""
    if settings.KPAY.production and request.META.get("REMOTE_ADDR") not in _LOCAL:
        return HttpResponse(status=404)
    return HttpResponse(generate_latest(), content_type=CONTENT_TYPE_LATEST)
