"""How accounts and journals are called in front of people."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

ACCOUNTS: dict[str, str | Promise] = {
    "cash": _("渠道资金"),
    "revenue": _("营业收入"),
    "discounts": _("优惠让利"),
    "points_liability": _("积分负债"),
    "suspense": _("暂收款项"),
    "fee": _("渠道手续费"),
    "creator_payable": _("应付创作者"),
    "creator_share": _("创作者分成"),
}
JOURNALS: dict[str, str | Promise] = {
    "payment": _("收款"),
    "order": _("免费订单"),
    "refund": _("退款"),
    "share": _("分成"),
    "share_back": _("分成收回"),
    "fee": _("手续费"),
    "payout": _("提现"),
}


def account_title(code: str) -> str:
    """`cash:jsapi` → 渠道资金 · jsapi; the code itself where nobody named it."""
    family, _colon, party = code.partition(":")
    title = str(ACCOUNTS.get(family.rstrip("*"), family))
    return f"{title} · {party}" if party else title


def journal_kind(kind: str) -> str:
    """The kind of a journal in words."""
    return str(JOURNALS.get(kind, kind))
