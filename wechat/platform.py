"""api.weixin.qq.com: one call, its error codes by what the caller may do next (`wechat.md` 0)."""

import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from wechat.errors import (
    WeChatError,
    WeChatNotConfigured,
    WeChatNotNow,
    WeChatRefused,
    WeChatUncertain,
)
from wechat.transport import Answer, Transport

logger = logging.getLogger(__name__)

BUSY = "-1"
TOKEN_DEAD = frozenset({"40001", "40014", "42001"})
# Quotas and frequencies: the same call works later.
_LATER = frozenset({BUSY, "45009", "45011"})
# Credentials, whitelist, rights: an operator must act.
_MISCONFIGURED = frozenset(
    {"40125", "40164", "41002", "41004", "45035", "48001", "48004", "61004", "89503"}
)


@dataclass(frozen=True)
class AppConfig:
    """One app of ours on the platform: the mini-program or the official account."""

    base_url: str
    appid: str
    secret: str = field(repr=False)
    timeout: tuple[float, float]


class Platform:
    """Calls of one app. An answer is a JSON object without errcode, everything else raises."""

    def __init__(self, config: AppConfig) -> None:
        if not config.appid or not config.secret:
            raise WeChatNotConfigured(said="appid or secret is empty")
        self.config = config
        self._transport = Transport(config.base_url, config.timeout)

    def get(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        return self._twice(lambda: self._transport.send("GET", path, params=params))

    def post(
        self, path: str, data: Mapping[str, Any], params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Non-ASCII goes out unescaped: old endpoints would show `\\uXXXX` to users."""
        body = orjson.dumps(data)
        headers = {"Content-Type": "application/json"}
        return self._twice(
            lambda: self._transport.send("POST", path, params=params, headers=headers, body=body)
        )

    def post_once(
        self, path: str, body: bytes, params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Exactly these bytes, sent at most once: they are signed, or the deed is about money."""
        headers = {"Content-Type": "application/json"}
        return _object(
            self._transport.send("POST", path, params=params, headers=headers, body=body)
        )

    def _twice(self, send: Any) -> dict[str, Any]:
        """Once more where it certainly has not happened: never sent, or "system busy"."""
        try:
            return _object(send())
        except WeChatNotNow as error:
            if error.wechat_code not in {"", BUSY} or error.said == "breaker open":
                raise
            time.sleep(0.1 + secrets.randbelow(200) / 1000)
            return _object(send())


def _object(answer: Answer) -> dict[str, Any]:
    if answer.status == 429:
        raise WeChatNotNow("429")
    if answer.status >= 500 or answer.status < 200:
        raise WeChatUncertain(answer.status)
    if answer.status != 200:
        raise WeChatRefused(f"HTTP_{answer.status}")
    try:
        data = orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise WeChatUncertain(said="answer is not JSON") from error
    if not isinstance(data, dict):
        raise WeChatUncertain(said="answer is not an object")
    code = data.get("errcode", 0)
    if code != 0:
        raise _failure(str(code), str(data.get("errmsg") or ""))
    return data


def _failure(code: str, said: str) -> WeChatError:
    if code in _LATER:
        return WeChatNotNow(code, said)
    if code in _MISCONFIGURED:
        logger.error("the platform refuses our credentials: %s %s", code, said)
        return WeChatNotConfigured(code, said)
    return WeChatRefused(code, said)
