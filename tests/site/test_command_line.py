"""`manage.py` beside a server that it cannot have: help needs none, all else says why."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def manage(state: Path, port: int | str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line without DATABASE_URL, with its own state folder and port."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            "DATABASE_URL": "",
            "KPAY_STATE_DIR": str(state),
            "KPAY_PG_PORT": str(port),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", [("import_dataset", "--help"), ("train", "-h")])
def test_help_needs_no_server(tmp_path, taken, arguments):
    done = manage(tmp_path, taken, *arguments)

    assert done.returncode == 0, done.stderr
    assert f"usage: manage.py {arguments[0]}" in done.stdout
    assert not (tmp_path / "postgres").exists()


def test_a_taken_port_is_one_sentence(tmp_path, taken):
    done = manage(tmp_path, taken, "import_dataset", str(tmp_path))

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"kpay: Port {taken} is taken by another program: stop it, or set KPAY_PG_PORT.\n"
    )


def test_a_port_that_is_none_is_one_sentence(tmp_path):
    done = manage(tmp_path, "soon", "import_dataset", str(tmp_path))

    assert done.returncode == 1
    assert done.stderr == ("kpay: KPAY_PG_PORT must be a port between 1 and 65535, not 'soon'.\n")
