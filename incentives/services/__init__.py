"""Every change of points, coupons and codes. One function per change, one transaction each."""

from incentives.services.catalogue import (
    coupon_template_save,
    earning_rule_save,
    redeem_code_save,
)
from incentives.services.checkins import CheckedIn, check_in
from incentives.services.coupons import coupon_claim, coupons_expire
from incentives.services.earning import (
    lesson_finished_reward,
    points_earn,
    purchase_clawback,
    purchase_reward,
)
from incentives.services.expiry import points_expire
from incentives.services.redeeming import Redeemed, code_redeem, code_set

__all__ = [
    "CheckedIn",
    "Redeemed",
    "check_in",
    "code_redeem",
    "code_set",
    "coupon_claim",
    "coupon_template_save",
    "coupons_expire",
    "earning_rule_save",
    "lesson_finished_reward",
    "points_earn",
    "points_expire",
    "purchase_clawback",
    "purchase_reward",
    "redeem_code_save",
]
