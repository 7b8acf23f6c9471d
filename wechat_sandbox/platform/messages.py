"""Messages to users: customer service and subscribe messages, followers (A4, A7, C7)."""

from __future__ import annotations

import re
import secrets
from typing import Any

from wechat_sandbox.identity import Account
from wechat_sandbox.platform.tokens import require_token
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import User, Window
from wechat_sandbox.wire import Json, PlatformError, Reply, Request, json_reply

_TYPES = {
    "mp": {"text", "image", "link", "miniprogrampage"},
    "oa": {
        "text", "image", "voice", "video", "music", "news", "mpnews", "mpnewsarticle",
        "msgmenu", "wxcard", "miniprogrampage",
    },
}  # fmt: skip
# (seconds, sends) by account and what the user did: A7, C7.
WINDOWS: dict[tuple[str, str], tuple[float, int]] = {
    ("mp", "message"): (48 * 3600, 5),
    ("mp", "enter"): (60, 2),
    ("oa", "message"): (48 * 3600, 5),
    ("oa", "action"): (60, 3),
}
# Longest text by key type (A4); a pattern where the type has one.
_LIMITS = {
    "thing": r".{1,20}",
    "number": r"[+-]?\d{1,32}(\.\d{1,32})?",
    "letter": r"[A-Za-z]{1,32}",
    "symbol": r"[^\w\s]{1,5}",
    "character_string": r"[\x21-\x7e ]{1,32}",
    "time": r"[\d:：年月日时分 ~\-/.]{1,64}",
    "date": r"[\d:：年月日时分 ~\-/.]{1,64}",
    "amount": r"[¥￥$€£]?\d{1,10}(\.\d+)?元?",
    "phone_number": r"[\d+\-() ]{1,17}",
    "car_number": r".{1,8}",
    "name": r"[\u4e00-\u9fff·]{1,10}|[\x20-\x7e]{1,20}",
    "phrase": r"[\u4e00-\u9fff]{1,5}",
    "enum": r".{1,20}",
}


def user_info(sandbox: Sandbox, request: Request) -> Reply:
    """GET /cgi-bin/user/info"""
    require_token(sandbox, request, kind="oa")
    with sandbox.lock:
        user = _receiver(sandbox, request.query.get("openid"), "oa")
        data: Json = {"subscribe": int(user.follows_oa), "openid": user.oa_openid}
        if user.unionid and sandbox.state.settings.oa_bound:
            data["unionid"] = user.unionid
        if user.follows_oa:
            data |= {
                "language": "zh_CN",
                "subscribe_time": int(user.subscribe_time),
                "remark": "",
                "groupid": 0,
                "tagid_list": [],
                "subscribe_scene": "ADD_SCENE_SEARCH",
                "qr_scene": 0,
                "qr_scene_str": "",
            }
    return json_reply(data)


def custom_send(sandbox: Sandbox, request: Request) -> Reply:
    """POST /cgi-bin/message/custom/send: only inside a window that the user opened."""
    account = require_token(sandbox, request, kind="any")
    data = request.json()
    kind = data.get("msgtype")
    if not isinstance(kind, str) or kind not in _TYPES[account.kind]:
        raise PlatformError(40008, "invalid message type")
    part = data.get(kind)
    if not isinstance(part, dict) or (kind == "text" and not _nonempty(part.get("content"))):
        raise PlatformError(44004, "empty content")
    with sandbox.lock:
        user = _receiver(sandbox, data.get("touser"), account.kind)
        if account.kind == "oa" and not user.follows_oa:
            raise PlatformError(43004, "require subscribe")
        _spend_window(sandbox, user, account.kind)
        _sent(sandbox, account, user, "custom", data, request)
    return json_reply({"errcode": 0, "errmsg": "ok"})


def subscribe_send(sandbox: Sandbox, request: Request) -> Reply:
    """POST /cgi-bin/message/subscribe/send: one send for each grant of the user."""
    account = require_token(sandbox, request, kind="mp")
    data = request.json()
    with sandbox.lock:
        user = _receiver(sandbox, data.get("touser"), "mp")
        template = sandbox.state.templates.get(str(data.get("template_id")))
        if template is None or template.account != account.kind:
            raise PlatformError(40037, "invalid template_id")
        if data.get("miniprogram_state", "formal") not in ("developer", "trial", "formal"):
            raise PlatformError(40097, "invalid args")
        _check_values(template.keys, data.get("data"))
        left = user.grants.get(template.template_id, 0)
        if left <= 0:
            raise PlatformError(43101, "user refuse to accept the msg")
        user.grants[template.template_id] = left - 1
        message_id = _sent(sandbox, account, user, "subscribe", data, request)
    return json_reply({"errcode": 0, "errmsg": "ok", "msgid": message_id})


def open_window(sandbox: Sandbox, user: User, account: str, opened_by: str) -> None:
    """The user did something that lets the account write; older windows stay."""
    seconds, sends = WINDOWS[account, opened_by]
    until = sandbox.clock.now() + seconds
    user.windows.setdefault(account, []).append(Window(opened_by, until, sends))


def _spend_window(sandbox: Sandbox, user: User, account: str) -> None:
    now = sandbox.clock.now()
    living = [w for w in user.windows.get(account, []) if w.until > now]
    user.windows[account] = living
    if not living:
        raise PlatformError(45015, "response out of time limit or subscription is canceled")
    open_ones = [w for w in living if w.left is None or w.left > 0]
    if not open_ones:
        raise PlatformError(45047, "out of response count limit")
    window = min(open_ones, key=lambda w: (w.left is None, w.until))
    if window.left is not None:
        window.left -= 1


def _receiver(sandbox: Sandbox, openid: Any, account: str) -> User:
    user = sandbox.state.user(openid) if isinstance(openid, str) else None
    if user is None or user.openid_in(account) != openid:
        raise PlatformError(40003, "invalid openid")
    return user


def _check_values(keys: list[str], given: Any) -> None:
    """47003 names the key that breaks its rule."""
    if not isinstance(given, dict):
        raise PlatformError(47003, "argument invalid! data is empty")
    for key in keys:
        part = given.get(key)
        value = part.get("value") if isinstance(part, dict) else None
        rule = _LIMITS.get(re.sub(r"\d+$", "", key))
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or rule is None or not re.fullmatch(rule, value):
            raise PlatformError(47003, f"argument invalid! data.{key}.value invalid")


def _sent(
    sandbox: Sandbox, account: Account, user: User, channel: str, data: Json, request: Request
) -> int:
    message_id = secrets.randbelow(2**53)
    sandbox.state.sent.append(
        {
            "msgid": message_id,
            "at": sandbox.clock.now(),
            "account": account.kind,
            "channel": channel,
            "openid": user.openid_in(account.kind),
            "message": data,
            # Old endpoints show an escaped \uXXXX to the user as it stands (section 0).
            "escaped": b"\\u" in request.body,
        }
    )
    return message_id


def _nonempty(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
