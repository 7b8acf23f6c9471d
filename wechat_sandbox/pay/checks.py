"""Field rules of prepay and refund requests (D3, D5)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from wechat_sandbox.clock import parse_rfc3339
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import Json, PayError

OUT_TRADE_NO = re.compile(r"[0-9A-Za-z_\-*|]{6,32}")
OUT_REFUND_NO = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")
_DEFAULT_LIFE = 7 * 86400
_LONGEST_LIFE = 90 * 86400
_MAX_FEN = 10**12


def param_error(name: str, issue: str) -> PayError:
    return PayError(400, "PARAM_ERROR", f"参数错误：{name} {issue}", name=f"/{name}", issue=issue)


def text(data: Json, name: str, *, most: int, required: bool = True) -> str:
    """A string of 1 to `most` characters; "" when it is absent and may be."""
    value = data.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value or len(value) > most:
        raise param_error(name, f"必须是1到{most}个字符的字符串")
    return value


def fen(amount: Any, name: str) -> int:
    """A positive integer number of fen."""
    value = amount.get(name) if isinstance(amount, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MAX_FEN:
        raise param_error(f"amount/{name}", "必须是大于0的整数")
    return value


def currency(amount: Json, *, required: bool) -> None:
    value = amount.get("currency")
    if value != "CNY" and (required or value is not None):
        raise param_error("amount/currency", "目前只支持CNY")


def merchant(sandbox: Sandbox, data: Json) -> None:
    if data.get("mchid") != sandbox.identity.mchid:
        raise param_error("mchid", "与签名的商户号不一致")


def out_trade_no(value: object) -> str:
    if not isinstance(value, str) or not OUT_TRADE_NO.fullmatch(value):
        raise param_error("out_trade_no", "须为6到32个数字、字母或_-*|")
    return value


def notify_url(data: Json, *, required: bool = True) -> str:
    """https without query; plain http only on this machine, which the real platform refuses."""
    url = text(data, "notify_url", most=255, required=required)
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        local = parts.hostname in {"127.0.0.1", "localhost"}
        usable = parts.port is None or parts.port > 0
    except ValueError:
        raise param_error("notify_url", "不是合法的URL") from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and local)
    if not secure or not parts.hostname or parts.query or parts.fragment or not usable:
        raise param_error("notify_url", "必须为https且不能携带参数")
    return url


def time_expire(sandbox: Sandbox, data: Json) -> float:
    """When the order can no longer be paid: 7 days unless said, 90 days at most."""
    now = sandbox.clock.wire()
    value = data.get("time_expire")
    if value is None:
        return now + _DEFAULT_LIFE
    try:
        moment = parse_rfc3339(value)
    except (TypeError, ValueError, OverflowError):
        raise param_error("time_expire", "须为RFC 3339格式") from None
    if moment < now + 59:  # one minute, less the second that the format cuts off
        raise param_error("time_expire", "须在一分钟之后")
    return min(moment, now + _LONGEST_LIFE)


def payer(sandbox: Sandbox, data: Json, appid: str) -> str:
    """The payer's openid in `appid`; another app's openid is OPENID_MISMATCH."""
    given = data.get("payer")
    openid = given.get("openid") if isinstance(given, dict) else None
    if not isinstance(openid, str) or not openid:
        raise param_error("payer/openid", "不能为空")
    user = sandbox.state.user(openid)
    if user is None:
        raise param_error("payer/openid", "无效的openid")
    account = sandbox.identity.account_of(appid)
    if account is None or user.openid_in(account.kind) != openid:
        raise PayError(500, "OPENID_MISMATCH", "openid与appid不匹配")
    return openid
