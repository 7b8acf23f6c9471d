"""With one clock for both sides, a payment at midnight falls on its day (G20)."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import wechatpayv3.utils
from wechatpayv3 import WeChatPay, WeChatPayType

from tests.sandbox.bills import ask, fetch, parsed
from wechat_sandbox.client import RunningSandbox


@pytest.fixture
def night(tmp_path, monkeypatch):
    """A sandbox and a merchant that both read one clock file."""
    clock = tmp_path / "clock"
    with RunningSandbox(tmp_path / "keys", clock_file=clock) as sandbox:
        env = sandbox.environment
        moved = SimpleNamespace(time=lambda: time.time() + int(clock.read_text()))
        monkeypatch.setattr(wechatpayv3.utils, "time", moved)
        sdk = WeChatPay(
            WeChatPayType.NATIVE,
            mchid=env["KPAY_WECHAT_MCHID"],
            private_key=Path(env["KPAY_WECHAT_MCH_KEY_FILE"]).read_text(),
            cert_serial_no=env["KPAY_WECHAT_MCH_SERIAL"],
            appid=env["KPAY_WECHAT_MP_APPID"],
            apiv3_key=env["KPAY_WECHAT_APIV3_KEY"],
            notify_url="http://127.0.0.1:1/notify",
            public_key=Path(env["KPAY_WECHAT_PAY_PUBLIC_KEY_FILE"]).read_text(),
            public_key_id=env["KPAY_WECHAT_PAY_PUBLIC_KEY_ID"],
            timeout=20,
        )
        sdk._core._gate_way = sandbox.base_url
        yield SimpleNamespace(platform=sandbox.client, sdk=sdk)


def test_payments_on_either_side_of_midnight_stand_in_two_bills(night):
    platform, sdk = night.platform, night.sdk
    day = datetime.now(UTC).date()
    next_day = day + timedelta(days=1)

    def paid(number, moment):
        platform.set_clock(moment)
        status, text = sdk.pay("课程", number, {"total": 100})
        assert status == 200, text
        platform.pay(number, notify=False)
        return json.loads(sdk.query(out_trade_no=number)[1])["success_time"]

    late = paid("T000001", f"{day}T23:58:00+08:00")
    early = paid("T000002", f"{next_day}T00:00:02+08:00")
    assert (late[:10], early[:10]) == (day.isoformat(), next_day.isoformat())
    assert ask(sdk, day)[1]["code"] == "STATEMENT_CREATING"
    assert ask(sdk, next_day)[1]["code"] == "INVALID_REQUEST"

    platform.set_clock(f"{next_day}T10:00:02+08:00")
    first = parsed(fetch(sdk, day))[1]
    platform.set_clock(f"{next_day + timedelta(days=1)}T10:00:02+08:00")
    second = parsed(fetch(sdk, next_day))[1]

    assert [(r["商户订单号"], r["交易时间"]) for r in first] == [("T000001", shown(late))]
    assert [(r["商户订单号"], r["交易时间"]) for r in second] == [("T000002", shown(early))]


def shown(rfc3339):
    return rfc3339[:19].replace("T", " ")
