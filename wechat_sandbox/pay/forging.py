"""Notify envelopes: the right one, and each kind of forged one."""

from __future__ import annotations

import secrets
import uuid

from wechat_sandbox.clock import rfc3339
from wechat_sandbox.crypto import sealed
from wechat_sandbox.notifies import Notify
from wechat_sandbox.pay.signing import answer_headers
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import Json, dumps

_SUMMARIES = {
    "TRANSACTION.SUCCESS": "支付成功",
    "REFUND.SUCCESS": "退款成功",
    "REFUND.ABNORMAL": "退款异常",
    "REFUND.CLOSED": "退款关闭",
}
_SIGNATURE_TRICKS = {"bad_signature", "signtest", "stale_timestamp", "unknown_serial"}

Message = tuple[dict[str, str], bytes]  # headers, body


def new_notify(sandbox: Sandbox, *, event_type: str, url: str, plain: Json) -> Notify:
    """A notify with its body made for good; nothing is sent yet."""
    notify_id = str(uuid.uuid4())
    return Notify(
        notify_id=notify_id,
        event_type=event_type,
        url=url,
        plain=plain,
        body=_envelope(sandbox, notify_id, event_type, plain, sandbox.identity.apiv3_key),
        created_at=sandbox.clock.now(),
    )


def true_message(sandbox: Sandbox, notify: Notify) -> Message:
    """The notify as the platform sends it: same body, a signature of this second."""
    return _signed(sandbox, notify.body)


def forged_message(
    sandbox: Sandbox, notify: Notify, kind: str, other: Notify | None = None
) -> Message:
    """`notify` as a forger, a probe or a mistaken platform would send it; the id is kept.

    replay: the exact bytes and headers of an earlier delivery, of `other` when that was sent.
    """
    if kind in _SIGNATURE_TRICKS:
        return _signed(sandbox, notify.body, kind)
    if kind == "replay":
        for sent in (other, notify):
            if sent is not None and sent.last_sent is not None:
                headers, body = sent.last_sent
                return dict(headers), body
        return true_message(sandbox, notify)
    if kind == "plain_downgrade":
        return _signed(sandbox, _plain_envelope(sandbox, notify))
    key = secrets.token_hex(16) if kind == "wrong_apiv3_key" else sandbox.identity.apiv3_key
    plain = spoiled(notify.plain, kind)
    return _signed(sandbox, _envelope(sandbox, notify.id, notify.event_type, plain, key))


def spoiled(plain: Json, kind: str) -> Json:
    """The same object with one lie in it."""
    lie = dict(plain)
    if kind == "wrong_mchid" and "mchid" in plain:
        mchid = str(plain["mchid"])
        lie["mchid"] = mchid[:-1] + ("8" if mchid.endswith("7") else "7")
    if kind == "wrong_appid":
        lie["appid"] = "wx" + secrets.token_hex(8)
    if kind == "wrong_amount" and isinstance(plain.get("amount"), dict):
        amount = dict(plain["amount"])
        for name in ("total", "payer_total", "refund", "payer_refund"):
            if isinstance(amount.get(name), int):
                amount[name] += 1
        lie["amount"] = amount
    return lie


def _signed(sandbox: Sandbox, body: bytes, tamper: str = "") -> Message:
    headers = answer_headers(sandbox, body, serial=None, tamper=tamper)
    headers |= {
        "Content-Type": "application/json",
        "Accept": "*/*",
        "User-Agent": "Mozilla/4.0",
        "Pragma": "no-cache",
    }
    return headers, body


def _envelope(sandbox: Sandbox, notify_id: str, event_type: str, plain: Json, key: str) -> bytes:
    original = "refund" if event_type.startswith("REFUND.") else "transaction"
    box = sealed(dumps(plain), key=key, associated_data=original)
    return dumps(
        {
            "id": notify_id,
            "create_time": rfc3339(sandbox.clock.wire()),
            "resource_type": "encrypt-resource",
            "event_type": event_type,
            "summary": _SUMMARIES[event_type],
            "resource": {"original_type": original, **box},
        }
    )


def _plain_envelope(sandbox: Sandbox, notify: Notify) -> bytes:
    return dumps(
        {
            "id": notify.id,
            "create_time": rfc3339(sandbox.clock.wire()),
            "resource_type": "plain-resource",
            "event_type": notify.event_type,
            "summary": _SUMMARIES[notify.event_type],
            "resource": notify.plain,
        }
    )
