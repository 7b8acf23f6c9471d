"""Buying together: an offer, and the groups that form on it."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kernel import clock
from payments.models.products import Product


class GroupOffer(models.Model):
    """A product at a lower price for `size` people who pay within `hours`."""

    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="+", verbose_name=_("商品")
    )
    price_fen = models.PositiveIntegerField(_("拼团价(分)"))
    size = models.PositiveSmallIntegerField(_("成团人数"))
    hours = models.PositiveSmallIntegerField(_("限时(小时)"), default=24)
    active = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("拼团活动")
        verbose_name_plural = _("拼团活动")
        constraints = [
            models.UniqueConstraint(
                fields=["product"], condition=Q(active=True), name="group_offer_one_per_product"
            ),
            models.CheckConstraint(
                condition=Q(size__gte=2, size__lte=100, hours__gte=1, price_fen__gt=0),
                name="group_offer_makes_sense",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product_id} ×{self.size}"


class Group(models.Model):
    """People who buy one thing together. `paid_count` are members whose money came and stayed."""

    class Status(models.TextChoices):
        OPEN = "open", _("拼团中")
        COMPLETE = "complete", _("已成团")
        FAILED = "failed", _("未成团")

    offer = models.ForeignKey(
        GroupOffer, on_delete=models.PROTECT, related_name="groups", verbose_name=_("活动")
    )
    leader = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("团长")
    )
    price_fen = models.PositiveIntegerField(_("拼团价(分)"))
    size = models.PositiveSmallIntegerField(_("成团人数"))
    paid_count = models.PositiveSmallIntegerField(_("已付人数"), default=0)
    status = models.CharField(_("状态"), max_length=8, choices=Status.choices, default=Status.OPEN)
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)
    expires_at = models.DateTimeField(_("截止时间"))
    next_sweep_at = models.DateTimeField(_("下次处理"), null=True, blank=True)
    ended_at = models.DateTimeField(_("结束时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("拼团")
        verbose_name_plural = _("拼团")
        indexes = [
            models.Index(
                fields=["next_sweep_at"],
                name="group_due",
                condition=Q(next_sweep_at__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="complete") | Q(ended_at__isnull=False),
                name="group_complete_has_time",
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="group_lasts"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"
