"""May a candidate serve? Each check says what it saw and what it wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext as _

from recommender.evaluation_page import words

TOLERANCE = 0.95  # of the serving model's quality, since one standard error is several per cent
AGAINST_POPULAR = 1.0
COVERAGE_KEPT = 0.5  # of the serving model's coverage
LEAST_COVERAGE_SHARE = 1.0  # of the popular list's coverage
SLOWEST_MS = 50.0  # p95 of one score; a feed has 1 s
ENOUGH_USERS = 5  # with fewer held-out users quality cannot be judged


@dataclass(frozen=True)
class Check:
    """One condition. `text` says it in the language of the moment; `sentence` in the reader's."""

    name: str
    passed: bool
    text: str
    params: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def sentence(check: Mapping[str, Any]) -> str:
    """A stored check in the reader's language; as it was written where its figures are not known.

    Runs of earlier releases hold the text alone.
    """
    if "params" not in check:
        return str(check["text"])
    return _said(check["name"], check["params"]) or str(check["text"])


def checks(
    metrics: Mapping[str, float],
    *,
    popular: Mapping[str, float],
    baseline: Mapping[str, float] | None,
    quality: str,
    held_users: int,
    knn: Mapping[str, float] | None = None,
) -> list[Check]:
    """All checks, in the order an operator should read them; it passes when each one does.

    `knn` is plain item-based nearest neighbours on the same split. `metrics` also carries
    `finite` (1 or 0), `spread` (deviation of scores) and `p95_ms`.
    """
    found = [
        _check("finite", metrics["finite"] >= 1),
        _check("spread", metrics["spread"] > 0),
        _check("latency", metrics["p95_ms"] <= SLOWEST_MS, ms=metrics["p95_ms"], most=SLOWEST_MS),
    ]
    if held_users < ENOUGH_USERS:
        return [*found, _check("quality", True)]
    got, floor, covered = metrics[quality], popular[quality], metrics["coverage@10"]
    found.append(
        _check(
            "against_popular", got >= AGAINST_POPULAR * floor, metric=quality, got=got, floor=floor
        )
    )
    least = popular["coverage@10"]
    found.append(
        _check("coverage", covered >= LEAST_COVERAGE_SHARE * least, got=covered, floor=least)
    )
    if knn:
        bar = knn[quality]
        found.append(
            _check("against_item_knn", got >= TOLERANCE * bar, metric=quality, got=got, bar=bar)
        )
    if baseline:
        kept, now = COVERAGE_KEPT * baseline.get("coverage@10", 0.0), baseline[quality]
        found.append(_check("coverage_kept", covered >= kept, got=covered, kept=kept))
        found.append(
            _check("against_serving", got >= TOLERANCE * now, metric=quality, got=got, now=now)
        )
    return found


def _check(name: str, passed: bool, **params: Any) -> Check:
    plain = {n: v if isinstance(v, str) else float(v) for n, v in params.items()}
    return Check(name, bool(passed), _said(name, plain), plain)


def _said(name: str, params: Mapping[str, Any]) -> str:
    """What the check `name` saw and wanted; "" for a check of another release."""
    template = {
        "finite": _("得分全部为有限数"),
        "spread": _("得分有区分度"),
        "latency": _("单次打分 %(ms).1f 毫秒，上限 %(most).0f 毫秒"),
        "quality": _("留出用户不足，未比较质量"),
        "against_popular": _("%(q)s %(got).4f，热门榜 %(floor).4f"),
        "coverage": _("覆盖率 %(got).4f，热门榜 %(floor).4f"),
        "against_item_knn": _("%(q)s %(got).4f，近邻基线 %(bar).4f，容许下降 5%%"),
        "coverage_kept": _("覆盖率 %(got).4f，至少为线上模型的一半 %(kept).4f"),
        "against_serving": _("%(q)s %(got).4f，线上模型 %(now).4f，容许下降 5%%"),
    }.get(name)
    if template is None:
        return ""
    facts = {**params, "q": words(params["metric"])} if "metric" in params else params
    # a text without figures is no template: its percent signs would be none either
    return template % facts if facts else template
