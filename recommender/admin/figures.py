"""Figures and lines as operators read them, on pages of runs and of versions."""

from __future__ import annotations

from typing import Any

from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from recommender.evaluation_page import words

METRICS = ("hr@10", "ndcg@10", "mrr@10", "recall@20", "coverage@10", "p95_ms")


def figure(metrics: dict[str, Any], name: str) -> str:
    value = metrics.get(name)
    if name.startswith("users") and value is not None:
        return f"{value:.0f}"
    return "—" if value is None else f"{value:.4f}"


def metric_words(name: str) -> str:
    """A figure's name for operators; of one imported data set with that set's name."""
    kind, bracket, source = name.partition("[")
    said = {
        "p95_ms": gettext("打分毫秒（p95）"),
        "distinct@10": gettext("不同的前十列表占比"),
        "users": gettext("留出学员数"),
    }.get(kind) or words(kind)
    return (
        gettext("%(said)s（%(source)s）") % {"said": said, "source": source[:-1]}
        if bracket
        else said
    )


def lines_of(lines: list[str]) -> SafeString:
    return format_html_join("", "<div>{}</div>", ((line,) for line in lines))
