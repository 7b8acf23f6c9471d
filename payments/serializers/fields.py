"""Fields of several shapes of payments."""

import unicodedata
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers


class PlainTextField(serializers.CharField):
    """One line that people read: no control characters, no line breaks of any kind."""

    default_error_messages = {"control": _("不能包含换行或控制字符。")}

    def to_internal_value(self, data: Any) -> str:
        text: str = super().to_internal_value(data)
        if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text):
            self.fail("control")
        return text
