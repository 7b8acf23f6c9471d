"""The schema and its two readers, under /api/."""

import threading

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

_one_at_a_time = threading.Lock()


class SchemaView(SpectacularAPIView):
    """YAML or JSON by Accept or ?format=json, unlike the API itself."""

    content_negotiation_class = DefaultContentNegotiation

    def _get_schema_response(self, request: Request) -> Response:
        """drf-spectacular loads its extensions while it generates, and two threads break it."""
        with _one_at_a_time:
            response: Response = super()._get_schema_response(request)  # type: ignore[no-untyped-call]
        return response


urlpatterns = [
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("redoc/", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
]
