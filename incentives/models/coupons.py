"""Coupons: what may be claimed, by whom it was, and the order that holds or used it."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kernel import clock


class CouponTemplate(models.Model):
    """A published rule: `discount_fen` off when the things it covers cost at least `min_fen`.

    The counters only grow: a coupon that expired or was never used stays counted.
    """

    key = models.CharField(_("标识"), max_length=64, unique=True)
    title = models.CharField(_("名称"), max_length=60)
    discount_fen = models.PositiveIntegerField(_("优惠金额（分）"))
    min_fen = models.PositiveIntegerField(_("使用门槛（分）"), default=0)
    scopes = ArrayField(
        models.CharField(max_length=80),
        verbose_name=_("适用范围"),
        blank=True,
        default=list,
        help_text=_("空为全场通用；例如 course:12，或 course:* 表示全部课程。"),
    )
    budget_count = models.PositiveBigIntegerField(
        _("张数预算"), null=True, blank=True, help_text=_("空为不限。")
    )
    budget_fen = models.PositiveBigIntegerField(
        _("金额预算（分）"), null=True, blank=True, help_text=_("空为不限。")
    )
    per_user = models.PositiveIntegerField(_("每人限领"), default=1)
    valid_days = models.PositiveIntegerField(_("领取后有效天数"), default=30)
    code = models.CharField(
        _("领取口令"),
        max_length=40,
        blank=True,
        default="",
        help_text=_("填写后用户也可以凭口令领取。"),
    )
    claimable = models.BooleanField(
        _("公开领取"), default=True, help_text=_("关闭后只能凭口令领取。")
    )
    active = models.BooleanField(_("启用"), default=True)
    claim_from = models.DateTimeField(_("领取开始"), null=True, blank=True)
    claim_until = models.DateTimeField(_("领取截止"), null=True, blank=True)
    claimed_count = models.PositiveBigIntegerField(_("已领张数"), default=0, editable=False)
    claimed_fen = models.PositiveBigIntegerField(_("已领金额（分）"), default=0, editable=False)
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("优惠券模板")
        verbose_name_plural = _("优惠券模板")
        constraints = [
            models.CheckConstraint(
                condition=Q(budget_count__isnull=True) | Q(claimed_count__lte=F("budget_count")),
                name="coupon_count_within_budget",
            ),
            models.CheckConstraint(
                condition=Q(budget_fen__isnull=True) | Q(claimed_fen__lte=F("budget_fen")),
                name="coupon_fen_within_budget",
            ),
            models.CheckConstraint(
                condition=Q(discount_fen__gte=1, per_user__gte=1, valid_days__gte=1),
                name="coupon_template_positive",
            ),
            models.UniqueConstraint(
                fields=["code"], condition=~Q(code=""), name="coupon_code_once"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class TemplateUser(models.Model):
    """How many coupons of a template a user has claimed, under the limit that held then."""

    template = models.ForeignKey(
        CouponTemplate, verbose_name=_("模板"), on_delete=models.PROTECT, related_name="+"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    claimed = models.PositiveIntegerField(_("已领"), default=0)
    allowed = models.PositiveIntegerField(_("限领"))

    class Meta:
        verbose_name = _("领取计数")
        verbose_name_plural = _("领取计数")
        constraints = [
            models.UniqueConstraint(fields=["template", "user"], name="template_user_once"),
            models.CheckConstraint(
                condition=Q(claimed__lte=F("allowed")), name="coupons_within_user_limit"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template_id}:{self.user_id} {self.claimed}/{self.allowed}"


class Coupon(models.Model):
    """One user's coupon. Free (issued, or released by an order that died), held, or used up."""

    class Status(models.TextChoices):
        ISSUED = "issued", _("可用")
        RESERVED = "reserved", _("订单占用")
        REDEEMED = "redeemed", _("已使用")
        RELEASED = "released", _("已退回，可用")
        EXPIRED = "expired", _("已过期")

    FREE = (Status.ISSUED, Status.RELEASED)
    HELD = (Status.RESERVED, Status.REDEEMED)

    template = models.ForeignKey(
        CouponTemplate, verbose_name=_("模板"), on_delete=models.PROTECT, related_name="coupons"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    status = models.CharField(
        _("状态"), max_length=16, choices=Status.choices, default=Status.ISSUED
    )
    order_no = models.CharField(_("订单号"), max_length=32, blank=True, default="")
    value_fen = models.PositiveIntegerField(_("面额（分）"))
    min_fen = models.PositiveIntegerField(_("使用门槛（分）"), default=0)
    expires_at = models.DateTimeField(_("过期时间"))
    created_at = models.DateTimeField(_("领取时间"), default=clock.now)

    class Meta:
        verbose_name = _("优惠券")
        verbose_name_plural = _("优惠券")
        constraints = [
            models.UniqueConstraint(
                fields=["order_no"], condition=~Q(order_no=""), name="coupon_one_per_order"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["reserved", "redeemed"]) & ~Q(order_no="")
                | Q(status__in=["issued", "released", "expired"], order_no=""),
                name="coupon_held_by_an_order",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="coupon_of_user"),
            models.Index(
                fields=["expires_at"],
                name="coupon_overdue",
                condition=Q(status__in=["issued", "released"]),
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.get_status_display()}"
