"""Apple asks whether to give a buyer's money back (`wechat.md` B4): answered from our own books.

Three seconds, so no network. Apple decides; our word is advice with its evidence.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from kernel import clock
from payments import ports
from payments.models import Order, Payment
from payments.services.pushes import answer_before, answer_kept
from wechat.push import Push
from wechat.xpay import AppleQuestion, answer_apple, parse_apple_question

# What a learner gets back without asking anybody (`contract.md` 7).
_DAYS = 7
_BELOW_BP = 3000


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
    order = payment.order
    if not payment.effective:
        return True, _("该笔款项未用于任何订单，内容没有交付。")
    used = _used_bp(order)
    paid_at = order.paid_at or payment.created_at
    facts = _("支付时间 %(at)s，已学习 %(percent)s%%。") % {
        "at": paid_at.astimezone(clock.SHOP_ZONE).strftime("%Y-%m-%d %H:%M"),
        "percent": used // 100,
    }
    if order.status == Order.Status.REFUNDED:
        return True, facts
    in_time = clock.now() - paid_at <= timedelta(days=_DAYS)
    return in_time and used < _BELOW_BP, facts


def _used_bp(order: Order) -> int:
    """How much of the most used part of the order has been used."""
    scopes = [line.scope for line in order.lines.all() if line.scope]
    return max((ports.watched_bp(order.user_id, scope) for scope in scopes), default=0)
