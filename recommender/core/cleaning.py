"""Which recorded events are fit to learn from. The log itself is never changed.

One step for tables and dataset folders alike: it marks events, counts what it marked by cause,
and says which thresholds did it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import KIND_CODES, VERIFIED, Float32, Float64, Interactions

Mask = NDArray[np.bool_]
Ints = NDArray[np.integer[Any]]

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
FASTEST = 3.0  # times the normal speed a player can run (`feedback`: the same bound)
GRACE_SECONDS = 15.0
MOST_STARS = 5.0
ENOUGH_OTHERS = 3  # ratings by others that an item's mean needs


@dataclass(frozen=True)
class CleaningConfig:
    """Thresholds; 0 turns a rule off."""

    burst_events: int = 120  # of one user in a minute: a script, not a person
    bot_events: int = 3000  # of one user in a day: none of the user's reports is believed
    repeat_seconds: float = 1.0  # the same report again within this is one report
    full_plays: int = 10  # different items finished by one user in a minute
    outlier_ratings: int = 10  # a rater with fewer is not judged
    outlier_stars: float = 1.75  # mean distance from the mean of the others
    min_user_items: int = 1  # different items of a user
    min_item_users: int = 1  # different users of an item


@dataclass(frozen=True, eq=False)
class Log:
    """Events as they were recorded [n]. `users` and `items` are numbers of any kind."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    values: Float32  # NaN where the event had none
    times: Float64  # Unix seconds, NaN where unknown
    trusted: Mask  # a fact that the server itself knows
    own: Mask  # the creator's own act on the creator's item
    seconds: Float32  # what a watched share of 100 takes, NaN where unknown

    @classmethod
    def of(
        cls,
        users: Ints,
        items: Ints,
        kinds: NDArray[np.uint8],
        values: Float32,
        times: Float64,
        *,
        trusted: Mask | None = None,
        own: Mask | None = None,
        seconds: Float32 | None = None,
    ) -> Log:
        """Events that a file tells: nothing is known to be true, nothing to be the creator's."""
        n = len(users)
        no = np.zeros(n, np.bool_)
        return cls(
            np.asarray(users, np.int64),
            np.asarray(items, np.int64),
            np.asarray(kinds, np.uint8),
            np.asarray(values, np.float32),
            np.asarray(times, np.float64),
            no if trusted is None else trusted,
            no if own is None else own,
            np.full(n, np.nan, np.float32) if seconds is None else seconds,
        )

    def __len__(self) -> int:
        return len(self.users)

    def take(self, kept: Mask | Ints) -> Log:
        return Log(
            self.users[kept],
            self.items[kept],
            self.kinds[kept],
            self.values[kept],
            self.times[kept],
            self.trusted[kept],
            self.own[kept],
            self.seconds[kept],
        )


@dataclass
class CleaningReport:
    """How many events were read, kept, and left out by each cause, and of how many users."""

    read: int = 0
    kept: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Sieve:
    """Marks events one cause after the other; an event counts under the first that takes it."""

    def __init__(self, log: Log, config: CleaningConfig):
        self.log = log
        self.kept: Mask = np.ones(len(log), np.bool_)
        self.report = CleaningReport(len(log), len(log), thresholds=asdict(config))

    def leave(self, cause: str, bad: Mask) -> None:
        taken = self.kept & bad
        count = int(np.count_nonzero(taken))
        if not count:
            return
        self.kept &= ~bad
        self.report.left_out[cause] = self.report.left_out.get(cause, 0) + count
        users = len(np.unique(self.log.users[taken]))
        self.report.users[cause] = self.report.users.get(cause, 0) + users
        self.report.kept = int(np.count_nonzero(self.kept))


def clean(log: Log, config: CleaningConfig | None = None, part: Mask | None = None) -> Sieve:
    """The events worth learning from, and the report of the rest; of `part` alone where given.

    How fast somebody reported is counted over the whole log: what is set aside to be asked for
    still shows a script at work. Server facts are believed: they are no bot's, no burst and no
    impossible dwell.
    """
    c = config or CleaningConfig()
    fine = _fine(log.times)
    judged = fine & ~log.trusted
    bots, bursts = _bots(log, judged, c.bot_events), crowded(log, judged, MINUTE, c.burst_events)
    if part is not None:
        log, fine, bots, bursts = log.take(part), fine[part], bots[part], bursts[part]
    sieve = Sieve(log, c)
    sieve.leave("impossible_value", _impossible(log))
    sieve.leave("creator_on_own_course", log.own)
    sieve.leave("bot", bots)
    sieve.leave("burst", bursts)
    sieve.leave("repeated", _repeats(log, sieve.kept, c.repeat_seconds))
    if fine.any():
        sieve.leave("impossible_dwell", _dwell(log, fine & sieve.kept & ~log.trusted, c))
    sieve.leave("outlier_rater", outlier_raters(log, sieve.kept, c))
    _minima(sieve, c)
    return sieve


def cleaned(
    interactions: Interactions,
    log: Log,
    config: CleaningConfig | None = None,
    part: Mask | None = None,
) -> tuple[Interactions, CleaningReport]:
    """`interactions` without the pairs of which the cleaning of `log` leaves no event.

    `log` holds their events by user and item row; with `part` the others only help to tell who
    reports too fast. Users and items stay, some now without any.
    """
    sieve = clean(log, config, part)
    width = max(len(interactions.items), 1)
    left = sieve.log.users[sieve.kept] * width + sieve.log.items[sieve.kept]
    pairs = interactions.user_rows.astype(np.int64) * width + interactions.item_rows
    return interactions.take(np.isin(pairs, left)), sieve.report


def _fine(times: Float64) -> Mask:
    """Where a time can be told to the minute; nowhere in a log that dates events by the hour."""
    known = ~np.isnan(times) & (times > 0)
    if np.count_nonzero(known) and np.mean(times[known] % HOUR == 0) > 0.5:
        return np.zeros(len(times), np.bool_)
    return known


def _impossible(log: Log) -> Mask:
    """Ratings outside 0..5 or without a number, and watched shares outside 0..100."""
    rating = log.kinds == KIND_CODES["rating"]
    share = (log.kinds == KIND_CODES["play"]) | (log.kinds == VERIFIED)
    with np.errstate(invalid="ignore"):
        bad: Mask = rating & ~((log.values >= 0) & (log.values <= MOST_STARS))
        bad |= share & ((log.values < 0) | (log.values > 100))
    return bad


def crowded(log: Log, judged: Mask, length: float, most: int) -> Mask:
    """Judged events that lie with more than `most` of the same user within `length` seconds.

    The window slides: in order of time, an event and the one `most` places after it tell whether
    a window of too many begins here, whatever the clock says.
    """
    found = np.zeros(len(log), np.bool_)
    order = _by_user(log, judged)
    if most <= 0 or len(order) <= most:
        return found
    users, times = log.users[order], log.times[order]
    begins = users[most:] == users[:-most]
    begins &= times[most:] - times[:-most] < length
    found[order] = _covered(np.flatnonzero(begins), np.flatnonzero(begins) + most + 1, len(order))
    return found


def _by_user(log: Log, judged: Mask) -> NDArray[np.int64]:
    """Places of the judged events, user by user in order of time."""
    at = np.flatnonzero(judged)
    return at[np.lexsort((log.times[at], log.users[at]))]


def _covered(begins: Ints, ends: Ints, n: int) -> Mask:
    """[n]: what lies in one of the spans [begin, end)."""
    change = np.bincount(begins, minlength=n + 1) - np.bincount(ends, minlength=n + 1)
    covered: Mask = np.cumsum(change)[:n] > 0
    return covered


def _before(points: tuple[Ints, Float64], asked: tuple[Ints, Float64]) -> NDArray[np.int64]:
    """[asked]: how many of the (user, time) points come before each (user, time) asked for.

    Points of users with smaller numbers come before; a point at the very time does not.
    """
    n = len(asked[0])
    users, times = (np.concatenate(two) for two in zip(asked, points, strict=True))
    order = np.lexsort((np.arange(len(users)) >= n, times, users))
    passed = np.cumsum(order >= n)
    found = np.empty(len(users), np.int64)
    found[order] = passed
    return found[:n]


def _bots(log: Log, judged: Mask, most: int) -> Mask:
    """All reports of users who sent more than `most` within a day."""
    days = crowded(log, judged, DAY, most)
    return np.isin(log.users, np.unique(log.users[days])) & ~log.trusted


def _repeats(log: Log, kept: Mask, within: float) -> Mask:
    """Reports of the same user, item, kind and value as one shortly before them."""
    found = np.zeros(len(log), np.bool_)
    if within <= 0:
        return found
    judged = np.flatnonzero(kept & ~log.trusted)
    part = log.take(judged)
    times = np.where(np.isnan(part.times), -1.0, part.times)  # untimed: all at one moment
    values = np.where(np.isnan(part.values), np.float32(-1e9), part.values)
    order = np.lexsort((times, values, part.kinds, part.items, part.users))
    same = np.ones(max(len(order) - 1, 0), np.bool_)
    for column in (part.users, part.items, part.kinds, values):
        same &= column[order][1:] == column[order][:-1]
    same &= np.diff(times[order]) <= within
    found[judged[order[1:][same]]] = True
    return found


def _dwell(log: Log, judged: Mask, c: CleaningConfig) -> Mask:
    """Watched shares that nobody can have watched in the time there was."""
    play = judged & (log.kinds == KIND_CODES["play"])
    full = judged & (log.kinds == KIND_CODES["complete"])
    with np.errstate(invalid="ignore"):
        full |= play & (log.values >= 90)
    bad = np.zeros(len(log), np.bool_)
    if c.full_plays > 0:
        bad |= _finished_at_once(log, full, c.full_plays)
    with np.errstate(invalid="ignore"):
        claimed = log.seconds * np.clip(log.values, 0, 100) / 100
    timed = play & ~np.isnan(claimed)
    if timed.any():
        elapsed = log.times - _first_times(log, ~np.isnan(log.times))
        allowed = FASTEST * elapsed + GRACE_SECONDS
        bad |= timed & (elapsed > 0) & (np.nan_to_num(claimed) > allowed)
        order = _by_user(log, timed)
        users, times = log.users[order], log.times[order]
        ends = _before((users, times), (users, times + DAY))
        summed = np.concatenate(([0.0], np.cumsum(claimed[order], dtype=np.float64)))
        begins = np.flatnonzero(summed[ends] - summed[:-1] > FASTEST * DAY)
        bad[order[_covered(begins, ends[begins], len(order))]] = True
    return bad


def _finished_at_once(log: Log, judged: Mask, most: int) -> Mask:
    """Judged events within a minute of the same user that holds more than `most` items.

    An item lies in the minute that begins at t while some event of it lies in [t, t + 60): over
    all its events that makes spans of t, and the spans over one t are the items of its minute.
    """
    found = np.zeros(len(log), np.bool_)
    at = np.flatnonzero(judged)
    at = at[np.lexsort((log.times[at], log.items[at], log.users[at]))]
    if not len(at):
        return found
    users, items, times = log.users[at], log.items[at], log.times[at]
    apart = (np.diff(users) != 0) | (np.diff(items) != 0) | (np.diff(times) >= MINUTE)
    firsts = np.flatnonzero(np.concatenate(([True], apart)))
    lasts = np.flatnonzero(np.concatenate((apart, [True])))
    order = _by_user(log, judged)
    asked = (log.users[order], log.times[order])
    # a span begins just after its first event's time less a minute, and ends with its last event
    begun = _before((users[firsts], times[firsts] - MINUTE), asked)
    ended = _before((users[lasts], times[lasts]), asked)
    begins = np.flatnonzero(begun - ended > most)
    ends = _before(asked, (asked[0][begins], asked[1][begins] + MINUTE))
    found[order[_covered(begins, ends, len(order))]] = True
    return found


def _first_times(log: Log, timed: Mask) -> Float64:
    """[n]: when the user first did anything with the item; infinity where nothing is known."""
    _, pairs = np.unique(_pairs(log), return_inverse=True)
    first = np.full(int(pairs.max(initial=-1)) + 1, np.inf)
    np.minimum.at(first, pairs.ravel()[timed], log.times[timed])
    return first[pairs.ravel()]


def _pairs(log: Log) -> NDArray[np.int64]:
    """[n]: one number for each (user, item)."""
    _, users = np.unique(log.users, return_inverse=True)
    _, items = np.unique(log.items, return_inverse=True)
    width = np.int64(int(items.max(initial=0)) + 1)
    paired: NDArray[np.int64] = users.ravel().astype(np.int64) * width + items.ravel()
    return paired


def outlier_raters(log: Log, kept: Mask, c: CleaningConfig) -> Mask:
    """Ratings by those whose stars lie far from what the others gave the same items.

    A rater's shift is the mean of (own stars - mean of the others' stars) over items that enough
    others rated; other events of the rater stay.
    """
    found = np.zeros(len(log), np.bool_)
    judged = np.flatnonzero(kept & (log.kinds == KIND_CODES["rating"]))
    if c.outlier_ratings <= 0 or c.outlier_stars <= 0 or not len(judged):
        return found
    stars = log.values[judged].astype(np.float64)
    _, items = np.unique(log.items[judged], return_inverse=True)
    _, users = np.unique(log.users[judged], return_inverse=True)
    items, users = items.ravel(), users.ravel()
    n, total = np.bincount(items), np.bincount(items, stars)
    others = n[items] - 1
    comparable = others >= ENOUGH_OTHERS
    shift = stars - (total[items] - stars) / np.maximum(others, 1)
    count = np.bincount(users, comparable.astype(np.float64))
    mean = np.bincount(users, np.where(comparable, shift, 0.0)) / np.maximum(count, 1)
    far = (count >= c.outlier_ratings) & (np.abs(mean) > c.outlier_stars)
    found[judged] = far[users]
    return found


def _minima(sieve: Sieve, c: CleaningConfig) -> None:
    """Leave out users and items with too few partners until none is left."""
    if c.min_user_items <= 1 and c.min_item_users <= 1:
        return
    log = sieve.log
    while True:
        before = sieve.report.kept
        _, first = np.unique(_pairs(log)[sieve.kept], return_index=True)
        pairs = np.flatnonzero(sieve.kept)[first]
        for cause, column, least in (
            ("few_items", log.users, c.min_user_items),
            ("few_users", log.items, c.min_item_users),
        ):
            keys, count = np.unique(column[pairs], return_counts=True)
            sieve.leave(cause, np.isin(column, keys[count < least]))
        if sieve.report.kept == before:
            return
