"""Asking the platform for the bills of a day, as lines of one form. Never inside a transaction."""

from collections.abc import Iterator
from datetime import date
from itertools import chain

from payments.bill_rules import FUND, PAYMENT, REFUND, BillLine
from payments.models import Reconciliation
from wechat.errors import WeChatNotNow
from wechat.pay import pay_client
from wechat.pay_bills import FundRow, TradeRow
from wechat.xpay.bills import VirtualBillRow
from wechat.xpay.client import xpay_client

# What virtual payment's bill calls money that came, and money that went back.
_VIRTUAL_DONE = {"PAID": "SUCCESS", "REFUNDED": "SUCCESS"}


def bill_lines(channel: str, day: date) -> Iterator[BillLine]:
    """Every line of the day's bills, fetched before the first is given. Raises `WeChatError`."""
    if channel == Reconciliation.Channel.WECHAT:
        client = pay_client()
        trade, fund = client.trade_bill(day), client.fund_bill(day)
        return chain(map(_trade_line, trade), map(_fund_line, fund, range(1, fund.count + 1)))
    virtual = xpay_client()
    url = virtual.bill_url(day, day)
    if url is None:
        raise WeChatNotNow("268490011", "the bill is being made")
    return map(_virtual_line, virtual.bill_rows(url))


def _trade_line(row: TradeRow) -> BillLine:
    if row.is_refund:
        return BillLine(
            kind=REFUND,
            number=row.out_refund_no or row.refund_id,
            trade_no=row.out_trade_no,
            platform_no=row.refund_id,
            amount_fen=row.refund_asked_fen,
            fee_fen=row.fee_fen,
            status=row.refund_status,
            at=row.at,
        )
    return BillLine(
        kind=PAYMENT,
        number=row.out_trade_no or row.transaction_id,
        platform_no=row.transaction_id,
        amount_fen=row.order_fen,
        fee_fen=row.fee_fen,
        status=row.trade_state,
        at=row.at,
    )


def _fund_line(row: FundRow, place: int) -> BillLine:
    """One flow number may stand for several movements (a payment and its fee): the place tells."""
    return BillLine(
        kind=FUND,
        number=f"{row.flow_id[:50]}-{place}",
        trade_no=row.voucher_no or row.business_id or row.flow_id,
        platform_no=row.business_id,
        amount_fen=row.amount_fen if row.is_income else -row.amount_fen,
        status=row.business_name,
        at=row.at,
    )


def _virtual_line(row: VirtualBillRow) -> BillLine:
    if row.is_refund:
        return BillLine(
            kind=REFUND,
            number=row.out_refund_no or row.wx_refund_id,
            trade_no=row.out_trade_no,
            platform_no=row.wx_refund_id,
            amount_fen=row.refund_fen,
            fee_fen=row.platform_fee_fen,
            status=_VIRTUAL_DONE.get(row.status, row.status),
            at=row.at,
        )
    return BillLine(
        kind=PAYMENT,
        number=row.out_trade_no or row.wx_order_id,
        platform_no=row.wx_order_id,
        amount_fen=row.paid_fen,
        fee_fen=row.platform_fee_fen,
        status=_VIRTUAL_DONE.get(row.status, row.status),
        at=row.at,
    )
