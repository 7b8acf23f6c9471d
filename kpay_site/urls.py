"""All doors of the house. Each room behind them is loaded when its first visitor comes.

A worker that serves feeds all day need not keep the admin, the payment clients and the API
documents in its memory.
"""

from django.urls import path
from django.urls.resolvers import RoutePattern, URLPattern, URLResolver

from kpay_site import health

# The busiest first: a request tries them in this order and loads those it tries.
API_APPS = (
    "recommender",
    "feedback",
    "content",
    "accounts",
    "incentives",
    "payments",
)
CALLBACKS = ("payments", "messaging", "content")


def later(route: str, module: str, namespace: str | None = None) -> URLResolver:
    """Like `path(route, include(module))`, but the module is imported at the first match."""
    pattern = RoutePattern(route, is_endpoint=False)
    return URLResolver(pattern, module, app_name=namespace, namespace=namespace)


urlpatterns: list[URLPattern | URLResolver] = [
    *(later("api/v1/", f"{app}.urls") for app in API_APPS),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    later("admin/", "kpay_site.admin_urls", "admin"),
    later("api/", "kpay_site.docs_urls"),
    *(later("", f"{app}.callback_urls") for app in CALLBACKS),
]

handler400 = "dashboard.refusals.handler400"
handler403 = "dashboard.refusals.handler403"
handler404 = "dashboard.refusals.handler404"
handler500 = "kernel.api.views.handler500"
