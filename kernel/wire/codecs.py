"""JSON in and out by orjson, with limits before parsing."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.utils.translation import gettext_lazy as _
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from kernel.errors import BodyTooLarge, InvalidInput

MAX_BODY = 512 * 1024
MAX_DEPTH = 32
MAX_INT = 2**63 - 1


class JSONParser(BaseParser):
    """A JSON object of at most 512 KB, 32 levels, 64-bit integers; no NUL, no lone surrogate."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        raw = stream.read(MAX_BODY + 1)
        if len(raw) > MAX_BODY:
            raise BodyTooLarge
        return loads_object(raw)


def loads_object(raw: bytes) -> dict[str, Any]:
    """The object in `raw`. Raises `InvalidInput` for everything else."""
    if not raw.strip():
        return {}
    try:
        # orjson refuses invalid UTF-8 and lone surrogates, and bounds its own recursion.
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(_("请求内容不是有效的 JSON。")) from error
    if not isinstance(data, dict):
        raise InvalidInput(_("请求内容必须是 JSON 对象。"))
    _check(data)
    return data


def _check(root: Any) -> None:
    """Walk without recursion: depth, integers and strings that PostgreSQL could not keep."""
    todo: list[tuple[Any, int]] = [(root, 1)]
    while todo:
        value, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise InvalidInput(_("请求内容嵌套过深。"))
        if isinstance(value, dict):
            todo.extend((key, depth) for key in value)
            todo.extend((item, depth + 1) for item in value.values())
        elif isinstance(value, list):
            todo.extend((item, depth + 1) for item in value)
        elif isinstance(value, str):
            if "\x00" in value:
                raise InvalidInput(_("请求内容含有不允许的字符。"))
        elif isinstance(value, int) and not -MAX_INT <= value <= MAX_INT:
            raise InvalidInput(_("请求中的整数超出范围。"))


class JSONRenderer(BaseRenderer):
    """UTF-8 JSON. Unknown types (lazy sentences) become text."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS)
