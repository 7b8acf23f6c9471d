"""Codes that a buyer gives away."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kernel import clock
from payments.models.orders import OrderLine
from payments.models.payments import Refund


class Gift(models.Model):
    """One piece of a paid gift line. Its code is kept sealed for the buyer, hashed for claims.

    issued → claimed | returning → returned; returning → issued when its refund is closed.
    A claimed gift is `revoked` when its line was refunded all the same.
    """

    class Status(models.TextChoices):
        ISSUED = "issued", _("待领取")
        CLAIMED = "claimed", _("已领取")
        RETURNING = "returning", _("退回中")
        RETURNED = "returned", _("已退回")
        REVOKED = "revoked", _("已收回")

    line = models.ForeignKey(
        OrderLine, on_delete=models.PROTECT, related_name="gifts", verbose_name=_("订单行")
    )
    number = models.PositiveSmallIntegerField(_("序号"))
    scope = models.CharField(_("权益范围"), max_length=80)
    amount_fen = models.PositiveIntegerField(_("金额(分)"))
    code_hash = models.BinaryField(_("赠送码摘要"), max_length=32, unique=True)
    code_sealed = models.TextField(_("赠送码(加密)"))
    message = models.CharField(_("赠言"), max_length=200, blank=True, default="")
    status = models.CharField(
        _("状态"), max_length=10, choices=Status.choices, default=Status.ISSUED
    )
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("领取人"),
    )
    claimed_at = models.DateTimeField(_("领取时间"), null=True, blank=True)
    refund = models.ForeignKey(
        Refund,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="gifts",
        verbose_name=_("退款"),
    )
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)
    expires_at = models.DateTimeField(_("领取截止"))
    next_sweep_at = models.DateTimeField(_("下次处理"), null=True, blank=True)

    class Meta:
        verbose_name = _("赠送")
        verbose_name_plural = _("赠送")
        indexes = [
            models.Index(
                fields=["next_sweep_at"],
                name="gift_due",
                condition=Q(next_sweep_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["line", "number"], name="gift_once"),
            models.CheckConstraint(
                condition=Q(
                    status__in=("claimed", "revoked"),
                    claimed_by__isnull=False,
                    claimed_at__isnull=False,
                )
                | (~Q(status__in=("claimed", "revoked")) & Q(claimed_by__isnull=True)),
                name="gift_claimed_by_someone",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=("returning", "returned"))
                | Q(refund__isnull=False)
                | Q(status="returned", amount_fen=0),
                name="gift_returns_by_refund",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line_id}/{self.number}"
