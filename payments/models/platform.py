"""What the platform told us, what became of it, and what it caused."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from kernel import clock


class PlatformEvent(models.Model):
    """A verified notification as it came. Never changed; what becomes of it is another table."""

    source = models.CharField(_("来源"), max_length=20)
    event_id = models.CharField(_("事件号"), max_length=80)
    event_type = models.CharField(_("事件类型"), max_length=60)
    body = models.BinaryField(_("原文"))
    received_at = models.DateTimeField(_("收到时间"), default=clock.now)

    class Meta:
        verbose_name = _("平台事件")
        verbose_name_plural = _("平台事件")
        constraints = [
            models.UniqueConstraint(fields=["source", "event_id"], name="platform_event_once")
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.event_id}"


class EventHandling(models.Model):
    """What became of a platform event. `facts` is what it says, kept while it waits."""

    class State(models.TextChoices):
        RECEIVED = "received", _("已收到")
        PARKED = "parked", _("等待中")
        DONE = "done", _("已处理")
        IGNORED = "ignored", _("无需处理")
        DEAD = "dead", _("需人工处理")

    event = models.OneToOneField(
        PlatformEvent,
        on_delete=models.PROTECT,
        primary_key=True,
        related_name="handling",
        verbose_name=_("事件"),
    )
    kind = models.CharField(_("类型"), max_length=20)
    business_key = models.CharField(_("业务单号"), max_length=80)
    state = models.CharField(_("状态"), max_length=8, choices=State.choices)
    attempts = models.PositiveSmallIntegerField(_("次数"), default=0)
    due_at = models.DateTimeField(_("下次处理"), null=True, blank=True)
    facts = models.JSONField(_("内容"), null=True, blank=True)
    last_error = models.CharField(_("最近错误"), max_length=200, blank=True, default="")
    done_at = models.DateTimeField(_("完成时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("事件处理")
        verbose_name_plural = _("事件处理")
        indexes = [
            models.Index(
                fields=["due_at"],
                name="event_due",
                condition=Q(state__in=("received", "parked")),
            ),
            models.Index(fields=["kind", "business_key"], name="event_business_key"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.business_key} {self.state}"


class Effect(models.Model):
    """A fact of the outside that had its effect: once per business key, whoever told it."""

    kind = models.CharField(_("类型"), max_length=20)
    business_key = models.CharField(_("业务键"), max_length=200)
    ref = models.CharField(_("结果"), max_length=80)
    created_at = models.DateTimeField(_("时间"), default=clock.now)

    class Meta:
        verbose_name = _("业务效果")
        verbose_name_plural = _("业务效果")
        constraints = [models.UniqueConstraint(fields=["kind", "business_key"], name="effect_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.business_key}"
