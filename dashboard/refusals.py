"""What an operator reads where the admin says no. Elsewhere the API's error shape is right."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from kernel.api import views

ADMIN = "/admin/"


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 as a page in the admin, as JSON elsewhere."""
    if not request.path.startswith(ADMIN) or not hasattr(request, "user"):
        return views.handler400(request, exception)
    return _page(request, _("地址有误，请从列表页重新进入。"), 400)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 as a page in the admin, as JSON elsewhere."""
    if not request.path.startswith(ADMIN):
        return views.handler403(request, exception)
    text = _("您的角色不能查看这个页面，或不能执行这个操作。如有需要，请联系管理员。")
    return _page(request, text, 403)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 as a page in the admin, as JSON elsewhere."""
    if not request.path.startswith(ADMIN):
        return views.handler404(request, exception)
    text = _("没有这个页面，或这条记录已不存在。")
    return _page(request, text, 404)


def _page(request: HttpRequest, text: str, status: int) -> HttpResponse:
    context = {**admin.site.each_context(request), "text": text}
    return render(request, "dashboard/refused.html", context, status=status)
