"""Media addresses at the root: play tickets and generated covers. Plain Django views."""

import logging
import mimetypes
from collections.abc import Callable
from functools import wraps
from hashlib import blake2s
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import parse_etags, quote_etag
from django.views.decorators.http import require_safe

from content import byteranges, selectors, tickets
from content.covers import cover_svg
from content.errors import MediaMissing
from kernel import clock
from kernel.api.views import render_error
from kernel.errors import DomainError, NotFound

logger = logging.getLogger(__name__)

# A cover is drawn from title, category and creator; an edit may take this long to be seen.
COVER_SECONDS = 3600


def refusals_as_json(
    view: Callable[..., HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Domain errors in the API's one error shape."""

    @wraps(view)
    def wrapped(request: HttpRequest, **kwargs: object) -> HttpResponseBase:
        try:
            return view(request, **kwargs)
        except DomainError as refused:
            return render_error(refused)

    return wrapped


@require_safe
@refusals_as_json
def play(request: HttpRequest, ticket: str) -> HttpResponseBase:
    """The lesson's media for the user of the ticket: 403 forged or no longer entitled,
    410 expired, 404 `media_missing`. One byte range per request."""
    read = tickets.read(ticket, secret=settings.SECRET_KEY, now=clock.timestamp())
    lesson = selectors.lesson_for_player(user_id=read.user_id, lesson_id=read.lesson_id)
    logger.info("play ticket used", extra={"ticket": read.id, "user_id": read.user_id})
    path = media_path(lesson.media_key)
    size = path.stat().st_size
    try:
        part = byteranges.wanted(request.headers.get("Range", ""), size)
    except byteranges.RangeRefused:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    start, length = part or (0, size)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse(content_type=kind)
    else:
        response = StreamingHttpResponse(byteranges.chunks(path, start, length), content_type=kind)
    response["Content-Length"] = str(length)
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-store"
    response["X-Content-Type-Options"] = "nosniff"
    if part is not None:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    return response


def media_path(media_key: str) -> Path:
    """The file of `media_key` under MEDIA_ROOT. Raises `MediaMissing`."""
    root = Path(settings.MEDIA_ROOT).resolve()
    path = (root / media_key).resolve()
    if not media_key or not path.is_relative_to(root) or not path.is_file():
        raise MediaMissing
    return path


@require_safe
@refusals_as_json
def cover(request: HttpRequest, course_id: int) -> HttpResponseBase:
    """The generated cover of a course that has none of its own; 304 when it is unchanged."""
    course = selectors.course_for_cover(course_id)
    if course is None:
        raise NotFound
    words = {
        "title": course.title,
        "category": course.category.name if course.category else "",
        "creator": course.creator.nickname if course.creator else "",
        "key": course.external_key or str(course.pk),
    }
    etag = quote_etag(blake2s("\0".join(words.values()).encode()).hexdigest())
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(cover_svg(**words), content_type="image/svg+xml; charset=utf-8")
        # Drawn from text we escape; the policy keeps scripts out even if that ever failed.
        response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    response["Cache-Control"] = f"public, max-age={COVER_SECONDS}"
    response["ETag"] = etag
    return response
