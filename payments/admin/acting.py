"""Pages on which an operator acts: facts, a form that asks why, one call of a service."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from kernel.errors import DomainError, InvalidInput


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("原因"), max_length=200, strip=True, widget=UnfoldAdminTextInputWidget
    )


def acted(
    page: "ModelAdmin[Any]",
    request: HttpRequest,
    form: forms.Form,
    act: Callable[[dict[str, Any]], str],
    *,
    title: str,
    facts: Sequence[str],
    back: str,
) -> HttpResponse:
    """Show `form`; when it is sent and valid, `act(what was filled in)` says what happened.

    What a service refuses is shown on the form, with its reason.
    """
    if request.method == "POST" and form.is_valid():
        try:
            messages.success(request, act(form.cleaned_data))
        except DomainError as refused:
            form.add_error(None, refusal(refused))
        else:
            return HttpResponseRedirect(back)
    context = {
        **page.admin_site.each_context(request),
        "title": title,
        "facts": facts,
        "form": form,
        "back": back,
    }
    return TemplateResponse(request, "payments/act.html", context)


def refusal(refused: DomainError) -> str:
    """What was refused, with the reasons, in one sentence for the form."""
    said = [str(refused.message)]
    if isinstance(refused, InvalidInput):
        said += [sentence for field in refused.detail.values() for sentence in field]
    return " ".join(said)
