"""Additions to the OpenAPI document that hold for every call."""

from typing import Any

from django.utils.translation import gettext

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "detail", "request_id"],
            "properties": {
                "code": {"type": "string", "example": "invalid_input"},
                "message": {"type": "string", "example": "提交的内容有误，请检查后再试。"},
                "detail": {"type": "object", "additionalProperties": True},
                "request_id": {"type": "string"},
            },
        }
    },
}


def add_error_replies(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Every operation names the one error shape for 4XX and 503."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = _ERROR
    reply = {
        "description": gettext("错误"),
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
    for operations in result["paths"].values():
        for name, operation in operations.items():
            if name in {"get", "put", "post", "patch", "delete"}:
                operation["responses"].setdefault("4XX", reply)
                operation["responses"].setdefault("503", reply)
    return result
