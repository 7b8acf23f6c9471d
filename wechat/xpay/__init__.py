"""Virtual payment (xpay): the way to sell virtual goods inside the mini-program (`wechat.md` B).

No merchant, no prepay: the server signs what the client hands to `wx.requestVirtualPayment`,
hears of the payment by a push, and asks about it by `query_order`.
"""

from wechat.xpay.bills import SettlementOnly, VirtualBillRow
from wechat.xpay.client import (
    ALREADY_DONE,
    LEFT_CHANGED,
    NOT_FOUND,
    SESSION_GONE,
    SIGNATURE_WRONG,
    XpayClient,
    XpayConfig,
    xpay_client,
)
from wechat.xpay.pushes import (
    AppleQuestion,
    Provided,
    VirtualDeliver,
    VirtualRefundNotice,
    answer_apple,
    answer_ok,
    answer_retry,
    is_apple_question,
    is_xpay,
    parse_apple_question,
    parse_deliver,
    parse_refund_notify,
)
from wechat.xpay.results import (
    Goods,
    GoodsItem,
    GoodsTask,
    ItemStatus,
    OrderStatus,
    OrderType,
    RefundReason,
    TaskStatus,
    VirtualOrder,
    VirtualRefund,
)
from wechat.xpay.signing import CLIENT_URI, pay_sig, sign_data, user_signature

__all__ = [
    "ALREADY_DONE",
    "CLIENT_URI",
    "LEFT_CHANGED",
    "NOT_FOUND",
    "SESSION_GONE",
    "SIGNATURE_WRONG",
    "AppleQuestion",
    "Goods",
    "GoodsItem",
    "GoodsTask",
    "ItemStatus",
    "OrderStatus",
    "OrderType",
    "Provided",
    "RefundReason",
    "SettlementOnly",
    "TaskStatus",
    "VirtualBillRow",
    "VirtualDeliver",
    "VirtualOrder",
    "VirtualRefund",
    "VirtualRefundNotice",
    "XpayClient",
    "XpayConfig",
    "answer_apple",
    "answer_ok",
    "answer_retry",
    "is_apple_question",
    "is_xpay",
    "parse_apple_question",
    "parse_deliver",
    "parse_refund_notify",
    "pay_sig",
    "sign_data",
    "user_signature",
    "xpay_client",
]
