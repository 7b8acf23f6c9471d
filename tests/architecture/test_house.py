"""What ruff can't say: where locks, signals, WeChat libraries and money types may stand."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOUSE = (
    "kernel", "wechat", "accounts", "payments", "content", "feedback", "experiments",
    "incentives", "recommender", "messaging", "dashboard", "simulation", "kpay_site",
)  # fmt: skip


def sources(*apps: str) -> Iterator[tuple[Path, ast.Module]]:
    for app in apps or HOUSE:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.Module, name: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
    ]


def test_row_locks_are_taken_through_the_kernel_alone() -> None:
    allowed = {Path("kernel/locks.py"), Path("kernel/outbox.py"), Path("kernel/idempotency.py")}
    found = [
        f"{path}:{line}"
        for path, tree in sources()
        for line in calls(tree, "select_for_update")
        if path not in allowed and path.name != "locks.py"
    ]
    assert found == []


def test_no_signals_but_the_two_around_migrate() -> None:
    found = [
        str(path)
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module in {"django.db.models.signals", "django.dispatch", "django.core.signals"}
        and path != Path("kpay_site/apps.py")
    ]
    assert found == []


@pytest.mark.django_db
def test_no_money_or_points_column_is_a_float() -> None:
    from django.apps import apps
    from django.db import models

    floats = [
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.FloatField | models.DecimalField)
        and re.search(r"_fen$|points|balance|price|amount", field.name)
    ]
    assert floats == []


def test_every_method_of_a_platform_client_is_guarded_against_open_transactions() -> None:
    from wechat.mp import MpClient
    from wechat.oa import OaClient
    from wechat.pay import PayClient
    from wechat.xpay import XpayClient

    silent = {
        PayClient: {"jsapi_params", "parse_notify"},
        MpClient: set(),
        OaClient: set(),
        XpayClient: {"client_params"},
    }
    unguarded = [
        f"{client.__name__}.{name}"
        for client, names in silent.items()
        for name, member in vars(client).items()
        if callable(member)
        and not name.startswith("_")
        and name not in names
        and not getattr(member, "outside_transaction", False)
    ]
    assert unguarded == []


def test_no_save_overrides_and_no_drawers() -> None:
    drawers = [
        str(path) for path, _ in sources() if path.stem in {"utils", "helpers", "managers", "misc"}
    ]
    overrides = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        if ("models" in path.parts or path.stem == "models") and "core" not in path.parts
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "save"
    ]
    assert drawers == []
    assert overrides == []


def test_the_environment_is_read_in_one_file() -> None:
    allowed = {"kpay_site/env.py", "kpay_site/serve.py", "kpay_site/worker.py"}
    entry = re.compile(r"environ\.setdefault\(")  # writes a default, reads nothing
    found = [
        str(path)
        for path, _ in sources()
        if str(path) not in allowed
        and any(
            "os.environ" in line and not entry.search(line)
            for line in (ROOT / path).read_text(encoding="utf-8").splitlines()
        )
    ]
    assert found == []


def test_files_stay_readable() -> None:
    long = {
        str(path): length
        for path, _ in sources()
        if (length := len((ROOT / path).read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_the_repository_speaks_of_the_product_alone() -> None:
    # Spelled in halves, so that this file does not find itself.
    words = ["/wo" + "rk/", "/br" + "ief/", "Cla" + "ude", "Anthro" + "pic", "sub" + "agent"]
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for pattern in ("*.py", "*.md", "*.toml", "*.yaml", "*.txt", "*.json", "Makefile")
        for path in ROOT.rglob(pattern)
        if not {".venv", ".kpay", "node_modules", ".git", ".hypothesis"} & set(path.parts)
        for word in words
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []
