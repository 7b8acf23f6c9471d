"""What waits for a person: one count each, with the rows behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Count, F, Model, Q, QuerySet, Value
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from content.models import Course
from dashboard.links import rows_url
from incentives.models import CouponTemplate
from kernel import clock
from kernel.models import OutboxRow
from messaging.models import OutboundMessage
from payments.models import (
    Discrepancy,
    EventHandling,
    Invoice,
    Payment,
    Reconciliation,
    Refund,
    XpayItem,
)
from payments.services.reconciling import BILL_HOUR
from recommender.models import TrainingRun

# A failed run older than this has been seen, or a later run has replaced it.
RUNS_STAY = timedelta(days=7)
UNKNOWN_FOR = timedelta(minutes=30)
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


def _recent_bills_missing() -> dict[str, Any]:
    """Bills can be had from 10:00 of the next day; a whole day later somebody has to look."""
    day = clock.local_date(clock.now() - timedelta(hours=BILL_HOUR)) - timedelta(days=2)
    return {"next_try_at__isnull": False, "date__lte": day}


def _unanswered(**filters: Any) -> Callable[[], dict[str, Any]]:
    """Rows that the platform was asked about, and that it has not answered for `UNKNOWN_FOR`."""
    return lambda: {
        **filters,
        "next_check_at__isnull": False,
        "created_at__lte": clock.now() - UNKNOWN_FOR,
    }


KINDS = (
    Kind(
        _("支付通知需人工处理"),
        _("十次尝试后仍无法入账的平台通知，以及虚拟支付的投诉"),
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
        _("待审批退款"),
        _("超过自动退款限额，等待有权限的同事批准或拒绝"),
        Refund,
        _fixed(approval="waiting"),
    ),
    Kind(
        _("结果未知的支付"),
        _("已向平台下单超过 30 分钟，仍不知道平台是否收到"),
        Payment,
        _unanswered(status="created"),
    ),
    Kind(
        _("结果未知的退款"),
        _("已向平台申请超过 30 分钟，仍未得到受理结果"),
        Refund,
        _unanswered(status="requested"),
    ),
    Kind(
        _("待处理的对账差异"),
        _("账单与账本不一致，系统无法自动修复"),
        Discrepancy,
        _fixed(state="open"),
        grave=True,
    ),
    Kind(
        _("对账失败"),
        _("多次尝试仍取不到或读不懂的账单"),
        Reconciliation,
        _fixed(status="failed"),
        grave=True,
    ),
    Kind(
        _("对账逾期"),
        _("账单可取之后 24 小时仍未完成的对账"),
        Reconciliation,
        _recent_bills_missing,
        grave=True,
    ),
    Kind(
        _("虚拟支付道具失败"),
        _("上传或发布失败，对应商品不能用虚拟支付出售"),
        XpayItem,
        _fixed(state="failed"),
        grave=True,
    ),
    Kind(
        _("发货未能上报"),
        _("平台没有收到发货信息的支付，资金可能被冻结"),
        Payment,
        _fixed(shipped_at__isnull=True, shipping_due_at__isnull=True, shipping_tries__gt=0),
    ),
    Kind(_("待开发票"), _("学员申请、尚未开具的发票"), Invoice, _fixed(status="requested")),
    Kind(
        _("待红冲发票"),
        _("开票之后又有退款的发票"),
        Invoice,
        _fixed(status="to_correct"),
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
    """Every kind the operator may see, with its count, 0 too: one query for all of them."""
    kinds = [
        kind for kind in KINDS if may_view(kind.model) and admin.site.is_registered(kind.model)
    ]
    counts = _counts(kinds)
    lines = [
        Waiting(
            label=kind.label,
            meaning=kind.meaning,
            count=counts.get(place, 0),
            url=rows_url(kind.model, **kind.filters()),
            grave=kind.grave,
        )
        for place, kind in enumerate(kinds)
    ]
    if may_view(CouponTemplate):
        lines.append(_budgets())
    return lines


def _counts(kinds: Sequence[Kind]) -> dict[int, int]:
    """How many rows each kind has by its place; those without any are left out."""
    parts = [
        kind.rows()
        .order_by()
        .annotate(place=Value(place))
        .values_list("place")
        .annotate(count=Count("pk"))
        for place, kind in enumerate(kinds)
    ]
    if not parts:
        return {}
    return dict(parts[0].union(*parts[1:], all=True))


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
