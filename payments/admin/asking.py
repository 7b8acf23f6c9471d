"""Acts of operators that need a reason: asked for on a page of its own, done on POST alone."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from kernel.admin import ReadOnlyAdmin
from kernel.errors import DomainError


def with_reason(
    page: ReadOnlyAdmin[Any],
    request: HttpRequest,
    act: Callable[[str], str],
    *,
    question: str,
    back: str,
) -> HttpResponse:
    """`act(reason)` gives the sentence of what happened; then the browser goes `back`."""
    reason = request.POST.get("reason", "").strip()[:200]
    if request.method != "POST" or not reason:
        context = {
            **page.admin_site.each_context(request),
            "title": question,
            "question": question,
            "back": back,
        }
        return TemplateResponse(request, "payments/confirm.html", context)
    try:
        messages.success(request, act(reason))
    except DomainError as refused:
        messages.error(request, str(refused.message))
    return HttpResponseRedirect(back)
