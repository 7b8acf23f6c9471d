"""All doors of the house."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView
from rest_framework.negotiation import DefaultContentNegotiation

from kpay_site import health

API_APPS = (
    "accounts",
    "payments",
    "content",
    "feedback",
    "incentives",
    "recommender",
)
CALLBACKS = ("payments", "messaging", "content")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path(
        "api/schema/",
        # YAML or JSON by Accept or ?format=json, unlike the API itself.
        SpectacularAPIView.as_view(content_negotiation_class=DefaultContentNegotiation),
        name="schema",
    ),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/redoc/", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
    *(path("api/v1/", include(f"{app}.urls")) for app in API_APPS),
    *(path("", include(f"{app}.callback_urls")) for app in CALLBACKS),
]

handler400 = "kernel.api.views.handler400"
handler403 = "dashboard.refusals.handler403"
handler404 = "dashboard.refusals.handler404"
handler500 = "kernel.api.views.handler500"
