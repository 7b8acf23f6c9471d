"""Keyset pages: stable under inserts, one query each."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request

from kernel.errors import InvalidInput

M = TypeVar("M", bound=Model)
MAX_LIMIT = 100


def read_limit(request: Request, *, default: int = 20, largest: int = MAX_LIMIT) -> int:
    """`?limit=`, at least 1, cut at `largest`. Raises `InvalidInput`."""
    text = request.query_params.get("limit", str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise InvalidInput(fields={"limit": [_("请填写正整数。")]})
    return min(int(text), largest)


def encode_cursor(values: Sequence[Any]) -> str:
    raw = orjson.dumps([v.isoformat() if isinstance(v, datetime) else v for v in values])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def broken_cursor() -> InvalidInput:
    return InvalidInput(fields={"cursor": [_("翻页标记无效，请从第一页重新开始。")]})


def decode_cursor(text: str) -> list[Any]:
    """The values of `encode_cursor` (moments as text). Raises `InvalidInput`."""
    if len(text) > 1024 or not text.isascii():
        raise broken_cursor()
    try:
        values = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", True))
    except (binascii.Error, ValueError) as error:
        raise broken_cursor() from error
    if not isinstance(values, list):
        raise broken_cursor()
    return values


def paginate(
    request: Request,
    queryset: QuerySet[M],
    *,
    order: tuple[str, ...] = ("-pk",),
    limit: int = 20,
    max_limit: int = MAX_LIMIT,
) -> tuple[list[M], str | None]:
    """One page in `order` (its last name must be unique) and the next cursor, or None.

    Names may be fields or annotations of the queryset; none of them may be NULL.
    """
    size = read_limit(request, default=limit, largest=max_limit)
    names = [name.lstrip("-") for name in order]
    text = request.query_params.get("cursor")
    if text:
        queryset = queryset.filter(_after(queryset, order, names, decode_cursor(text)))
    rows = list(queryset.order_by(*order)[: size + 1])
    if len(rows) <= size:
        return rows, None
    rows = rows[:size]
    return rows, encode_cursor([_value(rows[-1], name) for name in names])


def _value(row: Model, name: str) -> Any:
    return row.pk if name == "pk" else getattr(row, name)


def _after(queryset: QuerySet[M], order: tuple[str, ...], names: list[str], values: list[Any]) -> Q:
    """Rows behind `values`: (a < x) or (a = x and b < y) …"""
    if len(values) != len(names):
        raise broken_cursor()
    typed = [_typed(queryset, name, value) for name, value in zip(names, values, strict=True)]
    found = Q()
    same = Q()
    for field, name, value in zip(order, names, typed, strict=True):
        side = "lt" if field.startswith("-") else "gt"
        found |= same & Q(**{f"{name}__{side}": value})
        same &= Q(**{name: value})
    return found


def _typed(queryset: QuerySet[M], name: str, value: Any) -> Any:
    """The cursor's value checked against what the column holds."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise broken_cursor()
    if name in queryset.query.annotations:
        kind = queryset.query.annotations[name].output_field.get_internal_type()
    elif name == "pk":
        kind = "BigAutoField"
    else:
        kind = queryset.model._meta.get_field(name).get_internal_type()
    if kind == "DateTimeField":
        try:
            at = datetime.fromisoformat(str(value))
            if at.tzinfo is None:
                raise broken_cursor()
            # PostgreSQL knows no offset beyond 16 hours, Python no year beyond 9999
            return at.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise broken_cursor() from error
    if kind.endswith("IntegerField") or kind.endswith("AutoField"):
        if not isinstance(value, int) or not -(2**63) <= value < 2**63:
            raise broken_cursor()
    elif kind in {"FloatField", "DecimalField"} and not isinstance(value, int | float):
        raise broken_cursor()
    return value
