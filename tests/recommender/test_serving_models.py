"""A web process takes a new model up by itself, and never lets go of a good one for a bad one."""

import subprocess
import sys

import pytest
from django.conf import settings

from content.models import Course
from recommender.errors import ArtifactMissing, NothingToRollBack
from recommender.models import ModelVersion, ServingPointer
from recommender.services.versions import version_promote, version_roll_back
from recommender.serving.catalogue import forget_all
from recommender.serving.holder import holder
from recommender.serving.metrics import model_loads
from tests.recommender.conftest import ids

pytestmark = pytest.mark.django_db


def model_of(client):
    return client.get("/api/v1/feed").json()["model"]


def failures() -> float:
    return model_loads.labels("failed")._value.get()


def test_a_new_version_serves_without_a_restart(shop, learner, api_for, serve):
    shop.crowd()
    serve("ials", "v1")
    user = learner()
    shop.act(user, 12, "rating", 5)
    client = api_for(user)
    assert model_of(client) == {"name": "ials", "version": "v1"}

    serve("ease", "v2")

    assert model_of(client) == {"name": "ease", "version": "v2"}


@pytest.mark.parametrize("damage", ["truncate", "garbage", "no manifest", "gone"])
def test_a_broken_artifact_leaves_the_old_model_in_service(
    shop, learner, api_for, serve, model_dir, damage
):
    shop.crowd()
    serve("ials", "v1")
    user = learner()
    shop.act(user, 12, "rating", 5)
    client = api_for(user)
    before = client.get("/api/v1/feed").json()
    failed = failures()

    broken = serve("ease", "v2")
    arrays = model_dir / "v2" / "model.safetensors"
    if damage == "truncate":
        arrays.write_bytes(arrays.read_bytes()[:200])
    elif damage == "garbage":
        arrays.write_bytes(b"\xff" * 4096)
    elif damage == "no manifest":
        (model_dir / "v2" / "manifest.json").unlink()
    else:
        (model_dir / "v2").rename(model_dir / "elsewhere")
    after = client.get("/api/v1/feed").json()

    assert after["model"] == before["model"] == {"name": "ials", "version": "v1"}
    assert ids(after)
    assert failures() == failed + 1
    assert ServingPointer.objects.get().version_id == broken.pk


def test_a_broken_artifact_without_an_old_model_falls_back_to_popular(
    shop, learner, api_for, serve, model_dir
):
    serve("popular", "v1")
    (model_dir / "v1" / "model.safetensors").write_bytes(b"")

    page = api_for(learner()).get("/api/v1/feed").json()

    assert page["model"]["name"] == "popular"
    assert len(page["items"]) == 20


def test_a_course_published_after_training_is_shown_too(shop, learner, api_for, serve):
    shop.crowd()
    serve("ials")
    late = Course.objects.create(
        title="新课", status="published", published_at=shop[0].published_at, category=shop.right
    )
    forget_all()
    user = learner()
    shop.act(user, 12, "rating", 5)

    assert late.pk in ids(api_for(user).get("/api/v1/feed", {"limit": 50}).json())


def test_promotion_moves_the_pointer_and_retires_the_other(shop, serve, learner):
    first = serve("popular", "v1")
    second = serve("popular", "v2")
    by = learner(is_staff=True)

    version_promote(version_id=second.pk, by_id=by.pk, reason="更好")
    version_promote(version_id=first.pk, by_id=by.pk, reason="回头看")

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("serving", "retired")
    pointer = ServingPointer.objects.get()
    assert (pointer.version_id, pointer.moved_by_id, pointer.reason) == (
        first.pk,
        by.pk,
        "回头看",
    )


def test_rolling_back_returns_to_the_version_before(shop, serve):
    first = serve("popular", "v1")
    version_promote(version_id=first.pk)
    with pytest.raises(NothingToRollBack):
        version_roll_back()
    second = serve("popular", "v2")
    version_promote(version_id=second.pk)

    assert version_roll_back() == first
    assert ModelVersion.objects.get(status="serving") == first


def test_a_version_without_files_cannot_be_promoted(shop, serve, model_dir):
    version = serve("popular", "v1")
    (model_dir / "v1").rename(model_dir / "elsewhere")

    with pytest.raises(ArtifactMissing):
        version_promote(version_id=version.pk)


def test_the_web_imports_neither_torch_nor_scipy():
    code = (
        "import django, sys; django.setup(); import kpay_site.urls; import kpay_site.celery;"
        "from django.urls import get_resolver; get_resolver().check();"
        "bad = {'torch', 'scipy', 'sklearn', 'pandas'} & set(sys.modules); print(sorted(bad));"
        "sys.exit(1 if bad else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env={
            "DJANGO_SETTINGS_MODULE": "kpay_site.settings",
            "PATH": "/usr/bin:/bin",
            "KPAY_ENV": "development",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert holder.current is None
