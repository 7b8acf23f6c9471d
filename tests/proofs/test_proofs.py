"""The proofs of money, small. At full size each is a command: `python -m devstack prove NAME`."""

import json
import os
import subprocess
import sys
from typing import Any

from tests.ports import ROOT


def prove(name: str, *arguments: str, seconds: float = 400) -> dict[str, Any]:
    """What the proof saw; it runs as an operator would run it, on the server of these tests."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    server = f"postgresql://kpay@{database['HOST']}:{database['PORT']}/kpay"
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KPAY_WECHAT")}
    env = {**kept, "DATABASE_URL": os.environ.get("DATABASE_URL") or server}
    for name_ in ("KPAY_CLOCK_OFFSET_FILE", "KPAY_XPAY_OFFER_ID", "CELERY_BROKER_URL"):
        env.pop(name_, None)
    done = subprocess.run(
        [sys.executable, "-m", "devstack.prove", name, *arguments],
        cwd=ROOT, env=env, check=False, stdout=subprocess.PIPE, text=True, timeout=seconds,
    )  # fmt: skip
    print(done.stdout)  # noqa: T201  (its counts are the point)
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_faulty_notifies_lose_double_and_misplace_nothing() -> None:
    seen = prove("notifies", "--orders", "60", "--seed", "7")

    assert seen["ok"], seen
    assert sum(seen["faults_fired"].values()) >= 10
    assert seen["counts"]["payments_succeeded"] >= 60


def test_kills_restarts_and_an_emptied_queue_lose_nothing() -> None:
    seen = prove("kills", "--orders", "40", "--kills", "4", "--restarts", "1", "--flushes", "1")

    assert seen["ok"], seen
    assert sum(seen["did"].values()) >= 6


def test_sixty_four_clients_get_exactly_what_is_allowed() -> None:
    seen = prove("races", "--rounds", "1")

    assert seen["ok"], seen
    assert {race["most"] for race in seen["races"].values()} == {1}


def test_mutated_notifies_and_pushes_change_nothing() -> None:
    seen = prove("forgeries", "--notifies", "270", "--pushes", "60", "--seed", "3")

    assert seen["ok"], seen
    assert seen["true_one"] == 200
