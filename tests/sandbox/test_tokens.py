"""Access tokens on the platform's clock (`wechat.md` A3, G3, G4)."""

import pytest


@pytest.fixture
def stable(http, env):
    def ask(**more):
        body = {
            "grant_type": "client_credential",
            "appid": env["KPAY_WECHAT_MP_APPID"],
            "secret": env["KPAY_WECHAT_MP_SECRET"],
        }
        return http("POST", "/cgi-bin/stable_token", json=body | more)

    return ask


@pytest.fixture
def plain(http, env):
    def ask():
        query = {
            "grant_type": "client_credential",
            "appid": env["KPAY_WECHAT_OA_APPID"],
            "secret": env["KPAY_WECHAT_OA_SECRET"],
        }
        return http("GET", "/cgi-bin/token", params=query)["access_token"]

    return ask


@pytest.fixture
def errcode(http):
    """What the platform says to this token: 40003 means that the token is good."""

    def ask(token, path="/wxa/checksession"):
        query = {"access_token": token, "openid": "nobody"}
        return http("GET", path, params=query)["errcode"]

    return ask


def test_a_stable_token_stays_the_same_and_its_life_counts_down(platform, stable):
    first = stable()
    platform.advance(1000)
    second = stable()

    assert first["expires_in"] == 7200
    assert second["access_token"] == first["access_token"]
    assert 6190 <= second["expires_in"] <= 6200


def test_a_stable_token_is_renewed_in_its_last_five_minutes_and_the_old_one_lives_on(
    platform, stable, errcode
):
    old = stable()["access_token"]
    platform.advance(7200 - 299)
    fresh = stable()["access_token"]

    assert fresh != old
    assert errcode(old) == 40003
    platform.advance(300)
    assert errcode(old) == 42001
    assert errcode(fresh) == 40003


def test_a_forced_refresh_kills_the_old_token_at_once(platform, stable, errcode):
    old = stable()["access_token"]

    fresh = stable(force_refresh=True)["access_token"]

    assert errcode(old) == 40001
    assert errcode(fresh) == 40003


def test_forcing_twice_within_thirty_seconds_and_a_twenty_first_time_a_day_is_refused(
    platform, stable
):
    platform.set_clock("2026-03-01T08:00:00+08:00")

    answers = []
    for _ in range(21):
        answers.append(stable(force_refresh=True).get("errcode", 0))
        answers.append(stable(force_refresh=True).get("errcode", 0))
        platform.advance(31)

    assert answers[:40] == [0, 45011] * 20
    assert answers[40] == 45009


def test_a_plain_token_outlives_its_successor_by_five_minutes(platform, plain, errcode):
    old = plain()
    fresh = plain()

    assert errcode(old, "/cgi-bin/user/info") == 40003
    platform.advance(301)
    assert errcode(old, "/cgi-bin/user/info") == 42001
    assert errcode(fresh, "/cgi-bin/user/info") == 40003


def test_the_two_endpoints_do_not_end_each_others_tokens(platform, http, env, stable, errcode):
    query = {
        "grant_type": "client_credential",
        "appid": env["KPAY_WECHAT_MP_APPID"],
        "secret": env["KPAY_WECHAT_MP_SECRET"],
    }
    by_plain = http("GET", "/cgi-bin/token", params=query)["access_token"]

    stable(force_refresh=True)

    assert errcode(by_plain) == 40003


def test_garbage_missing_and_foreign_tokens_are_told_apart(platform, plain, errcode):
    assert errcode("garbage") == 40001
    assert errcode("") == 41001
    assert errcode(plain()) == 48001


def test_a_quota_refuses_until_it_is_cleared(platform, http, env, stable):
    platform.settings(quotas={"/wxa/msg_sec_check": 1})
    token = stable()["access_token"]
    address = f"/wxa/msg_sec_check?access_token={token}"

    first = http("POST", address, json={"content": "你好"})
    second = http("POST", address, json={"content": "你好"})
    cleared = http(
        "POST",
        f"/cgi-bin/clear_quota?access_token={token}",
        json={"appid": env["KPAY_WECHAT_MP_APPID"]},
    )
    third = http("POST", address, json={"content": "你好"})

    assert [r["errcode"] for r in (first, second, cleared, third)] == [0, 45009, 0, 0]


def test_an_address_outside_the_whitelist_is_refused(platform, stable, errcode):
    platform.settings(ip_whitelist=["10.0.0.1"])

    assert stable()["errcode"] == 40164


def test_bad_bodies_are_named(platform, http, stable):
    assert http("POST", "/cgi-bin/stable_token", data=b"{")["errcode"] == 47001
    assert http("POST", "/cgi-bin/stable_token", data=b"")["errcode"] == 44002
    assert http("GET", "/cgi-bin/stable_token")["errcode"] == 43002
    assert stable(secret="0" * 32)["errcode"] == 40125
    assert stable(force_refresh="yes")["errcode"] == 47001
