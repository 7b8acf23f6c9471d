"""Why a course is in the feed: the source that put it there, in one true sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from recommender import rules
from recommender.core.data import History
from recommender.serving import ranking
from recommender.serving.holder import Loaded
from recommender.serving.state import LearnerState

MOST_BECAUSE = 3
WORTH_NAMING = 0.5  # of the largest contribution


@dataclass(frozen=True)
class Reason:
    code: str
    text: str
    because: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code, "text": self.text, "because": [str(c) for c in self.because]}


def reasons_for(
    cards: Sequence[dict[str, Any]],
    codes: Sequence[int],
    *,
    state: LearnerState,
    loaded: Loaded | None,
    history: History | None,
    course_id: int | None,
) -> list[Reason]:
    """One reason per card, parallel.

    A model's course names the past courses that add most to its score, by the model's own
    split of the score; without a positive share it is called what it then is, popular.
    """
    model_cards = [n for n, code in enumerate(codes) if code == ranking.MODEL]
    because = _because([int(cards[n]["id"]) for n in model_cards], state, loaded, history)
    by_place = dict(zip(model_cards, because, strict=True))
    return [
        by_place.get(n) or _plain(card, code, course_id)
        for n, (card, code) in enumerate(zip(cards, codes, strict=True))
    ]


def _because(
    courses: list[int], state: LearnerState, loaded: Loaded | None, history: History | None
) -> list[Reason | None]:
    if not courses or loaded is None or history is None or not len(history):
        return [None] * len(courses)
    rows = loaded.rows(np.array(courses, np.int64))
    known = rows >= 0
    shares = np.zeros((len(courses), len(history)), np.float32)
    if known.any():
        shares[known] = loaded.model.contributions(history, rows[known])
    order = np.argsort(-shares, axis=1, kind="stable")[:, :MOST_BECAUSE]
    best = np.take_along_axis(shares, order, axis=1).tolist()
    texts: dict[int, str] = {}
    return [_named(o, b, state, texts) for o, b in zip(order.tolist(), best, strict=True)]


def _named(
    order: list[int], shares: list[float], state: LearnerState, texts: dict[int, str]
) -> Reason | None:
    """The past courses that add most; `shares` fall. `texts` keeps each sentence once made."""
    largest = shares[0]
    if not largest > 0:
        return None
    named = [
        state.liked[n].past
        for n, share in zip(order, shares, strict=True)
        if share >= WORTH_NAMING * largest
    ]
    first = named[0]
    text = texts.get(first.course_id)
    if text is None:
        text = texts[first.course_id] = rules.because_text(first)
    return Reason("because_you_liked", text, tuple(past.course_id for past in named))


def _plain(card: dict[str, Any], code: int, course_id: int | None) -> Reason:
    if code == ranking.NEW:
        return Reason("new", _("新上架的课程"))
    if code == ranking.PINNED:
        return Reason("pinned", _("编辑推荐"))
    if code == ranking.SIMILAR and course_id is not None:
        return Reason("similar", _("与当前课程相似"), (course_id,))
    category = (card.get("category") or {}).get("name", "")
    if code == ranking.INTERESTING and category:
        return Reason("interest", _("符合你选择的兴趣“%(name)s”") % {"name": category})
    if code == ranking.TOLD:  # popular with those who told the same interests or channel
        return Reason("popular", _("与你情况相近的学员在学"))
    return Reason("popular", _("很多学员在学"))
