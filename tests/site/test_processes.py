"""The Procfile's lines as they stand: worker and beat over the queue in PostgreSQL."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.conf import settings
from django.db import connection, transaction

from content.services import course_save
from feedback.events import LessonFinished
from incentives.models import PointEntry
from incentives.services import earning_rule_save
from kernel import clock
from kernel.models import Heartbeat, OutboxRow
from kernel.outbox import publish
from tests.ports import ROOT, free_port

pytestmark = pytest.mark.django_db(transaction=True)

LINES = dict(
    line.split(": ", 1) for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
)
PATIENCE = 60


def until(done: Callable[[], Any]) -> Any:
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit:
        value = done()
        if value:
            return value
        time.sleep(0.2)
    pytest.fail("nothing happened in time")


@pytest.fixture
def environment() -> dict[str, str]:
    """The test's database for processes of their own, the queue inside it."""
    database = settings.DATABASES["default"]
    name = connection.settings_dict["NAME"]
    url = f"postgresql://{database['USER']}@{database['HOST']}:{database['PORT']}/{name}"
    return {**os.environ, "DATABASE_URL": url, "CELERY_BROKER_URL": "", "KPAY_LOG_LEVEL": "INFO"}


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []

    def run(kind: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, *LINES[kind].split()[1:]]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        running.append(process)
        return process

    yield run
    for process in running:
        kill(process, signal.SIGTERM)
    for process in running:
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            kill(process, signal.SIGKILL)
            process.wait()
        kill(process, signal.SIGKILL)


def kill(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def tell_that_a_lesson_is_finished(user_id: int, lesson_id: int, course_id: int) -> None:
    with transaction.atomic():
        publish(LessonFinished(user_id=user_id, lesson_id=lesson_id, course_id=course_id))


def test_worker_and_beat_deliver_what_is_due_and_survive_a_killed_worker(start, learner) -> None:
    user = learner()
    earning_rule_save(key="lesson", kind="lesson_finished", points=10)
    lessons = [{"key": f"l{n}", "title": f"第{n}课", "content": "<p>文</p>"} for n in (1, 2)]
    saved = course_save(key="c1", title="课", status="published", lessons=lessons)
    one, two = saved.lessons["l1"].pk, saved.lessons["l2"].pk
    tell_that_a_lesson_is_finished(user.pk, one, saved.course.pk)

    start("beat")
    worker = start("worker")
    until(lambda: PointEntry.objects.filter(user=user).exists())
    until(lambda: Heartbeat.objects.filter(name="worker").exists())

    kill(worker, signal.SIGKILL)
    tell_that_a_lesson_is_finished(user.pk, two, saved.course.pk)
    start("worker")
    until(lambda: PointEntry.objects.filter(user=user).count() == 2)

    assert sorted(PointEntry.objects.values_list("delta", flat=True)) == [10, 10]
    late = clock.now() - timedelta(seconds=30)
    assert not OutboxRow.objects.filter(state="due", created_at__lt=late).exists()


# Rooms behind different doors that share modules: each is imported at its first visitor.
FIRST = (
    *("/api/v1/feed", "/api/v1/me", "/api/v1/courses", "/api/v1/orders", "/api/v1/points"),
    *("/api/v1/plans", "/api/v1/offers", "/api/v1/me/favourites", "/api/schema/"),
    *("/admin/login/", "/wechat/oa/callback", "/wechat/pay/notify", "/healthz", "/metrics"),
)


def test_many_first_visitors_at_once_find_every_door_open(start, environment) -> None:
    port = free_port()
    environment |= {"PORT": str(port), "KPAY_WEB_WORKERS": "1", "KPAY_WEB_THREADS": "8"}
    start("web")
    base = f"http://127.0.0.1:{port}"

    def status(path: str) -> int:
        return requests.get(base + path, timeout=PATIENCE).status_code

    def alive() -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return status("/healthz") == 200
        return False

    until(alive)
    with ThreadPoolExecutor(16) as pool:
        found = dict(zip(FIRST * 2, pool.map(status, FIRST * 2), strict=True))

    assert {path: code for path, code in found.items() if code >= 500} == {}
    assert found["/api/v1/feed"] == 401
    assert found["/api/schema/"] == found["/admin/login/"] == 200
