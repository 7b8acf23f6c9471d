"""Codes to scan and pages outside WeChat: no payer is named, whoever opens them pays (D3)."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from wechatpayv3 import WeChatPayType

from wechat_sandbox.client import SandboxRefusedError

SCENE = {"payer_client_ip": "127.0.0.1", "h5_info": {"type": "Wap"}}


@pytest.fixture
def native(sdk, platform):
    def ask(number="T000011", **changed):
        status, text = sdk.pay(
            "课程", number, {"total": 9900}, pay_type=WeChatPayType.NATIVE, **changed
        )
        return status, json.loads(text)

    return ask


@pytest.fixture
def h5(sdk, platform):
    def ask(number="T000012", scene_info=SCENE):
        status, text = sdk.pay(
            "课程", number, {"total": 9900}, pay_type=WeChatPayType.H5, scene_info=scene_info
        )
        return status, json.loads(text)

    return ask


def order(sdk, number):
    return json.loads(sdk.query(out_trade_no=number)[1])


def test_a_native_order_answers_with_a_code_and_an_h5_order_with_a_page(native, h5):
    status, code = native()
    assert status == 200
    assert list(code) == ["code_url"]
    assert re.fullmatch(r"weixin://wxpay/bizpayurl\?pr=\w+", code["code_url"])

    status, page = h5()
    assert status == 200
    assert list(page) == ["h5_url"]
    parts = urlsplit(page["h5_url"])
    assert (parts.scheme, parts.netloc) == ("https", "wx.tenpay.com")
    assert parts.path == "/cgi-bin/mmpayweb-bin/checkmweb"
    assert set(parse_qs(parts.query)) == {"prepay_id", "package"}


@pytest.mark.parametrize(
    "scene",
    [
        {"device_id": "1"},
        {"payer_client_ip": "127.0.0.1"},
        {"h5_info": {"type": "Wap"}},
        {"payer_client_ip": "127.0.0.1", "h5_info": {"type": "Fridge"}},
        {"payer_client_ip": "127.0.0.1", "h5_info": "Wap"},
    ],
)
def test_an_h5_order_says_from_where_it_is_paid(h5, scene):
    status, reply = h5(scene_info=scene)

    assert (status, reply["code"]) == (400, "PARAM_ERROR")


@pytest.mark.parametrize(("kind", "trade_type"), [("native", "NATIVE"), ("h5", "MWEB")])
def test_the_payer_appears_once_it_is_paid_in_the_query_and_in_the_notify(
    request, platform, sdk, receiver, payer, kind, trade_type
):
    request.getfixturevalue(kind)("T000013")
    before = order(sdk, "T000013")

    platform.pay("T000013", openid=payer["openid"])

    after = order(sdk, "T000013")
    told = sdk.callback(*receiver.notifies()[0])["resource"]
    assert (before["trade_state"], before["payer"]) == ("NOTPAY", {})
    assert (after["trade_state"], after["trade_type"]) == ("SUCCESS", trade_type)
    assert after["payer"] == told["payer"] == {"openid": payer["openid"]}
    assert (told["trade_type"], told["amount"]["total"]) == (trade_type, 9900)


def test_somebody_never_seen_before_pays_when_nobody_is_named(platform, sdk, native, payer):
    native("T000014")
    native("T000015")

    platform.pay("T000014")
    platform.pay("T000015")

    openids = {order(sdk, number)["payer"]["openid"] for number in ("T000014", "T000015")}
    assert len(openids) == 2
    assert payer["openid"] not in openids
    assert {len(openid) for openid in openids} == {28}
    assert {openid[0] for openid in openids} == {"o"}


def test_a_known_person_is_told_by_the_openid_of_the_orders_app(
    platform, make_sdk, env, payer, receiver
):
    sdk = make_sdk(appid=env["KPAY_WECHAT_OA_APPID"])
    status, _ = sdk.pay("课程", "T000016", {"total": 1}, pay_type=WeChatPayType.NATIVE)
    assert status == 200

    platform.pay("T000016", openid=payer["openid"])

    assert order(sdk, "T000016")["payer"] == {"openid": payer["oa_openid"]}


def test_a_page_is_open_for_five_minutes_and_a_code_for_two_hours(platform, native, h5):
    first_page = h5("T000017")
    first_code = native("T000018")
    platform.advance(301)

    with pytest.raises(SandboxRefusedError, match="prepay_expired"):
        platform.pay("T000017")
    assert native("T000018") == first_code
    assert platform.pay("T000018")["trade_state"] == "SUCCESS"

    assert h5("T000017")[1]["h5_url"] != first_page[1]["h5_url"]
    assert platform.pay("T000017")["trade_state"] == "SUCCESS"


def test_a_number_belongs_to_one_way_of_paying(native, h5):
    assert native("T000019")[0] == 200

    status, reply = h5("T000019")

    assert (status, reply["code"]) == (403, "OUT_TRADE_NO_USED")
