"""Real PostgreSQL for every test, the sandbox over real HTTP for those that talk to WeChat."""

import atexit
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from devstack.postgres import EmbeddedPostgres
from tests import ports

_stack = ExitStack()
atexit.register(_stack.close)
if not os.environ.get("DATABASE_URL", "").strip():
    # Before Django reads its settings; shared by all workers, stopped by the last one.
    _stack.enter_context(EmbeddedPostgres.default())


def pytest_sessionfinish() -> None:
    shutil.rmtree(ports.KEYS, ignore_errors=True)


# Filled by migrations and post-migrate, the same for every test.
KEPT = {
    "django_migrations", "django_content_type", "auth_permission", "auth_group",
    "auth_group_permissions",
}  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def _flush_is_quick() -> None:
    """After a transactional test only tables that hold rows are emptied.

    TRUNCATE of all tables takes seconds (a new file for each); triggers are off for the
    DELETEs, so append-only tables and foreign keys do not object.
    """
    from django.db import connection
    from django.db.backends.postgresql.operations import DatabaseOperations

    def emptying(self: Any, style: Any, tables: list[str], **_: Any) -> list[str]:
        names = [self.quote_name(table) for table in tables if table not in KEPT]
        probe = " UNION ALL ".join(
            f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})"  # noqa: S608
            for name in names
        )
        with connection.cursor() as cursor:
            cursor.execute(probe)
            filled = [row[0] for row in cursor.fetchall()]
        if not filled:
            return []
        deletes = [f"DELETE FROM {name};" for name in filled]  # noqa: S608
        return ["SET LOCAL session_replication_role = 'replica';", *deletes]

    DatabaseOperations.sql_flush = emptying  # type: ignore[method-assign]


@pytest.fixture
def learner(db: None) -> Callable[..., Any]:
    """`learner(**fields)` makes a user with no WeChat identity."""
    from tests.builders import make_learner

    return make_learner


@pytest.fixture
def api_for() -> Callable[..., Any]:
    """`api_for(user)` is a client that carries this user's access token; `api_for()` none."""
    from tests.builders import client_for

    return client_for


@pytest.fixture(scope="session")
def _sandbox_process() -> Iterator[str]:
    command = [
        sys.executable, "-m", "wechat_sandbox", "--port", str(ports.SANDBOX_PORT),
        "--target", f"http://127.0.0.1:{ports.WEB_PORT}", "--keys", str(ports.KEYS),
        "--clock-file", str(ports.CLOCK_FILE), "--seed", "1",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=ports.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "ready" in line, line
        yield f"http://127.0.0.1:{ports.SANDBOX_PORT}"
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def sandbox(_sandbox_process: str) -> Iterator[Any]:
    """The sandbox's control client, reset before and after the test."""
    from wechat_sandbox.client import SandboxClient

    client = SandboxClient(_sandbox_process)
    client.reset()
    yield client
    client.reset()
    ports.CLOCK_FILE.unlink(missing_ok=True)


@pytest.fixture
def shared_data() -> Path:
    """The folder of data sets that can't be shipped; skips with a reason where it is absent."""
    folder = Path(os.environ.get("KPAY_SHARED_DATA") or ports.ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}: they can't be shipped with the repository")
    return folder
