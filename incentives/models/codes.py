"""Redeem codes that open a course or a membership without an order."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kernel import clock


class RedeemCode(models.Model):
    """A code (stored as its SHA-256) that grants `scope` to up to `max_uses` users."""

    key = models.CharField(_("标识"), max_length=64, unique=True)
    code_hash = models.BinaryField(_("兑换码摘要"), max_length=32, unique=True)
    hint = models.CharField(_("尾号"), max_length=4, blank=True, default="")
    scope = models.CharField(_("权益范围"), max_length=80)
    valid_days = models.PositiveIntegerField(
        _("权益天数"), null=True, blank=True, help_text=_("空为长期有效。")
    )
    max_uses = models.PositiveIntegerField(_("可用次数"), default=1)
    used_count = models.PositiveIntegerField(_("已用次数"), default=0, editable=False)
    expires_at = models.DateTimeField(_("兑换截止"), null=True, blank=True)
    active = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("兑换码")
        verbose_name_plural = _("兑换码")
        constraints = [
            models.CheckConstraint(
                condition=Q(used_count__lte=F("max_uses")), name="redeem_code_within_uses"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} …{self.hint}"


class RedeemUse(models.Model):
    """One user redeemed a code; the entitlement's source_ref is this row's id."""

    code = models.ForeignKey(
        RedeemCode, verbose_name=_("兑换码"), on_delete=models.PROTECT, related_name="uses"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("用户"),
        on_delete=models.PROTECT,
        related_name="+",
    )
    created_at = models.DateTimeField(_("时间"), default=clock.now)

    class Meta:
        verbose_name = _("兑换记录")
        verbose_name_plural = _("兑换记录")
        constraints = [
            models.UniqueConstraint(fields=["code", "user"], name="redeem_once_per_user"),
        ]

    def __str__(self) -> str:
        return f"{self.code_id}:{self.user_id}"
