"""Training curves as inline SVG: no script, no request, prints as it looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from recommender.words import curve_named

WIDTH, HEIGHT, EDGE = 480, 160, 34
Points = Sequence[Sequence[float]]


def curves_svg(curves: Mapping[str, Points]) -> SafeString:
    """One small chart per curve, each with its smallest and largest value at the axis."""
    named = [(curve_named(name), points) for name, points in sorted(curves.items())]
    drawn = [(_chart(name, points),) for name, points in named if len(points) > 1]
    return format_html(
        '<div style="display:flex;flex-wrap:wrap;gap:16px">{}</div>',
        format_html_join("", "{}", drawn),
    )


def _chart(name: str, points: Points) -> SafeString:
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    low, high = min(ys), max(ys)
    wide, tall = (max(xs) - min(xs)) or 1, (high - low) or 1
    spots = " ".join(
        f"{EDGE + (x - min(xs)) / wide * (WIDTH - EDGE - 8):.1f},"
        f"{HEIGHT - 18 - (y - low) / tall * (HEIGHT - 44):.1f}"
        for x, y in zip(xs, ys, strict=True)
    )
    return format_html(
        '<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{name}">'
        '<text x="0" y="14" font-size="12" fill="currentColor">{name}</text>'
        '<text x="0" y="34" font-size="10" fill="currentColor">{high}</text>'
        '<text x="0" y="{base}" font-size="10" fill="currentColor">{low}</text>'
        '<line x1="{edge}" y1="{base}" x2="{w}" y2="{base}" stroke="currentColor" '
        'stroke-opacity=".2"/>'
        '<polyline fill="none" stroke="#0f766e" stroke-width="1.5" points="{spots}"/></svg>',
        w=WIDTH,
        h=HEIGHT,
        name=name,
        high=f"{high:.4g}",
        low=f"{low:.4g}",
        base=HEIGHT - 18,
        edge=EDGE,
        spots=spots,
    )
