"""Lines of the tables that `make bench` prints."""

from __future__ import annotations

import statistics
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Line:
    """One figure: what was measured, beside what, and how the two compare."""

    section: str
    what: str
    value: str
    beside: str = ""
    ratio: float | None = None
    bar: str = ""
    held: bool | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def at_least(ratio: float, bar: float) -> dict[str, Any]:
    """The fields of a line whose ratio must reach `bar`."""
    return {"ratio": ratio, "bar": f"≥ {bar:.2f}", "held": ratio >= bar}


def median(values: Sequence[float]) -> float:
    return float(statistics.median(values)) if values else 0.0


def table(lines: Sequence[Line]) -> str:
    """Plain text, columns aligned by what a terminal shows (Chinese is two cells wide)."""
    rows = [("section", "what", "measured", "beside", "ratio", "bar", "")]
    for line in lines:
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        verdict = {True: "ok", False: "MISSED", None: ""}[line.held]
        rows.append((line.section, line.what, line.value, line.beside, ratio, line.bar, verdict))
    widths = [max(_width(row[n]) for row in rows) for n in range(len(rows[0]))]
    told = [
        "  ".join(_padded(cell, w) for cell, w in zip(row, widths, strict=True)) for row in rows
    ]
    told.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in told)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
