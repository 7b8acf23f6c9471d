"""All doors of the house."""

import logging
from importlib import import_module

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

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


def _present(module: str) -> bool:
    # TEMPORARY while apps are being written
    app, _, name = module.partition(".")
    if not ((settings.BASE_DIR / app / f"{name}.py").exists() and apps.is_installed(app)):
        return False
    try:
        import_module(module)
    except ImportError:
        logging.getLogger(__name__).exception("%s is left out", module)
        return False
    return True


urlpatterns = [
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/redoc/", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
    *(path("api/v1/", include(f"{app}.urls")) for app in API_APPS if _present(f"{app}.urls")),
    *(
        path("", include(f"{app}.callback_urls"))
        for app in CALLBACKS
        if _present(f"{app}.callback_urls")
    ),
]

handler400 = "kernel.api.views.handler400"
handler403 = "kernel.api.views.handler403"
handler404 = "kernel.api.views.handler404"
handler500 = "kernel.api.views.handler500"
