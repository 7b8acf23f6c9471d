"""What waits for a person: one count each, with the rows behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F, Model, Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from content.models import Course
from dashboard.links import rows_url
from incentives.models import CouponTemplate
from kernel import clock
from kernel.models import OutboxRow
from messaging.models import OutboundMessage
from payments.models import EventHandling, Refund
from recommender.models import TrainingRun

# A failed run older than this has been seen, or a later run has replaced it.
RUNS_STAY = timedelta(days=7)
BUDGET_ALARM = 0.8  # design.md section 8: coupon budgets at 80 %


@dataclass(frozen=True)
class Kind:
    """Rows of one model that a person has to look at. `meaning` is the definition, in Chinese."""

    label: str | Promise
    meaning: str | Promise
    model: type[Model]
    filters: Callable[[], dict[str, Any]]
    grave: bool = False

    def rows(self) -> QuerySet[Any]:
        return self.model._default_manager.filter(**self.filters())


def _fixed(**filters: Any) -> Callable[[], dict[str, Any]]:
    return lambda: filters


def _recent_runs(status: TrainingRun.Status) -> Callable[[], dict[str, Any]]:
    return lambda: {"status": status.value, "created_at__gte": clock.now() - RUNS_STAY}


KINDS = (
    Kind(
        _("支付通知需人工处理"),
        _("十次尝试后仍无法入账的平台通知"),
        EventHandling,
        _fixed(state="dead"),
        grave=True,
    ),
    Kind(
        _("退款异常"),
        _("平台无法原路退回的退款"),
        Refund,
        _fixed(status="abnormal"),
        grave=True,
    ),
    Kind(
        _("已放弃的内部事件"),
        _("十次投递都失败的事件，可在列表中重新投递"),
        OutboxRow,
        _fixed(state="dead"),
        grave=True,
    ),
    Kind(
        _("训练失败"),
        _("最近 7 天失败的训练任务"),
        TrainingRun,
        _recent_runs(TrainingRun.Status.FAILED),
        grave=True,
    ),
    Kind(
        _("训练发散"),
        _("最近 7 天因损失爆炸或非数值而终止的训练任务"),
        TrainingRun,
        _recent_runs(TrainingRun.Status.DIVERGED),
        grave=True,
    ),
    Kind(
        _("模型未通过评估"),
        _("最近 7 天没有通过上线检查的训练任务"),
        TrainingRun,
        _recent_runs(TrainingRun.Status.REJECTED),
    ),
    Kind(
        _("发送结果未知的消息"),
        _("平台没有答复，不会自动重发"),
        OutboundMessage,
        _fixed(state="uncertain"),
    ),
    Kind(_("待审核课程"), _("已提交审核、尚未上架的课程"), Course, _fixed(status="review")),
)


@dataclass(frozen=True)
class Waiting:
    """One line of the work queue; `count` rows stand behind `url`."""

    label: str | Promise
    meaning: str | Promise
    count: int
    url: str
    grave: bool


def waiting(may_view: Callable[[type[Model]], bool]) -> list[Waiting]:
    """Every kind the operator may see, with its count, 0 too: one query per kind."""
    lines = [
        Waiting(
            label=kind.label,
            meaning=kind.meaning,
            count=kind.rows().count(),
            url=rows_url(kind.model, **kind.filters()),
            grave=kind.grave,
        )
        for kind in KINDS
        if may_view(kind.model)
    ]
    if may_view(CouponTemplate):
        lines.append(_budgets())
    return lines


def _budgets() -> Waiting:
    """Coupon templates in force that have handed out 80 % of a budget, by count or by fen.

    Two columns are compared, which no address can say: the link names the rows.
    """
    near = Q(claimed_count__gte=F("budget_count") * BUDGET_ALARM) | Q(
        claimed_fen__gte=F("budget_fen") * BUDGET_ALARM
    )
    found = CouponTemplate.objects.filter(near, active=True).order_by("pk")
    ids = list(found.values_list("pk", flat=True)[:200])
    return Waiting(
        label=_("优惠券预算将尽"),
        meaning=_("启用中、已领取达到预算 80% 的优惠券模板"),
        count=len(ids),
        url=rows_url(CouponTemplate, pk__in=",".join(map(str, ids)) if ids else "0"),
        grave=False,
    )
