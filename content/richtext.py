"""HTML that operators and importers write, reduced to what a lesson may contain."""

import re
from html import unescape

TAGS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "b", "em", "i", "u", "s"),
    *("ul", "ol", "li", "blockquote", "pre", "code", "span", "sub", "sup", "a", "img", "figure"),
    *("figcaption", "table", "thead", "tbody", "tr", "th", "td", "video", "audio", "source"),
}
ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "video": {"src", "controls", "poster", "width", "height"},
    "audio": {"src", "controls"},
    "source": {"src", "type"},
}
_TAG = re.compile(r"<[^>]*>")
_SPACE = re.compile(r"\s+")


def sanitised(html: str) -> str:
    """`html` with the listed tags and attributes alone; links are http(s), scripts are gone.

    Idempotent: what passed once passes unchanged.
    """
    import nh3  # noqa: PLC0415  (a library of 1.4 MB that only writers of lessons need)

    return nh3.clean(
        _storable(html),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer nofollow",
    )


def plain_text(html: str) -> str:
    """The words of sanitised `html`, tags and entities gone, spaces collapsed."""
    return _SPACE.sub(" ", unescape(_TAG.sub(" ", html))).strip()


def one_line(text: str, *, limit: int) -> str:
    """A title or name: control characters and line breaks become spaces, cut at `limit`."""
    printable = "".join(c if c.isprintable() else " " for c in _storable(text))
    return _SPACE.sub(" ", printable).strip()[:limit]


def _storable(text: str) -> str:
    """Without NUL and lone surrogates, which PostgreSQL cannot keep."""
    return text.replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")
