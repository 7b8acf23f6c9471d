"""Builders: each makes one object in one line."""

from itertools import count
from typing import Any

from rest_framework.test import APIClient

from accounts.models import User
from accounts.services import issue_tokens

_numbers = count(1)


def make_learner(**fields: Any) -> User:
    """A learner without WeChat identity."""
    number = next(_numbers)
    return User.objects.create_user(
        username=fields.pop("username", f"wx_test{number}"),
        nickname=fields.pop("nickname", f"学员{number}"),
        **fields,
    )


def client_for(user: User | None = None) -> APIClient:
    """An API client that sends this user's access token (or none)."""
    client = APIClient()
    if user is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {issue_tokens(user).access}")
    return client
