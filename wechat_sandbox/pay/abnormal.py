"""A refund that could not reach the payer is sent elsewhere (D5)."""

from __future__ import annotations

from wechat_sandbox.crypto import opened
from wechat_sandbox.pay import bodies, checks, refunds
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import Json, PayError, Reply, Request, json_reply

_TYPES = ("USER_BANK_CARD", "MERCHANT_BANK_CARD")


def apply(sandbox: Sandbox, request: Request, *, number: str) -> Reply:
    """POST /v3/refund/domestic/refunds/{refund_id}/apply-abnormal-refund: PROCESSING again."""
    data = request.json()
    sent_to = _sent_to(sandbox, request, data)
    with sandbox.lock:
        item = sandbox.state.by_refund_id.get(number)
        if item is None:
            raise PayError(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
        if data.get("out_refund_no") != item.out_refund_no:
            raise PayError(400, "INVALID_REQUEST", "商户退款单号与微信支付退款单号不一致")
        if item.status == "PROCESSING" and item.sent_to == sent_to:
            return json_reply(bodies.refund(item))
        if item.status != "ABNORMAL":
            raise PayError(400, "INVALID_REQUEST", "只有退款异常的退款单可以发起异常退款")
        item.status = "PROCESSING"
        item.sent_to = sent_to
        item.channel = "OTHER_BANKCARD"
        item.received_account = (
            "商户结算银行账户"
            if sent_to["type"] == "MERCHANT_BANK_CARD"
            else f"{sent_to['bank_type']}{sent_to['bank_account'][-4:]}"
        )
        item.planned = sandbox.state.planned_refunds.pop(item.out_refund_no, "success")
        refunds.settle_later(sandbox, item)
        return json_reply(bodies.refund(item))


def _sent_to(sandbox: Sandbox, request: Request, data: Json) -> Json:
    """Where the money shall go, in clear; a user's card needs bank, number and name."""
    checks.text(data, "out_refund_no", most=64)
    kind = checks.text(data, "type", most=32)
    if kind not in _TYPES:
        raise checks.param_error("type", f"须为{'、'.join(_TYPES)}")
    if kind == "MERCHANT_BANK_CARD":
        return {"type": kind}
    return {
        "type": kind,
        "bank_type": checks.text(data, "bank_type", most=16),
        "bank_account": _secret(sandbox, request, data, "bank_account"),
        "real_name": _secret(sandbox, request, data, "real_name"),
    }


def _secret(sandbox: Sandbox, request: Request, data: Json, name: str) -> str:
    """A field that was sealed with the key that Wechatpay-Serial names (D1)."""
    text = checks.text(data, name, most=1024)
    identity = sandbox.identity
    key = {
        identity.public_key_id: identity.public_key_signer,
        identity.certificate_serial: identity.certificate_signer,
    }.get(request.headers.get("wechatpay-serial", ""))
    if key is None:
        raise checks.param_error(name, "须用Wechatpay-Serial指明的公钥加密")
    try:
        return opened(key, text)
    except ValueError:
        raise checks.param_error(name, "解密失败") from None
