"""Content security (`wechat.md` A5): words instead of a model."""

from __future__ import annotations

import secrets

from wechat_sandbox.platform.tokens import require_token
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import Json, PlatformError, Reply, Request, json_reply

_VISIT_SECONDS = 2 * 3600
_MOST_CHARACTERS = 2500
_LABELS = {"pass": 100, "review": 10001, "risky": 20008}


def msg_sec_check(sandbox: Sandbox, request: Request) -> Reply:
    """POST /wxa/msg_sec_check, version 2; without a version it answers as version 1 did."""
    require_token(sandbox, request, kind="mp")
    if not request.body:
        raise PlatformError(44002, "empty post data")
    data = request.json()
    content = data.get("content")
    if not isinstance(content, str) or not content:
        raise PlatformError(44002, "empty post data")
    if len(content) > _MOST_CHARACTERS:
        raise PlatformError(45002, "content size out of limit")
    with sandbox.lock:
        texts = [content, *(str(data.get(n, "")) for n in ("title", "nickname", "signature"))]
        suggest, word = _judge(sandbox, "\n".join(texts))
        if data.get("version") is None:
            if suggest == "risky":
                raise PlatformError(87014, "risky content")
            return json_reply({"errcode": 0, "errmsg": "ok"})
        _check_visitor(sandbox, data)
    label = _LABELS[suggest]
    detail: Json = {
        "strategy": "keyword" if word else "content_model",
        "errcode": 0,
        "suggest": suggest,
        "label": label,
        "level": 90 if word else 20,
        "prob": 90,
    }
    if word:
        detail["keyword"] = word
    return json_reply(
        {
            "errcode": 0,
            "errmsg": "ok",
            "detail": [detail],
            "trace_id": "-".join(secrets.token_hex(4) for _ in range(3)),
            "result": {"suggest": suggest, "label": label},
        }
    )


def _judge(sandbox: Sandbox, text: str) -> tuple[str, str]:
    settings = sandbox.state.settings
    for suggest, words in (("risky", settings.risky_words), ("review", settings.review_words)):
        for word in words:
            if word in text:
                return suggest, word
    return "pass", ""


def _check_visitor(sandbox: Sandbox, data: Json) -> None:
    openid = data.get("openid")
    user = sandbox.state.user(openid) if isinstance(openid, str) else None
    if data.get("version") != 2 or data.get("scene") not in (1, 2, 3, 4):
        raise PlatformError(40129, "invalid scene")
    if user is None:
        raise PlatformError(40003, "invalid openid")
    if user.openid != openid:
        raise PlatformError(43104, "this appid does not have permission")
    if sandbox.clock.now() - user.seen_at > _VISIT_SECONDS:
        raise PlatformError(61010, "code is expired")
