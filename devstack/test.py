"""`make test`: every check of the house, the cheapest first, pytest last."""

import os
import shutil
import subprocess
import sys
import time

from devstack.bootstrap import ROOT
from devstack.postgres import EmbeddedPostgres, PostgresFailed

APPS = [
    "kernel", "wechat", "accounts", "payments", "content", "feedback", "experiments",
    "incentives", "recommender", "messaging", "dashboard", "simulation", "kpay_site",
    "wechat_sandbox", "devstack", "manage.py",
]  # fmt: skip
PY = sys.executable
BIN = os.path.dirname(PY)
CHROMIUM_PACKAGES = ("chromium", "fonts-noto-cjk")


def run(title: str, *command: str) -> None:
    print(f"== {title}", flush=True)
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode != 0:
        print(f"== {title}: failed", flush=True)
        sys.exit(done.returncode)
    print(f"   {time.monotonic() - began:.0f} s", flush=True)


def ensure_browser() -> None:
    """Browser tests use the system's Chromium; root on Debian may install it."""
    if shutil.which("chromium") and _has_cjk_font():
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print("!! no Chromium with Chinese fonts: browser tests will be skipped", flush=True)
        return
    print("== installing chromium and Chinese fonts", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", *CHROMIUM_PACKAGES],
    ):
        done = subprocess.run(command, env=env, check=False, stdout=subprocess.DEVNULL)
        if done.returncode != 0:
            print(f"!! {' '.join(command)} failed", flush=True)


def ensure_spark() -> None:
    """Spark is tested where its packages can be had; nothing else needs them."""
    began = time.monotonic()
    print("== packages of requirements-spark.txt", flush=True)
    command = [PY, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run([*command, "-r", "requirements-spark.txt"], cwd=ROOT, check=False)
    if done.returncode != 0:
        print("!! Spark could not be installed: its tests will be skipped", flush=True)
    print(f"   {time.monotonic() - began:.0f} s", flush=True)


def _has_cjk_font() -> bool:
    done = (
        subprocess.run(["fc-list", ":lang=zh-cn"], capture_output=True, check=False, text=True)
        if shutil.which("fc-list")
        else None
    )
    return bool(done and done.stdout.strip())


def main() -> int:
    os.environ.setdefault("KPAY_ENV", "test")
    ensure_browser()
    ensure_spark()
    # No cache: it remembers which imports were the house's own before a package was there.
    run("ruff", f"{BIN}/ruff", "check", "--no-cache", ".")
    run("ruff format", f"{BIN}/ruff", "format", "--no-cache", "--check", ".")
    run("import contracts", f"{BIN}/lint-imports")
    run("mypy", f"{BIN}/mypy", *APPS)
    # One server for all that follows; the test workers share it.
    with EmbeddedPostgres.default():
        run("migrations", PY, "manage.py", "makemigrations", "--check", "--dry-run")
        run(
            "schema",
            PY,
            "manage.py",
            "spectacular",
            "--validate",
            "--fail-on-warn",
            "--file",
            os.devnull,
        )
        workers = os.environ.get("KPAY_TEST_WORKERS", "2")
        marks = "not long"
        arguments = sys.argv[1:]
        run(
            "tests",
            PY,
            "-m",
            "pytest",
            "-n",
            workers,
            "--dist",
            "loadfile",
            "-m",
            marks,
            "-q",
            *arguments,
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PostgresFailed as error:
        print(f"kpay: {error}", file=sys.stderr)
        sys.exit(1)
