"""Who may use what, until when, and why."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kernel import clock


class Entitlement(models.Model):
    """One right of one person from one source. Access is the union of the living ones."""

    class Source(models.TextChoices):
        ORDER = "order", _("购买")
        SUBSCRIPTION = "subscription", _("订阅")
        REDEEM = "redeem", _("兑换码")
        GIFT = "gift", _("赠送")
        ASSIGNMENT = "assignment", _("指派")
        OPERATOR = "operator", _("人工授予")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("用户")
    )
    scope = models.CharField(_("权益范围"), max_length=80)
    source = models.CharField(_("来源"), max_length=12, choices=Source.choices)
    source_ref = models.CharField(_("来源单号"), max_length=80)
    valid_from = models.DateTimeField(_("生效时间"))
    valid_until = models.DateTimeField(_("失效时间"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("收回时间"), null=True, blank=True)
    reason = models.CharField(_("原因"), max_length=200, blank=True, default="")
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("权益")
        verbose_name_plural = _("权益")
        indexes = [
            models.Index(
                fields=["user", "scope"],
                name="entitlement_living",
                condition=Q(revoked_at__isnull=True),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "source_ref", "scope", "user"], name="entitlement_once"
            ),
            models.CheckConstraint(
                condition=Q(valid_until__isnull=True) | Q(valid_until__gt=F("valid_from")),
                name="entitlement_lasts",
            ),
            models.CheckConstraint(condition=~Q(scope=""), name="entitlement_has_scope"),
            models.CheckConstraint(
                condition=~Q(source="operator") | ~Q(reason=""), name="entitlement_operator_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.scope}"
