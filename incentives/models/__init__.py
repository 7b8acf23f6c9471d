"""Points, coupons and codes: each quantity that may run out has its limit as a CHECK."""

from incentives.models.codes import RedeemCode, RedeemUse
from incentives.models.coupons import Coupon, CouponTemplate, TemplateUser
from incentives.models.points import (
    CheckIn,
    EarningRule,
    PointClawback,
    PointEntry,
    PointLot,
    PointsWallet,
)

__all__ = [
    "CheckIn",
    "Coupon",
    "CouponTemplate",
    "EarningRule",
    "PointClawback",
    "PointEntry",
    "PointLot",
    "PointsWallet",
    "RedeemCode",
    "RedeemUse",
    "TemplateUser",
]
