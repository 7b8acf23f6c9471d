"""Apple asks whether to give a buyer's money back (`wechat.md` B4): answered from our own books.

Three seconds, so no network. Apple decides; our word is advice with its evidence.
"""

from copy import copy

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from kernel import clock
from payments.models import Gift, Payment
from payments.refund_rules import percent
from payments.services.pushes import answer_before, answer_kept
from payments.services.refunds.policy import standings
from wechat.push import Push
from wechat.xpay import AppleQuestion, answer_apple, parse_apple_question


@transaction.atomic
def apple_answer(*, push: Push) -> bytes:
    """Agreed while the policy would give the money back, refused with evidence afterwards.

    The question is kept with its answer: a repeat gets the same bytes. Raises `InvalidInput`.
    """
    asked = parse_apple_question(push)
    before = answer_before(push)
    if before is not None:
        return before
    agree, evidence = _advice(asked)
    info = _("同意退款") if agree else _("不同意退款")
    answer = answer_apple(push, agree=agree, info=info, evidence=evidence)
    return answer_kept(push=push, kind="apple", business_key=asked.pay_order_id, answer=answer)


def _advice(asked: AppleQuestion) -> tuple[bool, str]:
    numbers = [n for n in (asked.pay_order_id, asked.channel_bill) if n]
    payment = (
        Payment.objects.filter(
            Q(out_trade_no__in=numbers)
            | Q(transaction_id__in=numbers)
            | Q(platform_id__in=numbers),
            status=Payment.Status.SUCCEEDED,
        )
        .select_related("order")
        .first()
    )
    if payment is None:
        return False, _("没有找到对应的已支付订单。")
    if payment.refunded_fen >= payment.amount_fen:
        return False, _("该笔款项已经全部退还。")
    if not payment.effective:
        return True, _("该笔款项未用于任何订单，内容没有交付。")
    return _by_policy(payment)


def _by_policy(payment: Payment) -> tuple[bool, str]:
    """Whether a learner would get all of it back if the money were ours to give."""
    order, at = payment.order, clock.now()
    as_ours = copy(payment)
    as_ours.by_apple = False
    lines = list(order.lines.select_related("product").order_by("line_no"))
    gifts = Gift.objects.filter(line__order_id=order.pk)
    rooms = standings(order=order, payment=as_ours, lines=lines, gifts=gifts, at=at)
    paid_at = (order.paid_at or payment.created_at).astimezone(clock.SHOP_ZONE)
    facts = _("支付时间 %(at)s，已学习 %(percent)s%%。") % {
        "at": paid_at.strftime("%Y-%m-%d %H:%M"),
        "percent": percent(max((room.used_bp for room in rooms), default=0)),
    }
    return all(room.allowed_fen == room.left_fen for room in rooms), facts
