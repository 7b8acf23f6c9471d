"""All plants against all checks, one line for each invariant."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext as _

from kernel import selftest
from kernel.audit import Invariant
from kpay_site.auditing import all_invariants


@dataclass(frozen=True)
class Line:
    """`good` is None where there is nothing to try: the part is not installed."""

    id: str
    title: str
    blocked_by: str | None
    detected: bool | None
    good: bool | None
    note: str

    def as_json(self) -> dict[str, Any]:
        line = {"id": self.id, "blocked_by": self.blocked_by, "detected": self.detected}
        return line | ({"note": self.note} if self.note else {})


def run(
    rules: Sequence[Invariant] | None = None,
    *,
    lock_timeout_ms: int = selftest.LOCK_TIMEOUT_MS,
) -> list[Line]:
    """Break every invariant in every known way; nothing of it stays.

    Raises `kernel.selftest.SelftestBusy` when a table is in use for too long.
    """
    autodiscover_modules("selftest")
    by_id = defaultdict(list)
    for plant in selftest.plants():
        by_id[plant.id].append(plant)
    return [
        _line(
            rule,
            [
                selftest.run(plant, rule, lock_timeout_ms=lock_timeout_ms)
                for plant in by_id[rule.id]
            ],
        )
        for rule in (all_invariants() if rules is None else rules)
    ]


def _line(rule: Invariant, outcomes: Sequence[selftest.Outcome]) -> Line:
    if not outcomes:
        note = str(rule.note) or _("没有植入用例。")
        absent = bool(rule.note)
        return Line(
            id=rule.id,
            title=str(rule.title),
            blocked_by=None,
            detected=None if absent else False,
            good=None if absent else False,
            note=note,
        )
    refused = sorted({name for outcome in outcomes for name in outcome.refused_by})
    bad = [_complaint(outcome) for outcome in outcomes if not outcome.good]
    return Line(
        id=rule.id,
        title=str(rule.title),
        blocked_by=", ".join(refused) or None,
        detected=all(outcome.detected for outcome in outcomes),
        good=not bad,
        note="; ".join(bad),
    )


def _complaint(outcome: selftest.Outcome) -> str:
    """Which plant went wrong and how, with the names that code uses."""
    plant = outcome.plant
    missing = ", ".join(sorted(plant.blocked_by - outcome.refused_by))
    extra = ", ".join(sorted(outcome.refused_by - plant.blocked_by))
    parts = [
        _("未拦截：%s") % missing if missing else "",
        _("意外拦截：%s") % extra if extra else "",
        "" if outcome.detected else _("核对未发现"),
    ]
    return f"{plant.name}: {' '.join(part for part in parts if part)}"
