"""What learners searched for, with and without result."""

from datetime import timedelta

from django.db.models import F, Q

from content import bigrams
from content.models import SearchMiss, SearchTerm
from content.richtext import one_line
from kernel import clock

LONGEST = 64
KEPT_DAYS = 90


def search_noted(*, query: str, found: bool) -> None:
    """One more search for `query` today; without result it stands in the operators' list."""
    key = bigrams.search_key(query)[:LONGEST]
    if not key:
        return
    words = one_line(query, limit=LONGEST)
    if found:
        SearchTerm.objects.bulk_create(
            [SearchTerm(day=clock.local_date(), key=key, query=words)], ignore_conflicts=True
        )
        SearchTerm.objects.filter(day=clock.local_date(), key=key).update(times=F("times") + 1)
        return
    SearchMiss.objects.bulk_create([SearchMiss(key=key, query=words)], ignore_conflicts=True)
    SearchMiss.objects.filter(key=key).update(
        times=F("times") + 1, query=words, last_at=clock.now()
    )


def searches_forget() -> int:
    """Words that nobody searched for in 90 days are gone, and words asked for a single time
    after a week: a flood of nonsense does not stay. Returns how many."""
    at = clock.now()
    terms, _kinds = SearchTerm.objects.filter(
        day__lt=clock.local_date(at - timedelta(days=KEPT_DAYS))
    ).delete()
    old = Q(last_at__lt=at - timedelta(days=KEPT_DAYS))
    once = Q(times=1, last_at__lt=at - timedelta(days=7))
    misses, _kinds = SearchMiss.objects.filter(old | once).delete()
    return terms + misses
