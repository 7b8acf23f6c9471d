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
    """A thing with a price. `scope` is what the buyer may use; payments never looks inside it.

    A gift's scope is what each of its codes opens for whoever claims it.
    """

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
                condition=Q(kind__in=("gift", "bundle")) | ~Q(scope=""), name="product_has_scope"
            ),
            models.CheckConstraint(
                condition=Q(promo_from__isnull=True)
                | Q(promo_until__isnull=True)
                | Q(promo_until__gt=F("promo_from")),
                name="product_promo_lasts",
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


class BundleItem(models.Model):
    """A product inside a bundle. Its price at the moment of sale is its weight in the split."""

    bundle = models.ForeignKey(
        Product, on_delete=models.CASCADE, related_name="bundle_items", verbose_name=_("套餐")
    )
    item = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="+", verbose_name=_("内含商品")
    )
    position = models.PositiveSmallIntegerField(_("排序"), default=0)

    class Meta:
        verbose_name = _("套餐内容")
        verbose_name_plural = _("套餐内容")
        constraints = [
            models.UniqueConstraint(fields=["bundle", "item"], name="bundle_item_once"),
            models.CheckConstraint(condition=~Q(bundle=F("item")), name="bundle_not_inside_itself"),
        ]

    def __str__(self) -> str:
        return f"{self.bundle_id} ∋ {self.item_id}"


class ShareRule(models.Model):
    """A creator's share of what learners pay for a scope, in basis points of the payable amount.

    `payee` is opaque (a creator's id): its account is `creator_payable:<payee>`.
    """

    scope = models.CharField(_("权益范围"), max_length=80)
    payee = models.CharField(_("收款方"), max_length=40)
    share_bp = models.PositiveIntegerField(_("分成(万分比)"))
    active = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("分成规则")
        verbose_name_plural = _("分成规则")
        constraints = [
            models.UniqueConstraint(fields=["scope", "payee"], name="share_rule_once"),
            models.CheckConstraint(
                condition=Q(share_bp__gt=0, share_bp__lte=10_000), name="share_rule_bounded"
            ),
            models.CheckConstraint(
                condition=Q(payee__regex=r"^[a-z0-9_]+$"), name="share_rule_payee_code"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} → {self.payee}"


class XpayItem(models.Model):
    """The item at the platform that a product is sold as through virtual payment (`wechat.md` B6).

    Only a published item of exactly the payable price can be bought. A new price is a new upload
    and a new publication; while it runs `state` says so and the product is not sold this way.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("未上传")
        UPLOADING = "uploading", _("上传中")
        PUBLISHING = "publishing", _("发布中")
        PUBLISHED = "published", _("已发布")
        FAILED = "failed", _("失败")

    product = models.ForeignKey(
        Product, on_delete=models.CASCADE, related_name="xpay_items", verbose_name=_("商品")
    )
    item_id = models.CharField(_("道具编号"), max_length=64, unique=True)
    price_fen = models.PositiveIntegerField(_("道具价格(分)"))
    state = models.CharField(_("状态"), max_length=12, choices=State.choices, default=State.DRAFT)
    usable_at = models.DateTimeField(_("可售时间"), null=True, blank=True)
    checks = models.PositiveSmallIntegerField(_("查询次数"), default=0)
    next_check_at = models.DateTimeField(_("下次处理"), null=True, blank=True)
    last_error = models.CharField(_("最近错误"), max_length=200, blank=True, default="")
    created_at = models.DateTimeField(_("创建时间"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("虚拟支付道具")
        verbose_name_plural = _("虚拟支付道具")
        indexes = [
            models.Index(
                fields=["next_check_at"],
                name="xpay_item_due",
                condition=Q(next_check_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["product", "price_fen"], name="xpay_item_per_price"),
            models.CheckConstraint(
                condition=~Q(state="published") | Q(usable_at__isnull=False),
                name="xpay_item_published_has_time",
            ),
        ]

    def __str__(self) -> str:
        return self.item_id


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
