"""What goes over the wire: requests, replies, and the three error shapes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

Json = dict[str, Any]

MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One request as it arrived. `target` and `body` are untouched: signatures cover them."""

    method: str
    target: str  # raw path?query
    path: str  # percent-decoded, without query
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    client_ip: str

    def json(self) -> Json:
        """The body as a JSON object; BadJson when it is none."""
        try:
            data = json.loads(self.body.decode("utf-8"))
        except (ValueError, RecursionError) as error:  # huge integers are a ValueError too
            raise BadJsonError(str(error)) from error
        if not isinstance(data, dict):
            raise BadJsonError("the body is not a JSON object")
        return data


@dataclass
class Reply:
    """One answer. `cut` and `slow_seconds` are faults that the server carries out."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # close the connection instead of answering
    slow_seconds: float = 0.0  # pause between headers and body
    cut_after: int | None = None  # close after that many bytes of the body
    unsigned: bool = False  # a bill's bytes carry no signature


class BadJsonError(ValueError):
    """The body is not a JSON object in UTF-8."""


class PlatformError(Exception):
    """api.weixin.qq.com: HTTP 200 with errcode (`wechat.md` section 0)."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errcode, errmsg)
        self.errcode = errcode
        self.errmsg = errmsg


class PayError(Exception):
    """api.mch.weixin.qq.com: HTTP status with code, message, detail (D6)."""

    def __init__(
        self, status: int, code: str, message: str, *, name: str = "", issue: str = ""
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.detail: Json = {}
        if name:
            self.detail = {"field": name, "issue": issue or message, "location": "body"}


class ControlError(Exception):
    """The control API: HTTP status with {"error": {code, message}}, `more` beside it."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.more: Json = more


def dumps(data: object) -> bytes:
    """Compact JSON in UTF-8, Chinese unescaped; half a surrogate pair becomes `?`."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def json_reply(data: object, status: int = 200) -> Reply:
    return Reply(status, dumps(data), {"Content-Type": "application/json; charset=utf-8"})


def platform_error_reply(error: PlatformError) -> Reply:
    """The errmsg ends with a trace id, as the platform's does."""
    rid = "-".join(secrets.token_hex(4) for _ in range(3))
    return json_reply({"errcode": error.errcode, "errmsg": f"{error.errmsg} rid: {rid}"})


def pay_error_reply(error: PayError) -> Reply:
    data: Json = {"code": error.code, "message": error.message}
    if error.detail:
        data["detail"] = error.detail
    return json_reply(data, error.status)


def control_error_reply(error: ControlError) -> Reply:
    data: Json = {"error": {"code": error.code, "message": error.message}, **error.more}
    return json_reply(data, error.status)


def parse_query(raw: str) -> dict[str, str]:
    """First value of each name; blank values stay."""
    values: dict[str, str] = {}
    for name, value in parse_qsl(raw, keep_blank_values=True, max_num_fields=100):
        values.setdefault(name, value)
    return values


def compact(data: Json) -> Json:
    """Without the fields that are None."""
    return {name: value for name, value in data.items() if value is not None}
