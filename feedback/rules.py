"""Pure rules of progress and of what counts."""

from dataclasses import dataclass

from feedback import intervals
from feedback.intervals import Interval

# contract section 2, POST /lessons/{id}/progress
GRACE_MS = 15_000
MAX_RATE = 3.0
FINISHED_PERCENT = 90
# A lesson whose length nobody knows (media without duration) counts as this long.
UNKNOWN_LENGTH_SECONDS = 30
# The server notes a learner's play for the recommender when the lesson passes these marks.
PLAY_MARKS = (1, 25, 50, 75, 90, 100)


@dataclass(frozen=True)
class Credit:
    """How many milliseconds of new watching the server's clock allows now."""

    ms: int

    def after_pause(self, elapsed_ms: int) -> "Credit":
        """Time that passed without a report: it may fill the carried rest up to 15 s."""
        return Credit(min(GRACE_MS, self.ms + max(0, elapsed_ms)))

    def grown(self, elapsed_ms: int, rate: float) -> "Credit":
        """With the time since the last report at the speed of play, 3x at most."""
        return Credit(self.ms + int(max(0, elapsed_ms) * min(rate, MAX_RATE)))

    def spent(self, seconds: int) -> "Credit":
        """After `seconds` were taken; at most 15 s are carried on.

        Carrying the rest instead of granting 15 s anew keeps the sum over any number of
        reports and devices within 15 s + time × rate.
        """
        return Credit(min(GRACE_MS, self.ms - seconds * 1000))


@dataclass(frozen=True)
class Watched:
    """The union after a report and what it makes of the lesson."""

    intervals: list[Interval]
    seconds: int
    percent: int
    credit: Credit
    added: int


def watched(
    *, before: list[Interval], reported: list[Interval], length: int, credit: Credit
) -> Watched:
    """`before` with as much of `reported` as `credit` allows, earliest seconds first."""
    fresh = intervals.difference(intervals.clipped(reported, length), before)
    taken = intervals.first(fresh, credit.ms // 1000)
    union = intervals.union(before, taken)
    added = intervals.total(taken)
    seconds = intervals.total(union)
    return Watched(union, seconds, percent(seconds, length), credit.spent(added), added)


def percent(seconds: int, length: int) -> int:
    """Whole percent, rounded down, 100 at most."""
    return min(100, seconds * 100 // length) if length > 0 else 0


def share_bp(seconds: int, length: int) -> int:
    """Basis points, rounded down, 10,000 at most."""
    return min(10_000, seconds * 10_000 // length) if length > 0 else 0


def lesson_length(duration_seconds: int) -> int:
    """The seconds that make the whole lesson."""
    return duration_seconds or UNKNOWN_LENGTH_SECONDS


def play_mark(percent_done: int) -> int:
    """The highest mark reached, 0 before the first."""
    return max((mark for mark in PLAY_MARKS if mark <= percent_done), default=0)


def rating_counts(*, watched_seconds: int, course_seconds: int, share_percent: int) -> bool:
    """Whether enough was watched for the stars to count in public."""
    return course_seconds > 0 and watched_seconds * 100 >= share_percent * course_seconds
