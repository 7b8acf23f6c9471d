"""WeChat Pay v3 behind one client: signed requests, verified answers, decrypted notices, bills.

wechatpayv3 gives the primitives (`rsa_sign`, `rsa_verify`, `aes_decrypt`, `rsa_encrypt`). Its own
request and callback code is not used: it signs with the machine's clock, checks no freshness, and
downloads certificates in the constructor and inside a notify (`wechat.md` E2).
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any, TypeVar

from django.conf import settings
from wechatpayv3.utils import rsa_encrypt

from kernel import clock
from kernel.errors import InvalidInput
from kernel.transactions import outside_transaction
from wechat import pay_signatures
from wechat.errors import WeChatRefused, WeChatUncertain
from wechat.pay_bills import Bill, FundRow, TradeRow, fetch_bill
from wechat.pay_results import Notify, PayResult, RefundResult
from wechat.pay_signatures import load_keys
from wechat.pay_wire import PayConfig, PayWire, jsapi_signed

R = TypeVar("R", PayResult, RefundResult)

__all__ = [
    "BankCard",
    "Bill",
    "FundRow",
    "Notify",
    "PayClient",
    "PayConfig",
    "PayResult",
    "RefundResult",
    "TradeRow",
    "pay_client",
]

_ORDERS = "/v3/pay/transactions"
_REFUNDS = "/v3/refund/domestic/refunds"
_MAX_DESCRIPTION = 127  # D3
_MAX_REASON = 80  # D5, bytes
_MAX_SITE_NAME = 64


@dataclass(frozen=True)
class BankCard:
    """Where a refund goes that its payer's account did not take. Sealed on the wire."""

    bank_type: str
    number: str = field(repr=False)
    holder: str = field(repr=False)


def pay_client() -> "PayClient":
    """The client of the configured merchant. Raises `WeChatNotConfigured`. No network."""
    kpay = settings.KPAY
    return _client_of(kpay.wechat, kpay.http_timeout)


@lru_cache(maxsize=2)
def _client_of(wechat: Any, timeout: tuple[float, float]) -> "PayClient":
    return PayClient(
        PayConfig(
            base_url=wechat.pay_base,
            mchid=wechat.mchid,
            appid=wechat.mp_appid,
            serial=wechat.mch_serial.upper(),
            keys=load_keys(wechat),
            timeout=timeout,
        )
    )


class PayClient:
    """One method for each thing we ask of the platform. None of them repeats a POST."""

    def __init__(self, config: PayConfig) -> None:
        self._config = config
        self._wire = PayWire(config)

    @property
    def mchid(self) -> str:
        return self._config.mchid

    @property
    def appid(self) -> str:
        return self._config.appid

    @outside_transaction
    def jsapi_prepay(
        self,
        *,
        out_trade_no: str,
        description: str,
        amount_fen: int,
        openid: str,
        expires_at: datetime,
        notify_url: str,
        client_ip: str = "",
    ) -> str:
        """The `prepay_id` of a payment inside WeChat. The same arguments give one again.

        Raises WeChatRefused (ORDERPAID, ORDER_CLOSED, OUT_TRADE_NO_USED, …).
        """
        asked = self._order(out_trade_no, description, amount_fen, expires_at, notify_url)
        asked["payer"] = {"openid": openid}
        if client_ip:
            asked["scene_info"] = {"payer_client_ip": client_ip}
        return self._prepay("jsapi", asked, "prepay_id")

    @outside_transaction
    def native_prepay(
        self,
        *,
        out_trade_no: str,
        description: str,
        amount_fen: int,
        expires_at: datetime,
        notify_url: str,
        client_ip: str = "",
    ) -> str:
        """The `code_url` that the page shows as a QR code; whoever scans it pays."""
        asked = self._order(out_trade_no, description, amount_fen, expires_at, notify_url)
        if client_ip:
            asked["scene_info"] = {"payer_client_ip": client_ip}
        return self._prepay("native", asked, "code_url")

    @outside_transaction
    def h5_prepay(
        self,
        *,
        out_trade_no: str,
        description: str,
        amount_fen: int,
        expires_at: datetime,
        notify_url: str,
        client_ip: str,
        site_url: str,
        site_name: str,
    ) -> str:
        """The `h5_url` that a phone's browser outside WeChat opens within five minutes."""
        asked = self._order(out_trade_no, description, amount_fen, expires_at, notify_url)
        asked["scene_info"] = {
            "payer_client_ip": client_ip,
            "h5_info": {
                "type": "Wap",
                "app_name": cut(site_name, _MAX_SITE_NAME),
                "app_url": site_url,
            },
        }
        return self._prepay("h5", asked, "h5_url")

    def jsapi_params(self, prepay_id: str) -> dict[str, str]:
        """What `wx.requestPayment` takes (D3), signed with the merchant's key. No network."""
        stamp, nonce = str(int(clock.timestamp())), secrets.token_hex(16)
        return jsapi_signed(self._config, prepay_id, stamp=stamp, nonce=nonce)

    @outside_transaction
    def query(self, out_trade_no: str) -> PayResult | None:
        """The transaction now, None when the platform does not know the number."""
        path = f"{_ORDERS}/out-trade-no/{out_trade_no}?mchid={self._config.mchid}"
        data = self._wire.find(path, absent="ORDER_NOT_EXIST")
        if data is None:
            return None
        result = _typed(PayResult, data)
        if result.out_trade_no != out_trade_no:
            raise WeChatUncertain(said="answer for another number")
        return result

    @outside_transaction
    def close(self, out_trade_no: str) -> None:
        """Nobody can pay this number any more. Raises WeChatRefused (ORDERPAID) when paid.

        A number that the platform does not know, or has closed, counts as closed.
        """
        path = f"{_ORDERS}/out-trade-no/{out_trade_no}/close"
        try:
            self._wire.call("POST", path, {"mchid": self._config.mchid})
        except WeChatRefused as refused:
            if refused.wechat_code not in {"ORDER_NOT_EXIST", "ORDER_CLOSED"}:
                raise

    @outside_transaction
    def refund_create(
        self,
        *,
        out_refund_no: str,
        out_trade_no: str,
        refund_fen: int,
        total_fen: int,
        reason: str,
        notify_url: str,
    ) -> RefundResult:
        """Ask for a refund. The same number with the same arguments is one refund."""
        asked: dict[str, Any] = {
            "out_trade_no": out_trade_no,
            "out_refund_no": out_refund_no,
            "notify_url": notify_url,
            "amount": {"refund": refund_fen, "total": total_fen, "currency": "CNY"},
        }
        if reason:
            asked["reason"] = cut(reason, _MAX_REASON)
        return _typed(RefundResult, self._wire.call("POST", _REFUNDS, asked))

    @outside_transaction
    def refund_find(self, out_refund_no: str) -> RefundResult | None:
        """The refund now, None when the platform does not know the number."""
        data = self._wire.find(f"{_REFUNDS}/{out_refund_no}", absent="RESOURCE_NOT_EXISTS")
        return None if data is None else _typed(RefundResult, data)

    @outside_transaction
    def refund_abnormal_apply(
        self, refund_id: str, *, out_refund_no: str, card: BankCard | None = None
    ) -> RefundResult:
        """Send an ABNORMAL refund elsewhere (D5): to the payer's `card`, else to the merchant.

        `refund_id` is the platform's. The merchant who gets the money must hand it on himself.
        """
        path = f"{_REFUNDS}/{refund_id}/apply-abnormal-refund"
        asked = {"out_refund_no": out_refund_no}
        if card is None:
            asked["type"] = "MERCHANT_BANK_CARD"
            return _typed(RefundResult, self._wire.call("POST", path, asked))
        serial, key = self._config.keys.sealing()
        asked |= {
            "type": "USER_BANK_CARD",
            "bank_type": card.bank_type,
            "bank_account": rsa_encrypt(card.number, key),
            "real_name": rsa_encrypt(card.holder, key),
        }
        return _typed(RefundResult, self._wire.call("POST", path, asked, sealed_for=serial))

    @outside_transaction
    def trade_bill(self, day: date) -> Bill[TradeRow]:
        """Payments and refunds of a day of the shop (D7); empty when there were none.

        Raises WeChatNotNow (STATEMENT_CREATING) before it is made, `WeChatBillWrong` when its
        sums do not agree with its rows.
        """
        path = f"/v3/bill/tradebill?bill_date={day.isoformat()}&bill_type=ALL&tar_type=GZIP"
        return fetch_bill(self._wire, path, TradeRow)

    @outside_transaction
    def fund_bill(self, day: date) -> Bill[FundRow]:
        """Every movement of the merchant's basic account on a day (D7); as `trade_bill`."""
        path = f"/v3/bill/fundflowbill?bill_date={day.isoformat()}&account_type=BASIC&tar_type=GZIP"
        return fetch_bill(self._wire, path, FundRow)

    def parse_notify(self, headers: Mapping[str, Any], body: bytes) -> Notify:
        """The notice in `body` (`headers` is request.META). Never a network call.

        Raises `WeChatForged` when it is stale, signed by an unknown key, wrongly signed, or can't
        be decrypted, `BodyTooLarge` or `InvalidInput` when it is not a notice.
        """
        return pay_signatures.open_notify(self._config.keys, headers, body)

    def _order(
        self,
        out_trade_no: str,
        description: str,
        amount_fen: int,
        expires_at: datetime,
        notify_url: str,
    ) -> dict[str, Any]:
        """What every way to pay asks for (D3)."""
        return {
            "appid": self._config.appid,
            "mchid": self._config.mchid,
            "description": cut(description, _MAX_DESCRIPTION),
            "out_trade_no": out_trade_no,
            "time_expire": expires_at.astimezone(clock.SHOP_ZONE).isoformat(timespec="seconds"),
            "notify_url": notify_url,
            "amount": {"total": amount_fen, "currency": "CNY"},
        }

    def _prepay(self, kind: str, asked: dict[str, Any], wanted: str) -> str:
        found = self._wire.call("POST", f"{_ORDERS}/{kind}", asked).get(wanted)
        if not isinstance(found, str) or not found:
            raise WeChatUncertain(said=f"no {wanted}")
        return found


def cut(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, never half a character."""
    return text.encode()[:size].decode(errors="ignore")


def _typed(kind: type[R], data: dict[str, Any]) -> R:
    try:
        return kind.parse(data)
    except InvalidInput as error:
        raise WeChatUncertain(said="answer has a wrong shape") from error
