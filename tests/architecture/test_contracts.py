"""Each import contract is shown to fail on a planted violation, in a copy of the tree."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOUSE = (
    "kernel", "wechat", "accounts", "payments", "content", "feedback", "experiments",
    "incentives", "recommender", "messaging", "dashboard", "simulation", "kpay_site",
    "wechat_sandbox", "devstack",
)  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for app in HOUSE:
        shutil.copytree(
            ROOT / app, folder / app, ignore=shutil.ignore_patterns("__pycache__", "sample")
        )
    shutil.copy(ROOT / ".importlinter", folder / ".importlinter")
    return folder


def lint(folder: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("lint-imports")
    only = ["--contract", contract] if contract else []
    return subprocess.run(
        [str(tool), "--no-cache", *only],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_house_as_it_stands_keeps_every_contract(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("contract", "file", "line"),
    [
        ("house", "payments/rules.py", "import content.models"),
        ("house", "kernel/money.py", "from accounts import models"),
        ("sandbox", "wechat/errors.py", "import wechat_sandbox.crypto"),
        ("sandbox-alone", "wechat_sandbox/crypto.py", "import kernel.ids"),
        ("core", "recommender/core/data.py", "import django.conf"),
        ("torch", "recommender/serving/__init__.py", "import torch"),
        ("wechat-libraries", "messaging/services/__init__.py", "import wechatpy"),
    ],
)
def test_a_planted_violation_breaks_its_contract(
    copy: Path, contract: str, file: str, line: str
) -> None:
    target = copy / file
    if not target.exists():
        target = target.parent.with_suffix(".py")
    before = target.read_text(encoding="utf-8")
    target.write_text(f"{before}\n{line}\n", encoding="utf-8")
    try:
        done = lint(copy, contract)
    finally:
        target.write_text(before, encoding="utf-8")

    assert done.returncode != 0
    assert "BROKEN" in done.stdout
