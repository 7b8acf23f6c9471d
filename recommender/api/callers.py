"""Who calls."""

from typing import cast

from rest_framework.request import Request

from accounts.models import User


def learner_of(request: Request) -> User:
    """The signed-in user: the view's permission has seen to it that there is one."""
    return cast(User, request.user)


def learner_or_none(request: Request) -> User | None:
    """The signed-in user of a door that is open to everybody."""
    return cast("User | None", request.user)
