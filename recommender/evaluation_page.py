"""`evaluate --html`: one page that needs no network, with one table and one chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from recommender.core_words import in_words

Result = Mapping[str, Any]
BAR, GAP, LEFT, WIDTH, RIGHT = 26, 10, 130, 760, 90
LEADING = ("ndcg", "hr", "mrr", "recall", "coverage", "gini", "novelty", "diversity")
SMALLER_IS_BETTER = frozenset({"rmse", "mae", "fit_seconds", "score_seconds"})
MATTERS_OF_TASTE = frozenset({"gini", "novelty", "diversity"})  # the most is not the best


@dataclass(frozen=True)
class Bar:
    """One model's row of the chart, in SVG units."""

    name: str
    y: float
    width: float
    low: float
    high: float
    text: str


def page(results: Sequence[Result]) -> str:
    """The results of one data set and one split as HTML, the best model first.

    A model that failed is named below the others, with its reason.
    """
    failed = [result for result in results if "failed" in result]
    results = [result for result in results if "failed" not in result]
    first = results[0]
    main = main_metric(first)
    ranked = sorted(results, key=lambda r: -r["metrics"].get(main, 0.0))
    context = {
        "first": first,
        "main": main,
        "main_words": words(main),
        "columns": [(name, words(name)) for name in columns(results)],
        "rows": [_row(result, results) for result in ranked],
        "failed": [(result["model"], in_words(result["failed"])) for result in failed],
        "bars": bars(ranked, main),
        "chart": {
            "width": WIDTH,
            "height": len(ranked) * (BAR + GAP) + GAP,
            "left": LEFT,
            "bar": BAR,
        },
        "segments": _segments(ranked[0]),
        "protocol": protocols().get(first["protocol"], first["protocol"]),
    }
    return render_to_string("recommender/evaluation.html", context)


def protocols() -> dict[str, str]:
    return {
        "leave-last-out": _("留出每位用户的最后一次行为"),
        "temporal": _("按统一时间点切分，之前训练，之后测试"),
        "random": _("随机留出每位用户五分之一的行为"),
    }


def main_metric(result: Result) -> str:
    """What decides: order means something only where events carry times."""
    names: list[str] = list(result["metrics"])
    wanted = "recall@" if result["protocol"] == "random" else "ndcg@"
    return next(name for name in names if name.startswith(wanted))


def columns(results: Sequence[Result]) -> list[str]:
    """Every metric that some model has, the leading ones first."""
    found = dict.fromkeys(name for result in results for name in result["metrics"])
    order = {name: place for place, name in enumerate(LEADING)}
    metrics = sorted(found, key=lambda name: order.get(name.split("@")[0], len(order)))
    return [*metrics, "fit_seconds", "score_seconds"]


def words(name: str) -> str:
    """A metric in the operator's language, its usual name behind it."""
    if "[" in name:  # of one imported data set, named as it is
        return name
    kind, _at, k = name.partition("@")
    said = {
        "ndcg": _("排序质量"),
        "hr": _("命中率"),
        "mrr": _("首次命中倒数排名"),
        "recall": _("召回率"),
        "coverage": _("覆盖率"),
        "gini": _("集中度"),
        "novelty": _("新颖度"),
        "diversity": _("列表内多样性"),
        "rmse": _("评分误差"),
        "mae": _("平均绝对误差"),
        "fit_seconds": _("训练秒数"),
        "score_seconds": _("打分秒数"),
    }.get(kind, kind)
    usual = {"hr": "HR", "ndcg": "NDCG", "mrr": "MRR", "rmse": "RMSE", "mae": "MAE"}
    short = usual.get(kind, kind.capitalize() if k else "")
    return f"{said} {short}{'@' if k else ''}{k}".strip()


def _row(result: Result, results: Sequence[Result]) -> dict[str, Any]:
    cells = []
    for name in columns(results):
        value = _value(result, name)
        everyone = [v for r in results if (v := _value(r, name)) is not None]
        kind = name.split("@")[0]
        best = min(everyone) if kind in SMALLER_IS_BETTER else max(everyone)
        span = result.get("intervals", {}).get(name)
        cells.append(
            {
                "text": _figure(name, value),
                "span": f"{span[0]:.4f} – {span[1]:.4f}" if span else "",
                "best": value == best and len(results) > 1 and kind not in MATTERS_OF_TASTE,
            }
        )  # fmt: skip
    return {"name": result["model"], "cells": cells}


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:.1f}" if name.endswith("seconds") else f"{value:.4f}"


def _value(result: Result, name: str) -> float | None:
    value: float | None = result["metrics"].get(name, result.get(name))
    return value


def bars(ranked: Sequence[Result], main: str) -> list[Bar]:
    """Lengths by the main metric, whiskers by its interval; the longest reaches the right edge."""
    spans = [r.get("intervals", {}).get(main, [r["metrics"].get(main, 0.0)] * 2) for r in ranked]
    most = max([high for _, high in spans] + [1e-9])
    scale = (WIDTH - LEFT - RIGHT) / most
    return [
        Bar(
            name=result["model"],
            y=GAP + place * (BAR + GAP),
            width=round(result["metrics"].get(main, 0.0) * scale, 1),
            low=round(LEFT + low * scale, 1),
            high=round(LEFT + high * scale, 1),
            text=f"{result['metrics'].get(main, 0.0):.4f}",
        )
        for place, (result, (low, high)) in enumerate(zip(ranked, spans, strict=True))
    ]


def _segments(result: Result) -> list[dict[str, Any]]:
    """Of the best model: one line per segment, its size and its figures."""
    said = {"user_activity": _("按用户活跃度（训练行为数）"), "item_age": _("按课程上线时长")}
    ages = {
        "cold": _("训练中未出现"), "0-30d": _("30 天内"), "31-180d": _("31 至 180 天"),
        "181d+": _("180 天以上"), "known": _("训练中出现过"),
    }  # fmt: skip
    found = []
    for group, rows in result.get("segments", {}).items():
        lines = []
        for row in rows:
            figures = [
                {"name": words(name), "text": f"{value:.4f}"}
                for name, value in row.items()
                if "@" in name
            ]
            size = row.get("users", row.get("pairs", 0))
            lines.append(
                {
                    "name": ages.get(row["segment"], row["segment"]),
                    "size": size,
                    "figures": figures,
                }
            )
        found.append({"title": said.get(group, group), "lines": lines})
    return found
