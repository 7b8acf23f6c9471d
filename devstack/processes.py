"""Children of a run: started in groups of their own, logged to files, stopped with the run."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_PR_SET_PDEATHSIG = 1
STOP_SECONDS = 15


class StartFailed(RuntimeError):
    """A child ended or did not become ready; the message names its log."""


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def pick_port(wanted: int) -> int:
    """`wanted`, or the next free port above it."""
    for port in range(wanted, wanted + 100):
        if port_is_free(port):
            return port
    raise StartFailed(f"No free port between {wanted} and {wanted + 99} on 127.0.0.1.")


def _die_with_parent() -> None:
    """Ask Linux to send SIGTERM when the parent is gone, even after its SIGKILL."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6", use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Processes:
    """`with Processes(log_dir) as run: run.start("web", [...], env)`: all stop at the end."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        log = (self.logs / f"{name}.log").open("ab")
        self._children[name] = subprocess.Popen(
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        log.close()

    def kill(self, name: str) -> None:
        """SIGKILL to the child and all of its group, as a crash would; it may be started again."""
        child = self._children.pop(name)
        _signal_group(child.pid, signal.SIGKILL)
        child.wait()

    def alive(self, name: str) -> bool:
        return name in self._children and self._children[name].poll() is None

    def pid(self, name: str) -> int:
        return self._children[name].pid

    def wait_ready(self, name: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Return when `ready()` holds. Raises `StartFailed` when the child ends or time is up."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self.check()
            if ready():
                return
            time.sleep(0.1)
        raise StartFailed(f"{name} is not ready after {seconds:.0f} s, see {self.log_of(name)}.")

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def check(self) -> None:
        """Raises `StartFailed` when a child has ended."""
        for name, child in self._children.items():
            if child.poll() is not None:
                tail = self.log_of(name).read_text(errors="replace").strip().splitlines()[-3:]
                raise StartFailed(
                    f"{name} ended with {child.returncode}, see {self.log_of(name)}: "
                    + " | ".join(tail)
                )

    def stop(self) -> None:
        """SIGTERM to every group, SIGKILL to those that stay; last started first."""
        children = list(self._children.items())[::-1]
        self._children.clear()
        for _name, child in children:
            _signal_group(child.pid, signal.SIGTERM)
        limit = time.monotonic() + STOP_SECONDS
        for _name, child in children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=max(0.1, limit - time.monotonic()))
            _signal_group(child.pid, signal.SIGKILL)
            child.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
