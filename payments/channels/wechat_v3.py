"""WeChat Pay v3: jsapi, native, h5. Amounts are fen on the wire too."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings

from payments.channels.protocol import (
    Delivery,
    Prepare,
    RefundOrder,
    Trade,
    TradeState,
    Traits,
)
from payments.errors import FactsDiffer
from payments.rules import PaidFacts, RefundFacts
from wechat.errors import WeChatNotNow, WeChatRefused
from wechat.mp import mp_client
from wechat.pay import BankCard, Notify, PayResult, RefundResult, pay_client

NOTIFY_PATH = "/wechat/pay/notify"
# D3: after a refund the state reads REFUND, the money had come all the same.
_STATES = {
    "SUCCESS": TradeState.PAID,
    "REFUND": TradeState.PAID,
    "CLOSED": TradeState.CLOSED,
    "REVOKED": TradeState.CLOSED,
}
# D3: a prepay_id and a code_url live two hours, an h5_url five minutes.
_HOURS = timedelta(minutes=110)
_MINUTES = timedelta(minutes=4)
_SITE = "KPay"
_NOT_THERE_YET = "10060001"  # A9: order shipping learns of a payment 10 seconds later


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

    def report_delivery(self, delivery: Delivery) -> bool:
        return True  # nobody asks for it


class JsapiChannel(_WechatV3):
    """Payment inside WeChat: `wx.requestPayment`."""

    traits = Traits(asks_payer=True, good_for=_HOURS)

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

    def params(self, prepared: Mapping[str, Any], *, session_key: str = "") -> dict[str, Any]:
        return dict(pay_client().jsapi_params(str(prepared["prepay_id"])))

    def report_delivery(self, delivery: Delivery) -> bool:
        """A9: mini-programs that the platform manages upload how each payment was delivered."""
        try:
            mp_client().upload_shipping(
                mchid=pay_client().mchid,
                out_trade_no=delivery.out_trade_no,
                openid=delivery.payer_openid,
                item=delivery.title,
                delivered_at=delivery.at,
            )
        except WeChatNotNow as later:
            if later.wechat_code == _NOT_THERE_YET:
                return False
            raise
        return True


class NativeChannel(_WechatV3):
    """A QR code on a screen; whoever scans it pays."""

    traits = Traits(asks_payer=False, good_for=_HOURS)

    def prepare(self, order: Prepare) -> dict[str, Any]:
        code_url = pay_client().native_prepay(
            out_trade_no=order.out_trade_no,
            description=order.description,
            amount_fen=order.amount_fen,
            expires_at=order.expires_at,
            notify_url=notify_url(),
            client_ip=order.client_ip,
        )
        return {"code_url": code_url}

    def params(self, prepared: Mapping[str, Any], *, session_key: str = "") -> dict[str, Any]:
        return {"code_url": prepared["code_url"]}


class H5Channel(_WechatV3):
    """A page that a phone's browser outside WeChat opens, which opens WeChat."""

    traits = Traits(asks_payer=False, good_for=_MINUTES)

    def prepare(self, order: Prepare) -> dict[str, Any]:
        h5_url = pay_client().h5_prepay(
            out_trade_no=order.out_trade_no,
            description=order.description,
            amount_fen=order.amount_fen,
            expires_at=order.expires_at,
            notify_url=notify_url(),
            client_ip=order.client_ip,
            site_url=settings.KPAY.public_base_url,
            site_name=_SITE,
        )
        return {"h5_url": h5_url}

    def params(self, prepared: Mapping[str, Any], *, session_key: str = "") -> dict[str, Any]:
        return {"h5_url": prepared["h5_url"]}
