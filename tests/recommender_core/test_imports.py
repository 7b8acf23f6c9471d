"""What loads what: the core without Django, scoring without the training libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "scipy", "sklearn", "pandas", "implicit", "pyspark", "pyarrow")


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["recommender.core.offline", "recommender.core.training.tower"])
def test_the_core_never_loads_django(module):
    assert "django" not in loaded_by(f"import {module}")


def test_scoring_loads_numpy_alone():
    loaded = loaded_by("import recommender.core.artifacts, recommender.core.models.registry")

    assert "numpy" in loaded
    assert not loaded & {*HEAVY, "django"}


def test_the_web_process_never_loads_the_training_libraries():
    loaded = loaded_by(
        "import os; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'kpay_site.settings')\n"
        "import kpay_site.wsgi; from django.urls import get_resolver; get_resolver().check()"
    )

    assert "rest_framework" in loaded
    assert not loaded & set(HEAVY)
