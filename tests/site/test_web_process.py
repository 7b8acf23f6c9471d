"""What a web process needs and what it keeps in memory."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOORS = "accounts", "payments", "content", "feedback", "incentives", "recommender"


def run_in_web(statement: str, blocked: set[str] = frozenset()) -> set[str]:
    """Top-level packages loaded after `statement` in a fresh web process without `blocked`."""
    code = (
        "import sys\n"
        f"blocked = {sorted(blocked)!r}\n"
        "finder = sys.meta_path[-1]\n"
        "class Present:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] not in blocked:\n"
        "            return finder.find_spec(name, path, target)\n"
        "    def __getattr__(self, name): return getattr(finder, name)\n"
        "sys.meta_path[-1] = Present()\n"
        "import kpay_site.wsgi\n"
        f"{statement}\n"
        "print(*{name.split('.')[0] for name, module in sys.modules.items() if module})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(done.stdout.split())


def closure_of(requirements: str) -> set[str]:
    """Distributions that a requirements file brings, with what they require."""
    wanted = [
        re.split(r"[=<>]", line)[0].strip()
        for line in (ROOT / requirements).read_text().splitlines()
        if line and not line.startswith(("#", "-"))
    ]
    found: set[str] = set()
    while wanted:
        spec = wanted.pop()
        name = re.split(r"[\s\[;<>=!~(]", spec)[0].lower().replace("_", "-")
        extras = set(re.findall(r"[\w-]+", (re.search(r"\[([^\]]*)\]", spec) or ["", ""])[1]))
        if (key := f"{name}{sorted(extras)}") in found:
            continue
        found |= {key, name}
        try:
            needs = requires(name) or []
        except PackageNotFoundError:
            continue  # for another platform or Python
        for need in needs:
            body, _, marker = need.partition(";")
            asked = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
            if asked is None or asked[1] in extras:
                wanted.append(body.strip())
    return found


def test_a_web_container_has_all_that_every_door_imports():
    """As in the `web` target of the Dockerfile: requirements-web.txt and nothing else."""
    web = closure_of("requirements-web.txt")
    others = {
        module
        for module, names in packages_distributions().items()
        if not any(name.lower().replace("_", "-") in web for name in names)
    }
    assert {"torch", "pytest", "mypy", "playwright", "scipy"} <= others

    loaded = run_in_web(
        "from django.urls import get_resolver\nget_resolver().check()", others - {"kpay_site"}
    )

    assert {"wechatpy", "unfold", "drf_spectacular", "requests"} <= loaded


def test_serving_feeds_loads_neither_the_clients_nor_the_admin_nor_the_queue():
    loaded = run_in_web("import recommender.urls, accounts.authentication")

    heavy = {"torch", "scipy", "celery", "wechatpy", "wechatpayv3", "cryptography", "requests"}
    assert "numpy" in loaded
    assert not loaded & (heavy | {"tablib", "openpyxl"})


@pytest.mark.parametrize("app", DOORS)
def test_each_door_opens_first_in_a_fresh_process(app):
    """No order of first visits breaks an import."""
    run_in_web(f"import {app}.urls")
