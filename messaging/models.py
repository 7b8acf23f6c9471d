"""What the platform pushed to us and what we answered; what we sent by ourselves."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from kernel import clock


class MessageEvent(models.Model):
    """One push, kept with the bytes of its reply: a repeat of the push gets the same bytes."""

    class Account(models.TextChoices):
        MP = "mp", _("小程序")
        OA = "oa", _("公众号")

    account = models.CharField(_("账号"), max_length=2, choices=Account.choices)
    dedupe_key = models.CharField(_("去重键"), max_length=80)
    openid = models.CharField(_("OpenID"), max_length=128)
    msg_type = models.CharField(_("消息类型"), max_length=32)
    event = models.CharField(_("事件"), max_length=64, blank=True, default="")
    event_key = models.TextField(_("事件键"), blank=True, default="")
    content = models.TextField(_("内容"), blank=True, default="")
    fields = models.JSONField(_("原始字段"), default=dict)
    raw_sha = models.CharField(_("原文摘要"), max_length=64)
    platform_at = models.DateTimeField(_("平台时间"))
    received_at = models.DateTimeField(_("收到时间"), default=clock.now)
    reply = models.BinaryField(_("回复"), default=b"")

    class Meta:
        verbose_name = _("收到的消息")
        verbose_name_plural = _("收到的消息")
        constraints = [
            models.UniqueConstraint(fields=["account", "dedupe_key"], name="message_once")
        ]
        indexes = [
            models.Index(fields=["received_at"], name="message_received"),
            models.Index(fields=["openid", "received_at"], name="message_openid"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.event or self.msg_type} #{self.pk}"


class OutboundMessage(models.Model):
    """A customer-service message of ours. Sent at most once: an unknown fate is not repeated."""

    class Kind(models.TextChoices):
        MARKETING = "marketing", _("营销")
        SERVICE = "service", _("服务")

    class State(models.TextChoices):
        QUEUED = "queued", _("待发送")
        SENDING = "sending", _("发送中")
        SENT = "sent", _("已发送")
        SKIPPED = "skipped", _("不发送")
        REFUSED = "refused", _("平台拒绝")
        UNCERTAIN = "uncertain", _("结果未知")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("用户"), on_delete=models.CASCADE, related_name="+"
    )
    kind = models.CharField(_("类别"), max_length=12, choices=Kind.choices)
    dedupe_key = models.CharField(_("去重键"), max_length=120, unique=True)
    text = models.TextField(_("内容"))
    state = models.CharField(_("状态"), max_length=12, choices=State.choices, default=State.QUEUED)
    reason = models.CharField(_("原因"), max_length=64, blank=True, default="")
    created_at = models.DateTimeField(_("创建时间"), default=clock.now)
    finished_at = models.DateTimeField(_("完成时间"), null=True, blank=True)

    class Meta:
        verbose_name = _("发出的消息")
        verbose_name_plural = _("发出的消息")
        indexes = [
            models.Index(fields=["user", "created_at"], name="outbound_user"),
            models.Index(fields=["state", "created_at"], name="outbound_state"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"
