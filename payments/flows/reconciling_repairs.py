"""Repairing a difference: the platform is asked about the number, and what it says is applied.

Each returns a sentence for the operator. Whether the difference is gone is seen afterwards, by
comparing once more. An amount is never changed by itself.
"""

from collections.abc import Callable

from django.utils.translation import gettext as _

from kernel import clock
from kernel.errors import DomainError
from kernel.transactions import retrying
from payments.bill_rules import AMOUNT, OURS_ONLY, PAYMENT, REFUND, STATUS, THEIRS_ONLY
from payments.channels import channel_named
from payments.channels.protocol import TradeState
from payments.flows.paying import payment_check
from payments.models import BillRow, Discrepancy, Payment, Refund
from payments.services.attempts import payment_success_dated
from payments.services.reconciling import discrepancy_dropped, discrepancy_noted, stored_days
from payments.services.refunds import refund_adopt, refund_told
from wechat.errors import WeChatError, WeChatRefused


def discrepancy_repair(row: Discrepancy) -> None:
    """The difference is repaired, dropped, or noted as a task with what the platform said.

    Raises `WeChatError` when it gave no answer: nothing is known then.
    """
    repair = _REPAIRS.get((row.subject, row.kind), _nothing)
    try:
        note = repair(row)
    except WeChatRefused as refused:
        note = _("平台拒绝查询：%(code)s") % {"code": refused.wechat_code}
    except WeChatError:
        raise
    except DomainError as error:
        note = _("平台所说与我方不符，未入账：%(facts)s") % {"facts": error.detail or error.code}
    if note is not None:
        discrepancy_noted(discrepancy_id=row.pk, note=note)


def _nothing(row: Discrepancy) -> str | None:
    return _("金额不一致，不自动更改，请人工核实")


def _payment_theirs(row: Discrepancy) -> str | None:
    payment = Payment.objects.filter(out_trade_no=row.number).first()
    if payment is None:
        return _("我方没有这个单号，请核实来源")
    trade = payment_check(payment=payment)
    if trade.state is TradeState.PAID:
        return _("已向平台查询并入账")
    return _("平台查询结果为 %(state)s，与账单不一致") % {"state": trade.state}


def _payment_ours(row: Discrepancy) -> str | None:
    payment = Payment.objects.get(out_trade_no=row.number)
    trade = payment_check(payment=payment)
    if trade.facts is None:
        return _("平台查询结果为 %(state)s，没有这笔收款") % {"state": trade.state}
    success_at, day = trade.facts.success_at, row.reconciliation.date
    if success_at is not None and clock.local_date(success_at) != day:
        other = clock.local_date(success_at)
        payment_success_dated(payment_id=payment.pk, success_at=success_at)
        if not stored_days(row.reconciliation.channel, [other]):
            discrepancy_dropped(discrepancy_id=row.pk)
            return None
    return _("平台查询为已支付，但账单没有这一笔")


def _payment_status(row: Discrepancy) -> str | None:
    trade = payment_check(payment=Payment.objects.get(out_trade_no=row.number))
    return _("平台查询结果为 %(state)s，与账单不一致") % {"state": trade.state}


def _refund_theirs(row: Discrepancy) -> str | None:
    line = BillRow.objects.get(
        reconciliation_id=row.reconciliation_id, kind=REFUND, number=row.number
    )
    payment = Payment.objects.filter(out_trade_no=line.trade_no).first()
    if payment is None:
        return _("我方没有原支付单 %(no)s，请核实来源") % {"no": line.trade_no}
    facts = channel_named(payment.channel).refund_find(row.number)
    if facts is None:
        return _("平台查询没有这笔退款，与账单不一致")
    trade_no = payment.out_trade_no
    adopted = retrying(lambda: refund_adopt(facts=facts, out_trade_no=trade_no))
    if adopted is None:
        return _("平台查询该退款已关闭")
    return _("平台发起的退款，已向平台查询并入账")


def _refund_known(row: Discrepancy) -> str | None:
    refund = Refund.objects.select_related("payment").get(out_refund_no=row.number)
    facts = channel_named(refund.payment.channel).refund_find(row.number)
    if facts is None:
        return _("平台查询没有这笔退款")
    if row.kind == OURS_ONLY:
        return _("平台查询退款状态为 %(state)s，但账单没有这一笔") % {"state": facts.status}
    retrying(lambda: refund_told(refund_id=refund.pk, facts=facts))
    return _("已向平台查询退款状态：%(state)s") % {"state": facts.status}


_REPAIRS: dict[tuple[str, str], Callable[[Discrepancy], str | None]] = {
    (PAYMENT, THEIRS_ONLY): _payment_theirs,
    (PAYMENT, OURS_ONLY): _payment_ours,
    (PAYMENT, STATUS): _payment_status,
    (PAYMENT, AMOUNT): _nothing,
    (REFUND, THEIRS_ONLY): _refund_theirs,
    (REFUND, OURS_ONLY): _refund_known,
    (REFUND, STATUS): _refund_known,
    (REFUND, AMOUNT): _nothing,
}
