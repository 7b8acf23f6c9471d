"""Refusals of the incentives app. Codes are part of the public contract."""

from django.utils.translation import gettext_lazy as _

from kernel.errors import Conflict, NotFound


class PointsInsufficient(Conflict):
    """`detail.balance` is what the user can spend now."""

    code = "points_insufficient"
    message = _("积分不足。")


class CouponUnusable(Conflict):
    """`detail.reason`: expired, held, used, below_floor or out_of_scope."""

    code = "coupon_unusable"
    message = _("这张优惠券不能用于本次购买。")


class CouponNotFound(NotFound):
    message = _("优惠券不存在。")


class CouponSoldOut(Conflict):
    code = "coupon_sold_out"
    message = _("优惠券已被领完。")


class CouponLimitReached(Conflict):
    """`detail.per_user` is the limit."""

    code = "coupon_limit_reached"
    message = _("您已达到这张优惠券的领取上限。")


class CouponNotClaimable(Conflict):
    code = "coupon_not_claimable"
    message = _("这张优惠券目前不能领取。")


class CodeNotFound(NotFound):
    message = _("兑换码不存在或已失效。")


class CodeUsedUp(Conflict):
    code = "code_used_up"
    message = _("兑换码已被使用。")
