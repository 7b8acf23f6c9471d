"""Training in a real Celery worker of its own, over the queue in PostgreSQL."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from recommender.models import ModelVersion, ServingPointer, TrainingRun
from recommender.services.runs import run_wake_next, runs_sweep_dead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def environment(model_dir: Path) -> dict[str, str]:
    """The test's database as the product's, with the queue inside it."""
    facts = connection.settings_dict
    url = (
        f"postgresql://{facts['USER']}:{facts['PASSWORD']}@{facts['HOST']}:{facts['PORT']}"
        f"/{facts['NAME']}"
    ).replace(":@", "@")
    return {
        **os.environ,
        "DATABASE_URL": url,
        "CELERY_BROKER_URL": "",
        "KPAY_MODEL_DIR": str(model_dir),
        "KPAY_TRAIN_THREADS": "1",
    }


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable, "-m", "celery", "-A", "kpay_site.celery", "worker", "-Q", "train",
        "-c", "1", "--prefetch-multiplier", "1", "--include", "recommender.training_tasks",
        "--without-mingle", "--without-gossip", "-n", f"train-{time.monotonic_ns()}@test",
    ]  # fmt: skip
    with (
        log.open("ab") as out,
        subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=20)


def until(holds: Callable[[], bool], seconds: float, log: Path) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.1)


def manage(environment: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *args],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_worker_trains_and_a_killed_one_leaves_the_serving_model_alone(
    shop, environment, tmp_path
):
    shop.crowd()
    log = tmp_path / "worker.log"
    with worker(environment, log) as process:
        done = manage(environment, "train", "--model", "ease", "--wait", "--timeout", "90")
        assert done.returncode == 0, done.stdout + done.stderr + log.read_text()[-3000:]
        assert "已上线" in done.stdout
        good = ServingPointer.objects.get().version

        # a fit that would take hours, killed in the middle
        endless = '{"epochs": 1000000, "patience": 1000000}'
        manage(environment, "train", "--model", "history_tower", "--params", endless)
        run = TrainingRun.objects.latest("pk")

        def training() -> bool:
            run.refresh_from_db()
            return run.status == "running" and run.progress > 0

        until(training, 60, log)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)

    with connection.cursor() as cursor:  # a minute passes
        cursor.execute(
            "UPDATE recommender_trainingrun SET heartbeat_at = now() - interval '61 s'"
            " WHERE status = 'running'"
        )
    assert runs_sweep_dead() == 1
    run.refresh_from_db()
    assert run.status == "failed"
    assert ServingPointer.objects.get().version == good
    assert ModelVersion.objects.count() == 1

    with worker(environment, log):
        done = manage(environment, "train", "--model", "ease", "--wait", "--timeout", "90")
    assert done.returncode == 0, done.stdout + done.stderr + log.read_text()[-3000:]
    assert ServingPointer.objects.get().version != good
    assert run_wake_next() is None


def test_a_failed_training_ends_the_command_with_an_error(shop, environment, tmp_path):
    shop.crowd(people=4)
    log = tmp_path / "worker.log"

    with worker(environment, log):
        done = manage(environment, "train", "--model", "nonesuch", "--wait", "--timeout", "90")

    assert done.returncode == 1
    assert "nonesuch" in done.stderr
    assert ServingPointer.objects.filter(version__isnull=False).count() == 0
