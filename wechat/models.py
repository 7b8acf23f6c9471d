"""The platform's access tokens, shared by all processes."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class PlatformToken(models.Model):
    """The newest access token of one app, encrypted. One row per appid."""

    appid = models.CharField(_("AppID"), max_length=64, primary_key=True)
    token_encrypted = models.TextField(_("令牌(加密)"))
    version = models.PositiveBigIntegerField(_("版本"), default=0)
    fetched_at = models.DateTimeField(_("获取时间"))
    renew_at = models.DateTimeField(_("更新时间"))

    class Meta:
        verbose_name = _("平台令牌")
        verbose_name_plural = _("平台令牌")

    def __str__(self) -> str:
        return self.appid
