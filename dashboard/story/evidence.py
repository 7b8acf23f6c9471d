"""What proves the story: notices, journals, bills, facts told inside, and what staff did."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Prefetch, Q
from django.utils.translation import gettext as _

from dashboard.figures import money
from dashboard.story.moments import PLATFORM, SYSTEM, Ground, Moment
from kernel.models import OutboxRow, StaffAction
from payments.ledger_words import account_title, journal_kind
from payments.models import BillRow, Discrepancy, Entry, EventHandling, Invoice, Journal

# Facts are told in the transaction that makes them true: none comes long after the last one.
_TOLD_WITHIN = timedelta(days=1)
_BAD = {"dead": "danger", "parked": "warning"}


def events(ground: Ground) -> Iterator[Moment]:
    """Notices of the platform about any of the order's numbers."""
    heard = EventHandling.objects.filter(
        kind__in=("payment", "refund"), business_key__in=ground.numbers
    )
    rows = heard.select_related("event").defer("event__body", "facts").order_by("pk")
    for handling in rows:
        event = handling.event
        facts = [_("原始编号 %(id)s") % {"id": event.event_id}, handling.business_key]
        if handling.attempts:
            facts.append(_("尝试 %(count)d 次") % {"count": handling.attempts})
        if handling.last_error:
            facts.append(handling.last_error)
        yield Moment(
            at=event.received_at,
            part="platform",
            icon="notifications",
            title=_("平台通知 %(type)s") % {"type": event.event_type},
            facts=facts,
            actor=str(PLATFORM),
            url=ground.link(handling),
            badge=handling.get_state_display(),
            tone=_BAD.get(handling.state, ""),
            order=8,
        )


def journals(ground: Ground) -> Iterator[Moment]:
    """Every journal of the order's numbers with its entries."""
    if not ground.may_view(Journal):
        return
    sides = Prefetch("entries", Entry.objects.order_by("-amount_fen", "account"))
    booked = Journal.objects.filter(kind__in=_KINDS, ref__in=ground.numbers)
    for journal in booked.prefetch_related(sides).order_by("pk"):
        yield Moment(
            at=journal.posted_at,
            part="books",
            icon="account_balance",
            title=_("记账：%(kind)s") % {"kind": journal_kind(journal.kind)},
            facts=[journal.ref, *filter(None, [journal.memo])],
            actor=str(SYSTEM),
            url=ground.link(journal),
            sides=[_side(entry) for entry in journal.entries.all()],
            order=24 if journal.kind in ("payment", "order", "share") else 34,
        )


# With the kinds named, the unique index over (kind, ref) answers.
_KINDS = ("payment", "order", "refund", "share", "share_back", "fee")


def _side(entry: Entry) -> tuple[str, str, str]:
    debit = money(entry.amount_fen) if entry.amount_fen > 0 else ""
    credit = money(-entry.amount_fen) if entry.amount_fen < 0 else ""
    return account_title(entry.account), debit, credit


def bills(ground: Ground) -> Iterator[Moment]:
    """What the platform's bills say of the order's numbers, and where they differ from us."""
    if not ground.may_view(BillRow):
        return
    rows = BillRow.objects.filter(Q(number__in=ground.numbers)).select_related("reconciliation")
    for row in rows.order_by("pk"):
        yield Moment(
            at=row.at or row.reconciliation.started_at,
            part="platform",
            icon="fact_check",
            title=_("平台账单（%(date)s）：%(kind)s %(yuan)s")
            % {
                "date": row.reconciliation.date,
                "kind": row.get_kind_display(),
                "yuan": money(row.amount_fen),
            },
            facts=[row.number, _("手续费 %(yuan)s") % {"yuan": money(row.fee_fen)}],
            actor=str(PLATFORM),
            url=ground.link(row),
            badge=row.status,
            order=70,
        )
    found = Discrepancy.objects.filter(number__in=ground.numbers)
    for difference in found.select_related("resolved_by").order_by("pk"):
        yield Moment(
            at=difference.created_at,
            part="platform",
            icon="difference",
            title=_("对账差异：%(kind)s") % {"kind": difference.get_kind_display()},
            facts=[difference.number, *filter(None, [difference.repair])],
            actor=str(SYSTEM),
            url=ground.link(difference),
            badge=difference.get_state_display(),
            tone="danger" if difference.state == Discrepancy.State.OPEN else "",
            order=71,
        )
        if difference.resolved_at is not None:
            yield Moment(
                at=difference.resolved_at,
                part="platform",
                icon="rule",
                title=difference.get_state_display(),
                facts=[difference.number, *filter(None, [difference.repair])],
                actor=str(difference.resolved_by or SYSTEM),
                url=ground.link(difference),
                tone="success",
                order=72,
            )


def told(ground: Ground) -> Iterator[Moment]:
    """Facts that were told to the rest of the house, and whether they arrived."""
    if not ground.may_view(OutboxRow):
        return
    mine = ground.order
    known = [mine.created_at, mine.paid_at, mine.ended_at]
    known += [refund.success_at for refund in ground.refunds]
    known += [payment.success_at for payment in ground.payments]
    rows = OutboxRow.objects.filter(
        key=mine.no,
        # the index begins with the state
        state__in=OutboxRow.State.values,
        created_at__gte=mine.created_at,
        created_at__lte=_last(known) + _TOLD_WITHIN,
    )
    for row in rows.order_by("pk"):
        facts = [row.handler]
        if row.attempts > 1:
            facts.append(_("尝试 %(count)d 次") % {"count": row.attempts})
        if row.last_error:
            facts.append(row.last_error)
        yield Moment(
            at=row.created_at,
            part="office",
            icon="outgoing_mail",
            title=_("内部事件 %(kind)s") % {"kind": row.kind},
            facts=facts,
            actor=str(SYSTEM),
            url=ground.link(row),
            badge=row.get_state_display(),
            tone=_BAD.get(row.state, ""),
            order=45,
        )


def _last(moments: Sequence[datetime | None]) -> datetime:
    return max(moment for moment in moments if moment is not None)


def staff(ground: Ground) -> Iterator[Moment]:
    """What operators did to the order, its payments and refunds, and why."""
    if not ground.may_view(StaffAction):
        return
    targets = [f"order:{ground.order.no}", f"order:{ground.order.pk}"]
    for payment in ground.payments:
        targets += [f"payment:{payment.out_trade_no}", f"payment:{payment.pk}"]
    for refund in ground.refunds:
        targets += [f"refund:{refund.out_refund_no}", f"refund:{refund.pk}"]
    invoices = Invoice.objects.filter(order=ground.order).values_list("pk", flat=True)
    targets += [f"invoice:{pk}" for pk in invoices]
    for action in (
        StaffAction.objects.filter(target__in=targets).select_related("user").order_by("pk")
    ):
        yield Moment(
            at=action.created_at,
            part="office",
            icon="policy",
            title=_("人工操作 %(action)s") % {"action": action.action},
            facts=[action.target, *filter(None, [action.reason])],
            actor=str(action.user),
            url=ground.link(action),
            order=55,
        )
