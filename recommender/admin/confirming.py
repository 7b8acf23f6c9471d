"""Dangerous acts ask for a reason first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext

from kernel.admin import ReadOnlyAdmin
from kernel.errors import DomainError
from recommender.errors import NothingChanged


def confirmed(
    page: ReadOnlyAdmin[Any],
    request: HttpRequest,
    act: Callable[[str], str],
    question: str,
    back: str,
) -> HttpResponse:
    """Ask for a reason first; act on POST alone, then go `back` with what happened.

    A reason of blanks is none: the form says so.
    """
    reason = request.POST.get("reason", "").replace("\0", "").strip()[:200]
    if request.method != "POST" or not reason:
        blank = request.method == "POST"
        context = {
            **page.admin_site.each_context(request),
            "title": question,
            "question": question,
            "refused": gettext("请填写原因，不能只有空格。") if blank else "",
            "back": reverse(back),
        }
        return TemplateResponse(request, "recommender/confirm.html", context)
    try:
        messages.success(request, act(reason))
    except NothingChanged as why:
        messages.warning(request, str(why.message))
    except DomainError as refused:
        messages.error(request, str(refused.message))
    return HttpResponseRedirect(reverse(back))


def may_promote(request: HttpRequest) -> bool:
    return request.user.has_perm("recommender.change_modelversion")
