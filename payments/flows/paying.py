"""Asking for money, and asking what became of it."""

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts.selectors import openid_for
from kernel import clock
from kernel.transactions import retrying
from payments import selectors
from payments.channels import PayChannel, Prepare, channel_named, channels_ready
from payments.channels.protocol import Trade, TradeState
from payments.errors import ChannelNotAllowed, FactsDiffer, OrderNotPending, PayerUnknown
from payments.models import Order, Payment
from payments.services.attempts import OPEN, payment_closed, payment_open, payment_prepared
from payments.services.fulfilment import payment_succeeded
from wechat.errors import WeChatError, WeChatRefused

if TYPE_CHECKING:
    from accounts.models import User

logger = logging.getLogger(__name__)

# D3: a prepay_id lives two hours; asking again with the same number and words renews it.
_PREPARED_FOR = timedelta(minutes=110)
# D3: time_expire lies at least a minute ahead. An attempt that outlives its order by that is
# closed at the platform when the order ends.
_SHORTEST = timedelta(seconds=70)
# Refusals of a prepay after which the number is settled: query it (`wechat.md` D6).
_SETTLED = {"ORDERPAID", "ORDER_CLOSED", "OUT_TRADE_NO_USED"}


def order_pay(
    *, user: "User", no: str, channel: str, client_ip: str = ""
) -> tuple[Payment, dict[str, Any]]:
    """An open attempt on this channel and what the client hands to WeChat for it.

    Safe to repeat: while the attempt is open its number stays the same. Raises `NotFound`,
    `OrderNotPending`, `ChannelNotAllowed`, `PayerUnknown`, `WeChatError`.
    """
    order = selectors.get_order_for_user(user=user, no=no)
    allowed = allowed_channels(order)
    if channel not in allowed:
        raise ChannelNotAllowed(channels=allowed)
    way = channel_named(channel)
    openid = openid_for(user.pk, "mp") or ""
    if not openid:
        raise PayerUnknown
    payment = payment_open(order_id=order.pk, channel=channel, payer_openid=openid)
    prepared = _fresh(payment) or _prepare(way, order, payment, client_ip)
    return payment, way.params(prepared)


def allowed_channels(order: Order) -> list[str]:
    """Channels that are built and that every line may be paid through on the order's platform."""
    table = selectors.channel_table(order.platform)
    lines = order.lines.select_related("product")
    allowed = [table.channels(line.product) for line in lines]
    return [c for c in channels_ready() if all(c in each for each in allowed)]


def _fresh(payment: Payment) -> dict[str, Any] | None:
    """What the platform answered for this attempt, while it still honours that."""
    prepared: dict[str, Any] | None = payment.prepared
    if prepared is None or datetime.fromisoformat(prepared["until"]) <= clock.now():
        return None
    return prepared


def _prepare(way: PayChannel, order: Order, payment: Payment, client_ip: str) -> dict[str, Any]:
    lines = list(order.lines.all())
    title = lines[0].title
    if len(lines) > 1:
        # One language whoever asks: the platform refuses other words under the same number.
        with override(settings.LANGUAGE_CODE):
            title = _("%s等") % title
    try:
        prepared = way.prepare(
            Prepare(
                out_trade_no=payment.out_trade_no,
                description=title,
                amount_fen=payment.amount_fen,
                payer_openid=payment.payer_openid,
                expires_at=max(order.expires_at, payment.created_at + _SHORTEST),
                client_ip=client_ip,
            )
        )
    except WeChatRefused as refused:
        if refused.wechat_code in _SETTLED:
            payment_check(payment=payment)
            raise OrderNotPending(
                status=Order.objects.values_list("status", flat=True).get(pk=order.pk)
            ) from refused
        raise
    prepared["until"] = (clock.now() + _PREPARED_FOR).isoformat()
    payment_prepared(payment_id=payment.pk, prepared=prepared)
    return prepared


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
    """One look at an open attempt by the query plan; closed when its order takes no money.

    What goes wrong is logged: the row is due again by itself.
    """
    try:
        trade = payment_check(payment=payment)
        pending = Order.objects.filter(pk=payment.order_id, status=Order.Status.PENDING).exists()
        if trade.state in (TradeState.WAITING, TradeState.UNKNOWN) and not pending:
            payment_close(payment=payment)
    except WeChatError as error:
        logger.warning("payment %s not checked: %s", payment.out_trade_no, error)
    except FactsDiffer as differ:
        logger.error("payment %s: %s", payment.out_trade_no, differ.detail)


def payment_close(*, payment: Payment) -> None:
    """Nobody can pay this attempt any more, or it is found paid and applied.

    Raises `WeChatError` when the platform gave no answer: nothing is known then.
    """
    if payment.status not in OPEN:
        return
    if channel_named(payment.channel).close(payment.out_trade_no):
        payment_closed(payment_id=payment.pk)
    else:
        payment_check(payment=payment)
