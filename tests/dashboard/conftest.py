"""Operators, signed in to the admin."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts import roles
from tests.builders import make_learner


@pytest.fixture
def signed_in(db: None) -> Callable[[str], Client]:
    """`signed_in("finance")` is a browser of an operator with that one role; `"root"` of a
    superuser, `"learner"` of somebody who is no operator."""

    def client(role: str) -> Client:
        user = make_learner(
            username=f"{role}-user", is_staff=role != "learner", is_superuser=role == "root"
        )
        if role in roles.NAMES:
            user.groups.add(Group.objects.get(name=role))
        browser = Client()
        browser.force_login(user)
        return browser

    return client
