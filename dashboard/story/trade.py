"""The order itself: promise, purchase, attempts, money that came and went back."""

from collections.abc import Iterator

from django.utils.translation import gettext as _

from dashboard.figures import money
from dashboard.story.moments import PLATFORM, SYSTEM, Ground, Moment, shown
from payments.models import Gift, Group, Invoice, Order, Payment, Refund


def quote(ground: Ground) -> Iterator[Moment]:
    """The price that was promised."""
    promised = ground.order.quote
    if promised is None:
        return
    yield Moment(
        at=promised.created_at,
        part="trade",
        icon="request_quote",
        title=_("报价 %(yuan)s") % {"yuan": money(promised.payable_fen)},
        facts=[
            _("有效期至 %(until)s") % {"until": shown(promised.expires_at)},
        ],
        actor=str(ground.order.user),
        url=ground.link(promised),
        order=0,
    )


def order(ground: Ground) -> Iterator[Moment]:
    """Made, paid, ended."""
    mine = ground.order
    url = ground.link(mine)
    yield Moment(
        at=mine.created_at,
        part="trade",
        icon="shopping_cart",
        title=_("下单，应付 %(yuan)s") % {"yuan": money(mine.payable_fen)},
        facts=[f"{line.title} ×{line.quantity}" for line in ground.lines],
        actor=str(mine.user),
        url=url,
        order=1,
    )
    if mine.paid_at is not None:
        yield Moment(
            at=mine.paid_at,
            part="trade",
            icon="task_alt",
            title=_("订单支付完成"),
            actor=str(SYSTEM),
            url=url,
            tone="success",
            order=20,
        )
    if mine.ended_at is not None and mine.status in (Order.Status.CANCELLED, Order.Status.CLOSED):
        yield Moment(
            at=mine.ended_at,
            part="trade",
            icon="cancel",
            title=_("订单%(status)s") % {"status": mine.get_status_display()},
            facts=[_("优惠券与积分已释放")] if mine.coupon_id or mine.points_used else [],
            actor=str(SYSTEM) if mine.status == Order.Status.CLOSED else str(mine.user),
            url=url,
            tone="warning",
            order=60,
        )


def attempts(ground: Ground) -> Iterator[Moment]:
    """Each attempt to pay, and the money that came by it."""
    for payment in ground.payments:
        url = ground.link(payment)
        channel = payment.get_channel_display()
        facts = [payment.out_trade_no]
        if payment.checks:
            facts.append(_("已向平台查询 %(count)d 次") % {"count": payment.checks})
        yield Moment(
            at=payment.created_at,
            part="money",
            icon="smartphone",
            title=_("发起支付：%(channel)s %(yuan)s")
            % {"channel": channel, "yuan": money(payment.amount_fen)},
            facts=facts,
            actor=str(ground.order.user),
            url=url,
            badge=payment.get_status_display(),
            order=5,
        )
        if payment.success_at is not None:
            yield _came(payment, channel, url)
        if payment.shipped_at is not None:
            yield Moment(
                at=payment.shipped_at,
                part="platform",
                icon="local_shipping",
                title=_("已向平台上报发货"),
                facts=[payment.out_trade_no],
                actor=str(SYSTEM),
                url=url,
            )


def _came(payment: Payment, channel: str, url: str) -> Moment:
    facts = [
        _("平台单号 %(no)s") % {"no": payment.transaction_id},
        payment.out_trade_no,
    ]
    if payment.fee_fen is not None:
        facts.append(_("手续费 %(yuan)s") % {"yuan": money(payment.fee_fen)})
    if not payment.effective:
        facts.append(_("未用于本订单，全额退回"))
    return Moment(
        at=payment.success_at or payment.created_at,
        part="money",
        icon="payments",
        title=_("到账 %(yuan)s（%(channel)s）")
        % {"yuan": money(payment.amount_fen), "channel": channel},
        facts=facts,
        actor=str(PLATFORM),
        url=url,
        tone="success" if payment.effective else "warning",
        order=10,
    )


def refunds(ground: Ground) -> Iterator[Moment]:
    """Asked for, decided, gone back; or why not."""
    for refund in ground.refunds:
        url = ground.link(refund)
        facts = [refund.out_refund_no, refund.get_cause_display()]
        facts += [f"{line.line} {money(line.amount_fen)}" for line in refund.lines.all()]
        if refund.reason and refund.reason != refund.get_cause_display():
            facts.append(refund.reason)
        if refund.last_error:
            facts.append(refund.last_error)
        stuck = refund.status == Refund.Status.ABNORMAL
        yield Moment(
            at=refund.created_at,
            part="money",
            icon="undo",
            title=_("申请退款 %(yuan)s") % {"yuan": money(refund.amount_fen)},
            facts=facts,
            actor=str(refund.requested_by) if refund.requested_by else str(SYSTEM),
            url=url,
            badge=refund.get_status_display(),
            tone="danger" if stuck else "",
            order=30,
        )
        if refund.decided_at is not None:
            yield Moment(
                at=refund.decided_at,
                part="money",
                icon="gavel",
                title=_("退款审批：%(verdict)s") % {"verdict": refund.get_approval_display()},
                facts=[refund.out_refund_no, *filter(None, [refund.decision_note])],
                actor=str(refund.decided_by or SYSTEM),
                url=url,
                order=31,
            )
        if refund.success_at is not None:
            yield Moment(
                at=refund.success_at,
                part="money",
                icon="currency_exchange",
                title=_("退款到账 %(yuan)s") % {"yuan": money(refund.amount_fen)},
                facts=[refund.out_refund_no, *filter(None, [refund.provider_id])],
                actor=str(PLATFORM),
                url=url,
                tone="success",
                order=32,
            )


def gifts(ground: Ground) -> Iterator[Moment]:
    """Codes of gift lines, and who claimed them."""
    mine = Gift.objects.filter(line__order=ground.order).select_related("line", "claimed_by")
    for gift in mine.order_by("line__line_no", "number"):
        url = ground.link(gift)
        yield Moment(
            at=gift.created_at,
            part="rights",
            icon="redeem",
            title=_("生成赠送码 %(title)s #%(number)d")
            % {"title": gift.line.title, "number": gift.number},
            facts=[_("领取截止 %(until)s") % {"until": shown(gift.expires_at)}],
            actor=str(SYSTEM),
            url=url,
            badge=gift.get_status_display(),
            order=25,
        )
        if gift.claimed_at is not None:
            yield Moment(
                at=gift.claimed_at,
                part="rights",
                icon="card_giftcard",
                title=_("赠送码被领取"),
                facts=[f"{gift.line.title} #{gift.number}", gift.scope],
                actor=str(gift.claimed_by),
                url=url,
                tone="success",
                order=26,
            )


def group(ground: Ground) -> Iterator[Moment]:
    """The group that the order is a seat of."""
    mine = ground.order.group
    if mine is None:
        return
    url = ground.link(mine)
    facts = [
        _("%(paid)d / %(size)d 人已付，拼团价 %(yuan)s")
        % {"paid": mine.paid_count, "size": mine.size, "yuan": money(mine.price_fen)}
    ]
    yield Moment(
        at=mine.created_at,
        part="trade",
        icon="groups",
        title=_("开团 #%(id)d") % {"id": mine.pk},
        facts=facts,
        url=url,
        badge=mine.get_status_display(),
        order=2,
    )
    if mine.ended_at is not None:
        yield Moment(
            at=mine.ended_at,
            part="trade",
            icon="groups",
            title=_("拼团%(status)s") % {"status": mine.get_status_display()},
            facts=facts,
            actor=str(SYSTEM),
            url=url,
            tone="success" if mine.status == Group.Status.COMPLETE else "warning",
            order=40,
        )


def invoices(ground: Ground) -> Iterator[Moment]:
    """Invoices asked for, and what staff did about them."""
    mine = Invoice.objects.filter(order=ground.order).select_related("decided_by")
    for invoice in mine.order_by("pk"):
        url = ground.link(invoice)
        yield Moment(
            at=invoice.created_at,
            part="office",
            icon="receipt",
            title=_("申请发票 %(yuan)s") % {"yuan": money(invoice.amount_fen)},
            facts=[f"{invoice.get_kind_display()} {invoice.title} {invoice.tax_no}".strip()],
            actor=str(ground.order.user),
            url=url,
            badge=invoice.get_status_display(),
        )
        if invoice.decided_at is not None:
            yield Moment(
                at=invoice.decided_at,
                part="office",
                icon="receipt",
                title=_("发票%(status)s") % {"status": invoice.get_status_display()},
                facts=[*filter(None, [invoice.number, invoice.note])],
                actor=str(invoice.decided_by or SYSTEM),
                url=url,
            )
