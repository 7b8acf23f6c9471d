"""Messages and events that the platform pushes to us (`wechat.md` C1–C5).

wechatpy does the envelope's cryptography and the replies' XML; signatures are compared here, in
constant time, and nothing is parsed before the size is known and document types are refused.
"""

import hashlib
import hmac
import re
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal
from xml.parsers.expat import ExpatError

import orjson
import xmltodict
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException, InvalidSignatureException
from wechatpy.replies import ArticlesReply, TextReply

from kernel import clock
from kernel.errors import BodyTooLarge, InvalidInput
from kernel.wire.codecs import loads_object
from wechat.errors import WeChatForged, WeChatNotConfigured

Account = Literal["mp", "oa"]
Form = Literal["xml", "json"]

MAX_BODY = 64 * 1024
MAX_DEPTH = 16
FRESH_SECONDS = 300
MAX_TEXT_BYTES = 2048  # a passive text reply
SUCCESS = b"success"
_LONGEST = 128
_LAST_SECOND = 2**32
# Nothing but a declaration may stand before the root: no document type, so no entities.
_PROLOG = re.compile(r"(<\?xml[^<>]*\?>)?\s*<xml[\s>]")
# Events that share a second are told apart by the number of what they are about.
_BUSINESS_KEYS = ("OutTradeNo", "trace_id", "MsgID", "MsgId", "MenuId", "OrderId", "List")
# Pushes of virtual payment come from the platform, not from the person, and their field names
# vary in case (B4): more numbers, written small.
_XPAY_KEYS = (
    "openid",
    "outtradeno",
    "mchorderid",
    "mchrefundid",
    "wxrefundid",
    "retcode",
    "complaintid",
    "requestid",
    "pay_order_id",
    "channel_bill",
    "refund_time",
)
APPLE_QUESTION = "xpay_subscribe_ios_refund_query_notify"


@dataclass(frozen=True)
class PushConfig:
    appid: str
    token: str = field(repr=False)
    aes_key: str = field(repr=False)


@dataclass(frozen=True)
class Push:
    """A verified push. `fields` is the whole message as the platform wrote it."""

    account: Account
    raw_sha: str
    msg_type: str
    event: str
    event_key: str
    openid: str
    to: str
    msg_id: int | None
    create_time: int
    content: str
    encrypted: bool
    form: Form
    dedupe_key: str
    fields: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Article:
    """One card of a news reply; addresses are absolute."""

    title: str
    description: str
    url: str
    picture_url: str = ""


def verify_and_parse(account: Account, query: Mapping[str, str], body: bytes) -> Push:
    """The push in `body`, which carries the account's signature.

    With an AES key configured only encrypted bodies count: a plain body is not covered by its
    signature. Raises `BodyTooLarge`, `WeChatForged` or `InvalidInput`.
    """
    if len(body) > MAX_BODY:
        raise BodyTooLarge
    config = _config(account)
    _check_fresh(query)
    encrypted = query.get("encrypt_type") == "aes" or "msg_signature" in query
    if not encrypted:
        _check_signature(config, query, "signature")
        if config.aes_key:
            raise WeChatForged(said="a plain body while an AES key is set")
        return _push(account, body, body, encrypted=False)
    if not config.aes_key:
        raise WeChatForged(said="an encrypted body while no AES key is set")
    sealed = _parse(body).get("Encrypt")
    if not isinstance(sealed, str):
        raise WeChatForged(said="a plain body while an AES key is set")
    _check_signature(config, query, "msg_signature", sealed)
    plain = _opened(config, query, sealed)
    return _push(account, plain, body, encrypted=True)


def echo(account: Account, query: Mapping[str, str]) -> str:
    """The text that proves the address is ours (C1). Raises `WeChatForged`."""
    _check_signature(_config(account), query, "signature")
    text = query.get("echostr", "")
    if len(text) > _LONGEST:
        raise InvalidInput
    return text


def reply_text(push: Push, text: str) -> bytes:
    """A passive text reply, at most 2048 bytes of it, encrypted when the push was."""
    kept = text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
    return _rendered(push, TextReply, content=_cdata(kept))


def reply_news(push: Push, items: Sequence[Article]) -> bytes:
    """A passive news reply. The platform shows one article to a message, 8 to an event (C4)."""
    most = 8 if push.msg_type == "event" else 1
    articles = [
        {
            "title": _cdata(item.title),
            "description": _cdata(item.description),
            "image": _cdata(item.picture_url),
            "url": _cdata(item.url),
        }
        for item in items[:most]
    ]
    return _rendered(push, ArticlesReply, articles=articles)


def _rendered(push: Push, kind: Any, **fields: Any) -> bytes:
    at = int(clock.timestamp())
    reply = kind(source=_cdata(push.to), target=_cdata(push.openid), time=at, **fields)
    return sealed_as(push, reply.render())


def sealed_as(push: Push, text: str) -> bytes:
    """`text` as the answer to `push`: in an envelope of the push's form when it came in one."""
    if not push.encrypted:
        return text.encode()
    crypto, at = _crypto(_config(push.account)), str(int(clock.timestamp()))
    envelope: str = crypto.encrypt_message(text, secrets.token_hex(8), at)
    if push.form == "xml":
        return envelope.encode()
    parts = xmltodict.parse(envelope)["xml"]
    return orjson.dumps({**parts, "TimeStamp": int(at)})


def _cdata(text: str) -> str:
    """`text` that can stand inside a CDATA section."""
    return text.replace("]]>", "]] >")


def _config(account: Account) -> PushConfig:
    wechat = settings.KPAY.wechat
    config = (
        PushConfig(wechat.mp_appid, wechat.mp_token, wechat.mp_aes_key)
        if account == "mp"
        else PushConfig(wechat.oa_appid, wechat.oa_token, wechat.oa_aes_key)
    )
    if not config.token or not config.appid:
        raise WeChatNotConfigured(said=f"{account}: token or appid is empty")
    return config


@lru_cache(maxsize=4)
def _crypto(config: PushConfig) -> WeChatCrypto:
    try:
        return WeChatCrypto(config.token, config.aes_key, config.appid)
    except (AssertionError, ValueError) as error:
        raise WeChatNotConfigured(said="the AES key is not 43 characters of base64") from error


def _check_signature(
    config: PushConfig, query: Mapping[str, str], name: str, *covered: str
) -> None:
    """sha1 over the sorted token, timestamp, nonce (and the sealed body), in constant time."""
    parts = sorted([config.token, query.get("timestamp", ""), query.get("nonce", ""), *covered])
    right = hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()
    given = query.get(name, "")
    if not hmac.compare_digest(right.encode(), given.encode(errors="replace")):
        raise WeChatForged(said=f"wrong {name}")


def _check_fresh(query: Mapping[str, str]) -> None:
    """A captured address is worth nothing after five minutes, the window that Pay v3 uses (D2)."""
    stamp = query.get("timestamp", "")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise WeChatForged(said="no timestamp")
    if abs(clock.timestamp() - int(stamp)) >= FRESH_SECONDS:
        raise WeChatForged(said="stale")


def _opened(config: PushConfig, query: Mapping[str, str], sealed: str) -> bytes:
    try:
        text: str = _crypto(config).decrypt_message(
            {"Encrypt": sealed},
            query.get("msg_signature", ""),
            query.get("timestamp", ""),
            query.get("nonce", ""),
        )
    except (
        InvalidSignatureException,
        InvalidAppIdException,
        ValueError,
        IndexError,
        struct.error,
    ) as error:
        raise WeChatForged(said="the envelope can't be opened") from error
    return text.encode()


def _parse(body: bytes) -> dict[str, Any]:
    """The object in a JSON or XML body. Raises `InvalidInput`."""
    text = body.strip()
    if text.startswith(b"{"):
        return loads_object(text)
    return _parse_xml(text)


def _parse_xml(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode()
        if not _PROLOG.match(text):
            raise InvalidInput(_("消息内容不是有效的 XML 或 JSON。"))
        root = xmltodict.parse(text, disable_entities=True)
    except (ExpatError, ValueError) as error:
        raise InvalidInput(_("消息内容不是有效的 XML 或 JSON。")) from error
    inner = root.get("xml")
    if not isinstance(inner, dict):
        raise InvalidInput(_("消息内容不是有效的 XML 或 JSON。"))
    _check_depth(inner)
    return inner


def _check_depth(root: Any) -> None:
    todo: list[tuple[Any, int]] = [(root, 1)]
    while todo:
        value, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise InvalidInput(_("消息内容嵌套过深。"))
        inner = value.values() if isinstance(value, dict) else value
        if isinstance(inner, str) or inner is None:
            continue
        todo.extend((item, depth + 1) for item in inner)


def _push(account: Account, plain: bytes, body: bytes, *, encrypted: bool) -> Push:
    data = _parse(plain)
    if account == "mp":
        data = _with_envelope(data)
    msg_type, openid = _text(data, "MsgType", longest=32), _text(data, "FromUserName", longest=128)
    create_time = _number(data, "CreateTime")
    if not msg_type or not openid or create_time is None or create_time > _LAST_SECOND:
        raise InvalidInput(_("消息缺少必要字段。"))
    event = _text(data, "Event", longest=64)
    event_key = _text(data, "EventKey", longest=1024)
    msg_id = None if msg_type == "event" else _number(data, "MsgId")
    return Push(
        account=account,
        raw_sha=hashlib.sha256(body).hexdigest(),
        msg_type=msg_type,
        event=event,
        event_key=event_key,
        openid=openid,
        to=_text(data, "ToUserName"),
        msg_id=msg_id,
        create_time=create_time,
        content=_text(data, "Content", longest=4096),
        encrypted=encrypted,
        form="json" if plain.lstrip().startswith(b"{") else "xml",
        dedupe_key=_dedupe_key(data, msg_id, [openid, create_time, msg_type, event, event_key]),
        fields=data,
    )


def _with_envelope(data: dict[str, Any]) -> dict[str, Any]:
    """Apple's question as an event: its published field table has none of the usual head (B4)."""
    small = {name.lower(): value for name, value in data.items()}
    if small.get("event") or not small.get("channel_bill") or not small.get("bundleid"):
        return data
    head = {
        "MsgType": "event",
        "Event": APPLE_QUESTION,
        "FromUserName": "apple",
        "CreateTime": small.get("refund_time"),
    }
    return {**head, **data, "Event": APPLE_QUESTION}


def _dedupe_key(data: Mapping[str, Any], msg_id: int | None, parts: list[Any]) -> str:
    """Messages by MsgId; events by person, second, kind, key and business number (C3)."""
    if msg_id is not None:
        return f"msg:{msg_id}"
    named = [*parts, *(data.get(name) for name in _BUSINESS_KEYS)]
    if str(data.get("Event")).lower().startswith("xpay_"):
        small = {name.lower(): value for name, value in data.items()}
        named += [small.get(name) for name in _XPAY_KEYS]
    return "event:" + hashlib.sha256(orjson.dumps(named, default=str)).hexdigest()


def _text(data: Mapping[str, Any], name: str, *, longest: int = 256) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidInput(_("消息字段格式不正确。"))
    return value


def _number(data: Mapping[str, Any], name: str) -> int | None:
    value = _text(data, name)
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or len(value) > 19 or int(value) >= 2**63:
        raise InvalidInput(_("消息字段格式不正确。"))
    return int(value)
