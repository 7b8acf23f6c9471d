"""The official account and the message server over HTTP, as the sandbox pushes."""

import time

import pytest
import requests

from accounts.models import Identity, User
from kernel.models import OutboxRow
from kernel.outbox import deliver_due
from messaging.models import MessageEvent
from recommender.models import FeedRequest
from recommender.serving import catalogue
from tests import ports
from tests.messaging.conftest import TITLES

pytestmark = pytest.mark.django_db(transaction=True)


def content(answer):
    assert answer["status"] == 200, answer
    assert answer["error"] in (None, ""), answer
    return answer["message"]["Content"]


@pytest.mark.parametrize("app", ["oa", "mp"])
def test_the_address_proves_itself(account, app):
    assert account.verify(app)["verified"] is True
    assert account.verify(app, tamper=True)["status"] == 403


def test_a_new_follower_is_welcomed_and_the_channel_is_kept(account):
    person = account.user()

    answer = account.push(
        "oa", person["oa_openid"], "subscribe", fields={"EventKey": "qrscene_poster7"}
    )

    assert answer["encrypted"] is True
    assert answer["message"]["MsgType"] == "text"
    assert answer["message"]["ToUserName"] == person["oa_openid"]
    assert "欢迎" in content(answer)
    assert "推荐" in content(answer)
    identity = Identity.objects.get()
    assert (identity.app, identity.openid) == ("oa", person["oa_openid"])
    assert (identity.followed, identity.entry_scene) == (True, "poster7")


def test_a_followers_unionid_is_learnt_later_and_joins_the_accounts(account, person):
    before = account.last_call()

    account.push("oa", person["oa_openid"], "subscribe")

    assert account.calls("/cgi-bin", since=before) == []
    assert Identity.objects.get(app="oa").user is None
    deliver_due()
    joined = Identity.objects.get(app="oa")
    assert joined.unionid == person["unionid"]
    assert joined.user == User.objects.get()
    assert len(account.calls("/cgi-bin/user/info", since=before)) == 1
    assert not OutboxRow.objects.exclude(state="done").exists()


def test_a_first_message_alone_is_enough_to_learn_who_it_is(account, person):
    account.push("oa", person["oa_openid"], "text", content="你好")
    account.push("oa", person["oa_openid"], "text", content="在吗")
    deliver_due()

    known = Identity.objects.get(app="oa")
    assert (known.user, known.followed) == (User.objects.get(), True)
    assert len(account.calls("/cgi-bin/user/info")) == 1


@pytest.mark.parametrize("word", ["推荐", "推荐课程", "recommend", "请推荐！"])
def test_recommend_is_answered_with_three_courses_and_reasons(account, shop, word):
    answer = account.push("oa", account.user()["oa_openid"], "text", content=word)

    text = content(answer)
    assert all(title in text for title in TITLES)
    assert [f"{n}. " in text for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert text.count("推荐理由：") == 3
    assert len(text.encode()) <= 2048
    assert answer["seconds"] < 1


def test_somebody_we_know_gets_personal_courses_without_a_network_call(account, shop, person):
    account.push("oa", person["oa_openid"], "subscribe")
    deliver_due()
    before = account.last_call()

    answer = account.push("oa", person["oa_openid"], "text", content="推荐")

    assert content(answer).count("推荐理由：") == 3
    assert account.calls(since=before) == []
    shown = FeedRequest.objects.get()
    assert shown.user == User.objects.get()
    assert shown.surface == "message"
    assert set(shown.items) == {course.pk for course in shop}


def test_an_empty_shop_says_so(account):
    catalogue.forget_all()
    answer = account.push("oa", account.user()["oa_openid"], "text", content="推荐")

    assert "准备中" in content(answer)


@pytest.mark.parametrize(("kind", "fields"), [("text", {"content": "??"}), ("image", {})])
def test_anything_else_is_answered_with_the_keywords(account, kind, fields):
    answer = account.push("oa", account.user()["oa_openid"], kind, **fields)

    assert "回复“推荐”" in content(answer)


def test_eight_repeats_at_once_get_the_same_bytes_and_have_one_effect(account, shop, person):
    account.push("oa", person["oa_openid"], "subscribe")
    deliver_due()
    account.fault("duplicate", on="push", copies=8, count=1)

    answer = account.push("oa", person["oa_openid"], "text", content="推荐", fields={"MsgId": 42})

    deliveries = answer["deliveries"]
    assert [d["status"] for d in deliveries] == [200] * 8
    assert len({d["body"] for d in deliveries}) == 1
    assert MessageEvent.objects.filter(dedupe_key="msg:42").count() == 1
    assert FeedRequest.objects.count() == 1
    again = account.push("oa", person["oa_openid"], "text", content="推荐", fields={"MsgId": 42})
    assert again["raw_body"] == deliveries[0]["body"]
    assert FeedRequest.objects.count() == 1


def test_one_who_leaves_is_no_follower_and_one_who_returns_is(account, person):
    openid = person["oa_openid"]
    now = int(time.time())
    account.push("oa", openid, "subscribe", fields={"CreateTime": now})

    left = account.push("oa", openid, "unsubscribe", fields={"CreateTime": now + 1})
    assert (left["status"], left["raw_body"]) == (200, "success")
    assert Identity.objects.get(app="oa").followed is False

    account.push("oa", openid, "subscribe", fields={"CreateTime": now + 2})
    assert Identity.objects.get(app="oa").followed is True


def test_an_old_push_that_comes_late_changes_nothing(account, person):
    openid, now = person["oa_openid"], int(time.time())
    account.push("oa", openid, "unsubscribe", fields={"CreateTime": now})

    account.push("oa", openid, "subscribe", fields={"CreateTime": now - 5})

    assert Identity.objects.get(app="oa").followed is False
    assert MessageEvent.objects.count() == 2


def test_the_word_for_no_more_marketing_works_at_once(account, person):
    account.push("oa", person["oa_openid"], "subscribe")
    deliver_due()

    answer = account.push("oa", person["oa_openid"], "text", content="退订")

    assert "已为您关闭" in content(answer)
    assert User.objects.get().marketing_messages is False


@pytest.mark.parametrize(
    ("tamper", "status", "code"),
    [
        ("bad_signature", 403, "signature_invalid"),
        ("bad_msg_signature", 403, "signature_invalid"),
        ("stale_timestamp", 403, "signature_invalid"),
        ("wrong_appid", 403, "signature_invalid"),
        ("wrong_aes_key", 403, "signature_invalid"),
        ("plain_downgrade", 403, "signature_invalid"),
        ("entities", 400, "invalid_input"),
        ("garbage", 400, "invalid_input"),
    ],
)
def test_a_forged_push_is_refused_without_effect(account, tamper, status, code):
    before = account.last_call()
    answer = account.push(
        "oa", account.user()["oa_openid"], "subscribe", tamper=tamper, retry=False
    )

    assert answer["status"] == status, answer
    assert f'"code":"{code}"' in answer["raw_body"].replace('": "', '":"')
    assert not MessageEvent.objects.exists()
    assert not Identity.objects.exists()
    assert not OutboxRow.objects.exists()
    assert account.calls("/cgi-bin", since=before) == []


def test_a_body_of_a_megabyte_is_refused_unread(account):
    answer = requests.post(
        f"http://127.0.0.1:{ports.WEB_PORT}/wechat/oa/callback?signature=x",
        data=b"<" * 1_000_000,
        timeout=10,
    )

    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"
    assert "过大" in answer.json()["error"]["message"]


@pytest.mark.parametrize("form", ["json", "xml"])
def test_pushes_of_the_mini_program_are_kept_and_answered_success(account, form):
    person = account.user()
    answer = account.push(
        "mp",
        person["openid"],
        "wxa_media_check",
        format=form,
        fields={"appid": "wx1", "trace_id": "t-1", "result": {"suggest": "pass", "label": 100}},
    )

    assert (answer["status"], answer["raw_body"]) == (200, "success")
    row = MessageEvent.objects.get()
    assert (row.account, row.event, row.openid) == ("mp", "wxa_media_check", person["openid"])
    assert row.fields["trace_id"] == "t-1"
    assert row.fields["result"]["suggest"] == "pass"


def test_two_media_results_of_one_second_are_two_events(account):
    openid, now = account.user()["openid"], int(time.time())
    for trace in ("t-1", "t-2", "t-1"):
        account.push("mp", openid, "wxa_media_check", fields={"trace_id": trace, "CreateTime": now})

    assert MessageEvent.objects.count() == 2


def test_other_methods_are_refused(account):
    answer = requests.put(f"http://127.0.0.1:{ports.WEB_PORT}/wechat/oa/callback", timeout=10)

    assert answer.status_code == 405
