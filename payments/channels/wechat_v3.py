"""WeChat Pay v3: jsapi. Amounts are fen on the wire too."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from payments.channels.protocol import Prepare, RefundOrder, Trade, TradeState
from payments.errors import FactsDiffer
from payments.rules import PaidFacts, RefundFacts
from wechat.errors import WeChatRefused
from wechat.pay import BankCard, Notify, PayResult, RefundResult, pay_client

NOTIFY_PATH = "/wechat/pay/notify"
# D3: after a refund the state reads REFUND, the money had come all the same.
_STATES = {
    "SUCCESS": TradeState.PAID,
    "REFUND": TradeState.PAID,
    "CLOSED": TradeState.CLOSED,
    "REVOKED": TradeState.CLOSED,
}


def notify_url() -> str:
    """Where the platform reports to (D4)."""
    return f"{settings.KPAY.public_base_url}{NOTIFY_PATH}"


def paid_facts(result: PayResult) -> PaidFacts:
    """What counts of a paid transaction. Raises `FactsDiffer` when it is not our merchant's."""
    client = pay_client()
    if result.mchid != client.mchid:
        raise FactsDiffer("mchid")
    if result.appid != client.appid:
        raise FactsDiffer("appid")
    if result.currency != "CNY":
        raise FactsDiffer("currency")
    return PaidFacts(
        out_trade_no=result.out_trade_no,
        transaction_id=result.transaction_id,
        amount_fen=result.amount_fen,
        payer_openid=result.payer_openid,
        success_at=result.success_at,
    )


def refund_facts(result: RefundResult) -> RefundFacts:
    """What counts of a refund. Raises `FactsDiffer` when it names another merchant."""
    if result.mchid and result.mchid != pay_client().mchid:
        raise FactsDiffer("mchid")
    return RefundFacts(
        out_refund_no=result.out_refund_no,
        out_trade_no=result.out_trade_no,
        refund_id=result.refund_id,
        status=result.status,
        refund_fen=result.refund_fen,
        success_at=result.success_at,
    )


def parse_notify(headers: Mapping[str, Any], body: bytes) -> Notify:
    """The verified, decrypted notice. Never a network call. Raises `WeChatForged`."""
    return pay_client().parse_notify(headers, body)


def refund_redirect(*, provider_id: str, out_refund_no: str, card: BankCard | None) -> RefundFacts:
    """Send a refund that could not reach the payer to their `card`, else to the merchant (D5)."""
    return refund_facts(
        pay_client().refund_abnormal_apply(provider_id, out_refund_no=out_refund_no, card=card)
    )


class _WechatV3:
    """What all v3 ways to pay share."""

    def query(self, out_trade_no: str) -> Trade:
        result = pay_client().query(out_trade_no)
        if result is None:
            return Trade(TradeState.UNKNOWN)
        state = _STATES.get(result.trade_state, TradeState.WAITING)
        return Trade(state, paid_facts(result) if state is TradeState.PAID else None)

    def close(self, out_trade_no: str) -> bool:
        try:
            pay_client().close(out_trade_no)
        except WeChatRefused as refused:
            if refused.wechat_code == "ORDERPAID":
                return False
            raise
        return True

    def refund(self, order: RefundOrder) -> RefundFacts:
        result = pay_client().refund_create(
            out_refund_no=order.out_refund_no,
            out_trade_no=order.out_trade_no,
            refund_fen=order.amount_fen,
            total_fen=order.total_fen,
            reason=order.reason,
            notify_url=notify_url(),
        )
        return refund_facts(result)

    def refund_find(self, out_refund_no: str) -> RefundFacts | None:
        result = pay_client().refund_find(out_refund_no)
        return None if result is None else refund_facts(result)


class JsapiChannel(_WechatV3):
    """Payment inside WeChat: `wx.requestPayment`."""

    def prepare(self, order: Prepare) -> dict[str, Any]:
        prepay_id = pay_client().jsapi_prepay(
            out_trade_no=order.out_trade_no,
            description=order.description,
            amount_fen=order.amount_fen,
            openid=order.payer_openid,
            expires_at=order.expires_at,
            notify_url=notify_url(),
            client_ip=order.client_ip,
        )
        return {"prepay_id": prepay_id}

    def params(self, prepared: Mapping[str, Any]) -> dict[str, Any]:
        return dict(pay_client().jsapi_params(str(prepared["prepay_id"])))
