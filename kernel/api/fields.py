"""Serializer bases and fields shared by all APIs."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from kernel import clock
from kernel.errors import InvalidInput

MAX_ID = 2**63 - 1


class StrictSerializer(serializers.Serializer[Any]):
    """Plain input or output shape: fields are listed, unknown ones are ignored."""


@extend_schema_field({"type": "string", "pattern": r"^\d{1,19}$", "example": "12"})
class IdField(serializers.Field[int, Any, str, Any]):
    """An id: a string of digits outside, an int inside."""

    default_error_messages = {"invalid": _("编号格式不正确。")}

    def to_internal_value(self, data: Any) -> int:
        text = str(data) if isinstance(data, int) and not isinstance(data, bool) else data
        if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 19:
            self.fail("invalid")
        value = int(text)
        if value > MAX_ID:
            self.fail("invalid")
        return value

    def to_representation(self, value: int) -> str:
        return str(value)


def parse(serializer: type[serializers.Serializer[Any]], data: Any) -> dict[str, Any]:
    """The validated fields of `data`. Raises `InvalidInput` with {field: [sentences]}."""
    bound = serializer(data=data)
    if not bound.is_valid():
        raise InvalidInput(fields=flatten(bound.errors))
    validated: dict[str, Any] = dict(bound.validated_data)
    return validated


def flatten(errors: Any, prefix: str = "") -> dict[str, list[str]]:
    """DRF's nested errors as {dotted.field: [sentences]}."""
    if isinstance(errors, dict):
        out: dict[str, list[str]] = {}
        for name, inner in errors.items():
            out.update(flatten(inner, f"{prefix}.{name}" if prefix else str(name)))
        return out
    if isinstance(errors, list) and any(isinstance(e, dict | list) for e in errors):
        out = {}
        for index, inner in enumerate(errors):
            if inner:
                out.update(flatten(inner, f"{prefix}.{index}"))
        return out
    said = errors if isinstance(errors, list) else [errors]
    return {prefix or "non_field_errors": [str(sentence) for sentence in said]}


def rfc3339(at: datetime | None) -> str | None:
    """A moment as the API writes it: with the shop's offset, to the second."""
    if at is None:
        return None
    return at.astimezone(clock.SHOP_ZONE).isoformat(timespec="seconds")
