"""Examples of the API documents. They work against a fresh demo: its first course has id 1.

`tests/site/test_examples.py` plays every one of them against the sample shop.
"""

from typing import Any

# Path parameters.
PARAMETERS: dict[str, str] = {
    "course_id": "1",
    "lesson_id": "1",
    "product_id": "1",
    "tag": "入门",
}

# Request bodies by (method, path). The code, the order's number and the refresh token come from
# a call before; here they show the shape.
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", "/api/v1/auth/wechat/login"): {"code": "0a3Jx2Ga1bK9Zq0"},
    ("post", "/api/v1/auth/refresh"): {"refresh": "Zb1n…"},
    ("post", "/api/v1/auth/logout"): {"refresh": "Zb1n…"},
    ("patch", "/api/v1/me"): {"nickname": "小林", "birth_year": 1995, "occupation": "教师"},
    ("put", "/api/v1/me/preferences"): {
        "personalised_feed": True,
        "personalised_offers": True,
        "marketing_messages": False,
    },
    ("put", "/api/v1/me/interests"): {"interests": ["cat-writing", "cat-humanities"]},
    ("post", "/api/v1/me/phone"): {"code": "e31968a7f94cc5ee25fafc2aef2773f0"},
    ("put", "/api/v1/courses/{course_id}/rating"): {"stars": 5},
    ("post", "/api/v1/feed/feedback"): {
        "request_id": "00000000-0000-4000-8000-000000000000",
        "course_id": "2",
        "action": "not_interested",
    },
    ("post", "/api/v1/coupons/claim"): {"template_id": "1"},
    ("post", "/api/v1/redeem"): {"code": "KPAY-READ-2026"},
    ("post", "/api/v1/quote"): {
        "items": [{"product_id": "1", "quantity": 1}],
        "platform": "android",
    },
    ("post", "/api/v1/orders"): {
        "items": [{"product_id": "1", "quantity": 1}],
        "platform": "android",
    },
    ("post", "/api/v1/orders/{no}/pay"): {"channel": "jsapi"},
    ("post", "/api/v1/lessons/{lesson_id}/progress"): {
        "session_id": "play-1",
        "seq": 1,
        "intervals": [[0, 10]],
        "rate": 1,
        "position_seconds": 10,
    },
}


def add(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Hook of drf-spectacular: bodies and path parameters carry their examples."""
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            if not isinstance(operation, dict):
                continue
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in PARAMETERS:
                    parameter["example"] = PARAMETERS[parameter["name"]]
            body = BODIES.get((method, path))
            for content in operation.get("requestBody", {}).get("content", {}).values():
                if body is not None:
                    content.pop("examples", None)
                    content["example"] = body
    return result
