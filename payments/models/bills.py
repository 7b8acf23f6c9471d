"""What the platform's bills say, and where they differ from our books."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kernel import clock


class Reconciliation(models.Model):
    """One day of one channel family compared with our books. Its row is the work that is due."""

    class Channel(models.TextChoices):
        WECHAT = "wechat", _("微信支付")
        VIRTUAL = "virtual", _("虚拟支付")

    class Status(models.TextChoices):
        DUE = "due", _("待对账")
        FETCHED = "fetched", _("账单已取")
        MATCHED = "matched", _("已比对")
        DONE = "done", _("已完成")
        FAILED = "failed", _("需人工处理")

    channel = models.CharField(_("渠道"), max_length=8, choices=Channel.choices)
    date = models.DateField(_("账单日"))
    status = models.CharField(_("状态"), max_length=8, choices=Status.choices, default=Status.DUE)
    tries = models.PositiveSmallIntegerField(_("次数"), default=0)
    next_try_at = models.DateTimeField(_("下次处理"), null=True, blank=True)
    last_error = models.CharField(_("最近错误"), max_length=200, blank=True, default="")
    rows = models.PositiveIntegerField(_("账单行数"), default=0)
    matched = models.PositiveIntegerField(_("相符"), default=0)
    started_at = models.DateTimeField(_("开始时间"), default=clock.now, editable=False)
    done_at = models.DateTimeField(_("完成时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("对账")
        verbose_name_plural = _("对账")
        indexes = [
            models.Index(
                fields=["next_try_at"],
                name="reconciliation_due",
                condition=Q(next_try_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["channel", "date"], name="reconciliation_once")
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.date}"


class BillRow(models.Model):
    """One row of a bill as the platform wrote it. Amounts in fen, `fee_fen` rounded from the bill.

    `number` is our out_trade_no or out_refund_no; fund rows carry the platform's number instead.
    """

    class Kind(models.TextChoices):
        PAYMENT = "payment", _("收款")
        REFUND = "refund", _("退款")
        FUND = "fund", _("资金流水")

    reconciliation = models.ForeignKey(
        Reconciliation, on_delete=models.CASCADE, related_name="bill_rows", verbose_name=_("对账")
    )
    kind = models.CharField(_("类型"), max_length=8, choices=Kind.choices)
    number = models.CharField(_("商户单号"), max_length=64)
    trade_no = models.CharField(_("原支付单号"), max_length=64, blank=True, default="")
    platform_no = models.CharField(_("平台单号"), max_length=64, blank=True, default="")
    amount_fen = models.BigIntegerField(_("金额(分)"))
    fee_fen = models.BigIntegerField(_("手续费(分)"), default=0)
    status = models.CharField(_("平台状态"), max_length=20, blank=True, default="")
    at = models.DateTimeField(_("时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("账单明细")
        verbose_name_plural = _("账单明细")
        indexes = [models.Index(fields=["number"], name="bill_row_number")]
        constraints = [
            models.UniqueConstraint(
                fields=["reconciliation", "kind", "number"], name="bill_row_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"


class Discrepancy(models.Model):
    """A difference between a bill and our books: repaired by the system, or a person's task."""

    class Kind(models.TextChoices):
        OURS_ONLY = "ours_only", _("仅我方有")
        THEIRS_ONLY = "theirs_only", _("仅平台有")
        AMOUNT = "amount", _("金额不符")
        STATUS = "status", _("状态不符")

    class State(models.TextChoices):
        OPEN = "open", _("待处理")
        REPAIRED = "repaired", _("已自动修复")
        CLOSED = "closed", _("已人工处理")

    reconciliation = models.ForeignKey(
        Reconciliation,
        on_delete=models.CASCADE,
        related_name="discrepancies",
        verbose_name=_("对账"),
    )
    kind = models.CharField(_("差异"), max_length=12, choices=Kind.choices)
    subject = models.CharField(_("对象"), max_length=8, choices=BillRow.Kind.choices)
    number = models.CharField(_("商户单号"), max_length=64)
    ours_fen = models.BigIntegerField(_("我方金额(分)"), null=True, blank=True)
    theirs_fen = models.BigIntegerField(_("平台金额(分)"), null=True, blank=True)
    ours_status = models.CharField(_("我方状态"), max_length=20, blank=True, default="")
    theirs_status = models.CharField(_("平台状态"), max_length=20, blank=True, default="")
    state = models.CharField(_("处理"), max_length=8, choices=State.choices, default=State.OPEN)
    repair = models.CharField(_("处理说明"), max_length=200, blank=True, default="")
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("处理人"),
    )
    resolved_at = models.DateTimeField(_("处理时间"), null=True, blank=True)
    created_at = models.DateTimeField(_("发现时间"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("对账差异")
        verbose_name_plural = _("对账差异")
        indexes = [models.Index(fields=["state", "created_at"], name="discrepancy_state")]
        constraints = [
            models.UniqueConstraint(
                fields=["reconciliation", "subject", "number", "kind"], name="discrepancy_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number}"
