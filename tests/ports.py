"""Free ports and the sandbox's keys, chosen before Django reads its settings."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sandbox_environment(keys: Path, *, sandbox_port: int, web_port: int) -> dict[str, str]:
    """The sandbox writes throw-away keys to `keys`; returns the KPAY_* variables to use them."""
    subprocess.run(
        [sys.executable, "-m", "wechat_sandbox", "--write-keys-only", "--keys", str(keys),
         "--port", str(sandbox_port)],
        cwd=ROOT, check=True, timeout=60, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    values = dict(
        line.split("=", 1)
        for line in (keys / "sandbox.env").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    values["KPAY_WECHAT_API_BASE"] = f"http://127.0.0.1:{sandbox_port}"
    values["KPAY_WECHAT_PAY_BASE"] = f"http://127.0.0.1:{sandbox_port}"
    values["KPAY_PUBLIC_BASE_URL"] = f"http://127.0.0.1:{web_port}"
    return values


KEYS = Path(tempfile.mkdtemp(prefix="kpay-test-keys-"))
SANDBOX_PORT = free_port()
WEB_PORT = free_port()
CLOCK_FILE = KEYS / "clock"


def prepare() -> None:
    """Every process of the test run (each xdist worker too) gets ports and keys of its own."""
    os.environ["KPAY_ENV"] = "test"
    os.environ.setdefault("KPAY_RATE_LIMITS", "off")
    os.environ.setdefault("KPAY_LOG_LEVEL", "WARNING")
    # Tests about the queue start workers of their own; the others must not feed them.
    os.environ.setdefault("CELERY_BROKER_URL", "memory://")
    os.environ["KPAY_CLOCK_OFFSET_FILE"] = str(CLOCK_FILE)
    os.environ["KPAY_MODEL_DIR"] = str(KEYS / "models")
    os.environ["KPAY_MEDIA_ROOT"] = str(KEYS / "media")
    os.environ["DJANGO_LIVE_TEST_SERVER_ADDRESS"] = f"127.0.0.1:{WEB_PORT}"
    os.environ.update(sandbox_environment(KEYS, sandbox_port=SANDBOX_PORT, web_port=WEB_PORT))
