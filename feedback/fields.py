"""A PostgreSQL multirange of integers as a list of half-open pairs."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

Intervals = list[tuple[int, int]]


class IntervalsField(models.Field[Sequence[tuple[int, int]], Intervals]):
    """`int4multirange` in the database, sorted disjoint [(from, to)…] (to excluded) in Python."""

    def db_type(self, connection: Any) -> str:
        return "int4multirange"

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        return "%s::int4multirange"

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return "{" + ",".join(f"[{int(start)},{int(end)})" for start, end in value) + "}"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Intervals | None:
        return None if value is None else [(r.lower, r.upper) for r in value]

    def to_python(self, value: Any) -> Intervals | None:
        if value is None or isinstance(value, list):
            return value
        raise ValidationError("not a list of intervals")
