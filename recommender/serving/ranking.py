"""From one learner's state to an ordered list: scores, blend, filters, rules, re-ranking.

Pure functions over columns of the catalogue. All scores are brought to 0..1 first, so that the
weights below mean the same for every model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import History
from recommender.models import FeedRule
from recommender.serving.catalogue import Catalogue, Stock, unit
from recommender.serving.state import FREE_TIMES, LearnerState

DEPTH = 120  # courses ranked for one request; its pages never go deeper
CANDIDATES = 300  # the model's best, before re-ranking
TRUST_AFTER = 0.5  # liked courses at which model and popularity weigh the same
TRUST_TOLD = 0.5  # of what those take who told the same, before the first course
INTEREST = 0.6
CONTEXT = 0.7
ALIKE = 0.3  # of the most alike: from here on similarity is the reason
FATIGUE = 0.05
PASSED = 0.15  # for each time the learner acted on a list without touching the course
PASSED_AT_MOST = 2
TOUCHED = 0.1
LESS_LIKE = 0.3
FEW = 3  # disliked courses whose neighbours are looked up
CATEGORY_SPREAD = 0.03
CREATOR_SPREAD = 0.015
SLOT_EVERY = 10  # at most one exploration slot in each ten
SLOT_FROM = 4  # never among the first four of the ten

POPULAR, NEW, MODEL, SIMILAR, INTERESTING, PINNED, TOLD = range(7)

Floats = NDArray[np.float32]
Places = NDArray[np.int64]  # positions in the catalogue
Codes = NDArray[np.int8]


@dataclass(frozen=True)
class Wish:
    """What one feed is asked for."""

    surface: str
    course_id: int | None
    personal: bool
    interests: tuple[str, ...]
    seed: int  # the request id as a number: same id, same list


@dataclass(frozen=True)
class Ranked:
    """Best first, parallel. `codes` says which source put the course there."""

    ids: list[int]
    codes: list[int]
    scores: list[float]
    propensities: list[float]
    step: str  # "model", "popular" or "newest"


def rank(
    stock: Stock,
    state: LearnerState,
    wish: Wish,
    feed_rules: Sequence[FeedRule],
    at: datetime,
    history: History | None,
) -> Ranked:
    """The list for one request; the same arguments give the same list.

    `history` is the learner's past in the model's rows, None for a feed that is not personal.
    """
    catalogue = stock.catalogue
    scores, codes, step = _base(stock, state, wish, history)
    _add_context(scores, codes, stock, wish)
    if wish.personal:
        _take_dislikes(scores, stock, state)
    live = [rule for rule in feed_rules if _applies(rule, wish.surface, at)]
    _push(scores, catalogue, live)
    out = _excluded(catalogue, state, wish, live)
    scores[out] = -np.inf
    best = _best(scores, CANDIDATES)
    order = best[np.argsort(-_spread(catalogue, best, scores[best]), kind="stable")][:DEPTH]
    order, chances = _explore(catalogue, order, codes, out, wish.seed)
    order, chances = _pin(catalogue, order, chances, codes, out, live)
    kept = order[:DEPTH]
    return Ranked(
        ids=catalogue.ids[kept].tolist(),
        codes=codes[kept].tolist(),
        scores=np.maximum(scores[kept], -1).astype(np.float64).round(5).tolist(),
        propensities=chances[:DEPTH].round(5).tolist(),
        step=step,
    )


def _base(
    stock: Stock, state: LearnerState, wish: Wish, history: History | None
) -> tuple[Floats, Codes, str]:
    """[n] scores in 0..1 and [n] codes, both the caller's to change; the step that gave them."""
    catalogue = stock.catalogue
    calm, step = stock.calm, stock.step
    codes = np.full(len(catalogue.ids), NEW if step == "newest" else POPULAR, np.int8)
    loaded = stock.loaded
    if not wish.personal:
        return calm.copy(), codes, step
    if loaded is not None:
        step = "model"
    known = 0
    if loaded is not None and history is not None:
        known = int(history.known(len(loaded.course_ids)).sum())
    if loaded is None or history is None or not (known or loaded.model.told(history)):
        return _by_interest(catalogue, calm, codes, wish.interests, state), codes, step
    fitted = loaded.model.score_one(history)
    # a course that the model does not know scores like its worst, below all candidates
    scores = np.append(fitted, np.float32(-np.inf))[stock.rows]
    top = _best(scores, CANDIDATES)
    trust = np.float32(known / (known + TRUST_AFTER) if known else TRUST_TOLD)
    blended: Floats = (1 - trust) * calm
    added = trust * unit(scores[top])
    blended[top] += added
    if known:
        codes[top] = MODEL
        return blended, codes, step
    codes[top[added > (1 - trust) * calm[top]]] = TOLD  # the larger share names the source
    return _by_interest(catalogue, blended, codes, wish.interests, state), codes, step


def _by_interest(
    catalogue: Catalogue,
    calm: Floats,
    codes: Codes,
    interests: Sequence[str],
    state: LearnerState,
) -> Floats:
    """Declared interests lift their categories; deleted tags are no interest any more."""
    wanted = [name for name in interests if name not in state.deleted_tags]
    categories = {c for name in wanted for c in catalogue.tree.below.get(name, ())}
    if not categories:
        return calm.copy()
    inside = np.isin(catalogue.category, list(categories))
    codes[inside] = INTERESTING
    return calm + INTEREST * inside.astype(np.float32)


def _add_context(scores: Floats, codes: Codes, stock: Stock, wish: Wish) -> None:
    """What goes with the course that the learner is looking at comes up."""
    if wish.course_id is None or wish.surface == "home":
        return
    places, likeness = similar_places(stock, wish.course_id, 50)
    scores[places] += CONTEXT * likeness
    codes[places[likeness >= ALIKE]] = SIMILAR


def similar_places(stock: Stock, course_id: int, k: int) -> tuple[Places, Floats]:
    """Positions of the courses most like one, best first, with likeness in 0..1 (1: the most).

    The model's neighbours; for a course it does not know, the most popular of its category.
    """
    catalogue = stock.catalogue
    here = catalogue.at(np.array([course_id], np.int64))
    if stock.loaded is not None and len(here) and stock.known[here[0]]:
        ids, likeness = stock.loaded.near(int(stock.rows[here[0]]))
        places = np.minimum(np.searchsorted(catalogue.ids, ids), len(catalogue.ids) - 1)
        alive = catalogue.ids[places] == ids
        return places[alive][:k], likeness[alive][:k]
    if not len(here):
        return np.empty(0, np.int64), np.empty(0, np.float32)
    beside = catalogue.category == catalogue.category[here[0]]
    beside[here[0]] = False
    scores = np.where(beside, stock.calm, np.float32(-np.inf))
    places = _best(scores, k)
    return places, unit(scores[places])


def _take_dislikes(scores: Floats, stock: Stock, state: LearnerState) -> None:
    """Down goes what is like courses rated low or waved off, and what was seen already."""
    catalogue = stock.catalogue
    for course in sorted(state.less_like):
        here = catalogue.at(np.array([course], np.int64))
        if len(here):
            scores[catalogue.creator == catalogue.creator[here[0]]] -= LESS_LIKE / 3
            scores[catalogue.category == catalogue.category[here[0]]] -= LESS_LIKE / 3
    for course in [*sorted(state.less_like)[:FEW], *state.disliked[:FEW]]:
        places, likeness = similar_places(stock, course, 20)
        scores[places] -= LESS_LIKE * likeness
    if state.touched:
        scores[catalogue.at(_ids(state.touched))] -= TOUCHED
    _tire(scores, catalogue, state)


def _tire(scores: Floats, catalogue: Catalogue, state: LearnerState) -> None:
    """Down goes what was shown too often, and what was passed over to act on something else."""
    shown = np.array(sorted(state.fatigue), np.int64)
    places = catalogue.at(shown)
    for place, course in zip(places.tolist(), catalogue.ids[places].tolist(), strict=True):
        times, passed = state.fatigue[course]
        over = 0 if course in state.touched else min(passed, PASSED_AT_MOST)
        scores[place] -= PASSED * over + FATIGUE * min(max(times - FREE_TIMES, 0), 6)


def _ids(courses: frozenset[int]) -> Places:
    return np.fromiter(courses, np.int64, len(courses))


def _applies(rule: FeedRule, surface: str, at: datetime) -> bool:
    if rule.surface and rule.surface != surface:
        return False
    begun = rule.starts_at is None or rule.starts_at <= at
    return begun and (rule.ends_at is None or at < rule.ends_at)


def _targets(catalogue: Catalogue, rule: FeedRule) -> NDArray[np.bool_]:
    columns = {
        FeedRule.Target.COURSE: catalogue.ids,
        FeedRule.Target.CATEGORY: catalogue.category,
        FeedRule.Target.CREATOR: catalogue.creator,
    }
    hit: NDArray[np.bool_] = columns[FeedRule.Target(rule.target)] == rule.target_id
    return hit


def _push(scores: Floats, catalogue: Catalogue, live: Sequence[FeedRule]) -> None:
    """Boost adds and bury takes; strength 1 outweighs every other difference."""
    for rule in live:
        if rule.action == FeedRule.Action.BOOST:
            scores[_targets(catalogue, rule)] += 2 * rule.strength
        elif rule.action == FeedRule.Action.BURY:
            scores[_targets(catalogue, rule)] -= 2 * rule.strength


def _excluded(
    catalogue: Catalogue, state: LearnerState, wish: Wish, live: Sequence[FeedRule]
) -> NDArray[np.bool_]:
    """[n]: owned, waved off, done with, the course at hand, and what operators exclude."""
    out = np.zeros(len(catalogue.ids), np.bool_)
    gone = state.owned | state.hidden | state.done
    if wish.course_id is not None:
        gone |= {wish.course_id}
    out[catalogue.at(_ids(gone))] = True
    for rule in live:
        if rule.action == FeedRule.Action.EXCLUDE:
            out |= _targets(catalogue, rule)
    return out


def _best(scores: Floats, k: int) -> Places:
    """Positions of the k best finite scores, best first; ties by the lower position."""
    if k < len(scores):
        bar = np.partition(scores, len(scores) - k)[len(scores) - k]
        places = np.flatnonzero(scores >= bar)
    else:
        places = np.arange(len(scores))
    places = places[np.isfinite(scores[places])]
    order: Places = places[np.argsort(-scores[places], kind="stable")][:k]
    return order


def _spread(catalogue: Catalogue, best: Places, scores: Floats) -> Floats:
    """Scores less a growing toll for each further course of a category and of a creator.

    Within one group this is greedy maximal marginal relevance in closed form: the order inside
    a group stands, so the toll depends only on how many of it came before.
    """
    category = np.log2(1 + _turn(catalogue.category[best]))
    creator = np.log2(1 + _turn(catalogue.creator[best]))
    tolled = scores - CATEGORY_SPREAD * category - CREATOR_SPREAD * creator
    return tolled.astype(np.float32)


def _turn(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n]: how many of the same group stand before each entry."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    places = np.arange(len(groups))
    first = np.zeros(len(groups), np.int64)
    first[1:] = np.where(ordered[1:] != ordered[:-1], places[1:], 0)
    turns = np.empty(len(groups), np.int64)
    turns[order] = places - np.maximum.accumulate(first)
    return turns


def _explore(
    catalogue: Catalogue,
    order: Places,
    codes: Codes,
    out: NDArray[np.bool_],
    seed: int,
) -> tuple[Places, NDArray[np.float64]]:
    """One slot in each ten goes to a new course, drawn by the request id; the rest moves down."""
    free = ~out[catalogue.pool]
    pool, weights = catalogue.pool[free], catalogue.pool_chance[free]
    slots = min(len(order) // SLOT_EVERY, len(pool), 5)
    if not slots or len(order) <= SLOT_EVERY:
        return order, np.ones(len(order))
    drawer = random.Random(seed)  # noqa: S311  (a draw that must be repeatable, not secret)
    left = weights.copy()
    chosen: list[tuple[int, int, float]] = []
    for slot in range(slots):
        sums = left.cumsum()
        pick = int(np.searchsorted(sums, drawer.random() * sums[-1], "right"))
        where = slot * SLOT_EVERY + drawer.randrange(SLOT_FROM, SLOT_EVERY)
        chosen.append((where, int(pool[pick]), float(left[pick] / sums[-1])))
        left[pick] = 0
    drawn = {place for _, place, _ in chosen}
    merged = [place for place in order.tolist() if place not in drawn]
    odds = [1.0] * len(merged)
    for where, place, chance in chosen:
        merged.insert(where, place)
        odds.insert(where, chance)
        codes[place] = NEW
    return np.array(merged, np.int64), np.array(odds)


def _pin(
    catalogue: Catalogue,
    order: Places,
    chances: NDArray[np.float64],
    codes: Codes,
    out: NDArray[np.bool_],
    live: Sequence[FeedRule],
) -> tuple[Places, NDArray[np.float64]]:
    """Pinned courses stand at their position, unless the learner may not be shown them."""
    pins = [rule for rule in live if rule.action == FeedRule.Action.PIN]
    if not pins:
        return order, chances
    merged, odds = order.tolist(), chances.tolist()
    for rule in pins:  # by position
        if rule.target != FeedRule.Target.COURSE:
            continue
        for place in np.flatnonzero(_targets(catalogue, rule) & ~out).tolist():
            if place in merged:
                odds.pop(merged.index(place))
                merged.remove(place)
            merged.insert(rule.position - 1, place)
            odds.insert(rule.position - 1, 1.0)
            codes[place] = PINNED
    return np.array(merged, np.int64), np.array(odds)
