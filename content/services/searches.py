"""What learners searched for, with and without result."""

from django.db.models import F

from content import bigrams
from content.models import SearchMiss, SearchTerm
from content.richtext import one_line
from kernel import clock

LONGEST = 64


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
