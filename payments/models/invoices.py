"""Invoices that buyers ask for, net of refunds."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kernel import clock
from payments.models.orders import Order


class Invoice(models.Model):
    """A request for an invoice over what was paid and not refunded; staff issue it elsewhere.

    requested → issued | rejected | cancelled; issued → to_correct when money went back later.
    """

    class Kind(models.TextChoices):
        PERSONAL = "personal", _("个人")
        COMPANY = "company", _("企业")

    class Status(models.TextChoices):
        REQUESTED = "requested", _("待开票")
        ISSUED = "issued", _("已开票")
        REJECTED = "rejected", _("已驳回")
        CANCELLED = "cancelled", _("已取消")
        TO_CORRECT = "to_correct", _("待红冲")

    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="invoices", verbose_name=_("订单")
    )
    kind = models.CharField(_("抬头类型"), max_length=8, choices=Kind.choices)
    title = models.CharField(_("抬头"), max_length=100)
    tax_no = models.CharField(_("税号"), max_length=20, blank=True, default="")
    email = models.EmailField(_("接收邮箱"), max_length=120)
    amount_fen = models.PositiveIntegerField(_("金额(分)"))
    status = models.CharField(
        _("状态"), max_length=10, choices=Status.choices, default=Status.REQUESTED
    )
    number = models.CharField(_("发票号"), max_length=40, blank=True, default="")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("经办人"),
    )
    decided_at = models.DateTimeField(_("办理时间"), null=True, blank=True)
    note = models.CharField(_("备注"), max_length=200, blank=True, default="")
    created_at = models.DateTimeField(_("申请时间"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("发票申请")
        verbose_name_plural = _("发票申请")
        constraints = [
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(status__in=("requested", "issued", "to_correct")),
                name="invoice_one_per_order",
            ),
            models.CheckConstraint(
                condition=~Q(kind="company") | ~Q(tax_no=""), name="invoice_company_has_tax_no"
            ),
            models.CheckConstraint(
                condition=Q(amount_fen__gt=0) | Q(status__in=("cancelled", "to_correct")),
                name="invoice_of_something",
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"
