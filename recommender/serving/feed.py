"""One feed: read the state, rank, render the cards, remember what was shown. Four queries."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from accounts.models import User
from content.selectors import cards, membership_scopes
from experiments.services import assign
from kernel import clock, sql
from kernel.api.pages import broken_cursor, decode_cursor, encode_cursor
from recommender.core.data import History
from recommender.models import FeedRequest
from recommender.serving import metrics
from recommender.serving.catalogue import (
    Catalogue,
    Stock,
    catalogue_cache,
    rules_cache,
    stock_of,
)
from recommender.serving.holder import Loaded, holder
from recommender.serving.ranking import Ranked, Wish, rank
from recommender.serving.reasons import Reason, reasons_for
from recommender.serving.state import LearnerState, read_state

LAYER = "feed"
SPARE = 3  # cards asked for above the limit, in case a course was withdrawn a moment ago

# A feed's record may be lost in the last moments before a database crash; its commit then need
# not wait for the disk (3 ms, `stack.md`). One statement, so one round trip.
REMEMBER_SQL = f"""
WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO {FeedRequest._meta.db_table}
    (request_id, user_id, surface, course_id, model_name, model_version, personalised,
     experiment, items, codes, scores, propensities, served, created_at)
SELECT %s::uuid, %s, %s, %s::bigint, %s, %s, %s::boolean, %s::jsonb, %s::bigint[],
       %s::smallint[], %s::float8[], %s::float8[], %s, %s FROM quick
"""  # noqa: S608  (the name of our own table; values are parameters)

MOVE_SQL = f"""
WITH quick AS (SELECT set_config('synchronous_commit', 'off', true))
UPDATE {FeedRequest._meta.db_table} SET served = GREATEST(served, %s) FROM quick
WHERE request_id = %s
"""  # noqa: S608


@dataclass(frozen=True)
class Shown:
    """One card of a page with its place in the whole list (from 1) and its reason."""

    card: dict[str, Any]
    position: int
    reason: Reason


@dataclass(frozen=True)
class Page:
    request_id: uuid.UUID
    personalised: bool
    model_name: str
    model_version: str
    experiment: dict[str, str]
    shown: list[Shown]
    next_cursor: str | None

    def as_json(self) -> dict[str, Any]:
        """The reply of `GET /feed` (contract section 2)."""
        return {
            "request_id": str(self.request_id),
            "personalised": self.personalised,
            "model": {"name": self.model_name, "version": self.model_version},
            "experiment": self.experiment,
            "items": [
                {"course": one.card, "position": one.position, "reason": one.reason.as_json()}
                for one in self.shown
            ],
            "next_cursor": self.next_cursor,
        }


@dataclass(frozen=True)
class Scene:
    """The learner, the catalogue and the model at one moment."""

    state: LearnerState
    stock: Stock
    loaded: Loaded | None
    history: History | None
    personal: bool

    @property
    def catalogue(self) -> Catalogue:
        return self.stock.catalogue


def read_scene(user: User) -> Scene:
    """One query; the model is swapped here when the pointer names another one."""
    state = read_state(user.pk)
    loaded = holder.wanted(state.version, state.version_path)
    stock = stock_of(catalogue_cache.get(), loaded)
    personal = user.personalised_feed
    history = None
    if personal and loaded is not None:
        tree = stock.catalogue.tree
        history = state.history(
            loaded, tree.labels(user.interests, state.scenes, state.deleted_tags)
        )
    return Scene(state, stock, loaded, history, personal)


def first_page(
    user: User,
    *,
    surface: str,
    limit: int,
    course_id: int | None = None,
    request_id: uuid.UUID | None = None,
) -> Page:
    """A new list for this learner, its first `limit` courses, and its record."""
    begun = time.perf_counter()
    request_id = request_id or uuid.uuid4()
    scene = read_scene(user)
    at = clock.now()
    wish = Wish(surface, course_id, scene.personal, tuple(user.interests), request_id.int)
    ranked = rank(scene.stock, scene.state, wish, rules_cache.get(), at, scene.history)
    by_model = scene.personal and ranked.step == "model" and scene.loaded is not None
    name = scene.loaded.name if by_model and scene.loaded else ranked.step
    version = scene.loaded.version if by_model and scene.loaded else ""
    experiment = assign(user.pk, LAYER)
    shown, offset = _show(scene, ranked.ids, ranked.codes, 0, limit, course_id)
    row = (request_id, user.pk, surface, course_id, name, version, scene.personal)
    _remember(row, experiment, ranked, offset, at)
    metrics.feeds.labels(surface, ranked.step if not by_model else "model").inc()
    metrics.feed_seconds.observe(time.perf_counter() - begun)
    return Page(
        request_id,
        scene.personal,
        name,
        version,
        experiment,
        shown,
        _cursor(request_id, offset, len(ranked.ids)),
    )


def next_page(user: User, *, cursor: str, limit: int) -> Page:
    """The list of an earlier request from where its cursor points; InvalidInput if broken.

    What the learner bought, rated or waved off meanwhile is left out; nothing appears twice.
    """
    request_id, offset = read_cursor(cursor)
    kept = FeedRequest.objects.filter(pk=request_id, user_id=user.pk).first()
    if kept is None or offset > len(kept.items):
        raise broken_cursor()
    scene = read_scene(user)
    if kept.personalised and not scene.personal:
        _make_impersonal(kept, scene, offset)
    shown, end = _show(scene, kept.items, kept.codes, offset, limit, kept.course_id)
    sql.run(MOVE_SQL, [end, request_id])
    return Page(
        request_id,
        kept.personalised,
        kept.model_name,
        kept.model_version,
        kept.experiment,
        shown,
        _cursor(request_id, end, len(kept.items)),
    )


def _make_impersonal(kept: FeedRequest, scene: Scene, offset: int) -> None:
    """The switch was turned off while paging: the pages still to come are not personal."""
    wish = Wish(kept.surface, kept.course_id, False, (), kept.request_id.int)
    ranked = rank(scene.stock, scene.state, wish, rules_cache.get(), clock.now(), None)
    sent = set(kept.items[:offset])
    rest = [n for n, course in enumerate(ranked.ids) if course not in sent]
    kept.items = kept.items[:offset] + [ranked.ids[n] for n in rest]
    kept.codes = kept.codes[:offset] + [ranked.codes[n] for n in rest]
    kept.scores = kept.scores[:offset] + [ranked.scores[n] for n in rest]
    kept.propensities = kept.propensities[:offset] + [ranked.propensities[n] for n in rest]
    kept.personalised, kept.model_name, kept.model_version = False, ranked.step, ""
    kept.save(
        update_fields=[
            "items",
            "codes",
            "scores",
            "propensities",
            "personalised",
            "model_name",
            "model_version",
        ]
    )


def read_cursor(text: str) -> tuple[uuid.UUID, int]:
    values = decode_cursor(text)
    try:
        request, offset = values
        request_id = uuid.UUID(request)
    except (ValueError, TypeError, AttributeError) as error:
        raise broken_cursor() from error
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise broken_cursor()
    return request_id, offset


def _cursor(request_id: uuid.UUID, offset: int, length: int) -> str | None:
    return encode_cursor([str(request_id), offset]) if offset < length else None


def _show(
    scene: Scene,
    ids: Sequence[int],
    codes: Sequence[int],
    offset: int,
    limit: int,
    course_id: int | None,
) -> tuple[list[Shown], int]:
    """Up to `limit` cards from `offset` on, and the offset behind the last one taken."""
    state = scene.state
    gone = state.owned | state.hidden | state.done
    taken: list[tuple[int, dict[str, Any]]] = []  # place in the list, card
    while len(taken) < limit and offset < len(ids):
        end = min(len(ids), offset + limit - len(taken) + SPARE)
        asked = [(place, ids[place]) for place in range(offset, end) if ids[place] not in gone]
        found = {int(card["id"]): card for card in _cards([i for _, i in asked], scene)}
        offset = end
        for place, course in asked:
            if course in found:
                taken.append((place, found[course]))
            if len(taken) == limit:
                offset = place + 1
                break
    reasons = reasons_for(
        [card for _, card in taken],
        [codes[place] for place, _ in taken],
        state=state,
        loaded=scene.loaded,
        history=scene.history,
        course_id=course_id,
    )
    shown = [
        Shown(card, place + 1, reason) for (place, card), reason in zip(taken, reasons, strict=True)
    ]
    return shown, offset


def _cards(ids: list[int], scene: Scene) -> list[dict[str, Any]]:
    """Cards of those that are published now; a member owns what membership covers."""
    owned: set[int] = set(scene.state.owned)
    if scene.state.scopes.intersection(membership_scopes()):
        places = scene.catalogue.at(np.array(ids, np.int64))
        covered = places[scene.catalogue.in_membership[places]]
        owned.update(scene.catalogue.ids[covered].tolist())
    return cards(ids, owned=owned) if ids else []


def _remember(
    row: tuple[Any, ...], experiment: dict[str, str], ranked: Ranked, served: int, at: Any
) -> None:
    arrays: tuple[Sequence[float], ...] = (
        ranked.ids,
        ranked.codes,
        ranked.scores,
        ranked.propensities,
    )
    values = [*row, orjson.dumps(experiment).decode(), *map(_array, arrays), served, at]
    sql.run(REMEMBER_SQL, values)


def _array(values: Sequence[float]) -> str:
    """Numbers as PostgreSQL writes an array: faster than one parameter per element."""
    return "{" + orjson.dumps(values)[1:-1].decode() + "}"
