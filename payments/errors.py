"""What may be refused around buying, named for what happened."""

from django.utils.translation import gettext_lazy as _

from kernel.errors import Conflict, DomainError, InvalidInput


class AlreadyOwned(Conflict):
    """`detail.scopes` lists what the buyer has."""

    code = "already_owned"
    message = _("您已拥有该内容，无需重复购买。")


class NotSoldHere(Conflict):
    """`detail.product_id`: inactive, or no channel may sell it on this platform."""

    code = "not_sold_here"
    message = _("该商品在当前平台暂不出售。")


class ChannelNotAllowed(Conflict):
    """`detail.channels` lists what may be used instead."""

    code = "channel_not_allowed"
    message = _("该订单不能使用此支付方式。")


class QuoteExpired(Conflict):
    code = "quote_expired"
    message = _("报价已过期，请重新获取价格。")


class QuoteUsed(Conflict):
    """`detail.order_no` is the order made from it."""

    code = "quote_used"
    message = _("该报价已生成订单。")


class GiftClaimed(Conflict):
    code = "gift_claimed"
    message = _("该礼品已被领取。")


class GiftReturned(Conflict):
    """Its time is over, or its giver has taken it back."""

    code = "gift_returned"
    message = _("该礼品已过领取时间或已被退回。")


class GroupFull(Conflict):
    """`detail.size` is how many there may be."""

    code = "group_full"
    message = _("该团人数已满，您可以自己开团。")


class GroupOver(Conflict):
    """`detail.status`: complete or failed; open when its time is over just now."""

    code = "group_over"
    message = _("该团已结束，您可以自己开团。")


class AlreadyInGroup(Conflict):
    """`detail.order_no` is the member's order."""

    code = "already_in_group"
    message = _("您已在该团中。")


class InvoiceExists(Conflict):
    """`detail.invoice_id` is the one that was asked for before."""

    code = "invoice_exists"
    message = _("该订单已申请过发票。")


class NothingToInvoice(Conflict):
    code = "nothing_to_invoice"
    message = _("该订单没有可开票的金额。")


class InvoiceDecided(Conflict):
    """`detail.status` is what became of it."""

    code = "invoice_decided"
    message = _("该发票申请已处理。")


class BundleRefused(InvalidInput):
    """What may not stand in a bundle: another bundle, a gift, the same scope twice."""


class OrderNotPending(Conflict):
    """`detail.status` is what the order is."""

    code = "order_not_pending"
    message = _("订单当前状态不能支付。")


class OrderAlreadyPaid(Conflict):
    code = "order_already_paid"
    message = _("订单已支付，不能取消。")


class PayerUnknown(Conflict):
    """The user has no identity in the mini-program, so WeChat can't ask them for money."""

    code = "payer_unknown"
    message = _("请先在微信小程序中登录后再支付。")


class VirtualItemMissing(Conflict):
    """No published item can be sold for this price yet. `detail.channels`: what is left.

    Where nothing is left (iOS) no other way to pay may be hinted at (`wechat.md` B1).
    """

    code = "virtual_item_missing"
    message = _("商品正在上架，暂时还不能购买，请稍后再试。")

    def __init__(self, *, channels: list[str]) -> None:
        if channels:
            self.message = _("该价格暂不支持虚拟支付，请更换支付方式，或稍后再试。")
        super().__init__(channels=channels)


class FactsDiffer(DomainError):
    """A verified message that does not agree with what we asked for: nothing was done."""

    code = "facts_differ"
    status = 400
    message = _("通知内容与订单不符。")

    def __init__(self, what: str) -> None:
        super().__init__(what=what)


class OrderNotPaid(Conflict):
    """`detail.status` is what the order is."""

    code = "order_not_paid"
    message = _("订单尚未支付，不能退款。")


class NothingToRefund(Conflict):
    """Neither asked for amount nor policy leaves anything to give back."""

    code = "nothing_to_refund"
    message = _("该订单当前没有可退金额。")


class RefundExceedsPaid(Conflict):
    """`detail.left_fen` is what was paid and neither went back nor is on its way."""

    code = "refund_exceeds_paid"
    message = _("退款金额超过了可退的已付金额。")


class RefundNotInPolicy(Conflict):
    """`detail.allowed_fen` is what the policy gives now."""

    code = "refund_not_in_policy"
    message = _("退款金额超出了退款规则允许的范围，如有需要请联系客服。")


class RefundNotByMerchant(Conflict):
    """Paid through Apple: the buyer asks Apple, and Apple decides (`wechat.md` B3)."""

    code = "refund_not_by_merchant"
    message = _("该订单通过苹果支付，请在苹果的“报告问题”页面申请退款。")


class RefundNotWaiting(Conflict):
    """`detail` says what the refund is: it can't be decided, closed or asked for in this state."""

    code = "refund_not_waiting"
    message = _("该退款当前不能进行此操作。")


class OwnRefund(Conflict):
    code = "refund_own_request"
    message = _("申请人不能审批自己的退款，请由另一位同事处理。")
