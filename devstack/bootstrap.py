"""Makes `.venv` with the pinned requirements. Standard library only: it runs before them.

Finished installs leave a stamp with the hash of the requirement files, so a second run costs
nothing and a half-made environment is completed, or made anew when its Python is broken.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
FILES = ("requirements-web.txt", "requirements.txt", "requirements-dev.txt")
# CPU builds of torch; a plain `torch` would pull gigabytes of CUDA.
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


class BootstrapFailed(RuntimeError):
    """The environment can't be made; the message says why in one sentence."""


def ensure() -> Path:
    """The environment's Python, with everything in the requirement files installed."""
    if sys.version_info < (3, 11):  # noqa: UP036  (that is the point)
        raise BootstrapFailed(
            f"KPay needs Python 3.11 or newer, this is {sys.version.split()[0]}: "
            "run `make PYTHON=python3.11 …`."
        )
    state = ROOT / ".kpay"
    state.mkdir(exist_ok=True)
    with (state / "bootstrap.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = VENV / f".kpay-{_digest()}"
        if stamp.exists() and _works():
            return PYTHON
        if not _works():
            print("· making .venv", flush=True)
            shutil.rmtree(VENV, ignore_errors=True)
            venv.EnvBuilder(with_pip=True).create(VENV)
        print("· installing the pinned requirements (a few minutes the first time)", flush=True)
        _install_torch()
        _pip("install", "--quiet", "-r", "requirements-dev.txt")
        for old in VENV.glob(".kpay-*"):
            old.unlink()
        stamp.touch()
    return PYTHON


def _digest() -> str:
    whole = hashlib.sha256()
    for name in FILES:
        whole.update((ROOT / name).read_bytes())
    return whole.hexdigest()[:16]


def _works() -> bool:
    """The environment has a Python that starts and a pip."""
    if not PYTHON.exists():
        return False
    try:
        done = subprocess.run(
            [PYTHON, "-c", "import pip, sys; sys.exit(sys.version_info < (3, 11))"],
            check=False, capture_output=True, timeout=60,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0


def _install_torch() -> None:
    pinned = next(
        line.strip()
        for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if line.startswith("torch==")
    )
    version = pinned.split("==")[1]
    present = subprocess.run(
        [PYTHON, "-c", "from importlib.metadata import version as v; print(v('torch'))"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if present.returncode == 0 and present.stdout.strip().split("+")[0] == version:
        return
    quick = ["--quiet", "--retries", "0", "--timeout", "5", "--index-url", TORCH_INDEX]
    if _pip("install", *quick, pinned, check=False) != 0:
        _pip("install", "--quiet", pinned)


def _pip(*arguments: str, check: bool = True) -> int:
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments]
    errors = None if check else subprocess.DEVNULL
    done = subprocess.run(command, cwd=ROOT, check=False, stderr=errors)
    if check and done.returncode != 0:
        raise BootstrapFailed(
            "pip could not install the requirements (see above): check the network and run again."
        )
    return done.returncode
