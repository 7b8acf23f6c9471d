"""Dangerous acts ask for a reason first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from kernel.admin import ReadOnlyAdmin
from kernel.errors import DomainError


def confirmed(
    page: ReadOnlyAdmin[Any],
    request: HttpRequest,
    act: Callable[[str], str],
    question: str,
    back: str,
) -> HttpResponse:
    """Ask for a reason first; act on POST alone, then go `back` with what happened."""
    reason = request.POST.get("reason", "").strip()[:200]
    if request.method != "POST" or not reason:
        context = {
            **page.admin_site.each_context(request),
            "title": question,
            "question": question,
            "back": reverse(back),
        }
        return TemplateResponse(request, "recommender/confirm.html", context)
    try:
        messages.success(request, act(reason))
    except DomainError as refused:
        messages.error(request, str(refused.message))
    return HttpResponseRedirect(reverse(back))


def may_promote(request: HttpRequest) -> bool:
    return request.user.has_perm("recommender.change_modelversion")
