"""The worker process: `python -m kpay_site.worker` runs two Celery workers.

One serves the queue `default` (payments, messages: short tasks), one the queues `train` and
`batch`, so that neither a training nor lists for everybody ever hold a payment up. Both end with
this process; when one dies, all do, and whatever supervises the Procfile starts them again. More
workers for `batch` alone may run on any machine that sees the model directory:
`celery -A kpay_site.celery worker -Q batch -c 8`.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import FrameType

_PR_SET_PDEATHSIG = 1
_COMMON = ["--without-mingle", "--without-gossip", "--loglevel", "INFO"]


def _die_with_parent() -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def commands() -> list[list[str]]:
    celery = [sys.executable, "-m", "celery", "-A", "kpay_site.celery", "worker", *_COMMON]
    pool = os.environ.get("KPAY_WORKER_CONCURRENCY", "2")
    return [
        [*celery, "-Q", "default", "-n", "default@%h", "-c", pool],
        [
            *celery, "-Q", "train,batch", "-n", "train@%h", "-c", "1", "--prefetch-multiplier", "1",
            "--include", "recommender.training_tasks",
        ],
    ]  # fmt: skip


def main() -> int:
    # OpenMP's threads wait by spinning; beside other busy processes a fit would take many times
    # as long as with threads that sleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    children = [
        subprocess.Popen(command, preexec_fn=_die_with_parent)  # noqa: PLW1509, S603
        for command in commands()
    ]

    def stop(number: int, _frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while all(child.poll() is None for child in children):
        time.sleep(0.5)
    stop(signal.SIGTERM, None)
    codes = [child.wait() for child in children]
    return max(abs(code) for code in codes)


if __name__ == "__main__":
    sys.exit(main())
