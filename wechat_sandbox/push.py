"""Pushes to the message server (`wechat.md` C1-C5): built, signed, sent, retried, answered."""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from wechat_sandbox import msgcrypt
from wechat_sandbox.faults import Fault
from wechat_sandbox.identity import Account
from wechat_sandbox.outgoing import Answer, send
from wechat_sandbox.platform.messages import open_window
from wechat_sandbox.replies import shown
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import ControlError, Json, dumps

# C3: three deliveries in all, five seconds apart.
RETRY_SECONDS = (5, 5)
MESSAGE_TYPES = {
    "text", "image", "voice", "video", "shortvideo", "location", "link", "miniprogrampage",
}  # fmt: skip
TAMPERINGS = {
    "bad_signature", "bad_msg_signature", "stale_timestamp", "wrong_appid", "wrong_aes_key",
    "plain_downgrade", "entities", "garbage",
}  # fmt: skip
_OWN_FIELDS = {
    "account", "openid", "type", "encrypt", "format", "tamper", "fields", "retry",
    "timeout_seconds",
}  # fmt: skip
_ACTIONS = {"subscribe", "scan", "click"}
_TRICKS = {
    "timeout": "deaf",
    "reset_after_effect": "deaf",
    "reset_before_effect": "half",
    "hang": "slow",
}
_FORGED = {"bad_signature", "stale_timestamp", "plain_downgrade", "wrong_appid", "wrong_amount"}
_AMOUNTS = ("ActualPrice", "OrigPrice", "RefundFee")
_ENTITIES = '<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


@dataclass
class Push:
    """One message or event on its way to the product."""

    account: Account
    openid: str
    name: str  # message type or event name
    fields: Json
    form: str  # xml | json
    encrypted: bool
    tamper: str


def new_push(sandbox: Sandbox, data: Json) -> Push:
    """A push from the control call's body; what the user did takes effect at once."""
    account = sandbox.identity.account(str(data.get("account", "oa")))
    if account is None:
        raise ControlError(400, "invalid_account", "account must be mp or oa")
    form = data.get("format") or ("xml" if account.kind == "oa" else "json")
    if form not in ("xml", "json"):
        raise ControlError(400, "invalid_format", "format must be xml or json")
    tamper = data.get("tamper") or ""
    if tamper and (not isinstance(tamper, str) or tamper not in TAMPERINGS):
        raise ControlError(400, "invalid_tamper", f"tamper is one of {sorted(TAMPERINGS)}")
    kind = str(data.get("type", "text"))
    openid = str(data.get("openid", ""))
    with sandbox.lock:
        user = sandbox.state.user(openid)
        if user is not None:
            openid = user.openid_in(account.kind)
    fields = _fields(sandbox, account, openid, kind, data)
    name = str(fields.get("Event", kind))
    if not tamper:
        _take_effect(sandbox, account.kind, openid, fields)
    encrypted = bool(data.get("encrypt", True)) and tamper != "plain_downgrade"
    return Push(account, openid, name, fields, form, encrypted, tamper)


def deliver(sandbox: Sandbox, push: Push, *, retry: bool = True, timeout: float = 5.0) -> Json:
    """Sends it; the first answer comes back, failed deliveries are repeated by plan."""
    record = new_record(sandbox, push)
    answer = _attempt(sandbox, push, record, timeout)
    if retry and not answer.received:
        _retry(sandbox, push, record, sandbox.clock.now(), 0)
    given = shown(push.account, answer)
    return {**given, "fields": push.fields, "deliveries": list(record["deliveries"])}


def new_record(sandbox: Sandbox, push: Push) -> Json:
    """The entry in the list of pushes; deliveries are added to it as they happen."""
    record: Json = {
        "account": push.account.kind,
        "openid": push.openid,
        "name": push.name,
        "fields": push.fields,
        "deliveries": [],
    }
    with sandbox.lock:
        sandbox.state.pushes.append(record)
    return record


def verify_server(sandbox: Sandbox, account: Account, *, tamper: bool = False) -> Json:
    """GET with echostr (C1), as the console does when an address is saved."""
    echo = str(secrets.randbelow(10**19))
    query = _plain_signature(sandbox, account, bad=tamper) | {"echostr": echo}
    answer = send("GET", f"{_address(sandbox, account)}?{urlencode(query)}", b"", {})
    body = answer.body.decode("utf-8", "replace")
    return {
        "status": answer.status,
        "body": body,
        "error": answer.error,
        "verified": answer.status == 200 and body == echo,
    }


def _retry(sandbox: Sandbox, push: Push, record: Json, due: float, done: int) -> None:
    if done >= len(RETRY_SECONDS):
        return

    def job(moment: float) -> None:
        if not _attempt(sandbox, push, record, 5.0).received:
            _retry(sandbox, push, record, moment, done + 1)

    sandbox.schedule.at(due + RETRY_SECONDS[done], job)


def drawn(sandbox: Sandbox, push: Push) -> Fault | None:
    path = f"/wechat/{push.account.kind}/callback"
    return sandbox.faults.draw("push", path=path, event_type=push.name)


def _attempt(sandbox: Sandbox, push: Push, record: Json, timeout: float) -> Answer:
    return attempt(sandbox, push, record, timeout, drawn(sandbox, push))


def attempt(
    sandbox: Sandbox, push: Push, record: Json, timeout: float, fault: Fault | None
) -> Answer:
    """One delivery with what the fault makes of it; noted in the record."""
    kind = "" if fault is None else fault.kind
    if kind == "drop":
        return _noted(sandbox, record, Answer(None, b"", 0.0, "dropped"), kind)
    if kind in _FORGED:
        plain = kind == "plain_downgrade"
        fields = _lying(push.fields) if kind == "wrong_amount" else push.fields
        encrypted = push.encrypted and not plain
        forged = replace(push, tamper=kind, fields=fields, encrypted=encrypted)
        _noted(sandbox, record, _post(sandbox, forged, timeout, None), kind)
        if fault is not None and not fault.follow:
            return Answer(None, b"", 0.0, "only the forged one was sent")
        return _noted(sandbox, record, _post(sandbox, push, timeout, None), "")
    if kind == "duplicate" and fault is not None:
        return _copies(sandbox, push, record, timeout, fault.copies)
    if kind == "delay" and fault is not None:
        sandbox.stopping.wait(fault.seconds(1.0))
    answer = _noted(sandbox, record, _post(sandbox, push, timeout, fault), kind)
    return replace(answer, status=500, error="answer lost") if kind == "http_500" else answer


def _lying(fields: Json) -> Json:
    """One fen more wherever virtual payment tells an amount."""
    lie: Json = {}
    for name, value in fields.items():
        lie[name] = _lying(value) if isinstance(value, dict) else value
        if name in _AMOUNTS and isinstance(value, int):
            lie[name] = value + 1
    return lie


def _copies(sandbox: Sandbox, push: Push, record: Json, timeout: float, copies: int) -> Answer:
    answers: list[Answer] = []

    def one() -> None:
        answers.append(_noted(sandbox, record, _post(sandbox, push, timeout, None), "duplicate"))

    threads = [threading.Thread(target=one, daemon=True) for _ in range(copies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return next((a for a in answers if a.received), answers[0])


def _post(sandbox: Sandbox, push: Push, timeout: float, fault: Fault | None) -> Answer:
    query = _plain_signature(
        sandbox,
        push.account,
        bad=push.tamper == "bad_signature",
        stale=push.tamper == "stale_timestamp",
    )
    query["openid"] = push.openid
    body = _body(push)
    if push.encrypted:
        query["encrypt_type"] = "aes"
        body = _encrypted(push, body, query)
    if push.tamper == "garbage":
        body = b"\x00\xff" + body[:20]
    trick = "" if fault is None else _TRICKS.get(fault.kind, "")
    kind = "text/xml" if push.form == "xml" else "application/json"
    return send(
        "POST",
        f"{_address(sandbox, push.account)}?{urlencode(query)}",
        body,
        {"Content-Type": kind, "User-Agent": "Mozilla/4.0", "Accept": "*/*"},
        timeout=timeout,
        trick=trick,
        trick_seconds=0.0 if fault is None else fault.seconds(3.0),
    )


def _encrypted(push: Push, body: bytes, query: dict[str, str]) -> bytes:
    appid, aes_key = push.account.appid, push.account.aes_key
    if push.tamper == "wrong_appid":
        appid = "wx" + secrets.token_hex(8)
    if push.tamper == "wrong_aes_key":
        aes_key = secrets.token_hex(21) + "A"
    box = msgcrypt.encrypt(body, aes_key=aes_key, appid=appid)
    right = msgcrypt.signature(push.account.token, query["timestamp"], query["nonce"], box)
    bad = push.tamper in {"bad_msg_signature", "bad_signature"}
    query["msg_signature"] = _turned(right) if bad else right
    envelope: Json = {"ToUserName": push.account.original_id, "Encrypt": box}
    return _xml(envelope) if push.form == "xml" else dumps(envelope)


def _body(push: Push) -> bytes:
    if push.form == "json":
        return dumps(push.fields)
    if push.tamper == "entities":
        return _ENTITIES.encode() + _xml(push.fields | {"Content": "&e;"}, raw=("Content",))
    return _xml(push.fields)


def _plain_signature(
    sandbox: Sandbox, account: Account, *, bad: bool = False, stale: bool = False
) -> dict[str, str]:
    timestamp = str(int(sandbox.clock.wire()) - (86400 if stale else 0))
    nonce = str(secrets.randbelow(10**10))
    right = msgcrypt.signature(account.token, timestamp, nonce)
    return {
        "signature": _turned(right) if bad else right,
        "timestamp": timestamp,
        "nonce": nonce,
    }


def _address(sandbox: Sandbox, account: Account) -> str:
    return f"{sandbox.state.settings.push_target or sandbox.target}/wechat/{account.kind}/callback"


def _turned(text: str) -> str:
    """Right form, wrong value."""
    return text[::-1] if text != text[::-1] else "0" * len(text)


def _fields(sandbox: Sandbox, account: Account, openid: str, kind: str, data: Json) -> Json:
    """The platform's field names: given ones, `fields` as they stand, the rest filled in."""
    message = kind in MESSAGE_TYPES
    fields: Json = {
        "ToUserName": account.original_id,
        "FromUserName": openid,
        "CreateTime": int(sandbox.clock.wire()),
        "MsgType": kind if message else "event",
    }
    if not message and kind != "event":
        fields["Event"] = kind
    for name, value in data.items():
        if name not in _OWN_FIELDS:
            fields[_camel(name)] = value
    extra = data.get("fields") or {}
    if not isinstance(extra, dict):
        raise ControlError(400, "invalid_fields", "fields must be an object")
    fields.update(extra)
    if message:
        fields.setdefault("MsgId", 2**62 + secrets.randbelow(2**61))
        if kind == "text":
            fields.setdefault("Content", "")
    elif "Event" not in fields:
        raise ControlError(400, "invalid_event", "an event needs event")
    if fields.get("Event") in ("subscribe", "unsubscribe", "CLICK", "SCAN"):
        fields.setdefault("EventKey", "")
    return fields


def _camel(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name):
        raise ControlError(400, "invalid_fields", f"no field can be called {name!r}")
    return name if name[0].isupper() else "".join(p[:1].upper() + p[1:] for p in name.split("_"))


def _take_effect(sandbox: Sandbox, account: str, openid: str, fields: Json) -> None:
    """Following, leaving, and the windows that an act of the user opens (A7, C7)."""
    with sandbox.lock:
        user = sandbox.state.user(openid)
        if user is None:
            return
        event = str(fields.get("Event", "")).lower()
        if not event:
            open_window(sandbox, user, account, "message")
        elif account == "oa" and event in _ACTIONS:
            open_window(sandbox, user, account, "action")
        elif account == "mp" and event == "user_enter_tempsession":
            open_window(sandbox, user, account, "enter")
        if account == "oa" and event == "subscribe":
            user.follows_oa = True
            user.subscribe_time = sandbox.clock.wire()
        elif account == "oa" and event == "unsubscribe":
            user.follows_oa = False
            user.windows["oa"] = []


def _xml(data: Json, *, raw: tuple[str, ...] = ()) -> bytes:
    return f"<xml>{_nodes(data, raw)}</xml>".encode("utf-8", "replace")


def _nodes(data: Json, raw: tuple[str, ...] = ()) -> str:
    return "".join(_node(name, value, name in raw) for name, value in data.items())


def _node(name: str, value: Any, raw: bool) -> str:
    if isinstance(value, dict):
        return f"<{name}>{_nodes(value)}</{name}>"
    if isinstance(value, list):
        return "".join(_node(name, item, raw) for item in value)
    if isinstance(value, bool | int | float):
        return f"<{name}>{int(value) if isinstance(value, bool) else value}</{name}>"
    text = str(value)
    if raw:
        return f"<{name}>{text}</{name}>"
    if "]]>" in text:
        return f"<{name}>{escape(text)}</{name}>"
    return f"<{name}><![CDATA[{text}]]></{name}>"


def _noted(sandbox: Sandbox, record: Json, answer: Answer, fault: str) -> Answer:
    record["deliveries"].append(
        {
            "at": sandbox.clock.now(),
            "fault": fault or None,
            "status": answer.status,
            "body": answer.body.decode("utf-8", "replace"),
            "error": answer.error,
            "seconds": round(answer.seconds, 4),
        }
    )
    return answer
