"""The incentives part of the mini-program's API, by subject."""

from typing import cast

from rest_framework.request import Request

from accounts.models import User


def caller_id(request: Request) -> int:
    """The id of the user whose token came with the request."""
    return cast("User", request.user).pk
