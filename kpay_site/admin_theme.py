"""How the admin looks: django-unfold's settings. Pages come from `dashboard`."""

from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

UNFOLD = {
    "SITE_TITLE": "KPay",
    "SITE_HEADER": "KPay",
    "SITE_SUBHEADER": _("微信知识付费后台"),
    "SITE_SYMBOL": "school",
    "SITE_URL": "/api/docs/",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"show_search": True, "show_all_applications": True},
}
_HOME = reverse_lazy("admin:index")
