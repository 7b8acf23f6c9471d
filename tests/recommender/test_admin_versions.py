"""Acts on versions: offered where they change something, honest where they do not."""

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from kernel.models import StaffAction
from recommender.models import ModelVersion, ServingPointer, TrainingRun
from recommender.services.versions import version_promote, version_shadow
from tests.builders import make_learner

pytestmark = pytest.mark.django_db

ACTS = ("promote", "shadow", "unshadow")


@pytest.fixture
def operator() -> Client:
    user = make_learner(username="boss", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    return client


def url(version, act):
    return f"/admin/recommender/modelversion/{version.pk}/{act}/"


def said(reply):
    """(level, sentence) of the newest word that the reply leaves for the next page."""
    *_, newest = get_messages(reply.wsgi_request)
    return newest.level_tag, newest.message


def offered(operator, version):
    page = operator.get(f"/admin/recommender/modelversion/{version.pk}/change/").content.decode()
    return {act for act in ACTS if url(version, act) in page}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", ["999", "none", "9" * 40])
def test_a_version_that_is_none_is_not_found(operator, db, act, name):
    address = f"/admin/recommender/modelversion/{name}/{act}/"

    for reply in (operator.get(address), operator.post(address, {"reason": "试试"})):
        assert reply.status_code == 404
        assert "这条记录已不存在" in reply.content.decode()
    assert StaffAction.objects.count() == 0


def test_promoting_what_serves_changes_nothing_and_says_so(operator, shop, serve):
    version = serve("popular", "v1")
    version_promote(version_id=version.pk)
    before = ServingPointer.objects.values().get()

    reply = operator.post(url(version, "promote"), {"reason": "再来"})

    assert said(reply) == ("warning", "该版本已在线上，没有任何改变。")
    assert ServingPointer.objects.values().get() == before
    assert StaffAction.objects.count() == 0


def test_a_shadow_that_is_none_ends_not_and_one_that_runs_begins_not(operator, shop, serve):
    version = serve("popular", "v1")
    reply = operator.post(url(version, "unshadow"), {"reason": "够了"})
    assert said(reply) == ("warning", "该版本不在影子对比中，没有任何改变。")

    version_shadow(version_id=version.pk, on=True)
    begun = ModelVersion.objects.get().shadowed_at
    reply = operator.post(url(version, "shadow"), {"reason": "再来"})

    assert said(reply) == ("warning", "该版本已在影子对比中，没有任何改变。")
    assert ModelVersion.objects.get().shadowed_at == begun
    assert StaffAction.objects.count() == 0


def test_buttons_stand_only_where_they_act(operator, shop, serve):
    first, second, third = (serve("popular", f"v{n}") for n in (1, 2, 3))
    listed = "/admin/recommender/modelversion/"
    version_promote(version_id=first.pk)
    assert "roll-back/" not in operator.get(listed).content.decode()
    version_promote(version_id=second.pk)
    version_shadow(version_id=third.pk, on=True)

    assert offered(operator, first) == {"promote", "shadow"}
    assert offered(operator, second) == set()  # it serves
    assert offered(operator, third) == {"promote", "unshadow"}
    assert "roll-back/" in operator.get(listed).content.decode()
    ModelVersion.objects.filter(pk=first.pk).update(path="")  # its files are gone
    assert offered(operator, first) == set()


@pytest.mark.parametrize("reason", ["", "   ", "\u3000", "\0"])
def test_a_blank_reason_is_asked_for_again_in_words(operator, db, reason):
    address = "/admin/recommender/trainingrun/train/"
    assert "请填写原因" not in operator.get(address).content.decode()

    reply = operator.post(address, {"reason": reason})

    assert reply.status_code == 200
    assert "请填写原因，不能只有空格。" in reply.content.decode()
    assert TrainingRun.objects.count() == 0
