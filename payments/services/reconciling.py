"""A day's reconciliation as a row of due work: opened, put off, closed; and a person's word."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _later

from kernel import clock, staff
from kernel.errors import Conflict, InvalidInput
from payments.locks import discrepancy_locked, reconciliation_locked
from payments.models import Discrepancy, Payment, Reconciliation

if TYPE_CHECKING:
    from accounts.models import User

BILL_HOUR = 10  # D7: bills of a day are there from 10:00 of the next one
DAYS_BACK = 7
# Minutes before the n-th new try: half an hour of "being made", then patience for a day.
BACKOFF = (10, 10, 10, 30, 60, 60, 120, 120, 240, 240, 360, 360)
LEASE = timedelta(minutes=10)
OPEN_STEPS = (
    Reconciliation.Status.DUE,
    Reconciliation.Status.FETCHED,
    Reconciliation.Status.MATCHED,
)
WECHAT_CHANNELS = ("jsapi", "native", "h5")
CHANNELS: dict[str, tuple[str, ...]] = {
    Reconciliation.Channel.WECHAT: WECHAT_CHANNELS,
    Reconciliation.Channel.VIRTUAL: ("virtual",),
}


class DiscrepancySettled(Conflict):
    """The difference is repaired or closed already."""

    code = "discrepancy_settled"
    message = _later("这项差异已经处理。")


def bill_due_at(day: date) -> datetime:
    """When the bill of that day can be had."""
    morning = time(BILL_HOUR)
    return datetime.combine(day + timedelta(days=1), morning, tzinfo=clock.SHOP_ZONE)


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Midnight to midnight in the shop's zone."""
    start = datetime.combine(day, time.min, tzinfo=clock.SHOP_ZONE)
    return start, start + timedelta(days=1)


def channels_in_use(day: date) -> list[str]:
    """Channel families through which somebody was asked for money by the end of that day."""
    _start, end = day_bounds(day)
    return [
        family
        for family, channels in CHANNELS.items()
        if Payment.objects.filter(channel__in=channels, created_at__lt=end).exists()
    ]


@transaction.atomic
def reconciliations_open() -> int:
    """Every day of the last week whose bill can be had has its row, for each channel in use.

    Days before the first attempt to pay are left out. Returns how many were made now.
    """
    at, today = clock.now(), clock.local_date()
    days = [today - timedelta(days=n) for n in range(1, DAYS_BACK + 1)]
    known = set(Reconciliation.objects.filter(date__in=days).values_list("channel", "date"))
    rows = [
        Reconciliation(channel=channel, date=day, started_at=at, next_try_at=at)
        for day in days
        if bill_due_at(day) <= at and not known.issuperset({(c, day) for c in CHANNELS})
        for channel in channels_in_use(day)
        if (channel, day) not in known
    ]
    Reconciliation.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


@transaction.atomic
def reconciliation_begin(*, channel: str, day: date) -> Reconciliation:
    """The day's row, held by the caller for the time of a lease.

    One that was interrupted goes on where it stopped; any other begins anew with a fresh bill.
    """
    if day >= clock.local_date():
        raise InvalidInput(fields={"date": [_("只能核对今天以前的账单。")]})
    at = clock.now()
    row, made = Reconciliation.objects.get_or_create(
        channel=channel, date=day, defaults={"started_at": at, "next_try_at": at + LEASE}
    )
    if made:
        return row
    row = reconciliation_locked(row.pk)
    _due_again(row, at + LEASE, anew=row.status not in OPEN_STEPS)
    return row


@transaction.atomic
def reconciliation_again(*, reconciliation_id: int, by: "User") -> Reconciliation:
    """An operator asked: the day is due now, its bill is fetched anew."""
    row = reconciliation_locked(reconciliation_id)
    _due_again(row, clock.now(), anew=True)
    staff.record(
        by=by,
        action="payments.reconcile_again",
        target=f"reconciliation:{row.channel}:{row.date}",
        reason="",
    )
    return row


def _due_again(row: Reconciliation, due_at: datetime, *, anew: bool) -> None:
    if anew:
        row.status = Reconciliation.Status.DUE
        row.started_at = clock.now()
    row.tries = 0
    row.next_try_at = due_at
    row.save(update_fields=["status", "started_at", "tries", "next_try_at"])


@transaction.atomic
def reconciliation_waits(*, reconciliation_id: int, why: str, final: bool = False) -> None:
    """The platform gave no bill (or no answer) now: tried again later, a bounded number of times.

    After the last try, or at once when `final`, it has failed: a person has to look.
    """
    row = reconciliation_locked(reconciliation_id)
    if row.status not in OPEN_STEPS:
        return
    row.last_error = why[:200]
    if final or row.tries >= len(BACKOFF):
        row.status = Reconciliation.Status.FAILED
        row.next_try_at = None
    else:
        row.next_try_at = clock.now() + timedelta(minutes=BACKOFF[row.tries])
        row.tries += 1
    row.save(update_fields=["status", "last_error", "next_try_at", "tries"])


@transaction.atomic
def reconciliation_paused(*, reconciliation_id: int) -> None:
    """The time of this run is used up: the next one goes on at once."""
    row = reconciliation_locked(reconciliation_id)
    if row.status in OPEN_STEPS:
        row.next_try_at = clock.now()
        row.save(update_fields=["next_try_at"])


def next_step_at(row: Reconciliation) -> datetime:
    """The lease of whoever works on the row now."""
    return clock.now() + LEASE


@transaction.atomic
def discrepancy_noted(*, discrepancy_id: int, note: str) -> None:
    """What the attempt to repair an open difference came to."""
    Discrepancy.objects.filter(pk=discrepancy_id, state=Discrepancy.State.OPEN).update(
        repair=note[:200]
    )


@transaction.atomic
def discrepancy_dropped(*, discrepancy_id: int) -> None:
    """It was none: the platform books it on another day, whose bill is still to come."""
    Discrepancy.objects.filter(pk=discrepancy_id, state=Discrepancy.State.OPEN).delete()


@transaction.atomic
def discrepancy_close(*, discrepancy_id: int, by: "User", reason: str) -> Discrepancy:
    """A person has looked and says what it was. Raises `DiscrepancySettled` when that is over."""
    row = discrepancy_locked(discrepancy_id)
    if row.state != Discrepancy.State.OPEN:
        raise DiscrepancySettled(state=row.state)
    row.state = Discrepancy.State.CLOSED
    row.repair = reason[:200]
    row.resolved_by = by
    row.resolved_at = clock.now()
    row.save(update_fields=["state", "repair", "resolved_by", "resolved_at"])
    staff.record(
        by=by,
        action="payments.discrepancy_close",
        target=f"{row.subject}:{row.number}",
        reason=reason,
        discrepancy=row.pk,
        kind=row.kind,
    )
    return row


def stored_days(channel: str, days: Iterable[date]) -> set[date]:
    """Those of `days` whose bill of that channel is stored."""
    steps = [s for s in Reconciliation.Status if s in ("fetched", "matched", "done")]
    rows = Reconciliation.objects.filter(channel=channel, date__in=list(days), status__in=steps)
    return set(rows.values_list("date", flat=True))
