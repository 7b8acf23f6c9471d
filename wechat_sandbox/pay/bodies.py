"""Orders and refunds as answers and decrypted notifies show them (D3, D5)."""

from __future__ import annotations

from wechat_sandbox.clock import rfc3339
from wechat_sandbox.state import Order, Refund
from wechat_sandbox.wire import Json

_STATES = {
    "NOTPAY": "订单未支付",
    "SUCCESS": "支付成功",
    "REFUND": "转入退款",
    "CLOSED": "订单已关闭",
}


def transaction(order: Order) -> Json:
    """The query's answer; the same object, paid, is what a notify decrypts to."""
    arguments = order.arguments
    data: Json = {
        "appid": arguments["appid"],
        "mchid": arguments["mchid"],
        "out_trade_no": order.out_trade_no,
        "trade_state": order.state,
        "trade_state_desc": _STATES[order.state],
        "attach": arguments.get("attach", ""),
        "promotion_detail": [],
    }
    if not order.transaction_id:
        data["amount"] = {"total": order.total, "currency": "CNY", "payer_currency": "CNY"}
        data["payer"] = {}
        return data
    data |= {
        "transaction_id": order.transaction_id,
        "trade_type": order.trade_type,
        "bank_type": "OTHERS",
        "success_time": rfc3339(order.success_at),
        "payer": {"openid": order.payer_openid},
        "amount": {
            "total": order.total,
            "payer_total": order.payer_total,
            "currency": "CNY",
            "payer_currency": "CNY",
        },
        "promotion_detail": promotions(order),
    }
    return data


def promotions(order: Order) -> list[Json]:
    """One platform coupon for what the payer did not pay."""
    amount = order.total - order.payer_total
    if not amount:
        return []
    return [
        {
            "coupon_id": f"9{order.transaction_id[-10:]}",
            "name": "微信支付代金券",
            "scope": "GLOBAL",
            "type": order.coupon_type,
            "amount": amount,
            "stock_id": "9000001",
            "wechatpay_contribute": amount,
            "merchant_contribute": 0,
            "other_contribute": 0,
            "currency": "CNY",
        }
    ]


def refund(item: Refund) -> Json:
    """The answer of create and query."""
    order = item.order
    data: Json = {
        "refund_id": item.refund_id,
        "out_refund_no": item.out_refund_no,
        "transaction_id": order.transaction_id,
        "out_trade_no": order.out_trade_no,
        "channel": item.channel,
        "user_received_account": item.received_account,
        "create_time": rfc3339(item.created_at),
        "status": item.status,
        "funds_account": item.arguments.get("funds_account", "UNSETTLED"),
        "amount": {
            "total": order.total,
            "refund": item.amount,
            "payer_total": order.payer_total,
            "payer_refund": item.payer_amount,
            "settlement_total": order.settlement,
            "settlement_refund": item.settlement,
            "discount_refund": item.amount - item.payer_amount,
            "currency": "CNY",
            "refund_fee": 0,
            "from": [],
        },
        "promotion_detail": [],
    }
    if item.status == "SUCCESS":
        data["success_time"] = rfc3339(item.success_at)
    return data


def refund_notify(item: Refund, mchid: str) -> Json:
    """What a REFUND.* notify decrypts to."""
    data: Json = {
        "mchid": mchid,
        "transaction_id": item.order.transaction_id,
        "out_trade_no": item.order.out_trade_no,
        "refund_id": item.refund_id,
        "out_refund_no": item.out_refund_no,
        "refund_status": item.status,
        "user_received_account": item.received_account,
        "amount": {
            "total": item.order.total,
            "refund": item.amount,
            "payer_total": item.order.payer_total,
            "payer_refund": item.payer_amount,
        },
    }
    if item.status == "SUCCESS":
        data["success_time"] = rfc3339(item.success_at)
    return data
