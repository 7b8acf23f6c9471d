"""The plumbing of the JSON API: one error shape, strict parsing, keyset pages."""

from kernel.api.fields import IdField, StrictSerializer, parse
from kernel.api.pages import paginate
from kernel.api.views import ApiView

__all__ = ["ApiView", "IdField", "StrictSerializer", "paginate", "parse"]
