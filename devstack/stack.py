"""The whole product on this machine: PostgreSQL, sandbox, web, worker, beat."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from devstack.bootstrap import ROOT
from devstack.postgres import EmbeddedPostgres
from devstack.processes import Processes, StartFailed, pick_port

WEB_PORT = 8000
SANDBOX_PORT = 9000


@dataclass(frozen=True)
class Stack:
    """Addresses and environment of a running stack."""

    web: str
    sandbox: str
    env: Mapping[str, str]
    processes: Processes
    state: Path


def secret(path: Path) -> str:
    """A random secret that stays the same over runs; only this account reads it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_urlsafe(32))
    return path.read_text(encoding="ascii").strip()


def manage(env: Mapping[str, str], *arguments: str, quiet: bool = False) -> str:
    """Run `manage.py`; returns what it printed when `quiet`. Raises `StartFailed`."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=dict(env),
        check=False,
        stdout=subprocess.PIPE if quiet else None,
        text=True,
    )
    if done.returncode != 0:
        raise StartFailed(f"manage.py {arguments[0]} ended with {done.returncode}.")
    return done.stdout or ""


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as reply:  # noqa: S310  (http on 127.0.0.1)
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False


@contextmanager
def database(environ: Mapping[str, str]) -> Iterator[str]:
    """The address in DATABASE_URL, or the embedded server's while this block runs."""
    given = environ.get("DATABASE_URL", "").strip()
    if given:
        yield given
        return
    with EmbeddedPostgres.default() as server:
        yield server.url


def wechat_environment(keys: Path, sandbox_port: int) -> dict[str, str]:
    """Throw-away credentials that the sandbox wrote, as KPAY_* variables."""
    subprocess.run(
        [sys.executable, "-m", "wechat_sandbox", "--write-keys-only", "--keys", str(keys),
         "--port", str(sandbox_port)],
        cwd=ROOT, check=True, timeout=60, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    lines = (keys / "sandbox.env").read_text(encoding="utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    values["KPAY_WECHAT_API_BASE"] = f"http://127.0.0.1:{sandbox_port}"
    values["KPAY_WECHAT_PAY_BASE"] = f"http://127.0.0.1:{sandbox_port}"
    return values


@contextmanager
def running(
    *, extra: Mapping[str, str] | None = None, name: str = "demo", background: bool = True
) -> Iterator[Stack]:
    """Everything up, migrated and healthy; everything down again when the block ends."""
    state = Path(os.environ.get("KPAY_STATE_DIR") or ROOT / ".kpay")
    with ExitStack() as stack:
        url = stack.enter_context(database({**os.environ, **(extra or {})}))
        processes = stack.enter_context(Processes(state / "logs" / name))
        env = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
            "KPAY_ENV": "development",
            "KPAY_SECRET_KEY": secret(state / "secret"),
            "DATABASE_URL": url,
            **(extra or {}),
        }
        manage(env, "migrate", "--verbosity", "0")
        # Now, not before: while tables were made another program may have taken a port.
        web_port = pick_port(int(os.environ.get("PORT") or WEB_PORT))
        sandbox_port = pick_port(int(os.environ.get("KPAY_SANDBOX_PORT") or SANDBOX_PORT))
        env |= {
            "PORT": str(web_port),
            "KPAY_PUBLIC_BASE_URL": f"http://127.0.0.1:{web_port}",
            **wechat_environment(state / "sandbox", sandbox_port),
            **(extra or {}),
        }
        processes.start(
            "sandbox",
            [sys.executable, "-m", "wechat_sandbox", "--port", str(sandbox_port),
             "--target", f"http://127.0.0.1:{web_port}", "--keys", str(state / "sandbox")],
            env,
        )  # fmt: skip
        for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines():
            kind, _, command = line.partition(": ")
            if kind == "web" or background:
                program = [sys.executable, *command.split()[1:]]
                processes.start(kind, program, env)
        web = f"http://127.0.0.1:{web_port}"
        sandbox = f"http://127.0.0.1:{sandbox_port}"
        processes.wait_ready("sandbox", lambda: answers(f"{sandbox}/_sandbox/state"))
        processes.wait_ready("web", lambda: answers(f"{web}/readyz"))
        yield Stack(web=web, sandbox=sandbox, env=env, processes=processes, state=state)
