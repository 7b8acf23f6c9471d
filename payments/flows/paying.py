"""Asking for money, and asking what became of it."""

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts.selectors import openid_for, session_key_for
from kernel import clock
from kernel.transactions import retrying
from payments import selectors
from payments.channels import PayChannel, Prepare, channel_named, channels_ready
from payments.channels.protocol import Trade, TradeState
from payments.errors import (
    ChannelNotAllowed,
    FactsDiffer,
    OrderNotPending,
    PayerUnknown,
    VirtualItemMissing,
)
from payments.models import Order, OrderLine, Payment, XpayItem
from payments.models.products import Channel
from payments.services.attempts import OPEN, payment_closed, payment_open, payment_prepared
from payments.services.fulfilment import payment_succeeded
from wechat.errors import WeChatError, WeChatRefused

if TYPE_CHECKING:
    from accounts.models import User

logger = logging.getLogger(__name__)

# D3: time_expire lies at least a minute ahead. An attempt that outlives its order by that is
# closed at the platform when the order ends.
_SHORTEST = timedelta(seconds=70)
# Refusals of a prepay after which the number is settled: query it (`wechat.md` D6).
_SETTLED = {"ORDERPAID", "ORDER_CLOSED", "OUT_TRADE_NO_USED"}
# How long late money is looked for where a number can't be closed: one that no client has placed
# dies with the buyer's session, one that was placed lapses at the platform.
_LOOK_UNPLACED = timedelta(hours=3)
_LOOK_PLACED = timedelta(hours=24)


def order_pay(
    *, user: "User", no: str, channel: str, client_ip: str = ""
) -> tuple[Payment, dict[str, Any]]:
    """An open attempt on this channel and what the client hands to WeChat for it.

    Safe to repeat: while the attempt is open and its number can still be used it stays the same.
    Raises `NotFound`, `OrderNotPending`, `ChannelNotAllowed`, `VirtualItemMissing`,
    `PayerUnknown`, `SessionExpired`, `WeChatError`.
    """
    order = selectors.get_order_for_user(user=user, no=no)
    way, item = _way(order, channel)
    openid = (openid_for(user.pk, "mp") or "") if way.traits.asks_payer else ""
    if way.traits.asks_payer and not openid:
        raise PayerUnknown
    session_key = session_key_for(user.pk, openid) if way.traits.sells_items else ""
    payment = payment_open(
        order_id=order.pk, channel=channel, payer_openid=openid, client_ip=client_ip
    )
    if way.traits.sells_items and _used_up(payment):
        payment = payment_open(
            order_id=order.pk, channel=channel, payer_openid=openid, client_ip=client_ip
        )
    prepared = _fresh(payment) or _prepare(way, order, payment, item)
    return payment, way.params(prepared, session_key=session_key)


def _way(order: Order, channel: str) -> tuple[PayChannel, XpayItem | None]:
    """The channel and the item it sells. Raises what says why it can't be used."""
    item = _item(order)
    allowed = _allowed(order, item)
    if channel in allowed:
        return channel_named(channel), item
    if channel == Channel.VIRTUAL and channel in _named(order):
        raise VirtualItemMissing(channels=allowed)
    raise ChannelNotAllowed(channels=allowed)


def allowed_channels(order: Order) -> list[str]:
    """Channels that every line may be paid through on the order's platform.

    `virtual` is among them when a published item can be sold for what the order costs.
    """
    return _allowed(order, _item(order))


def _allowed(order: Order, item: XpayItem | None) -> list[str]:
    return [c for c in _named(order) if c != Channel.VIRTUAL or item is not None]


def _named(order: Order) -> list[str]:
    """Channels of this shop that table and products name, whatever the price."""
    table = selectors.channel_table(order.platform)
    products = [line.product for line in _lines(order)]
    return [c for c in channels_ready() if all(table.allows(c, p) for p in products)]


def _lines(order: Order) -> list[OrderLine]:
    return list(order.lines.select_related("product").order_by("line_no"))


def _item(order: Order) -> XpayItem | None:
    """The item that sells this order: xpay takes one published thing (B2).

    All lines are of one product (a bundle is several), one piece, and an item of that product
    costs no less than what is payable after every reduction.
    """
    lines = _lines(order)
    one = len({line.product_id for line in lines}) == 1
    if not one or any(line.quantity != 1 for line in lines):
        return None
    return selectors.usable_item(lines[0].product, order.payable_fen, order.platform)


def _used_up(payment: Payment) -> bool:
    """Whether the client has placed this number before: the platform takes each once (B2).

    Then the attempt is closed and looked after, and the next one gets a new number. Without an
    answer the number stays: signing it again does no harm.
    """
    if payment.status != Payment.Status.PREPARED:
        return False
    try:
        trade = payment_check(payment=payment)
    except WeChatError as error:
        logger.warning("payment %s not checked: %s", payment.out_trade_no, error)
        return False
    if trade.state is TradeState.WAITING:
        payment_closed(payment_id=payment.pk, looked_for=True)
    return trade.state is not TradeState.UNKNOWN


def _fresh(payment: Payment) -> dict[str, Any] | None:
    """What the platform answered for this attempt, while it still honours that."""
    prepared: dict[str, Any] = payment.prepared or {}
    until = prepared.get("until")
    return prepared if until and datetime.fromisoformat(until) > clock.now() else None


def _prepare(
    way: PayChannel, order: Order, payment: Payment, item: XpayItem | None
) -> dict[str, Any]:
    client_ip = (payment.prepared or {}).get("client_ip", "")
    try:
        prepared = way.prepare(
            Prepare(
                out_trade_no=payment.out_trade_no,
                description=_title(order),
                amount_fen=payment.amount_fen,
                payer_openid=payment.payer_openid,
                expires_at=max(order.expires_at, payment.created_at + _SHORTEST),
                client_ip=client_ip,
                item_id=item.item_id if item else "",
                item_fen=item.price_fen if item else 0,
            )
        )
    except WeChatRefused as refused:
        if refused.wechat_code in _SETTLED:
            payment_check(payment=payment)
            raise OrderNotPending(
                status=Order.objects.values_list("status", flat=True).get(pk=order.pk)
            ) from refused
        raise
    prepared["until"] = (clock.now() + way.traits.good_for).isoformat()
    prepared["client_ip"] = client_ip
    payment_prepared(payment_id=payment.pk, prepared=prepared)
    return prepared


def _title(order: Order) -> str:
    lines = list(order.lines.all())
    if len(lines) == 1:
        return lines[0].title
    # One language whoever asks: the platform refuses other words under the same number.
    with override(settings.LANGUAGE_CODE):
        return _("%s等") % lines[0].title


def payment_check(*, payment: Payment) -> Trade:
    """Ask the platform about one attempt and apply what it says.

    Safe to repeat. Raises `WeChatError` when there was no answer.
    """
    trade = channel_named(payment.channel).query(payment.out_trade_no)
    if trade.facts is not None:
        facts = trade.facts
        retrying(lambda: payment_succeeded(facts=facts))
    elif trade.state is TradeState.CLOSED:
        payment_closed(payment_id=payment.pk)
    return trade


def order_check(*, user: "User", no: str) -> Order:
    """ "I have paid": the order after the platform was asked about its attempts now.

    Closed attempts are asked about too: their notice may have been lost.
    """
    order = selectors.get_order_for_user(user=user, no=no)
    attempts = Payment.objects.filter(order=order).exclude(status=Payment.Status.SUCCEEDED)
    for payment in attempts.order_by("-pk")[:5]:
        try:
            payment_check(payment=payment)
        except FactsDiffer as differ:
            logger.error("order check: %s of %s", differ.detail, payment.out_trade_no)
    return selectors.get_order_for_user(user=user, no=no)


def payment_sweep(payment: Payment) -> None:
    """One look at an attempt by the query plan; closed when its order takes no money.

    What goes wrong is logged: the row is due again by itself.
    """
    try:
        trade = payment_check(payment=payment)
        if trade.state not in (TradeState.WAITING, TradeState.UNKNOWN):
            return
        if payment.status not in OPEN:
            _look_on(payment, trade)
        elif not Order.objects.filter(pk=payment.order_id, status=Order.Status.PENDING).exists():
            payment_close(payment=payment)
    except WeChatError as error:
        logger.warning("payment %s not checked: %s", payment.out_trade_no, error)
    except FactsDiffer as differ:
        logger.error("payment %s: %s", payment.out_trade_no, differ.detail)


def _look_on(payment: Payment, trade: Trade) -> None:
    """A closed attempt that can't be closed at the platform is looked at for a while."""
    most = _LOOK_PLACED if trade.state is TradeState.WAITING else _LOOK_UNPLACED
    if payment.created_at + most <= clock.now():
        payment_closed(payment_id=payment.pk)


def payment_close(*, payment: Payment) -> None:
    """Nobody can pay this attempt any more, or it is found paid and applied.

    Where a number can't be closed, money may still come: it is late money then. Raises
    `WeChatError` when the platform gave no answer: nothing is known then.
    """
    if payment.status not in OPEN:
        return
    way = channel_named(payment.channel)
    if way.close(payment.out_trade_no):
        payment_closed(payment_id=payment.pk, looked_for=not way.traits.closes)
    else:
        payment_check(payment=payment)
