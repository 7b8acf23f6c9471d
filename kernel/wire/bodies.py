"""Raw bodies of callbacks, bounded before they are parsed."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from kernel.errors import BodyTooLarge

DRAINED = 8 * 1024 * 1024
CHUNK = 64 * 1024


def bounded_body(request: HttpRequest, most: int) -> bytes:
    """The body, or `BodyTooLarge` when it says that it is longer than `most`.

    A refused body is read and thrown away first, up to DRAINED bytes: an answer that overtakes
    the request would reach most clients as a broken connection.
    """
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    if not length.isascii() or not length.isdigit() or int(length[:12]) > most:
        left = DRAINED
        while left > 0 and (piece := request.read(min(CHUNK, left))):
            left -= len(piece)
        raise BodyTooLarge
    try:
        return request.body
    except RequestDataTooBig as error:
        raise BodyTooLarge from error
