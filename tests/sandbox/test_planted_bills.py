"""Differences planted in bills, and bills that arrive damaged (G15)."""

import gzip
import hashlib
import json
from datetime import datetime, timedelta, timezone

import pytest
import requests

from tests.sandbox.bills import ask, fetch, parsed
from wechat_sandbox.client import SandboxRefusedError

BEIJING = timezone(timedelta(hours=8))


@pytest.fixture
def day(platform):
    """Yesterday in Beijing with three orders and a refund, ready to be fetched."""
    now = datetime.now(BEIJING)
    platform.set_clock(now.replace(hour=11, minute=0).isoformat())
    day = (now - timedelta(days=1)).date().isoformat()
    rows = [
        {"out_trade_no": f"K00000{n}", "transaction_id": f"420{n}", "amount_fen": 1000 * n}
        for n in (1, 2, 3)
    ]
    rows[2]["refunds"] = [{"out_refund_no": "R3", "amount_fen": 500}]
    platform.seed_bill(day, rows)
    return day


def numbers(sdk, day):
    rows = parsed(fetch(sdk, day))[1]
    return [
        (r["商户退款单号"], r["退款金额"]) if r["退款状态"] else (r["商户订单号"], r["订单金额"])
        for r in rows
    ]


def test_dropped_orders_and_refunds_are_missing_everywhere(platform, sdk, day):
    platform.plant(day, drop=["K000001", "R3"])

    flow, summary = parsed(fetch(sdk, day, "fundflow"))[1:]

    assert numbers(sdk, day) == [("K000002", "20.00"), ("K000003", "30.00")]
    assert {r["业务凭证号"] for r in flow} == {"K000002", "K000003"}
    assert summary["收入金额"] == "50.00"
    assert json.loads(sdk.query(out_trade_no="K000001")[1])["trade_state"] == "SUCCESS"


def test_amounts_and_statuses_are_told_wrongly(platform, sdk, day):
    platform.plant(day, amounts={"4202": 1999, "R3": 501}, statuses={"R3": "PROCESSING"})

    _, rows, summary = parsed(fetch(sdk, day))

    assert numbers(sdk, day) == [
        ("K000001", "10.00"),
        ("K000002", "19.99"),
        ("K000003", "30.00"),
        ("R3", "5.01"),
    ]
    assert rows[-1]["退款状态"] == "PROCESSING"
    assert (summary["订单总金额"], summary["退款总金额"]) == ("59.99", "5.01")
    assert json.loads(sdk.query_refund("R3")[1])["amount"]["refund"] == 500


def test_rows_for_what_never_happened(platform, sdk, day):
    platform.plant(
        day,
        extra=[
            {
                "kind": "payment",
                "out_trade_no": "K000009",
                "amount_fen": 77,
                "at": f"{day}T00:00:01+08:00",
            },
            {
                "kind": "refund",
                "out_trade_no": "K000001",
                "out_refund_no": "R9",
                "amount_fen": 5,
                "status": "ABNORMAL",
                "at": f"{day}T23:59:59+08:00",
            },
        ],
    )

    rows = parsed(fetch(sdk, day))[1]

    assert numbers(sdk, day)[0] == ("K000009", "0.77")
    assert numbers(sdk, day)[-1] == ("R9", "0.05")
    assert rows[-1]["退款状态"] == "ABNORMAL"
    assert sdk.query(out_trade_no="K000009")[0] == 404


def test_money_that_moved_for_other_reasons_is_in_the_fund_flow_alone(platform, sdk, day):
    platform.plant(
        day,
        extra=[
            {"kind": "flow", "name": "提现", "direction": "out", "amount_fen": 100000},
            {
                "kind": "flow",
                "name": "充值",
                "direction": "in",
                "amount_fen": 1,
                "account": "OPERATION",
            },
        ],
    )

    basic = parsed(fetch(sdk, day, "fundflow"))[1]
    operation = parsed(fetch(sdk, day, "fundflow", "OPERATION"))[1]

    moves = [(r["业务名称"], r["收支类型"], r["收支金额(元)"]) for r in basic]
    assert moves.count(("提现", "支出", "1000.00")) == 1
    assert [(r["业务名称"], r["账户结余(元)"]) for r in operation] == [("充值", "0.01")]
    assert len(numbers(sdk, day)) == 4


def test_a_difference_can_stand_in_one_of_the_two_bills(platform, sdk, day):
    platform.plant(day, bill="fundflow", drop=["K000001"])

    flow = parsed(fetch(sdk, day, "fundflow"))[1]

    assert "K000001" not in {r["业务凭证号"] for r in flow}
    assert numbers(sdk, day)[0] == ("K000001", "10.00")


def test_a_bill_that_was_made_already_can_still_be_changed_and_changed_back(platform, sdk, day):
    before = fetch(sdk, day)

    platform.plant(day, drop=["K000001"])
    assert fetch(sdk, day) != before

    platform.forget_bill(day)
    assert fetch(sdk, day) == before


def test_a_bill_without_any_row_left_does_not_exist(platform, sdk, day):
    platform.plant(day, drop=["K000001", "K000002", "K000003", "R3"])

    assert ask(sdk, day)[1]["code"] == "NO_STATEMENT_EXIST"


def test_reading_the_rows_shows_what_the_file_says_and_freezes_nothing(platform, sdk, day):
    platform.plant(day, amounts={"K000001": 1})
    preview = platform.bill(day)
    assert preview["frozen_at"] is None
    assert preview["planted"]["trade"]["amounts"] == {"K000001": 1}

    rows, summary = parsed(fetch(sdk, day))[1:]

    assert preview["trade"] == {"rows": rows, "summary": summary}
    assert platform.bill(day)["frozen_at"] is not None
    assert platform.bill(day)["state"] == "ready"


@pytest.mark.parametrize("tar_type", [None, "GZIP"])
def test_a_corrupt_bill_reads_well_and_is_not_what_the_hash_says(platform, sdk, day, tar_type):
    reply = ask(sdk, day, tar_type=tar_type)[1]
    platform.fault("corrupt_bill", on="api", count=1)

    spoiled, right = [sdk.download_bill(reply["download_url"])[1] for _ in range(2)]

    if tar_type:
        spoiled, right = gzip.decompress(spoiled), gzip.decompress(right)
    assert sha1(right) == reply["hash_value"] != sha1(spoiled)
    assert len(spoiled) == len(right)
    assert len(parsed(spoiled.decode())[1]) == 4


def test_a_bill_can_be_cut_in_the_middle(platform, sdk, day):
    reply = ask(sdk, day)[1]
    platform.fault("corrupt_bill:cut", on="api", count=1)
    platform.fault("corrupt_bill:reset", on="api", count=1)

    half = sdk.download_bill(reply["download_url"])[1]
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        sdk.download_bill(reply["download_url"])
    whole = sdk.download_bill(reply["download_url"])[1]

    assert whole.startswith(half)
    assert len(half) == len(whole) // 2
    assert sha1(whole) == reply["hash_value"]


def test_a_link_can_be_over_before_its_time(platform, sdk, day):
    platform.fault("expired_url", on="api", count=1)
    url = ask(sdk, day)[1]["download_url"]
    assert json.loads(sdk.download_bill(url)[1])["code"] == "INVALID_REQUEST"

    platform.fault("expired_url", on="api", path="/v3/bill/", count=1)
    dead, living = [ask(sdk, day)[1]["download_url"] for _ in range(2)]
    assert sdk.download_bill(dead)[0] == 400
    assert sdk.download_bill(living)[0] == 200


def test_seeded_rows_that_contradict_the_book_are_refused_as_a_whole(platform, sdk, day):
    good = {"out_trade_no": "K000010", "amount_fen": 100}
    for wrong, code in [
        ({"out_trade_no": "K000001", "amount_fen": 1}, "order_exists"),
        ({"out_trade_no": "K000011", "amount_fen": 1, "transaction_id": "4201"}, "transaction_exi"),
        ({"out_trade_no": "K000011"}, "invalid_amount_fen"),
        ({"out_trade_no": "K1", "amount_fen": 1}, "invalid_out_trade_no"),
        (good | {"success_at": "2020-01-01T00:00:00+08:00"}, "invalid_success_at"),
        (
            {
                "out_trade_no": "K000011",
                "amount_fen": 9,
                "refunds": [
                    {"out_refund_no": "R10", "amount_fen": 5},
                    {"out_refund_no": "R11", "amount_fen": 5},
                ],
            },
            "invalid_amount_fen",
        ),
    ]:
        with pytest.raises(SandboxRefusedError, match=code):
            platform.seed_bill(day, [good, wrong])
        assert sdk.query(out_trade_no="K000010")[0] == 404
    for bad in ({"drop": "K1"}, {"amounts": {"K1": "1"}}, {"extra": [{}]}, {"dropped": []}):
        with pytest.raises(SandboxRefusedError, match="400 invalid_"):
            platform.plant(day, **bad)
    with pytest.raises(SandboxRefusedError, match="400 invalid_date"):
        platform.bill("yesterday")


def test_a_seeded_order_is_refunded_as_any_other(platform, sdk, day, receiver):
    platform.settings(refund_gap_seconds=0)
    status, text = sdk.refund(
        "R2", {"refund": 700, "total": 2000, "currency": "CNY"}, transaction_id="4202"
    )

    assert (status, json.loads(text)["out_trade_no"]) == (200, "K000002")


def sha1(content):
    return hashlib.sha1(content).hexdigest()  # noqa: S324
