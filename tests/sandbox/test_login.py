"""Login, phone and OAuth codes."""

import pytest


def session_query(env, code, **changed):
    query = {
        "appid": env["KPAY_WECHAT_MP_APPID"],
        "secret": env["KPAY_WECHAT_MP_SECRET"],
        "js_code": code,
        "grant_type": "authorization_code",
    }
    return query | changed


def mp_token(http, env):
    reply = http(
        "POST",
        "/cgi-bin/stable_token",
        json={
            "grant_type": "client_credential",
            "appid": env["KPAY_WECHAT_MP_APPID"],
            "secret": env["KPAY_WECHAT_MP_SECRET"],
        },
    )
    return reply["access_token"]


def test_a_login_code_tells_who_logged_in_once_and_never_again(platform, http, env):
    user = platform.user()
    query = session_query(env, platform.login_code(user["openid"]))

    first = http("GET", "/sns/jscode2session", params=query)
    second = http("GET", "/sns/jscode2session", params=query)

    assert first == {name: user[name] for name in ("openid", "session_key", "unionid")}
    assert second["errcode"] == 40163
    assert " rid: " in second["errmsg"]


def test_a_login_code_dies_after_five_minutes(platform, http, env):
    code = platform.login_code(platform.user()["openid"])

    platform.advance(301)

    reply = http("GET", "/sns/jscode2session", params=session_query(env, code))
    assert reply["errcode"] == 40029


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"js_code": "garbage"}, 40029),
        ({"js_code": ""}, 41008),
        ({"appid": "wx0000000000000000"}, 40013),
        ({"secret": "0" * 32}, 40125),
        ({"secret": ""}, 41004),
        ({"grant_type": "client_credential"}, 40002),
    ],
)
def test_a_wrong_login_is_refused_with_its_code(platform, http, env, changed, errcode):
    code = platform.login_code(platform.user()["openid"])

    reply = http("GET", "/sns/jscode2session", params=session_query(env, code, **changed))

    assert reply["errcode"] == errcode


def test_a_user_without_unionid_has_none(platform, http, env):
    user = platform.user(unionid=None)

    query = session_query(env, platform.login_code(user["openid"]))

    assert "unionid" not in http("GET", "/sns/jscode2session", params=query)


def test_the_hundred_and_first_login_within_a_minute_is_too_frequent(platform, http, env):
    openid = platform.user()["openid"]

    replies = [
        http(
            "GET",
            "/sns/jscode2session",
            params=session_query(env, platform.login_code(openid)),
        )
        for _ in range(101)
    ]

    assert [r.get("errcode", 0) for r in replies] == [0] * 100 + [45011]


def test_a_phone_code_is_not_a_login_code_and_works_once(platform, http, env):
    user = platform.user(phone="13912345678")
    address = f"/wxa/business/getuserphonenumber?access_token={mp_token(http, env)}"
    code = platform.phone_code(user["openid"])

    wrong = http("POST", address, json={"code": platform.login_code(user["openid"])})
    foreign = platform.phone_code(user["openid"], appid="wx0000000000000000")
    other_app = http("POST", address, json={"code": foreign})
    right = http("POST", address, json={"code": code})
    again = http("POST", address, json={"code": code})

    assert wrong["errcode"] == 40029
    assert other_app["errcode"] == 40013
    assert right["phone_info"]["purePhoneNumber"] == "13912345678"
    assert right["phone_info"]["watermark"]["appid"] == env["KPAY_WECHAT_MP_APPID"]
    assert again["errcode"] == 40163


def test_oauth_tells_the_official_accounts_openid_and_snapshot_users(platform, http, env):
    user = platform.user()
    query = {
        "appid": env["KPAY_WECHAT_OA_APPID"],
        "secret": env["KPAY_WECHAT_OA_SECRET"],
        "code": platform.oauth_code(user["openid"], scope="snsapi_userinfo", snapshot=True),
        "grant_type": "authorization_code",
    }

    reply = http("GET", "/sns/oauth2/access_token", params=query)
    info = http(
        "GET",
        "/sns/userinfo",
        params={"access_token": reply["access_token"], "openid": reply["openid"]},
    )

    assert reply["openid"] == user["oa_openid"] == info["openid"]
    assert reply["is_snapshotuser"] == 1
    assert info["unionid"] == user["unionid"]
