"""The API speaks JSON alone, whatever Accept says: mini-programs send odd Accept headers."""

from collections.abc import Iterable

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class JSONOnly(BaseContentNegotiation):
    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """JSON, also when the client forgot to say so."""
        kind = (request.content_type or "application/json").split(";")[0].strip()
        if kind in {"application/json", "text/plain", "application/octet-stream"}:
            return next(iter(parsers))
        return next((p for p in parsers if p.media_type == kind), None)

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type or "application/json"
