"""What every page of operators has in common: the admin's frame, and who may open it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

View = Callable[..., HttpResponseBase]


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    """Whether this operator may see the model's rows."""
    meta = model._meta
    return request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}")


def operator_page(model: type[Model]) -> Callable[[View], View]:
    """A GET page inside the admin for those who may see the rows of `model`."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not may_view(request, model):
                raise PermissionDenied
            answer = view(request, *args, **kwargs)
            if isinstance(answer, TemplateResponse):
                frame = admin.site.each_context(request)
                answer.context_data = {**frame, **(answer.context_data or {})}
            return answer

        return guarded

    return decorate
