"""What operators do with rows of payments' lists: with the right to, and with a reason."""

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

MAX_REASON = 200


class ReasonForm(ActionForm):  # type: ignore[misc]
    """The list's actions, with a line for why."""

    reason = forms.CharField(
        label="",
        required=False,
        max_length=MAX_REASON,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": _("原因")}),
    )


def reason_of(request: HttpRequest) -> str:
    """What the operator wrote in `ReasonForm`; "" without a word."""
    return request.POST.get("reason", "").strip()[:MAX_REASON]
