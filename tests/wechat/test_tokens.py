"""The access token: one refresher, one retry, nothing in clear."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from django.db import connection, connections

from kernel.crypto import decrypt
from wechat.errors import WeChatNotConfigured, WeChatNotNow, WeChatRefused
from wechat.models import PlatformToken
from wechat.mp import mp_client
from wechat.oa import oa_client

STABLE = "/cgi-bin/stable_token"


@pytest.mark.django_db(transaction=True)
def test_eight_threads_that_need_a_token_fetch_one(sandbox):
    people = [sandbox.user(follows_oa=True)["oa_openid"] for _ in range(8)]
    together = Barrier(8)

    def run(openid):
        try:
            together.wait(timeout=10)
            return oa_client().user_info(openid)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        infos = list(pool.map(run, people))

    assert [info.openid for info in infos] == people
    assert all(info.subscribed and info.unionid for info in infos)
    assert len(sandbox.calls(STABLE)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_dead_token_is_replaced_once_for_eight_threads(sandbox):
    openid = sandbox.user(follows_oa=True)["oa_openid"]
    oa_client().user_info(openid)
    sandbox.reset()  # the platform forgets its tokens: ours is answered by 40001
    people = [sandbox.user(follows_oa=True)["oa_openid"] for _ in range(8)]
    together = Barrier(8)

    def run(openid):
        try:
            together.wait(timeout=10)
            return oa_client().user_info(openid).subscribed
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(run, people))

    assert len(sandbox.calls(STABLE)) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_a_token_that_stays_refused_is_retried_once_and_no_more(sandbox, errcode):
    openid = sandbox.user(follows_oa=True)["oa_openid"]
    sandbox.fault(f"errcode:{errcode}", on="api", path="/cgi-bin/user/info")

    with pytest.raises(WeChatNotNow) as error:
        oa_client().user_info(openid)

    assert error.value.wechat_code == str(errcode)
    assert len(sandbox.calls("/cgi-bin/user/info")) == 2
    # The first token; the same again in normal mode; a forced one.
    assert len(sandbox.calls(STABLE)) == 3


@pytest.mark.django_db
def test_a_token_is_used_until_its_end_and_lies_encrypted(sandbox):
    openid = sandbox.user(follows_oa=True)["oa_openid"]
    oa_client().user_info(openid)
    oa_client().user_info(openid)
    assert len(sandbox.calls(STABLE)) == 1

    kept = PlatformToken.objects.get()
    token = decrypt(kept.token_encrypted, context=f"wechat.token:{oa_client().appid}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(t)::text FROM wechat_platformtoken t")
        (row,) = cursor.fetchone()
    assert token.startswith("S")
    assert token not in row
    life = (kept.renew_at - kept.fetched_at).total_seconds()
    # Renewable in the last 300 s only (A3), spread so that accounts do not ask together.
    assert 7200 - 300 <= life <= 7200 - 90

    sandbox.advance(7200)
    oa_client().user_info(openid)
    assert len(sandbox.calls(STABLE)) == 2


@pytest.mark.django_db
def test_the_two_apps_have_tokens_of_their_own(sandbox):
    person = sandbox.user(follows_oa=True)
    sandbox.login_code(person["openid"])  # content security asks about visitors of two hours

    oa_client().user_info(person["oa_openid"])
    assert mp_client().check_text(person["openid"], "你好", 2) == "pass"

    assert PlatformToken.objects.count() == 2


@pytest.mark.django_db
def test_a_field_key_that_is_gone_costs_one_fetch(sandbox, settings):
    openid = sandbox.user(follows_oa=True)["oa_openid"]
    oa_client().user_info(openid)
    settings.KPAY = replace(settings.KPAY, field_keys=(("new", b"k" * 32),))

    assert oa_client().user_info(openid).subscribed


@pytest.mark.django_db
def test_long_texts_are_judged_whole(sandbox):
    sandbox.settings(risky_words=["赌博"])
    openid = sandbox.user()["openid"]
    sandbox.login_code(openid)

    assert mp_client().check_text(openid, "好" * 2600 + "赌博", 2) == "risky"
    assert len(sandbox.calls("/wxa/msg_sec_check")) == 2


@pytest.mark.django_db
def test_system_busy_is_tried_once_more(sandbox):
    openid = sandbox.user(follows_oa=True)["oa_openid"]
    sandbox.fault("errcode:-1", on="api", path="/cgi-bin/user/info", count=1)
    assert oa_client().user_info(openid).subscribed

    sandbox.fault("errcode:-1", on="api", path="/cgi-bin/user/info")
    with pytest.raises(WeChatNotNow):
        oa_client().user_info(openid)
    assert len(sandbox.calls("/cgi-bin/user/info")) == 4


@pytest.mark.django_db
def test_a_wrong_secret_is_the_operators_matter(sandbox, settings):
    wechat = replace(settings.KPAY.wechat, oa_secret="0" * 32)
    settings.KPAY = replace(settings.KPAY, wechat=wechat)

    with pytest.raises(WeChatNotConfigured) as error:
        oa_client().user_info("oX")

    assert error.value.wechat_code == "40125"


@pytest.mark.django_db
def test_a_platform_that_cannot_be_reached_is_not_now(settings):
    wechat = replace(settings.KPAY.wechat, api_base="http://127.0.0.1:9", oa_secret="s")
    settings.KPAY = replace(settings.KPAY, wechat=wechat)

    with pytest.raises(WeChatNotNow) as error:
        oa_client().user_info("oX")

    assert "0.0.1" not in str(error.value)


@pytest.mark.django_db
def test_chinese_goes_out_as_it_is(sandbox):
    person = sandbox.user(follows_oa=True)
    with pytest.raises(WeChatRefused) as refused:
        oa_client().send_custom_text(person["oa_openid"], "你好")

    assert refused.value.wechat_code == "45015"
