"""Which call of virtual payment is answered by what."""

from __future__ import annotations

from collections.abc import Callable

from wechat_sandbox.wire import Reply
from wechat_sandbox.xpay import bills, coins, goods, orders, refunds, withdrawals

ENDPOINTS: tuple[tuple[str, str, Callable[..., Reply]], ...] = (
    ("POST", "/xpay/query_order", orders.query_order),
    ("POST", "/xpay/notify_provide_goods", orders.notify_provide_goods),
    ("POST", "/xpay/refund_order", refunds.refund_order),
    ("POST", "/xpay/download_bill", bills.download_bill),
    ("GET", "/xpay/bill_files/{name}", bills.bill_file),
    ("POST", "/xpay/start_upload_goods", goods.start_upload_goods),
    ("POST", "/xpay/query_upload_goods", goods.query_upload_goods),
    ("POST", "/xpay/start_publish_goods", goods.start_publish_goods),
    ("POST", "/xpay/query_publish_goods", goods.query_publish_goods),
    ("POST", "/xpay/query_user_balance", coins.query_user_balance),
    ("POST", "/xpay/currency_pay", coins.currency_pay),
    ("POST", "/xpay/cancel_currency_pay", coins.cancel_currency_pay),
    ("POST", "/xpay/present_currency", coins.present_currency),
    ("POST", "/xpay/create_withdraw_order", withdrawals.create_withdraw_order),
    ("POST", "/xpay/query_withdraw_order", withdrawals.query_withdraw_order),
)
