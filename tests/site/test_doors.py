"""Doors of the house: health, documents, error shape, refusal to start half configured."""

import os
import re
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from kpay_site.env import load
from tests.ports import ROOT

pytestmark = pytest.mark.django_db


def test_health_and_readiness_answer_without_a_token(client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["worker"]) == (200, "silent")


def test_metrics_are_prometheus_text(client) -> None:
    reply = client.get("/metrics")
    assert reply.status_code == 200
    assert b"python_info" in reply.content


def test_an_unknown_path_has_the_one_error_shape(client) -> None:
    reply = client.get("/api/v1/nothing-here")
    assert reply.status_code == 404
    error = reply.json()["error"]
    assert error["code"] == "not_found"
    assert error["message"] == "内容不存在。"
    assert error["request_id"] == reply["X-Request-Id"]


def test_a_callers_request_id_is_kept_and_a_strange_one_is_not(client) -> None:
    assert client.get("/healthz", HTTP_X_REQUEST_ID="abc-12345")["X-Request-Id"] == "abc-12345"
    strange = client.get("/healthz", HTTP_X_REQUEST_ID="a\tb" * 40)["X-Request-Id"]
    assert len(strange) == 32


def test_every_call_of_the_api_wants_a_token_but_the_public_ones(api_for) -> None:
    from drf_spectacular.generators import SchemaGenerator

    public = {
        "/api/v1/auth/wechat/login", "/api/v1/auth/refresh", "/api/v1/auth/logout",
        "/api/v1/categories", "/api/v1/courses", "/api/v1/courses/{course_id}",
        "/api/v1/courses/{course_id}/similar", "/api/v1/search/suggest", "/api/v1/search/hot",
        "/api/v1/products/{product_id}", "/api/v1/plans", "/api/v1/interests",
        "/api/v1/groups/offers",
    }  # fmt: skip
    schema = SchemaGenerator().get_schema(request=None, public=True)
    open_doors = []
    for path, operations in schema["paths"].items():
        for method in {"get", "post", "put", "patch", "delete"} & set(operations):
            url = path.replace("{no}", "1")
            names = re.findall(r"\{(\w+)\}", url)
            for name in names:
                url = url.replace(f"{{{name}}}", "1")
            reply = getattr(api_for(), method)(url, {}, format="json")
            if reply.status_code != 401 and path not in public:
                open_doors.append((method, path, reply.status_code))
    assert open_doors == []


def run_django(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("KPAY_")}
    return subprocess.run(
        [sys.executable, "-c", "import kpay_site.settings"],
        cwd=ROOT, env={**inherited, **env}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_production_refuses_to_start_with_a_secret_missing_or_the_examples() -> None:
    bare = run_django({"KPAY_ENV": "production"})
    assert bare.returncode != 0
    assert "KPAY_SECRET_KEY" in bare.stderr

    example = run_django({"KPAY_ENV": "production", "KPAY_SECRET_KEY": "change-me-in-production"})
    assert example.returncode != 0

    unpaid = run_django(
        {
            "KPAY_ENV": "production",
            "KPAY_SECRET_KEY": "s" * 40,
            "KPAY_FIELD_KEYS": "k1:" + "A" * 43 + "=",
        }
    )
    assert unpaid.returncode != 0
    assert "KPAY_WECHAT_MCHID" in unpaid.stderr


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({"KPAY_XPAY_OFFER_ID": "1"}, "KPAY_XPAY_APP_KEY"),
        ({"KPAY_XPAY_OFFER_ID": "1", "KPAY_XPAY_APP_KEY": "k", "KPAY_XPAY_ENV": "1"}, "_SANDBOX"),
        ({"KPAY_XPAY_APP_KEY": "k"}, "KPAY_XPAY_OFFER_ID"),
        ({"KPAY_XPAY_ENV": "2"}, "KPAY_XPAY_ENV"),
    ],
)
def test_virtual_payment_is_configured_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], missing: str
) -> None:
    for name in ("OFFER_ID", "APP_KEY", "APP_KEY_SANDBOX", "ENV"):
        monkeypatch.delenv(f"KPAY_XPAY_{name}", raising=False)
    assert load().wechat.xpay_env == 0
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ImproperlyConfigured, match=missing):
        load()


def test_no_secret_shows_in_the_settings_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPAY_XPAY_OFFER_ID", "1450000001")
    monkeypatch.setenv("KPAY_XPAY_APP_KEY", "not-to-be-seen")
    monkeypatch.setenv("KPAY_WECHAT_MP_SECRET", "not-to-be-seen")
    monkeypatch.setenv("KPAY_WECHAT_APIV3_KEY", "not-to-be-seen")

    assert "not-to-be-seen" not in repr(load().wechat)


def test_the_clock_offset_is_a_test_hook_alone() -> None:
    code = "import kpay_site.settings as s; print(repr(s.KPAY.clock_offset_file))"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("KPAY_")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**inherited, "KPAY_ENV": "development", "KPAY_CLOCK_OFFSET_FILE": "/etc/hostname"},
    )  # fmt: skip
    assert done.stdout.strip() == "''"


def test_every_variable_of_the_settings_stands_in_the_example_file() -> None:
    import re

    read = set()
    for name in ("env", "settings", "serve", "worker"):
        text = (ROOT / "kpay_site" / f"{name}.py").read_text(encoding="utf-8")
        read |= set(
            re.findall(r'"((?:KPAY_|DATABASE_URL|CELERY_|CACHE_URL|PORT)[A-Z_0-9]*)"', text)
        )
        read |= {f"KPAY_WECHAT_{part}" for part in re.findall(r'of\("([A-Z_0-9]+)"\)', text)}
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    written = set(re.findall(r"^([A-Z_0-9]+)=", example, flags=re.M))
    django = {name for name in read if name.startswith("CELERY_") and name != "CELERY_BROKER_URL"}
    assert read - django - written == set()
