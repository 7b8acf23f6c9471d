"""Figures per day as unfold's Chart.js component takes them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

# Labels below the axis that still have room; Chart.js leaves the others out.
MOST_LABELS = 6


@dataclass(frozen=True)
class Series:
    """One line or one row of bars. None is a gap. `colour` is a CSS variable of the theme."""

    label: str
    values: Sequence[float | None]
    colour: str


@dataclass(frozen=True)
class Chart:
    """A chart over days with its total; `url` leads to the rows of the whole period."""

    key: str
    title: str
    total: str
    kind: str
    days: Sequence[date]
    series: Sequence[Series]
    url: str

    @property
    def data(self) -> str:
        """JSON for the component's `data`."""
        return json.dumps(
            {
                "labels": [f"{day:%m-%d}" for day in self.days],
                "datasets": [self._dataset(series) for series in self.series],
            },
            ensure_ascii=False,
        )

    @property
    def options(self) -> str:
        """JSON for the component's `options`; the theme sets the colour of the grids."""
        ticks = {"color": "#9ca3af", "maxRotation": 0}
        line = {"display": False}
        return json.dumps(
            {
                "animation": False,
                "responsive": True,
                "maintainAspectRatio": False,
                "interaction": {"mode": "index", "intersect": False},
                "plugins": {"legend": {"display": False}},
                "scales": {
                    "x": {
                        "border": line,
                        "grid": {"display": False},
                        "ticks": {**ticks, "maxTicksLimit": MOST_LABELS},
                    },
                    "y": {
                        "beginAtZero": True,
                        "border": line,
                        "grid": {"tickLength": 0, "lineWidth": 0.5},
                        "ticks": {**ticks, "maxTicksLimit": 5, "padding": 8},
                    },
                },
            }
        )

    def _dataset(self, series: Series) -> dict[str, Any]:
        dataset: dict[str, Any] = {
            "label": series.label,
            "data": list(series.values),
            "borderColor": f"var({series.colour})",
            "backgroundColor": f"var({series.colour})",
        }
        if self.kind == "bar":
            return {**dataset, "maxBarThickness": 22, "borderRadius": 4}
        # One day between two gaps has no line to be seen by.
        radius = 2 if len(self.days) <= 31 else 0
        points = {"pointStyle": "circle", "pointRadius": radius, "pointBorderWidth": 0}
        return {**dataset, **points, "tension": 0.3, "borderWidth": 2}
