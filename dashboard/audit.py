"""X02: nothing of the outbox is late, and what is dead stands in somebody's work queue."""

from collections.abc import Iterable

from django.apps import apps
from django.db.backends.utils import CursorWrapper
from django.db.models import Field, Model
from django.utils.translation import gettext_lazy as _

from dashboard.waiting import KINDS, Kind
from kernel.audit import MAX_ROWS, Found, invariant, rows_of
from messaging.models import OutboundMessage
from payments.models import Refund

# Ends that no program leaves by itself, beside every state called "dead".
STUCK: tuple[tuple[type[Model], str, str], ...] = (
    (OutboundMessage, "state", "uncertain"),
    (Refund, "status", "abnormal"),
)


@invariant("X02", _("没有逾期 10 分钟的待投递事件；已放弃的事件与消息都在待办中"))
def outbox_moves(cursor: CursorWrapper) -> Found:
    late = rows_of(
        cursor,
        """SELECT id, kind, handler, attempts, due_at FROM kernel_outboxrow
           WHERE state = 'due' AND due_at < %(now)s - interval '10 minutes'""",
        "SELECT count(*) FROM kernel_outboxrow WHERE state = 'due'",
    )
    return late + dead_without_task()


def dead_without_task(kinds: Iterable[Kind] = KINDS) -> Found:
    """Dead rows that no line of the work queue counts: nobody would ever look at them."""
    shown = list(kinds)
    found = Found(checked=0, violations=0)
    for model, name, state in dead_states():
        dead = model._default_manager.filter(**{name: state})
        unseen = dead
        for kind in shown:
            if kind.model is model:
                unseen = unseen.exclude(pk__in=kind.rows().values("pk"))
        rows = [
            {"what": "dead without a task", "table": model._meta.db_table, "id": str(pk)}
            for pk in unseen.order_by("pk").values_list("pk", flat=True)[:MAX_ROWS]
        ]
        found += Found(dead.count(), unseen.count() if rows else 0, rows)
    return found


def dead_states() -> list[tuple[type[Model], str, str]]:
    """(model, field, value) of every state that waits for a person."""
    named_dead = [
        (model, field.name, "dead")
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, Field)
        if any(value == "dead" for value, _label in field.flatchoices)
    ]
    return [*named_dead, *STUCK]
