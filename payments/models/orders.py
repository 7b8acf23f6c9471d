"""Quotes, orders and their lines. An order stores each step of its price."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kernel import clock
from payments.models.groups import Group
from payments.models.products import Platform, Product


class Quote(models.Model):
    """A price promised to one user until `expires_at`; one order may be made from it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", verbose_name=_("用户")
    )
    platform = models.CharField(_("平台"), max_length=8, choices=Platform.choices)
    coupon_id = models.BigIntegerField(_("优惠券"), null=True, blank=True)
    coupon_fen = models.PositiveIntegerField(_("优惠券抵扣(分)"), default=0)
    points = models.PositiveIntegerField(_("使用积分"), default=0)
    total_fen = models.PositiveIntegerField(_("总价(分)"))
    discount_fen = models.PositiveIntegerField(_("优惠(分)"))
    points_value_fen = models.PositiveIntegerField(_("积分抵扣(分)"))
    payable_fen = models.PositiveIntegerField(_("应付(分)"))
    lines = models.JSONField(_("明细"))
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)
    expires_at = models.DateTimeField(_("有效期至"), db_index=True)

    class Meta:
        verbose_name = _("报价")
        verbose_name_plural = _("报价")
        constraints = [
            models.CheckConstraint(
                condition=Q(total_fen=F("discount_fen") + F("points_value_fen") + F("payable_fen")),
                name="quote_adds_up",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class Order(models.Model):
    """What one user buys. Money figures never change after it is made, `refunded_fen` excepted."""

    class Status(models.TextChoices):
        PENDING = "pending", _("待支付")
        PAID = "paid", _("已支付")
        CANCELLED = "cancelled", _("已取消")
        CLOSED = "closed", _("已关闭")
        PARTIALLY_REFUNDED = "partially_refunded", _("部分退款")
        REFUNDED = "refunded", _("已退款")

    no = models.CharField(_("订单号"), max_length=24, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("用户")
    )
    quote = models.OneToOneField(
        Quote,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="order",
        verbose_name=_("报价"),
    )
    status = models.CharField(
        _("状态"), max_length=20, choices=Status.choices, default=Status.PENDING
    )
    platform = models.CharField(_("平台"), max_length=8, choices=Platform.choices)
    group = models.ForeignKey(
        Group,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="orders",
        verbose_name=_("拼团"),
    )
    total_fen = models.PositiveIntegerField(_("总价(分)"))
    discount_fen = models.PositiveIntegerField(_("优惠(分)"), default=0)
    coupon_id = models.BigIntegerField(_("优惠券"), null=True, blank=True)
    coupon_fen = models.PositiveIntegerField(_("优惠券抵扣(分)"), default=0)
    points_used = models.PositiveIntegerField(_("使用积分"), default=0)
    points_value_fen = models.PositiveIntegerField(_("积分抵扣(分)"), default=0)
    payable_fen = models.PositiveIntegerField(_("应付(分)"))
    refunded_fen = models.PositiveIntegerField(_("已退(分)"), default=0)
    created_at = models.DateTimeField(_("下单时间"), default=clock.now, editable=False)
    expires_at = models.DateTimeField(_("支付截止"))
    next_sweep_at = models.DateTimeField(_("下次处理"), null=True, blank=True)
    paid_at = models.DateTimeField(_("支付时间"), null=True, blank=True)
    ended_at = models.DateTimeField(_("结束时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("订单")
        verbose_name_plural = _("订单")
        indexes = [
            models.Index(fields=["user", "-created_at", "-id"], name="order_of_user"),
            models.Index(fields=["next_sweep_at"], name="order_due", condition=Q(status="pending")),
            models.Index(fields=["-paid_at"], name="order_paid_at"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["group", "user"],
                condition=Q(group__isnull=False)
                & Q(status__in=("pending", "paid", "partially_refunded")),
                name="order_one_seat_in_group",
            ),
            models.CheckConstraint(
                condition=Q(total_fen=F("discount_fen") + F("points_value_fen") + F("payable_fen")),
                name="order_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(refunded_fen__lte=F("payable_fen")), name="order_refund_bounded"
            ),
            models.CheckConstraint(
                condition=Q(status__in=("pending", "cancelled", "closed"), paid_at__isnull=True)
                | Q(status__in=("paid", "partially_refunded", "refunded"), paid_at__isnull=False),
                name="order_paid_has_time",
            ),
        ]

    def __str__(self) -> str:
        return self.no


class OrderLine(models.Model):
    """One thing of an order: at most one scope, with its own share of every reduction.

    A gift line has no scope; `gives` is what each of its codes opens for whoever claims it.
    """

    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="lines", verbose_name=_("订单")
    )
    line_no = models.PositiveSmallIntegerField(_("行号"))
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="+", verbose_name=_("商品")
    )
    kind = models.CharField(_("类型"), max_length=8, choices=Product.Kind.choices)
    title = models.CharField(_("名称"), max_length=120)
    scope = models.CharField(_("权益范围"), max_length=80, blank=True, default="")
    gives = models.CharField(_("赠出的权益"), max_length=80, blank=True, default="")
    message = models.CharField(_("赠言"), max_length=200, blank=True, default="")
    period = models.CharField(_("周期"), max_length=8, blank=True, default="")
    quantity = models.PositiveIntegerField(_("数量"), default=1)
    list_fen = models.PositiveIntegerField(_("原价(分)"))
    discount_fen = models.PositiveIntegerField(_("优惠(分)"), default=0)
    points_value_fen = models.PositiveIntegerField(_("积分抵扣(分)"), default=0)
    payable_fen = models.PositiveIntegerField(_("应付(分)"))
    refunding_fen = models.PositiveIntegerField(_("退款中(分)"), default=0)
    refunded_fen = models.PositiveIntegerField(_("已退(分)"), default=0)
    steps = models.JSONField(_("价格步骤"), default=list)

    class Meta:
        verbose_name = _("订单行")
        verbose_name_plural = _("订单行")
        constraints = [
            models.UniqueConstraint(fields=["order", "line_no"], name="order_line_once"),
            models.CheckConstraint(
                condition=Q(list_fen=F("discount_fen") + F("points_value_fen") + F("payable_fen")),
                name="order_line_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(refunding_fen__lte=F("payable_fen") - F("refunded_fen")),
                name="order_line_refund_bounded",
            ),
            models.CheckConstraint(
                condition=~Q(kind="gift") | Q(scope=""), name="order_line_gift_has_no_scope"
            ),
            models.CheckConstraint(
                condition=(Q(kind="gift") & ~Q(gives="")) | (~Q(kind="gift") & Q(gives="")),
                name="order_line_gift_gives",
            ),
            models.CheckConstraint(
                condition=Q(quantity=1) | Q(kind="gift"), name="order_line_many_gifts_only"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line_no} {self.title}"


class LineShare(models.Model):
    """What one creator earned by one paid line, and what refunds took back of it."""

    line = models.ForeignKey(
        OrderLine, on_delete=models.PROTECT, related_name="shares", verbose_name=_("订单行")
    )
    payee = models.CharField(_("收款方"), max_length=40)
    amount_fen = models.PositiveIntegerField(_("分成(分)"))
    returned_fen = models.PositiveIntegerField(_("已收回(分)"), default=0)

    class Meta:
        verbose_name = _("分成")
        verbose_name_plural = _("分成")
        indexes = [models.Index(fields=["payee"], name="line_share_payee")]
        constraints = [
            models.UniqueConstraint(fields=["line", "payee"], name="line_share_once"),
            models.CheckConstraint(
                condition=Q(returned_fen__lte=F("amount_fen")), name="line_share_bounded"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line_id} → {self.payee}"
