"""M01 to M05: journals, stored balances, and what they book."""

from kernel import clock
from kernel.ids import new_no
from kernel.selftest import Planted, plant, sql
from payments.ledger import Side, cash, post
from payments.models import Entry, Journal, LedgerAccount, Refund
from payments.selftest import ground


def _journal() -> Journal:
    return post(kind="selftest", ref=new_no(), sides=[Side("suspense", 5), Side("revenue", -5)])


def _write(ref: str, *amounts: int, kind: str = "selftest") -> None:
    journal = Journal.objects.create(kind=kind, ref=ref)
    for amount in amounts:
        Entry.objects.create(journal=journal, account="suspense", amount_fen=amount)


@plant("M01", blocked_by={"journal_balanced", "entry_balanced"})
def lopsided_journal() -> Planted:
    ref = new_no()
    return Planted({"ref": ref, "total": 1}, lambda: _write(ref, 100, -99))


@plant("M01", blocked_by={"journal_balanced"})
def journal_without_entries() -> Planted:
    ref = new_no()
    return Planted({"ref": ref, "sides": 0}, lambda: _write(ref))


@plant("M01", blocked_by={"entry_balanced"})
def entry_that_joins_later() -> Planted:
    journal = _journal()
    return Planted(
        {"ref": journal.ref, "sides": 3},
        lambda: Entry.objects.create(journal=journal, account="suspense", amount_fen=1),
    )


@plant("M02", blocked_by={"entry_append_only"})
def entries_changed() -> Planted:
    return Planted(
        {"what": "append-only trigger missing", "value": "entry_append_only"},
        sql(
            "UPDATE payments_entry SET amount_fen = 2 * amount_fen WHERE journal_id = %(id)s",
            id=_journal().pk,
        ),
    )


@plant("M02", blocked_by={"journal_append_only"})
def journal_changed() -> Planted:
    return Planted(
        {"what": "append-only trigger missing", "value": "journal_append_only"},
        sql("UPDATE payments_journal SET memo = 'x' WHERE id = %(id)s", id=_journal().pk),
    )


@plant("M02", without=("entry_balanced",))
def ledger_off_by_one() -> Planted:
    journal = _journal()
    return Planted(
        {"what": "ledger total"},
        lambda: Entry.objects.create(journal=journal, account="suspense", amount_fen=1),
    )


@plant("M02", without=("payments_entry_journal_id_1cd6270d_fk_payments_journal_id",))
def entry_of_no_journal() -> Planted:
    return Planted(
        {"what": "entry without journal"},
        sql(
            "INSERT INTO payments_entry (journal_id, account, amount_fen)"
            " VALUES (-1, 'suspense', 7), (-1, 'suspense', -7)"
        ),
    )


@plant("M03", blocked_by={"account_not_negative"})
def balance_below_zero() -> Planted:
    code = f"creator_payable:selftest{new_no()}"
    post(kind="selftest", ref=new_no(), sides=[Side(code, -5), Side("suspense", 5)])
    return Planted(
        {"code": code, "balance_fen": -5},
        sql(
            "UPDATE payments_ledgeraccount SET may_be_negative = false WHERE code = %(code)s",
            code=code,
        ),
    )


@plant("M03")
def balance_of_its_own() -> Planted:
    code = f"creator_payable:selftest{new_no()}"
    post(kind="selftest", ref=new_no(), sides=[Side(code, -5), Side("suspense", 5)])
    return Planted(
        {"code": code, "balance_fen": -4},
        lambda: LedgerAccount.objects.filter(code=code).update(balance_fen=-4),
    )


@plant("M03")
def balance_not_stored() -> Planted:
    code = f"creator_payable:selftest{new_no()}"
    post(kind="selftest", ref=new_no(), sides=[Side(code, -5), Side("suspense", 5)])
    return Planted({"code": code}, lambda: LedgerAccount.objects.filter(code=code).delete())


@plant("M04", blocked_by={"journal_once"})
def fact_booked_twice() -> Planted:
    ref = _journal().ref
    return Planted({"kind": "selftest", "ref": ref}, lambda: _write(ref, 5, -5))


@plant("M05")
def payment_without_journal() -> Planted:
    made = ground.order()
    money = ground.payment(made, effective=True)
    journal = ground.booked(money)
    return Planted(
        {"kind": "payment", "ref": money.out_trade_no},
        sql(
            "SET LOCAL kpay.purge = 'on';"
            "DELETE FROM payments_entry WHERE journal_id = %(id)s;"
            "DELETE FROM payments_journal WHERE id = %(id)s;"
            "SET LOCAL kpay.purge = ''",
            id=journal.pk,
        ),
    )


@plant("M05")
def payment_booked_wrong() -> Planted:
    money = ground.payment(ground.order(), effective=True)
    journal = ground.booked(money)
    return Planted(
        {"kind": "payment", "ref": money.out_trade_no, "booked_fen": 2 * money.amount_fen},
        sql(
            "SET LOCAL kpay.purge = 'on';"
            "UPDATE payments_entry SET amount_fen = 2 * amount_fen WHERE journal_id = %(id)s;"
            "SET LOCAL kpay.purge = ''",
            id=journal.pk,
        ),
    )


@plant("M05")
def refund_without_journal() -> Planted:
    money = ground.stray()
    back = ground.refund(money, fen=money.amount_fen, cause=Refund.Cause.LATE_PAYMENT)
    return Planted(
        {"kind": "refund", "ref": back.out_refund_no},
        lambda: Refund.objects.filter(pk=back.pk).update(
            status=Refund.Status.SUCCEEDED, success_at=clock.now()
        ),
    )


def _journal_of_nothing(kind: str, fen: int) -> Planted:
    ref = new_no()
    sides = [Side(cash("jsapi"), fen), Side("suspense", -fen)]
    return Planted({"kind": kind, "ref": ref}, lambda: post(kind=kind, ref=ref, sides=sides))


@plant("M05")
def journal_of_no_payment() -> Planted:
    return _journal_of_nothing("payment", 5)


@plant("M05")
def journal_of_no_refund() -> Planted:
    return _journal_of_nothing("refund", -5)


@plant("M05")
def journal_of_no_payout() -> Planted:
    return _journal_of_nothing("payout", -5)
