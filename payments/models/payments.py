"""Attempts to take money, and money going back."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kernel import clock
from payments.models.orders import Order, OrderLine
from payments.models.products import Channel, Product


class Payment(models.Model):
    """One attempt on one channel. Its number is committed before the platform is called.

    `effective` marks the one payment that made its order paid; other succeeded payments are late
    or double money, which goes back in full.
    """

    class Status(models.TextChoices):
        CREATED = "created", _("已创建")
        PREPARED = "prepared", _("待付款")
        SUCCEEDED = "succeeded", _("已到账")
        CLOSED = "closed", _("已关闭")

    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="payments", verbose_name=_("订单")
    )
    out_trade_no = models.CharField(_("商户单号"), max_length=32, unique=True)
    channel = models.CharField(_("渠道"), max_length=8, choices=Channel.choices)
    status = models.CharField(
        _("状态"), max_length=12, choices=Status.choices, default=Status.CREATED
    )
    effective = models.BooleanField(_("有效"), default=False)
    amount_fen = models.PositiveIntegerField(_("金额(分)"))
    payer_openid = models.CharField(_("付款人"), max_length=128, blank=True, default="")
    prepared = models.JSONField(_("下单结果"), null=True, blank=True)
    transaction_id = models.CharField(  # noqa: DJ001  (unique needs null)
        _("平台单号"), max_length=64, unique=True, null=True, blank=True
    )
    success_at = models.DateTimeField(_("到账时间"), null=True, blank=True)
    refunding_fen = models.PositiveIntegerField(_("退款中(分)"), default=0)
    refunded_fen = models.PositiveIntegerField(_("已退(分)"), default=0)
    platform_id = models.CharField(_("渠道内部单号"), max_length=64, blank=True, default="")
    by_apple = models.BooleanField(_("苹果内购"), default=False)
    fee_fen = models.IntegerField(_("手续费(分)"), null=True, blank=True)
    shipped_at = models.DateTimeField(_("发货上报时间"), null=True, blank=True)
    shipping_tries = models.PositiveSmallIntegerField(_("发货上报次数"), default=0)
    shipping_due_at = models.DateTimeField(_("下次发货上报"), null=True, blank=True)
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)
    checks = models.PositiveSmallIntegerField(_("查询次数"), default=0)
    next_check_at = models.DateTimeField(_("下次查询"), null=True, blank=True)

    class Meta:
        verbose_name = _("支付")
        verbose_name_plural = _("支付")
        indexes = [
            models.Index(
                fields=["next_check_at"],
                name="payment_due",
                condition=Q(next_check_at__isnull=False),
            ),
            models.Index(fields=["status", "success_at"], name="payment_status"),
            models.Index(
                fields=["shipping_due_at"],
                name="payment_shipping_due",
                condition=Q(shipping_due_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["order"], condition=Q(effective=True), name="order_one_effective_payment"
            ),
            models.UniqueConstraint(
                fields=["order", "channel"],
                condition=Q(status__in=("created", "prepared")),
                name="payment_one_open_per_channel",
            ),
            models.CheckConstraint(
                condition=Q(refunding_fen__lte=F("amount_fen") - F("refunded_fen")),
                name="payment_refunds_bounded",
            ),
            models.CheckConstraint(
                condition=Q(
                    status="succeeded", transaction_id__isnull=False, success_at__isnull=False
                )
                | (~Q(status="succeeded") & Q(effective=False, refunding_fen=0, refunded_fen=0)),
                name="payment_succeeded_is_proven",
            ),
            models.CheckConstraint(condition=Q(amount_fen__gt=0), name="payment_of_something"),
        ]

    def __str__(self) -> str:
        return self.out_trade_no


class Refund(models.Model):
    """Money going back to the payer. `out_refund_no` is committed before the platform is asked.

    While `approval` is waiting nobody asks the platform; who approves is never who requested.
    """

    class Approval(models.TextChoices):
        NONE = "none", _("无需审批")
        WAITING = "waiting", _("待审批")
        APPROVED = "approved", _("已批准")
        REJECTED = "rejected", _("已拒绝")

    class Status(models.TextChoices):
        REQUESTED = "requested", _("已申请")
        PROCESSING = "processing", _("处理中")
        SUCCEEDED = "succeeded", _("已退款")
        ABNORMAL = "abnormal", _("退款异常")
        CLOSED = "closed", _("已关闭")
        REJECTED = "rejected", _("已拒绝")

    class Cause(models.TextChoices):
        USER = "user", _("用户申请")
        OPERATOR = "operator", _("人工退款")
        LATE_PAYMENT = "late_payment", _("关单后到账")
        DUPLICATE_PAYMENT = "duplicate_payment", _("重复支付")
        PLATFORM = "platform", _("平台退款")

    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="refunds", verbose_name=_("订单")
    )
    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, related_name="refunds", verbose_name=_("支付")
    )
    out_refund_no = models.CharField(_("退款单号"), max_length=64, unique=True)
    amount_fen = models.PositiveIntegerField(_("金额(分)"))
    cause = models.CharField(_("原因"), max_length=20, choices=Cause.choices)
    reason = models.CharField(_("说明"), max_length=200, blank=True, default="")
    status = models.CharField(
        _("状态"), max_length=12, choices=Status.choices, default=Status.REQUESTED
    )
    provider_id = models.CharField(_("平台退款单号"), max_length=64, blank=True, default="")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("申请人"),
    )
    approval = models.CharField(
        _("审批"), max_length=8, choices=Approval.choices, default=Approval.NONE
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("审批人"),
    )
    decided_at = models.DateTimeField(_("审批时间"), null=True, blank=True)
    decision_note = models.CharField(_("审批意见"), max_length=200, blank=True, default="")
    last_error = models.CharField(_("最近错误"), max_length=200, blank=True, default="")
    created_at = models.DateTimeField(_("申请时间"), default=clock.now, editable=False)
    success_at = models.DateTimeField(_("到账时间"), null=True, blank=True)
    checks = models.PositiveSmallIntegerField(_("查询次数"), default=0)
    next_check_at = models.DateTimeField(_("下次查询"), null=True, blank=True)

    class Meta:
        verbose_name = _("退款")
        verbose_name_plural = _("退款")
        indexes = [
            models.Index(
                fields=["next_check_at"],
                name="refund_due",
                condition=Q(next_check_at__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount_fen__gt=0), name="refund_of_something"),
            models.CheckConstraint(
                condition=~Q(approval="waiting")
                | Q(status="requested", next_check_at__isnull=True),
                name="refund_waits_for_approval",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True)
                | Q(requested_by__isnull=True)
                | ~Q(decided_by=F("requested_by")),
                name="refund_decided_by_another",
            ),
            models.CheckConstraint(
                condition=~Q(status="succeeded") | Q(success_at__isnull=False),
                name="refund_succeeded_has_time",
            ),
            models.UniqueConstraint(
                fields=["payment"],
                condition=Q(cause__in=("late_payment", "duplicate_payment"))
                & ~Q(status__in=("closed", "rejected")),
                name="refund_stray_money_once",
            ),
        ]

    def __str__(self) -> str:
        return self.out_refund_no


class RefundLine(models.Model):
    """The part of a refund that belongs to one line of the order."""

    refund = models.ForeignKey(
        Refund, on_delete=models.PROTECT, related_name="lines", verbose_name=_("退款")
    )
    line = models.ForeignKey(
        OrderLine, on_delete=models.PROTECT, related_name="+", verbose_name=_("订单行")
    )
    amount_fen = models.PositiveIntegerField(_("金额(分)"))

    class Meta:
        verbose_name = _("退款明细")
        verbose_name_plural = _("退款明细")
        constraints = [
            models.CheckConstraint(condition=Q(amount_fen__gt=0), name="refund_line_of_something"),
            models.UniqueConstraint(fields=["refund", "line"], name="refund_line_once"),
        ]

    def __str__(self) -> str:
        return f"{self.refund_id}/{self.line_id}"


class RefundPolicy(models.Model):
    """What a learner gets back without asking anybody. The row for a product beats the one for
    its kind, which beats the one for everything; without rows `refund_rules.DEFAULT_POLICY` holds.
    """

    class Tail(models.TextChoices):
        NONE = "none", _("不退")
        UNUSED = "unused", _("退未学部分")

    product = models.OneToOneField(
        Product,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("商品"),
    )
    kind = models.CharField(
        _("商品类型"), max_length=8, choices=Product.Kind.choices, blank=True, default=""
    )
    full_days = models.PositiveSmallIntegerField(_("全额退款期(天)"), default=7)
    full_below_bp = models.PositiveIntegerField(_("全额退款学习上限(万分比)"), default=3000)
    tail = models.CharField(_("此后"), max_length=8, choices=Tail.choices, default=Tail.NONE)
    tail_days = models.PositiveSmallIntegerField(_("部分退款期(天)"), default=0)

    class Meta:
        verbose_name = _("退款规则")
        verbose_name_plural = _("退款规则")
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(product__isnull=True), name="refund_policy_per_kind"
            ),
            models.CheckConstraint(
                condition=Q(product__isnull=True) | Q(kind=""), name="refund_policy_one_subject"
            ),
            models.CheckConstraint(
                condition=Q(full_below_bp__lte=10_000), name="refund_policy_bounded"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product or self.get_kind_display() or _('全部商品')}"
