"""A shop of many journals: all of it holds, and what is broken in it is counted to the row.

`python -m devstack prove audit` does the same with a million and measures it.
"""

import pytest
from django.db import connection

from devstack.prove.journals import fill
from kpay_site import auditing

JOURNALS = 20_000


@pytest.fixture
def shop(db: None) -> None:
    fill(JOURNALS)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def report() -> dict:
    with connection.cursor() as cursor:
        return auditing.report(cursor)


def broken(found: dict) -> dict[str, int]:
    return {line["id"]: line["violations"] for line in found["invariants"] if line["violations"]}


def test_a_large_shop_holds_and_what_breaks_in_it_is_counted(shop):
    found = report()
    # of 100 journals 98 are sales; one payment came late and went back
    assert broken(found) == {}
    assert found["counts"] == {
        "orders_paid": 19_600,
        "payments_succeeded": 19_800,
        "refunds_succeeded": 200,
        "entitlements_live": 19_600,
        "journals": 20_000,
    }
    checked = {line["id"]: line["checked"] for line in found["invariants"]}
    assert (checked["M01"], checked["M02"], checked["M05"]) == (20_000, 40_000, 20_000)
    assert (checked["O03"], checked["X01"], checked["P02"]) == (200, 19_600, 2_001)

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        # 137 sales booked with a fen too many on both sides; 71 of 200 late payments not sent back
        cursor.execute(
            "UPDATE payments_entry SET amount_fen = amount_fen + sign(amount_fen)::bigint"
            " WHERE journal_id IN (SELECT j.id FROM payments_journal j WHERE kind = 'payment'"
            " AND ref LIKE 'P%' ORDER BY id LIMIT 137)"
        )
        cursor.execute(
            "UPDATE payments_refund SET cause = 'user' WHERE id IN"
            " (SELECT id FROM payments_refund ORDER BY id LIMIT 71)"
        )
        cursor.execute("DELETE FROM payments_eventhandling WHERE business_key LIKE '%777'")
        gone = cursor.rowcount
    found = report()

    # A late payment's refund is no part of its order's figures; one for the user would be.
    assert gone == 19
    assert broken(found) == {"M05": 137, "O03": 71, "R01": 71, "X01": gone}
    assert {len(line["rows"]) for line in found["invariants"] if line["violations"]} == {19, 20}
