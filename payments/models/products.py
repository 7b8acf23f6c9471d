"""What can be bought, at which price, and where."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kernel import clock


class Platform(models.TextChoices):
    """Where the client runs, as `wx.getDeviceInfo().platform` says it."""

    IOS = "ios", _("苹果")
    ANDROID = "android", _("安卓")
    DEVTOOLS = "devtools", _("开发者工具")
    H5 = "h5", _("网页")


class Channel(models.TextChoices):
    """How money comes in."""

    JSAPI = "jsapi", _("微信支付")
    VIRTUAL = "virtual", _("虚拟支付")
    NATIVE = "native", _("扫码支付")
    H5 = "h5", _("网页支付")


class Product(models.Model):
    """A thing with a price. `scope` is what the buyer may use; payments never looks inside it."""

    class Kind(models.TextChoices):
        COURSE = "course", _("课程")
        BUNDLE = "bundle", _("套餐")
        PLAN = "plan", _("会员方案")
        GIFT = "gift", _("礼品")

    key = models.CharField(_("外部键"), max_length=120, unique=True, null=True, blank=True)  # noqa: DJ001  (unique needs null)
    kind = models.CharField(_("类型"), max_length=8, choices=Kind.choices)
    title = models.CharField(_("名称"), max_length=120)
    scope = models.CharField(_("权益范围"), max_length=80, blank=True, default="")
    list_fen = models.PositiveIntegerField(_("原价(分)"))
    price_fen = models.PositiveIntegerField(_("售价(分)"))
    promo_fen = models.PositiveIntegerField(_("促销价(分)"), null=True, blank=True)
    promo_from = models.DateTimeField(_("促销开始"), null=True, blank=True)
    promo_until = models.DateTimeField(_("促销结束"), null=True, blank=True)
    member_fen = models.PositiveIntegerField(_("会员价(分)"), null=True, blank=True)
    member_scope = models.CharField(
        _("享会员价的权益"), max_length=80, blank=True, default="membership:vip"
    )
    channels = ArrayField(
        models.CharField(max_length=8, choices=Channel.choices), verbose_name=_("可用渠道")
    )
    xpay_product_id = models.CharField(_("虚拟支付道具"), max_length=64, blank=True, default="")
    owner_ref = models.CharField(_("归属"), max_length=80, blank=True, default="")
    active = models.BooleanField(_("在售"), default=True)
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)
    updated_at = models.DateTimeField(_("更新时间"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("商品")
        verbose_name_plural = _("商品")
        indexes = [models.Index(fields=["scope"], name="product_scope")]
        constraints = [
            models.CheckConstraint(
                condition=Q(list_fen__gte=F("price_fen")), name="product_price_below_list"
            ),
            models.CheckConstraint(
                condition=Q(kind="gift") | ~Q(scope=""), name="product_has_scope"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def price_at(self, at: datetime) -> int:
        """The price in fen for everybody at that moment: the promotional one while it runs."""
        if self.promo_fen is None or self.promo_fen >= self.price_fen:
            return self.price_fen
        started = self.promo_from is None or self.promo_from <= at
        ended = self.promo_until is not None and self.promo_until <= at
        return self.promo_fen if started and not ended else self.price_fen


class Plan(models.Model):
    """A membership sold for a period. Its product carries title, price and scope."""

    class Period(models.TextChoices):
        MONTH = "month", _("月")
        QUARTER = "quarter", _("季")
        YEAR = "year", _("年")
        LIFETIME = "lifetime", _("终身")

    product = models.OneToOneField(
        Product, on_delete=models.PROTECT, related_name="plan", verbose_name=_("商品")
    )
    key = models.CharField(_("外部键"), max_length=120, unique=True, null=True, blank=True)  # noqa: DJ001  (unique needs null)
    period = models.CharField(_("周期"), max_length=8, choices=Period.choices)
    position = models.PositiveSmallIntegerField(_("排序"), default=0)

    class Meta:
        verbose_name = _("会员方案")
        verbose_name_plural = _("会员方案")

    def __str__(self) -> str:
        return f"{self.product.title}({self.get_period_display()})"

    @property
    def scope(self) -> str:
        """What the plan opens, e.g. `membership:vip`."""
        return self.product.scope


class ChannelRule(models.Model):
    """An operator's word on what may be sold where; it beats the default of `payments.rules`.

    A rule for one kind of product beats the one for all kinds (`kind` empty).
    """

    platform = models.CharField(_("平台"), max_length=8, choices=Platform.choices)
    channel = models.CharField(_("渠道"), max_length=8, choices=Channel.choices)
    kind = models.CharField(
        _("商品类型"), max_length=8, choices=Product.Kind.choices, blank=True, default=""
    )
    allowed = models.BooleanField(_("允许"), default=True)

    class Meta:
        verbose_name = _("渠道规则")
        verbose_name_plural = _("渠道规则")
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "channel", "kind"], name="channel_rule_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.platform} {self.channel} {self.kind or '*'}"
