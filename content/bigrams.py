"""Search tokens for Chinese: pairs of neighbouring characters.

On 12,003 real titles an OR of character bigrams with a prefix boost found the wanted title among
the first ten for .96 to 1.00 of exact, prefix, substring, two-word and dropped-character queries;
word segmentation found 0 to .36 of the last three (`design.md` section 2).
"""

import unicodedata
from collections.abc import Iterable, Iterator

MAX_QUERY = 64


def folded(text: str) -> str:
    """Full-width and half-width, upper and lower case made the same."""
    return unicodedata.normalize("NFKC", text).casefold()


def search_key(text: str) -> str:
    """Letters and digits of `text`, folded, nothing between them: what prefixes compare."""
    return "".join(runs(text))


def runs(text: str) -> list[str]:
    """Stretches of letters and digits; everything else separates."""
    return "".join(c if c.isalnum() else " " for c in folded(text)).split()


def tokens(text: str) -> Iterator[str]:
    """Each bigram of each run, and the run's last character so that single ones are found."""
    for run in runs(text):
        for left, right in zip(run, run[1:], strict=False):
            yield left + right
        yield run[-1]


def vector(weighted: Iterable[tuple[str, str]]) -> str:
    """A tsvector literal of (text, weight A to D); tokens are letters and digits, so safe."""
    best: dict[str, str] = {}
    for text, weight in weighted:
        for token in tokens(text):
            if weight < best.get(token, "Z"):
                best[token] = weight
    return " ".join(f"'{token}':1{weight}" for token, weight in sorted(best.items()))


def query(text: str) -> str:
    """A tsquery literal: OR of the bigrams; a lone character matches by prefix. "" if none."""
    terms: dict[str, None] = {}
    for run in runs(text[:MAX_QUERY]):
        if len(run) == 1:
            terms[f"'{run}':*"] = None
        for left, right in zip(run, run[1:], strict=False):
            terms[f"'{left}{right}'"] = None
    return " | ".join(terms)
