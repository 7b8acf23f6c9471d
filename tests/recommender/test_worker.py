"""Training in a real Celery worker of its own, over the queue in PostgreSQL."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from safetensors import safe_open

from recommender.models import BatchScore, ModelVersion, ServingPointer, TrainingRun

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
def worker(
    environment: dict[str, str], log: Path, queue: str = "train"
) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        sys.executable, "-m", "celery", "-A", "kpay_site.celery", "worker", "-Q", queue,
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


def test_a_killed_worker_leaves_the_serving_model_alone_and_its_work_to_the_next(
    shop, environment, model_dir, tmp_path
):
    shop.crowd()
    log = tmp_path / "worker.log"
    with worker(environment, log) as process:
        done = manage(environment, "train", "--model", "ease", "--wait", "--timeout", "90")
        assert done.returncode == 0, done.stdout + done.stderr + log.read_text()[-3000:]
        assert "已上线" in done.stdout
        good = ServingPointer.objects.get().version

        # a fit of many epochs, killed in the middle
        long = '{"epochs": 3000, "patience": 3000, "factors": 4}'
        manage(environment, "train", "--model", "history_tower", "--params", long)
        run = TrainingRun.objects.latest("pk")

        def training() -> bool:
            run.refresh_from_db()
            return run.status == "running" and len(next(iter(run.curves.values()), [])) > 20

        until(training, 90, log)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)

    with connection.cursor() as cursor:  # a minute passes
        cursor.execute(
            "UPDATE recommender_trainingrun SET heartbeat_at = now() - interval '61 s'"
            " WHERE status = 'running'"
        )
    sweep = "from recommender.tasks import sweep_runs; sweep_runs()"
    assert manage(environment, "shell", "-c", sweep).returncode == 0
    run.refresh_from_db()
    assert run.status == "failed"
    assert ServingPointer.objects.get().version == good
    assert ModelVersion.objects.count() == 1
    done = max(epochs_done(model_dir, run))
    heir = TrainingRun.objects.get(resumes=run)
    seen: list[int] = []

    def goes_on() -> bool:
        seen.extend(epochs_done(model_dir, heir))
        return bool(seen) and seen[-1] > done

    with worker(environment, log):
        until(goes_on, 90, log)

    assert done > 20
    assert min(seen) >= done  # never from the start again
    heir.refresh_from_db()
    assert heir.data_hash == run.data_hash
    assert heir.lineage["resumed_from"] == run.pk


def epochs_done(model_dir: Path, run: TrainingRun) -> list[int]:
    """What the run's checkpoint says; nothing while there is none or it is being replaced."""
    for path in model_dir.glob(f".work-{run.pk}/checkpoints/*/epochs/checkpoint.safetensors"):
        with suppress(FileNotFoundError), safe_open(path, framework="numpy") as file:
            return [int(json.loads(file.metadata()["told"])["done"])]
    return []


def test_a_failed_training_ends_the_command_with_an_error(shop, environment, tmp_path):
    shop.crowd(people=4)
    log = tmp_path / "worker.log"

    with worker(environment, log):
        done = manage(environment, "train", "--model", "nonesuch", "--wait", "--timeout", "90")

    assert done.returncode == 1
    assert "nonesuch" in done.stderr
    assert ServingPointer.objects.filter(version__isnull=False).count() == 0


def test_a_killed_worker_leaves_a_batch_that_another_finishes(shop, serve, environment, tmp_path):
    shop.crowd(people=60)
    serve("ease")
    log = tmp_path / "worker.log"
    order = ("score_all", "--shard-users", "1", "--k", "5")
    assert manage(environment, *order).returncode == 0
    batch = BatchScore.objects.get()

    def some_done() -> bool:
        return batch.shards.filter(state="done").count() >= 3

    with worker(environment, log, queue="batch") as process:
        until(some_done, 60, log)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)
    done = set(batch.shards.filter(state="done").values_list("pk", flat=True))
    assert len(done) < 60
    with connection.cursor() as cursor:  # the lease of the shard in hand runs out
        cursor.execute(
            "UPDATE recommender_batchshard SET due_at = now() - interval '1 s' WHERE state = 'due'"
        )

    with worker(environment, log, queue="batch"):
        again = manage(environment, *order, "--wait", "--timeout", "90")
    assert again.returncode == 0, again.stdout + again.stderr + log.read_text()[-3000:]

    # the second worker may be done before the second order comes, which then begins a new batch
    batch.refresh_from_db()
    assert batch.users == 60
    once = batch.shards.filter(pk__in=done).values_list("attempts", flat=True)
    assert set(once) == {1}  # nothing was scored twice
