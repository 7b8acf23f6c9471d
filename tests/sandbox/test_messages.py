"""Messages to users: windows, grants, followers, content security."""

import json

import pytest


@pytest.fixture
def ask(http, env):
    """Calls an API with a token of the account."""

    def call(account, path, body):
        credentials = {
            "grant_type": "client_credential",
            "appid": env[f"KPAY_WECHAT_{account.upper()}_APPID"],
            "secret": env[f"KPAY_WECHAT_{account.upper()}_SECRET"],
        }
        token = http("POST", "/cgi-bin/stable_token", json=credentials)["access_token"]
        if body is None:
            return http("GET", f"{path}&access_token={token}")
        data = json.dumps(body, ensure_ascii=False).encode()
        return http("POST", f"{path}?access_token={token}", data=data)

    return call


def text(openid, content="您好"):
    return {"touser": openid, "msgtype": "text", "text": {"content": content}}


CUSTOM = "/cgi-bin/message/custom/send"


def test_a_users_message_opens_five_sends_for_two_days(platform, ask):
    user = platform.user(follows_oa=True)
    message = text(user["oa_openid"])
    closed = ask("oa", CUSTOM, message)["errcode"]

    platform.push("oa", user["openid"], content="你好")
    codes = [ask("oa", CUSTOM, message)["errcode"] for _ in range(6)]
    platform.push("oa", user["openid"], content="还在吗")
    platform.advance(48 * 3600 + 1)

    assert closed == 45015
    assert codes == [0] * 5 + [45047]
    assert ask("oa", CUSTOM, message)["errcode"] == 45015
    sent = platform.sent(openid=user["oa_openid"])
    assert [item["message"]["text"]["content"] for item in sent] == ["您好"] * 5
    assert not any(item["escaped"] for item in sent)


def test_following_opens_three_sends_for_a_minute_and_leaving_ends_it(platform, ask):
    user = platform.user()
    message = text(user["oa_openid"])

    platform.push("oa", user["openid"], "subscribe")
    codes = [ask("oa", CUSTOM, message)["errcode"] for _ in range(4)]
    platform.push("oa", user["openid"], "unsubscribe")

    assert codes == [0, 0, 0, 45047]
    assert ask("oa", CUSTOM, message)["errcode"] == 43004


def test_entering_a_mini_program_session_opens_two_sends(platform, ask):
    user = platform.user()

    platform.push("mp", user["openid"], "user_enter_tempsession")
    codes = [ask("mp", CUSTOM, text(user["openid"]))["errcode"] for _ in range(3)]

    assert codes == [0, 0, 45047]


def test_wrong_openids_and_types_are_refused(platform, ask):
    user = platform.user(follows_oa=True)

    assert ask("oa", CUSTOM, text(user["openid"]))["errcode"] == 40003
    assert ask("oa", CUSTOM, {"touser": "x", "msgtype": "sms"})["errcode"] == 40008
    assert ask("oa", CUSTOM, text(user["oa_openid"], ""))["errcode"] == 44004


def test_user_info_tells_who_follows(platform, ask):
    follower, stranger = platform.user(follows_oa=True), platform.user()

    path = "/cgi-bin/user/info?openid="
    known = ask("oa", path + follower["oa_openid"], None)
    unknown = ask("oa", path + stranger["oa_openid"], None)

    assert known["subscribe"] == 1
    assert known["unionid"] == follower["unionid"]
    assert (unknown["subscribe"], "subscribe_time" in unknown) == (0, False)


def test_each_grant_of_a_template_allows_one_send(platform, ask):
    user = platform.user()
    platform.template("TPL1", ["thing1", "time2"])
    platform.grant(user["openid"], "TPL1")
    message = {
        "touser": user["openid"],
        "template_id": "TPL1",
        "data": {"thing1": {"value": "课" * 20}, "time2": {"value": "2026年3月1日 15:01"}},
    }
    path = "/cgi-bin/message/subscribe/send"

    long = json.loads(json.dumps(message))
    long["data"]["thing1"]["value"] += "程"
    refused = ask("mp", path, long)
    codes = [ask("mp", path, message)["errcode"] for _ in range(2)]

    assert refused["errcode"] == 47003
    assert "thing1" in refused["errmsg"]
    assert codes == [0, 43101]
    assert ask("mp", path, message | {"template_id": "TPL2"})["errcode"] == 40037


def test_content_is_judged_by_words_for_users_seen_lately(platform, ask, http, env):
    user = platform.user()
    path = "/wxa/msg_sec_check"
    check = {"version": 2, "scene": 2, "openid": user["openid"], "content": "讲得很好"}
    never_seen = ask("mp", path, check)["errcode"]
    platform.login_code(user["openid"])

    good = ask("mp", path, check)
    risky = ask("mp", path, check | {"content": "来赌博吧"})
    review = ask("mp", path, check | {"content": "加微信聊"})
    platform.advance(2 * 3600 + 1)

    assert never_seen == 61010
    assert good["result"] == {"suggest": "pass", "label": 100}
    assert risky["result"]["suggest"] == "risky"
    assert review["result"]["suggest"] == "review"
    assert ask("mp", path, check)["errcode"] == 61010
    assert ask("mp", path, check | {"scene": 9})["errcode"] == 40129
    assert ask("mp", path, check | {"openid": user["oa_openid"]})["errcode"] == 43104


@pytest.mark.parametrize(
    "path",
    [CUSTOM, "/cgi-bin/message/subscribe/send", "/wxa/msg_sec_check"],
)
def test_odd_values_are_answered_with_an_error_code(platform, ask, path):
    user = platform.user()
    platform.template("TPL1", ["thing1"])
    whole = {
        "touser": user["openid"],
        "msgtype": "text",
        "text": {"content": "您好"},
        "template_id": "TPL1",
        "data": {"thing1": {"value": "x"}},
        "miniprogram_state": "formal",
        "version": 2,
        "scene": 2,
        "openid": user["openid"],
        "content": "您好",
    }

    for name in whole:
        for odd in (None, [], [[]], {}, {"a": [1]}, -1, True, "", 10**400):
            reply = ask("mp", path, whole | {name: odd})

            assert isinstance(reply["errcode"], int), (name, odd)
