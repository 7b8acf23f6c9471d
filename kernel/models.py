"""Tables of the kernel: work that is due, answers already given, counters, heartbeats."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class OutboxRow(models.Model):
    """A fact that was published in the transaction which made it true."""

    class State(models.TextChoices):
        DUE = "due", _("待投递")
        DONE = "done", _("已完成")
        DEAD = "dead", _("已放弃")

    kind = models.CharField(_("事件"), max_length=80)
    key = models.CharField(_("业务键"), max_length=200, blank=True, default="")
    payload = models.JSONField(_("内容"))
    handler = models.CharField(_("处理者"), max_length=120)
    state = models.CharField(_("状态"), max_length=8, choices=State.choices, default=State.DUE)
    attempts = models.PositiveIntegerField(_("次数"), default=0)
    due_at = models.DateTimeField(_("到期时间"))
    lease = models.PositiveBigIntegerField(_("租约版本"), default=0)
    last_error = models.TextField(_("最近错误"), blank=True, default="")
    created_at = models.DateTimeField(_("创建时间"))
    done_at = models.DateTimeField(_("完成时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("待办事件")
        verbose_name_plural = _("待办事件")
        indexes = [
            models.Index(fields=["due_at"], name="outbox_due", condition=models.Q(state="due")),
            models.Index(fields=["state", "created_at"], name="outbox_state"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} → {self.handler}"


class IdempotencyKey(models.Model):
    """The answer that was given for a key, kept so that a repeat gets the same one."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", verbose_name=_("用户")
    )
    route = models.CharField(_("接口"), max_length=60)
    key = models.CharField(_("幂等键"), max_length=80)
    body_hash = models.BinaryField(_("请求摘要"))
    status = models.PositiveSmallIntegerField(_("状态码"), null=True, blank=True)
    body = models.JSONField(_("回复"), null=True, blank=True)
    lease_until = models.DateTimeField(_("租约"), null=True, blank=True)
    created_at = models.DateTimeField(_("创建时间"))

    class Meta:
        verbose_name = _("幂等记录")
        verbose_name_plural = _("幂等记录")
        constraints = [
            models.UniqueConstraint(fields=["user", "route", "key"], name="idempotency_once")
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"


class RateCounter(models.Model):
    """How often a key was used in a window. Old windows are swept away."""

    pk = models.CompositePrimaryKey("key", "window")
    key = models.CharField(max_length=200)
    window = models.BigIntegerField()
    count = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField()

    class Meta:
        verbose_name = _("频率计数")
        verbose_name_plural = _("频率计数")

    def __str__(self) -> str:
        return f"{self.key} {self.window}"


class Heartbeat(models.Model):
    """A process says that it lives: `celery inspect` does not work on every broker."""

    name = models.CharField(_("进程"), max_length=120, primary_key=True)
    beat_at = models.DateTimeField(_("最近心跳"))

    class Meta:
        verbose_name = _("进程心跳")
        verbose_name_plural = _("进程心跳")

    def __str__(self) -> str:
        return self.name


class StaffAction(models.Model):
    """What an operator did through a service, and why. Append-only evidence."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("操作人"),
    )
    action = models.CharField(_("操作"), max_length=80)
    target = models.CharField(_("对象"), max_length=120)
    reason = models.TextField(_("原因"))
    detail = models.JSONField(_("详情"), default=dict, blank=True)
    created_at = models.DateTimeField(_("时间"))

    class Meta:
        verbose_name = _("操作审计")
        verbose_name_plural = _("操作审计")
        indexes = [models.Index(fields=["target", "created_at"], name="staffaction_target")]

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
