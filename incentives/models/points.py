"""Points as a ledger of lots: balance = sum of entries = sum of what the lots have left."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kernel import clock


class EarningKind(models.TextChoices):
    """What may earn points: facts that the server saw itself."""

    CHECK_IN = "check_in", _("每日签到")
    LESSON_FINISHED = "lesson_finished", _("学完一节课")
    PURCHASE = "purchase", _("购买课程")
    COMMENT_APPROVED = "comment_approved", _("评价通过审核")


class EarningRule(models.Model):
    """How many points a fact earns. One rule per kind is in force; caps are in points."""

    Kind = EarningKind

    key = models.CharField(_("标识"), max_length=64, unique=True)
    kind = models.CharField(_("行为"), max_length=32, choices=EarningKind.choices)
    points = models.PositiveIntegerField(_("积分"))
    daily_cap = models.PositiveIntegerField(
        _("每日上限"), null=True, blank=True, help_text=_("每位用户每天由此获得的积分，空为不限。")
    )
    lifetime_cap = models.PositiveIntegerField(
        _("累计上限"), null=True, blank=True, help_text=_("每位用户累计获得的积分，空为不限。")
    )
    streak_bonus = models.PositiveIntegerField(
        _("连续签到奖励"), default=0, help_text=_("仅用于签到：每连续 7 天额外获得的积分。")
    )
    valid_days = models.PositiveIntegerField(_("积分有效天数"), default=365)
    active = models.BooleanField(_("启用"), default=True)

    class Meta:
        verbose_name = _("积分规则")
        verbose_name_plural = _("积分规则")
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(active=True), name="earning_rule_one_in_force"
            ),
            models.CheckConstraint(
                condition=Q(points__gte=1, valid_days__gte=1), name="earning_rule_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} +{self.points}"


class PointsWallet(models.Model):
    """The row that everyone who moves a user's points locks first."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    balance = models.PositiveBigIntegerField(_("余额"), default=0)
    shortfall = models.PositiveBigIntegerField(
        _("欠扣积分"), default=0, help_text=_("退款应收回、但用户已经用掉的积分。")
    )
    created_at = models.DateTimeField(_("创建时间"), default=clock.now)

    class Meta:
        verbose_name = _("积分钱包")
        verbose_name_plural = _("积分钱包")
        constraints = [
            models.CheckConstraint(
                condition=Q(balance__gte=0, shortfall__gte=0), name="wallet_never_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.balance}"


class PointLot(models.Model):
    """Points earned by one fact. They are spent in the order in which lots expire."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    source = models.CharField(_("来源"), max_length=32, choices=EarningKind.choices)
    granted = models.PositiveBigIntegerField(_("发放"))
    remaining = models.PositiveBigIntegerField(_("剩余"))
    expires_at = models.DateTimeField(_("过期时间"))
    created_at = models.DateTimeField(_("发放时间"), default=clock.now)

    class Meta:
        verbose_name = _("积分批次")
        verbose_name_plural = _("积分批次")
        constraints = [
            models.CheckConstraint(
                condition=Q(granted__gte=1, remaining__gte=0, remaining__lte=F("granted")),
                name="lot_within_its_grant",
            ),
        ]
        indexes = [
            models.Index(
                fields=["user", "expires_at", "id"], name="lot_fifo", condition=Q(remaining__gt=0)
            ),
            models.Index(fields=["expires_at"], name="lot_overdue", condition=Q(remaining__gt=0)),
            models.Index(fields=["user", "source", "created_at"], name="lot_earned"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.remaining}/{self.granted}"


class PointEntry(models.Model):
    """One movement of one lot. Append-only: a trigger refuses UPDATE, DELETE and TRUNCATE.

    `ref` names the business fact: the order for spend and for the spend_return of an order that
    died, the refund (out_refund_no) for what a refund gave back or clawed back. `order_no` ties
    all of them to their order.
    """

    class Kind(models.TextChoices):
        EARN = "earn", _("获得")
        SPEND = "spend", _("抵扣")
        SPEND_RETURN = "spend_return", _("抵扣退回")
        EXPIRE = "expire", _("过期")
        CLAWBACK = "clawback", _("退款收回")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    lot = models.ForeignKey(
        PointLot, verbose_name=_("批次"), on_delete=models.PROTECT, related_name="entries"
    )
    delta = models.BigIntegerField(_("变动"))
    kind = models.CharField(_("类型"), max_length=16, choices=Kind.choices)
    ref = models.CharField(_("业务单号"), max_length=80)
    order_no = models.CharField(_("订单号"), max_length=32, blank=True, default="")
    text = models.CharField(_("说明"), max_length=100, blank=True, default="")
    created_at = models.DateTimeField(_("时间"), default=clock.now)

    class Meta:
        verbose_name = _("积分流水")
        verbose_name_plural = _("积分流水")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "kind", "ref", "lot"], name="point_entry_once_per_fact"
            ),
            models.UniqueConstraint(
                fields=["user", "ref"], condition=Q(kind="earn"), name="point_fact_earns_once"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["earn", "spend_return"], delta__gt=0)
                | Q(kind__in=["spend", "expire", "clawback"], delta__lt=0),
                name="point_entry_sign",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at", "-id"], name="point_entry_newest"),
            models.Index(fields=["order_no"], name="point_entry_order", condition=~Q(order_no="")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.delta:+d}"


class PointClawback(models.Model):
    """What one refund took back of the points that its order had earned, once per refund.

    `taken` came out of lots; the rest was spent already and went to the wallet's shortfall.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    out_refund_no = models.CharField(_("退款单号"), max_length=64, unique=True)
    order_no = models.CharField(_("订单号"), max_length=32)
    points = models.PositiveIntegerField(_("应收回"))
    taken = models.PositiveIntegerField(_("实际收回"))
    created_at = models.DateTimeField(_("时间"), default=clock.now)

    class Meta:
        verbose_name = _("积分收回")
        verbose_name_plural = _("积分收回")
        constraints = [
            models.CheckConstraint(
                condition=Q(taken__lte=F("points")), name="clawback_within_share"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.out_refund_no} {self.taken}/{self.points}"


class CheckIn(models.Model):
    """A user came by on this day of the shop's calendar (Asia/Shanghai)."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.CASCADE,
        related_name="+",
    )
    day = models.DateField(_("日期"))
    streak = models.PositiveIntegerField(_("连续天数"))
    points = models.PositiveIntegerField(_("获得积分"), default=0)
    created_at = models.DateTimeField(_("时间"), default=clock.now)

    class Meta:
        verbose_name = _("签到")
        verbose_name_plural = _("签到")
        constraints = [
            models.UniqueConstraint(fields=["user", "day"], name="check_in_once_a_day"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.day}"
