"""`audit --selftest`: constraints refuse, checks see, nothing stays; and it can fail."""

import dataclasses
import json

import pytest
from django.core.management import call_command
from django.db import connection

from kernel.audit import Found, Invariant
from kernel.selftest import SelftestBusy
from kpay_site import selftesting
from kpay_site.auditing import ABSENT, all_invariants
from payments.selftest import ground

# Where the table of invariants.md section 1 names a constraint.
NAMED = {
    "M01", "M02", "M03", "M04", "O01", "O02", "O04", "R01", "E01", "P01", "P02", "C01", "C02",
    "S01", "S02", "S03", "X01", "W01",
}  # fmt: skip


def lines(**changed: Invariant) -> dict[str, selftesting.Line]:
    rules = [changed.get(rule.id, rule) for rule in all_invariants()]
    return {line.id: line for line in selftesting.run(rules, lock_timeout_ms=500)}


def shape() -> list[tuple]:
    """Rows of every table, and everything that guards them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1"
        )
        counts = []
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608
            counts.append((table, *cursor.fetchone()))
        cursor.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            " UNION ALL SELECT tgrelid::regclass::text, tgname || tgenabled::text FROM pg_trigger"
            " UNION ALL SELECT indrelid::regclass::text, indexrelid::regclass::text FROM pg_index"
            " UNION ALL SELECT table_name, column_name FROM information_schema.columns"
            " ORDER BY 1, 2"
        )
        return [*counts, *cursor.fetchall()]


def test_on_an_empty_database_every_plant_is_blocked_and_found(db):
    found = lines()

    installed = {id for id, line in found.items() if line.good is not None}
    assert {id: line.note for id, line in found.items() if line.good is False} == {}
    assert set(found) - installed <= set(ABSENT)
    assert {id for id in installed if found[id].blocked_by} == NAMED & installed
    assert all(found[id].detected for id in installed)
    assert all(found[id].detected is None and found[id].note for id in set(found) - installed)


def test_on_a_shop_at_work_nothing_of_it_stays(db):
    ground.sale()
    money = ground.stray()
    ground.refund(money, fen=money.amount_fen, cause="late_payment")
    for _ in range(25):  # broken already, and more than a report shows
        ground.payment(ground.order("closed"))
    before = shape()

    found = lines()

    assert [line.note for line in found.values() if line.good is False] == []
    assert shape() == before


def test_a_check_that_sees_nothing_fails_the_selftest(db):
    found = lines(O01=Invariant("O01", "blind", lambda _cursor: Found(checked=1, violations=0)))

    assert (found["O01"].detected, found["O01"].good) == (False, False)
    assert "total_without_parts" in found["O01"].note
    assert [id for id, line in found.items() if line.good is False] == ["O01"]


def test_a_check_that_always_complains_about_something_else_fails_too(db):
    row = {"no": "another order"}
    numbers = iter(range(1000))

    def noisy(_cursor: object) -> Found:
        return Found(checked=1, violations=next(numbers), rows=[row])

    assert lines(O01=Invariant("O01", "noisy", noisy))["O01"].detected is False


def test_a_constraint_that_is_gone_fails_the_selftest(db):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments_order DROP CONSTRAINT order_adds_up")

    line = lines()["O01"]

    assert (line.detected, line.good) == (True, False)
    assert "order_adds_up" in line.note


def test_an_invariant_without_a_plant_fails_the_selftest(db):
    found = selftesting.run([Invariant("Z99", "new", lambda _cursor: Found(0, 0))])

    assert [(line.detected, line.good) for line in found] == [(False, False)]


@pytest.mark.django_db(transaction=True)
def test_a_busy_table_ends_the_selftest_instead_of_hanging_it():
    other = connection.copy()
    try:
        other.set_autocommit(False)
        other.cursor().execute("LOCK TABLE payments_order IN SHARE MODE")

        with pytest.raises(SelftestBusy):
            lines()
    finally:
        other.rollback()
        other.close()


def selftest_command(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        call_command("audit", "--selftest", *arguments)
    said = capsys.readouterr()
    return int(ended.value.code), said.out, said.err


@pytest.mark.django_db(transaction=True)
def test_the_command_prints_one_object_for_each_invariant(capsys):
    code, out, _err = selftest_command(capsys, "--json")

    found = json.loads(out)
    assert code == 0
    assert {frozenset(line) - {"note"} for line in found} == {
        frozenset({"id", "blocked_by", "detected"})
    }
    assert [line["id"] for line in found] == [rule.id for rule in all_invariants()]


def test_production_refuses_the_selftest_in_a_sentence(db, settings, capsys):
    settings.KPAY = dataclasses.replace(settings.KPAY, env="production")

    code, out, err = selftest_command(capsys)

    assert (code, out) == (2, "")
    assert "KPAY_ENV=production" in err
