"""Pure rules of the catalogue."""

from math import ceil

# From → what may follow. Operators with the right to publish may skip the steps between.
TRANSITIONS: dict[str, frozenset[str]] = {
    "draft": frozenset({"review", "scheduled", "published"}),
    "review": frozenset({"draft", "scheduled", "published"}),
    "scheduled": frozenset({"review", "draft", "published"}),
    "published": frozenset({"withdrawn"}),
    "withdrawn": frozenset({"draft", "published"}),
}

# Adult readers of Chinese take 250 to 300 characters a minute on a phone; the slower figure
# would punish quick readers, so the estimate is on the fast side.
READING_CHARACTERS_PER_MINUTE = 400
SHORTEST_READING_SECONDS = 10


def may_move(current: str, to: str) -> bool:
    """Whether a course in `current` may become `to`. Staying where it is always may."""
    return current == to or to in TRANSITIONS[current]


def reading_seconds(characters: int) -> int:
    """How long a text of `characters` takes to read, at least ten seconds."""
    return max(SHORTEST_READING_SECONDS, ceil(characters * 60 / READING_CHARACTERS_PER_MINUTE))


def rating_mean(total: float, count: int) -> float | None:
    """Mean stars to one decimal, None while nobody's rating counts."""
    return round(total / count, 1) if count else None
