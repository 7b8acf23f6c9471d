"""Virtual payment (xpay): the server signs, the client places the order (`wechat.md` B).

There is no prepay and no closing: `prepare` asks nobody, and a number that was signed once may
be paid until the platform lets its order lapse. Money is believed from `query_order` alone, which
is asked with the payer's openid, so every question starts from our own row.

Amounts: `order_fee` is what the buyer was asked for and what we settle on; `paid_fee` may be
lower by the platform's own coupons (as total and payer_total in `wechat.md` D3).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from kernel import clock
from payments import selectors
from payments.channels.protocol import (
    Delivery,
    Prepare,
    RefundOrder,
    Trade,
    TradeState,
    Traits,
)
from payments.errors import FactsDiffer, RefundNotByMerchant
from payments.models import Payment, Refund
from payments.rules import PaidFacts, RefundFacts
from wechat.errors import WeChatRefused, WeChatUncertain
from wechat.xpay import (
    LEFT_CHANGED,
    OrderStatus,
    OrderType,
    VirtualOrder,
    XpayClient,
    xpay_client,
)

# B3. After a refund, and after one that failed, the money had come all the same.
_PAID = {
    OrderStatus.PAID,
    OrderStatus.DELIVERING,
    OrderStatus.DELIVERED,
    OrderStatus.REFUNDED,
    OrderStatus.REFUND_FAILED,
    OrderStatus.USER_REFUNDED,
    OrderStatus.ADVERTISING_RECOVERED,
    OrderStatus.SHARE_RETURNED,
}
_UNDELIVERED = {OrderStatus.PAID, OrderStatus.DELIVERING}
# An order reads "refunded" from the moment of the request and can fall back (B3). A refund that
# reads so without a push of its own is believed when it was made this long ago.
_REFUND_SETTLES = timedelta(minutes=10)
_WRONG_OPENID = "268490001"


class VirtualChannel:
    """`wx.requestVirtualPayment`: one published item, sold for the amount that is to be paid."""

    traits = Traits(asks_payer=True, good_for=timedelta(days=365), sells_items=True, closes=False)

    def prepare(self, order: Prepare) -> dict[str, Any]:
        client = xpay_client()
        return {
            "out_trade_no": order.out_trade_no,
            "item_id": order.item_id,
            "price_fen": order.item_fen,
            "selling_fen": order.amount_fen,
            "env": client.env,
        }

    def params(self, prepared: Mapping[str, Any], *, session_key: str = "") -> dict[str, Any]:
        return dict(
            xpay_client().client_params(
                out_trade_no=prepared["out_trade_no"],
                product_id=prepared["item_id"],
                price_fen=prepared["price_fen"],
                selling_fen=prepared["selling_fen"],
                quantity=1,
                session_key=session_key,
            )
        )

    def query(self, out_trade_no: str, *, hasty: bool = False) -> Trade:
        """`hasty` while the platform itself waits for our answer."""
        payment = selectors.attempt(out_trade_no)
        if payment is None:
            return Trade(TradeState.UNKNOWN)
        client = xpay_client(hasty=hasty)
        found = _order(client, payment)
        if found is None:
            return Trade(TradeState.UNKNOWN)
        if found.status in _PAID:
            return Trade(TradeState.PAID, _paid_facts(client, payment, found))
        closed = found.status is OrderStatus.CLOSED
        return Trade(TradeState.CLOSED if closed else TradeState.WAITING)

    def close(self, out_trade_no: str) -> bool:
        return self.query(out_trade_no).state is not TradeState.PAID

    def refund(self, order: RefundOrder) -> RefundFacts:
        """Asked for with what is left now; once more when that has changed meanwhile."""
        payment = selectors.attempt(order.out_trade_no)
        if payment is None:
            raise FactsDiffer("out_trade_no")
        try:
            return self._refund_once(payment, order)
        except WeChatRefused as refused:
            if refused.wechat_code != LEFT_CHANGED:
                raise
        return self._refund_once(payment, order)

    def refund_find(self, out_refund_no: str, *, told: bool = False) -> RefundFacts | None:
        """`told`: the platform's push said that it is over, so what it reads now is believed."""
        refund = selectors.refund_numbered(out_refund_no)
        if refund is None:
            return None
        client = xpay_client(hasty=told)
        found = client.query_order(openid=refund.payment.payer_openid, out_trade_no=out_refund_no)
        if found is None:
            return None
        _check_env(client, found)
        if found.order_type not in {OrderType.REFUND, OrderType.APPLE_REFUND}:
            raise FactsDiffer("order_type")
        return RefundFacts(
            out_refund_no=out_refund_no,
            out_trade_no=refund.payment.out_trade_no,
            refund_id=found.wx_order_id,
            status=_refund_status(refund, found, told=told),
            refund_fen=found.refund_fen or None,
            success_at=found.paid_at,
        )

    def report_delivery(self, delivery: Delivery) -> bool:
        """For payments whose push could not be answered: the platform goes on waiting else."""
        client = xpay_client()
        found = client.query_order(openid=delivery.payer_openid, out_trade_no=delivery.out_trade_no)
        if found is None or found.status not in _PAID:
            return False
        if found.status in _UNDELIVERED:
            client.provide_goods(out_trade_no=delivery.out_trade_no)
        return True

    def taken_back(self, payment: Payment) -> int:
        """How much of a payment the platform has given back already, whoever asked it to."""
        found = _order(xpay_client(hasty=True), payment)
        if found is None or found.status not in _PAID:
            return 0
        return max(0, found.order_fen - found.left_fen)

    def _refund_once(self, payment: Payment, order: RefundOrder) -> RefundFacts:
        client = xpay_client()
        found = _order(client, payment)
        if found is None:
            raise WeChatUncertain(said="the platform does not find a payment that it confirmed")
        if found.is_apple:
            raise RefundNotByMerchant
        asked = client.refund_order(
            openid=payment.payer_openid,
            out_trade_no=order.out_trade_no,
            out_refund_no=order.out_refund_no,
            left_fen=found.left_fen,
            refund_fen=order.amount_fen,
            reason=order.reason,
            by_staff=not selectors.refund_by_buyer(order.out_refund_no),
        )
        return RefundFacts(
            out_refund_no=order.out_refund_no,
            out_trade_no=order.out_trade_no,
            refund_id=asked.wx_refund_id,
            status="PROCESSING",  # whatever the order reads now
            refund_fen=order.amount_fen,
            success_at=None,
        )


def _order(client: XpayClient, payment: Payment) -> VirtualOrder | None:
    """The platform's order of this payment. Raises `FactsDiffer` for another env or payer."""
    try:
        found = client.query_order(openid=payment.payer_openid, out_trade_no=payment.out_trade_no)
    except WeChatRefused as refused:
        if refused.wechat_code == _WRONG_OPENID:
            raise FactsDiffer("openid") from refused
        raise
    if found is not None:
        _check_env(client, found)
    return found


def _check_env(client: XpayClient, found: VirtualOrder) -> None:
    """Play money of the sandbox never pays a live order."""
    if found.env != client.env:
        raise FactsDiffer("env")


def _paid_facts(client: XpayClient, payment: Payment, found: VirtualOrder) -> PaidFacts:
    return PaidFacts(
        out_trade_no=payment.out_trade_no,
        transaction_id=found.wx_order_id or found.channel_order_id,
        amount_fen=found.order_fen,
        payer_openid=payment.payer_openid,
        success_at=found.paid_at,
        platform_id=found.wxpay_order_id or found.channel_order_id,
        by_apple=found.is_apple,
    )


def _refund_status(refund: Refund, found: VirtualOrder, *, told: bool) -> str:
    if found.status is OrderStatus.REFUND_FAILED:
        return "CLOSED"
    if found.status is not OrderStatus.REFUNDED:
        return "PROCESSING"
    made_at = found.created_at or refund.created_at
    settled = told or made_at + _REFUND_SETTLES <= clock.now()
    return "SUCCESS" if settled else "PROCESSING"
