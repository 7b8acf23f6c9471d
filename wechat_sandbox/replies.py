"""The product's answers to pushes, opened as the platform opens them (`wechat.md` C2, C4)."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

from wechat_sandbox import msgcrypt
from wechat_sandbox.identity import Account
from wechat_sandbox.outgoing import Answer
from wechat_sandbox.wire import Json


def shown(account: Account, answer: Answer) -> Json:
    """The product's answer as a user's client would be shown it."""
    raw = answer.body.decode("utf-8", "replace")
    view: Json = {
        "status": answer.status,
        "body": raw,
        "raw_body": raw,
        "encrypted": False,
        "error": answer.error,
        "message": {},
        "seconds": round(answer.seconds, 4),
    }
    if answer.status != 200 or raw.strip() in {"", "success"}:
        return view
    try:
        envelope = parse_reply(raw)
        if "Encrypt" in envelope:
            view["encrypted"] = True
            view["body"] = _opened(account, envelope)
            envelope = parse_reply(view["body"])
    except (msgcrypt.UnreadableReplyError, ValueError) as error:
        view["error"] = f"unreadable reply: {error}"
        return view
    view["message"] = envelope
    return view


def _opened(account: Account, envelope: Json) -> str:
    box = str(envelope["Encrypt"])
    parts = (str(envelope.get("TimeStamp", "")), str(envelope.get("Nonce", "")))
    if msgcrypt.signature(account.token, *parts, box) != envelope.get("MsgSignature"):
        raise msgcrypt.UnreadableReplyError("wrong MsgSignature")
    return msgcrypt.decrypt(box, aes_key=account.aes_key, appid=account.appid).decode()


def parse_reply(text: str) -> Json:
    """A passive reply, XML or JSON, as an object; repeated nodes become lists."""
    if text.lstrip().startswith("{"):
        data = json.loads(text)
        return data if isinstance(data, dict) else {}
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("a reply may not declare entities")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - entities are refused above
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from error
    parsed = _tree(root)
    return parsed if isinstance(parsed, dict) else {}


def _tree(node: ElementTree.Element) -> Any:
    if len(node) == 0:
        return node.text or ""
    data: Json = {}
    for child in node:
        value = _tree(child)
        if child.tag in data:
            known = data[child.tag]
            data[child.tag] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            data[child.tag] = value
    return data
