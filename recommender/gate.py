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
    name: str
    passed: bool
    text: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


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
        _check("finite", _("得分全部为有限数"), metrics["finite"] >= 1),
        _check("spread", _("得分有区分度"), metrics["spread"] > 0),
        _check(
            "latency",
            _("单次打分 %(ms).1f 毫秒，上限 %(most).0f 毫秒")
            % {"ms": metrics["p95_ms"], "most": SLOWEST_MS},
            metrics["p95_ms"] <= SLOWEST_MS,
        ),
    ]
    if held_users < ENOUGH_USERS:
        return [*found, _check("quality", _("留出用户不足，未比较质量"), True)]
    got, floor, said = metrics[quality], popular[quality], words(quality)
    found.append(
        _check(
            "against_popular",
            _("%(q)s %(got).4f，热门榜 %(floor).4f") % {"q": said, "got": got, "floor": floor},
            got >= AGAINST_POPULAR * floor,
        )
    )
    found.append(
        _check(
            "coverage",
            _("覆盖率 %(got).4f，热门榜 %(floor).4f")
            % {"got": metrics["coverage@10"], "floor": popular["coverage@10"]},
            metrics["coverage@10"] >= LEAST_COVERAGE_SHARE * popular["coverage@10"],
        )
    )
    if knn:
        found.append(
            _check(
                "against_item_knn",
                _("%(q)s %(got).4f，近邻基线 %(bar).4f，容许下降 5%%")
                % {"q": said, "got": got, "bar": knn[quality]},
                got >= TOLERANCE * knn[quality],
            )
        )
    if baseline:
        kept = COVERAGE_KEPT * baseline.get("coverage@10", 0.0)
        found.append(
            _check(
                "coverage_kept",
                _("覆盖率 %(got).4f，至少为线上模型的一半 %(kept).4f")
                % {"got": metrics["coverage@10"], "kept": kept},
                metrics["coverage@10"] >= kept,
            )
        )
        found.append(
            _check(
                "against_serving",
                _("%(q)s %(got).4f，线上模型 %(now).4f，容许下降 5%%")
                % {"q": said, "got": got, "now": baseline[quality]},
                got >= TOLERANCE * baseline[quality],
            )
        )
    return found


def _check(name: str, text: str, passed: bool) -> Check:
    return Check(name, bool(passed), text)
