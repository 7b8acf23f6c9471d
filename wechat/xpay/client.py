"""Calls of virtual payment (B3): exactly the bytes that are signed are the bytes that are sent."""

import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

import orjson
from django.conf import settings

from kernel.errors import InvalidInput
from kernel.transactions import outside_transaction
from wechat.errors import (
    WeChatError,
    WeChatNotConfigured,
    WeChatNotNow,
    WeChatRefused,
    WeChatUncertain,
)
from wechat.mp import MpClient, mp_client
from wechat.platform import BUSY, Platform
from wechat.tokens import StableToken
from wechat.xpay.bills import VirtualBillRow, fetch_file, read_rows
from wechat.xpay.results import (
    Goods,
    GoodsTask,
    RefundReason,
    VirtualOrder,
    VirtualRefund,
    text,
)
from wechat.xpay.signing import CLIENT_URI, pay_sig, sign_data, user_signature

logger = logging.getLogger(__name__)

# Codes that callers act on (B3).
NOT_FOUND = "268490002"  # a wrong parameter; `query_order` of an unknown number says which
SIGNATURE_WRONG = "268490003"
ALREADY_DONE = "268490004"
SESSION_GONE = "268490009"  # the user must log in again
LEFT_CHANGED = "268490016"  # ask `query_order` for what is left, then with the same number
_BILL_BEING_MADE = "268490011"
# It has not happened; the same call works later: data or a batch being made, too frequent.
_LATER = frozenset({_BILL_BEING_MADE, "268490012", "268490015"})
# It may have happened, or is happening: the same number again, or query.
_UNDER_WAY = "268490014"
_UNCERTAIN = frozenset({BUSY, _UNDER_WAY})
_ABSENT = ("数据不存在", "not exist")
_MODE = "short_series_goods"
_MAX_META = 1024
_HASTE = (1.0, 2.0)  # seconds to connect, to read


@dataclass(frozen=True)
class XpayConfig:
    """The shop's offer and the app key of the environment in use (0 live, 1 sandbox)."""

    offer_id: str
    env: int
    app_key: str = field(repr=False)
    repeats: bool = True


def xpay_client(*, hasty: bool = False) -> "XpayClient":
    """The client of the configured offer. Raises `WeChatNotConfigured`. No network.

    A `hasty` one, with a pool and a breaker of its own, gives up after three seconds and repeats
    nothing: the platform itself waits for us, five seconds (C3).
    """
    wechat, app = settings.KPAY.wechat, mp_client(timeout=_HASTE if hasty else None)
    key = wechat.xpay_app_key_sandbox if wechat.xpay_env else wechat.xpay_app_key
    config = XpayConfig(wechat.xpay_offer_id, wechat.xpay_env, key, repeats=not hasty)
    return _client_of(config, app)


@lru_cache(maxsize=4)
def _client_of(config: XpayConfig, app: MpClient) -> "XpayClient":
    return XpayClient(config, app.platform, app.token)


class XpayClient:
    """One method for each call. Only reads are repeated, once."""

    def __init__(self, config: XpayConfig, platform: Platform, token: StableToken) -> None:
        if not config.offer_id or not config.app_key:
            raise WeChatNotConfigured(said="offer id or app key is empty")
        self._config = config
        self._platform = platform
        self._token = token

    @property
    def offer_id(self) -> str:
        return self._config.offer_id

    @property
    def env(self) -> int:
        """0 live, 1 sandbox: what a push or an order must say to be one of ours."""
        return self._config.env

    def client_params(
        self,
        *,
        out_trade_no: str,
        product_id: str,
        price_fen: int,
        quantity: int,
        session_key: str,
        selling_fen: int | None = None,
        attach: str = "",
    ) -> dict[str, str]:
        """What `wx.requestVirtualPayment` takes, signed now. No network.

        `price_fen` is the published price of one, `selling_fen` what is asked for it (None: that).

        Good while the session key is the user's newest; the platform says -15005 or -15007 to
        the client after that, and the user logs in again.
        """
        signed = sign_data(
            offer_id=self._config.offer_id,
            env=self._config.env,
            out_trade_no=out_trade_no,
            product_id=product_id,
            price_fen=price_fen,
            selling_fen=selling_fen,
            quantity=quantity,
            attach=attach,
        )
        return {
            "mode": _MODE,
            "signData": signed,
            "paySig": pay_sig(self._config.app_key, CLIENT_URI, signed),
            "signature": user_signature(session_key, signed),
        }

    @outside_transaction
    def query_order(self, *, openid: str, out_trade_no: str) -> VirtualOrder | None:
        """The order, or the refund, of this number now; None when the platform knows none."""
        asked = {"openid": openid, "order_id": out_trade_no}
        try:
            data = self._read("/xpay/query_order", asked)
        except WeChatRefused as refused:
            if refused.wechat_code == NOT_FOUND and any(s in refused.said for s in _ABSENT):
                return None
            raise
        order = data.get("order")
        if order is None:
            return None
        if not isinstance(order, dict):
            raise WeChatUncertain(said="order is not an object")
        try:
            found = VirtualOrder.parse(order)
        except InvalidInput as error:
            raise WeChatUncertain(said="answer has a wrong shape") from error
        if found.out_trade_no != out_trade_no:
            raise WeChatUncertain(said="answer for another number")
        return found

    @outside_transaction
    def refund_order(
        self,
        *,
        openid: str,
        out_trade_no: str,
        out_refund_no: str,
        left_fen: int,
        refund_fen: int,
        reason: str,
        by_staff: bool,
        kind: RefundReason = RefundReason.OTHER,
    ) -> VirtualRefund:
        """Ask for `refund_fen` of the `left_fen` that `query_order` tells of.

        The same number is one refund; it ends later. Raises WeChatRefused: LEFT_CHANGED, an order
        paid through Apple, one that is not paid.
        """
        asked = {
            "openid": openid,
            "order_id": out_trade_no,
            "refund_order_id": out_refund_no,
            "left_fee": left_fen,
            "refund_fee": refund_fen,
            "biz_meta": reason.encode()[:_MAX_META].decode(errors="ignore"),
            "refund_reason": str(kind.value),
            "req_from": "1" if by_staff else "2",
        }
        try:
            data = self._write("/xpay/refund_order", asked)
        except WeChatRefused as refused:
            if refused.wechat_code == ALREADY_DONE:
                return VirtualRefund(out_refund_no, "", "", repeated=True)
            raise
        try:
            return VirtualRefund(
                out_refund_no=out_refund_no,
                wx_refund_id=text(data, "refund_wx_order_id"),
                wx_order_id=text(data, "pay_wx_order_id"),
                repeated=False,
            )
        except InvalidInput as error:
            raise WeChatUncertain(said="answer has a wrong shape") from error

    @outside_transaction
    def provide_goods(self, *, out_trade_no: str) -> None:
        """The order counts as delivered. For payments whose push we could not answer."""
        try:
            self._write("/xpay/notify_provide_goods", {"order_id": out_trade_no})
        except WeChatRefused as refused:
            if refused.wechat_code != ALREADY_DONE:
                raise

    @outside_transaction
    def bill_url(self, begin: date, end: date) -> str | None:
        """Where the bill of these days lies for half an hour; None while it is being made."""
        asked = {"begin_ds": _day(begin), "end_ds": _day(end)}
        try:
            data = self._read("/xpay/download_bill", asked)
        except WeChatNotNow as later:
            if later.wechat_code == _BILL_BEING_MADE:
                return None
            raise
        url = data.get("url")
        if not isinstance(url, str) or not url:
            raise WeChatUncertain(said="no address of the bill")
        return url

    @outside_transaction
    def bill_rows(self, url: str) -> tuple[VirtualBillRow, ...]:
        """The rows of the bill at `url`.

        Raises WeChatUncertain when the file did not come (ask `bill_url` for another address),
        `WeChatBillWrong` when it can't be read, `SettlementOnly` when it tells of no orders.
        """
        app = self._platform.config
        return tuple(read_rows(fetch_file(url, base_url=app.base_url, timeout=app.timeout)))

    @outside_transaction
    def upload_goods(self, items: Sequence[Goods]) -> None:
        """Start a batch of new items. Raises WeChatNotNow while another batch runs."""
        rows = [
            {
                "id": item.id,
                "name": item.name,
                "price": item.price_fen,
                "remark": item.remark,
                "item_url": item.image_url,
            }
            for item in items
        ]
        self._write("/xpay/start_upload_goods", {"upload_item": rows})

    @outside_transaction
    def query_upload_goods(self) -> GoodsTask:
        """How the last upload stands."""
        return _task(self._read("/xpay/query_upload_goods", {}), "upload")

    @outside_transaction
    def publish_goods(self, ids: Sequence[str]) -> None:
        """Start publishing uploaded items. Raises WeChatNotNow while another batch runs."""
        rows = [{"id": item_id} for item_id in ids]
        self._write("/xpay/start_publish_goods", {"publish_item": rows})

    @outside_transaction
    def query_publish_goods(self) -> GoodsTask:
        """How the last publication stands."""
        return _task(self._read("/xpay/query_publish_goods", {}), "publish")

    def _read(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Once more where the platform was away; an answer with a code of its own is final."""
        try:
            return self._write(path, asked)
        except WeChatUncertain as error:
            if error.wechat_code == _UNDER_WAY or not self._config.repeats:
                raise
        except WeChatNotNow as error:
            final = error.wechat_code or error.said == "breaker open"
            if final or not self._config.repeats:
                raise
        time.sleep(0.1 + secrets.randbelow(200) / 1000)
        return self._write(path, asked)

    def _write(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        body = orjson.dumps({**asked, "env": self._config.env})
        signed = pay_sig(self._config.app_key, path, body)
        return self._token.call(
            # A dead token is refused before anything happens, so a second one may be tried.
            lambda token: self._once(path, body, {"access_token": token, "pay_sig": signed})
        )

    def _once(self, path: str, body: bytes, params: Mapping[str, str]) -> dict[str, Any]:
        try:
            return self._platform.post_once(path, body, params)
        except WeChatError as error:
            code, said = error.wechat_code, error.said
            if code in _UNCERTAIN:
                raise WeChatUncertain(code, said) from error
            if code in _LATER:
                raise WeChatNotNow(code, said) from error
            if code == SIGNATURE_WRONG:
                logger.error("virtual payment refuses our signature: the app key of another env?")
            raise


def _task(data: Mapping[str, Any], name: str) -> GoodsTask:
    try:
        return GoodsTask.parse(data, name)
    except InvalidInput as error:
        raise WeChatUncertain(said="answer has a wrong shape") from error


def _day(day: date) -> int:
    return int(f"{day:%Y%m%d}")
