"""Bills of virtual payment: made on the first ask, fetched once, with planted differences (B3)."""

import csv
import io
from datetime import datetime, timedelta, timezone

import pytest
import requests

from tests.sandbox.virtual import taking
from wechat_sandbox.client import SandboxRefusedError

BEIJING = timezone(timedelta(hours=8))


@pytest.fixture
def billed(shop, receiver):
    """Two live payments, a refund of the first, an Apple payment; then it is tomorrow."""
    taking(receiver)
    shop.pay("V0000001")
    shop.pay("V0000002")
    shop.pay("V0000003", platform="ios")
    shop.pay("V0000004", "cancel")
    shop.platform.settings(xpay_hold_refunds=True)
    shop.refund("R0000001", "V0000001", refund_fee=900)
    shop.refund("R0000002", "V0000002")
    shop.platform.virtual_refund("R0000001")
    shop.platform.virtual_refund("R0000002", "fail")
    shop.day = f"{datetime.now(BEIJING):%Y%m%d}"
    shop.platform.settings(xpay_bill_today=True)
    return shop


def rows(shop, day=None):
    day = day or shop.day
    reply = shop.ask("download_bill", {"begin_ds": int(day), "end_ds": int(day)})
    if reply["errcode"] == 268490011:
        reply = shop.ask("download_bill", {"begin_ds": int(day), "end_ds": int(day)})
    response = requests.get(reply["url"], timeout=5)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode())))


def test_the_first_ask_starts_the_making(billed):
    body = {"begin_ds": billed.day, "end_ds": billed.day}
    assert billed.ask("download_bill", body)["errcode"] == 268490011
    assert billed.ask("download_bill", body)["url"].startswith("http://127.0.0.1:")

    billed.platform.settings(xpay_bill_waits=0, xpay_bill_today=False)
    assert billed.ask("download_bill", body)["errcode"] == 268490011
    for wrong in ({}, {"begin_ds": "20260230"}, {"begin_ds": "99990101"}, {"end_ds": "2026-1-1"}):
        wrong_body = body | wrong if wrong else {}
        assert billed.ask("download_bill", wrong_body)["errcode"] == 268490002


def test_a_bill_lists_what_was_paid_and_given_back_in_fen(billed):
    bill = rows(billed)

    assert [(row["row_type"], row["order_id"]) for row in bill] == [
        ("order", "V0000001"),
        ("order", "V0000002"),
        ("order", "V0000003"),
        ("refund", "V0000001"),
    ]
    assert [row["paid_fee_fen"] for row in bill] == ["9900", "9900", "9900", "0"]
    # 1 % of 9900 is 99, Apple's 12 % is 1188, 1 % of 900 comes back
    assert [row["platform_fee_fen"] for row in bill] == ["99", "99", "1188", "-9"]
    assert (bill[3]["refund_order_id"], bill[3]["refund_fee_fen"]) == ("R0000001", "900")
    assert bill[0]["openid"] == billed.openid
    assert bill[0]["wx_order_id"] == billed.order("V0000001")["wx_order_id"]
    assert {row["status"] for row in bill} == {"PAID", "REFUNDED"}


def test_differences_are_planted_by_control(billed):
    billed.platform.virtual_bill(
        billed.day,
        drop=["V0000002"],
        amounts={"V0000001": 9800, "R0000001": 901},
        statuses={"V0000003": "CLOSED"},
        extra=[{"row_type": "order", "order_id": "V0000099", "paid_fee_fen": 100}],
    )

    bill = {row["refund_order_id"] or row["order_id"]: row for row in rows(billed)}

    assert set(bill) == {"V0000001", "V0000003", "R0000001", "V0000099"}
    assert bill["V0000001"]["paid_fee_fen"] == "9800"
    assert bill["R0000001"]["refund_fee_fen"] == "901"
    assert bill["V0000003"]["status"] == "CLOSED"
    assert bill["V0000099"]["openid"] == ""


def test_wrong_plans_are_refused(billed):
    for plan in ({"drop": "V1"}, {"extra": [{"colour": "red"}]}, {"lost": []}):
        with pytest.raises(SandboxRefusedError, match="^400 invalid_"):
            billed.platform.virtual_bill(billed.day, **plan)
    with pytest.raises(SandboxRefusedError, match="400 invalid_ds"):
        billed.platform.virtual_bill("20261301")


def test_a_day_without_payments_has_a_header_alone(billed):
    assert rows(billed, "20200101") == []


def test_the_address_of_a_bill_lives_half_an_hour(billed):
    billed.platform.settings(xpay_bill_waits=0)
    url = billed.ask("download_bill", {"begin_ds": billed.day, "end_ds": billed.day})["url"]

    billed.platform.advance(1801)

    assert requests.get(url, timeout=5).status_code == 403
