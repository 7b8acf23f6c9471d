"""Finding courses by text: bigrams ranked in PostgreSQL, prefixes first."""

from datetime import timedelta

from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import Case, F, IntegerField, QuerySet, Sum, Value, When
from django.db.models.functions import Cast
from django.db.models.functions.math import Round

from content import bigrams
from content.models import Category, Course, Creator, SearchTerm, Tag
from kernel import clock

# Weights of D, C, B, A. Titles are A, tags and creators B, subtitles and categories C.
_WEIGHTS = [0.1, 0.2, 0.4, 1.0]
# ts_rank gives one matching token its weight times 0.61, divided by the number of tokens asked
# for. Under 0.1 a title shares less than one in six bigrams with the query: noise.
_LEAST_RANK = 0.1
_PREFIX_BOOST = 100
_EXACT_BOOST = 50
HOT_DAYS = 7


def matching(courses: QuerySet[Course], text: str) -> QuerySet[Course]:
    """`courses` that match `text`, annotated with an integer `relevance` (higher is better).

    A title that begins with the query stands before all others, the very title first.
    Nothing matches a text without letters and digits.
    """
    terms = bigrams.query(text)
    if not terms:
        return courses.annotate(relevance=Value(0, IntegerField())).none()
    key = bigrams.search_key(text[: bigrams.MAX_QUERY])
    rank = SearchRank(F("search_vector"), _raw(terms), weights=_WEIGHTS)
    boost = Case(
        When(search_key=key, then=Value(_PREFIX_BOOST + _EXACT_BOOST)),
        When(search_key__startswith=key, then=Value(_PREFIX_BOOST)),
        default=Value(0),
        output_field=IntegerField(),
    )
    return (
        courses.filter(search_vector=_raw(terms))
        .annotate(text_rank=rank)
        .filter(text_rank__gte=_LEAST_RANK)
        .annotate(relevance=Cast(Round(F("text_rank") * 100), IntegerField()) + boost)
    )


def _raw(terms: str) -> SearchQuery:
    return SearchQuery(terms, search_type="raw", config="simple")


def suggestions(text: str, *, limit: int = 10) -> list[str]:
    """Titles, tags and creators for what was typed so far: prefixes first, then the best
    matches; at most `limit`, none twice. Three queries."""
    key = bigrams.search_key(text[: bigrams.MAX_QUERY])
    if not key:
        return []
    typed = text.strip()[: bigrams.MAX_QUERY]
    tags = Tag.objects.filter(name__istartswith=typed).values_list("name", flat=True)[:3]
    creators = (
        Creator.objects.filter(nickname__istartswith=typed, courses__status=Course.Status.PUBLISHED)
        .distinct()
        .values_list("nickname", flat=True)[:3]
    )
    published = Course.objects.filter(status=Course.Status.PUBLISHED)
    titles = (
        matching(published, text)
        .order_by(F("relevance").desc(), "-hot_score", "-pk")
        .values_list("title", flat=True)[:limit]
    )
    return list(dict.fromkeys([*tags, *creators, *titles]))[:limit]


def hot_terms(*, limit: int = 10) -> list[str]:
    """What is searched most over the last week, then the tags of the hottest courses.

    Only words that are in the catalogue already (tags, categories, creators, titles) are
    shown: a learner's free text never reaches other learners unreviewed.
    """
    since = clock.local_date() - timedelta(days=HOT_DAYS)
    asked = (
        SearchTerm.objects.filter(day__gt=since)
        .values("key")
        .annotate(total=Sum("times"))
        .order_by("-total", "key")
        .values_list("key", flat=True)[:100]
    )
    ours = {bigrams.search_key(word): word for word in _catalogue_words()}
    terms = [ours[key] for key in asked if key in ours]
    return list(dict.fromkeys([*terms, *_hot_tags(limit)]))[:limit]


def _catalogue_words() -> list[str]:
    published = Course.objects.filter(status=Course.Status.PUBLISHED)
    keys = SearchTerm.objects.values("key")
    return [
        *Tag.objects.values_list("name", flat=True)[:5000],
        *Category.objects.values_list("name", flat=True),
        *Creator.objects.filter(courses__in=published)
        .distinct()
        .values_list("nickname", flat=True)[:2000],
        *published.filter(search_key__in=keys).values_list("title", flat=True)[:1000],
    ]


def _hot_tags(limit: int) -> list[str]:
    hottest = (
        Course.objects.filter(status=Course.Status.PUBLISHED)
        .order_by("-hot_score", "-pk")
        .values_list("tag_names", flat=True)[:100]
    )
    counts: dict[str, int] = {}
    for names in hottest:
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], name))[:limit]
