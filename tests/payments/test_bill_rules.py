"""What counts as a difference between a bill's line and our row, without a database."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from payments.bill_rules import days_between, difference

SHANGHAI = ZoneInfo("Asia/Shanghai")
OURS = ("requested", "processing", "succeeded", "abnormal", "closed", "rejected")


def kind(subject, theirs, ours):
    """`theirs` and `ours` are (fen, state); ours is None for an unknown number."""
    found = difference(
        subject=subject,
        number="1",
        theirs_fen=theirs[0],
        theirs_status=theirs[1],
        ours_fen=None if ours is None else ours[0],
        ours_status="" if ours is None else ours[1],
    )
    return None if found is None else found.kind


@pytest.mark.parametrize(
    ("theirs", "ours", "wanted"),
    [
        ((100, "SUCCESS"), (100, "succeeded"), None),
        ((100, "SUCCESS"), (101, "succeeded"), "amount"),
        ((101, "REVOKED"), (100, "succeeded"), "amount"),
        ((100, "REVOKED"), (100, "succeeded"), "status"),
        ((100, "SUCCESS"), None, "theirs_only"),
        ((100, "REVOKED"), None, "theirs_only"),
        ((100, "SUCCESS"), (100, "prepared"), "theirs_only"),
        ((100, "SUCCESS"), (100, "closed"), "theirs_only"),
        ((100, "REVOKED"), (100, "prepared"), None),
    ],
)
def test_a_payment_in_a_bill_against_ours(theirs, ours, wanted):
    assert kind("payment", theirs, ours) == wanted


@pytest.mark.parametrize(
    ("theirs", "agree"),
    [
        ("SUCCESS", {"succeeded"}),
        ("PROCESSING", {"requested", "processing", "succeeded", "abnormal", "closed"}),
        ("ABNORMAL", {"succeeded", "abnormal", "closed"}),
        ("FAIL", {"succeeded", "abnormal", "closed"}),
        ("CHANGE", {"succeeded", "abnormal", "closed"}),
        ("CLOSED", {"closed"}),
        ("REFUNDCLOSE", {"closed"}),
        ("A NEW WORD", set()),
    ],
)
def test_a_frozen_state_of_a_refund_agrees_with_all_it_may_have_become(theirs, agree):
    found = {ours: kind("refund", (100, theirs), (100, ours)) for ours in OURS}

    assert found == {ours: None if ours in agree else "status" for ours in OURS}


def test_a_refund_of_another_amount_or_without_our_knowing():
    assert kind("refund", (99, "SUCCESS"), (100, "succeeded")) == "amount"
    assert kind("refund", (99, "PROCESSING"), (100, "processing")) == "amount"
    assert kind("refund", (99, "SUCCESS"), None) == "theirs_only"


def test_days_are_those_of_the_shop():
    late = datetime(2026, 11, 24, 23, 59, 59, tzinfo=SHANGHAI)
    early = datetime(2026, 11, 26, 0, 0, tzinfo=SHANGHAI)

    assert days_between(late, early) == {date(2026, 11, day) for day in (24, 25, 26)}
    assert days_between(late, late) == {date(2026, 11, 24)}
