"""Operators' pages of people and messages."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts import roles
from accounts.models import Identity, TokenFamily, User
from accounts.services import issue_tokens
from kernel.models import StaffAction
from messaging.models import MessageEvent, OutboundMessage

OPENID = "oABCDEFGHIJKLMNOPQRSTUVWXYZ0"


@pytest.fixture
def owner(db):
    return User.objects.create_superuser("owner", "pass-phrase-9")


@pytest.fixture
def pages(owner):
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def rows(learner):
    user = learner(nickname="小林", phone_encrypted="k:secretphone")
    Identity.objects.create(
        user=user, app="oa", appid="wx1", openid=OPENID, session_key_encrypted="k:secretkey"
    )
    issue_tokens(user)
    MessageEvent.objects.create(
        account="oa",
        dedupe_key="msg:1",
        openid=OPENID,
        msg_type="text",
        content="你好",
        raw_sha="0" * 64,
        platform_at=timezone.now(),
        reply=b"<xml/>",
    )
    OutboundMessage.objects.create(user=user, kind="service", dedupe_key="k", text="好")
    return user


@pytest.mark.parametrize(
    "model",
    ["accounts/user", "accounts/identity", "accounts/tokenfamily", "auth/group",
     "messaging/messageevent", "messaging/outboundmessage"],
)  # fmt: skip
def test_each_list_and_each_page_opens_without_a_secret(pages, rows, model):
    shown = pages.get(f"/admin/{model}/?q=小林")
    assert shown.status_code == 200
    listed = pages.get(f"/admin/{model}/")
    assert listed.status_code == 200
    classes = {
        "accounts/user": User,
        "accounts/identity": Identity,
        "accounts/tokenfamily": TokenFamily,
        "auth/group": Group,
        "messaging/messageevent": MessageEvent,
        "messaging/outboundmessage": OutboundMessage,
    }
    roles.sync()
    row = classes[model].objects.order_by("-pk").first()
    page = pages.get(f"/admin/{model}/{row.pk}/change/")
    assert page.status_code == 200
    for response in (listed, page):
        text = response.content.decode()
        assert "secretkey" not in text
        assert "secretphone" not in text
        assert OPENID not in text


def test_nobody_is_deleted_from_the_admin(pages, rows):
    assert pages.get(f"/admin/accounts/user/{rows.pk}/delete/").status_code == 403


def test_ending_sessions_is_an_action_with_evidence(pages, rows):
    answer = pages.post(
        "/admin/accounts/user/", {"action": "end_sessions", "_selected_action": [rows.pk]}
    )

    assert answer.status_code == 302
    assert TokenFamily.objects.get().end_reason == "operator"
    assert StaffAction.objects.get().target == f"user:{rows.pk}"


def test_an_operator_is_made_with_a_password(pages):
    answer = pages.post(
        "/admin/accounts/user/add/",
        {
            "username": "editor1", "nickname": "编辑", "is_staff": "on",
            "password1": "long-enough-91", "password2": "long-enough-91",
        },
    )  # fmt: skip

    assert answer.status_code == 302, answer.content.decode()[:2000]
    assert User.objects.get(username="editor1").check_password("long-enough-91")


def test_a_service_operator_sees_people_but_hands_out_no_rights(rows):
    roles.sync()
    service = User.objects.create_user("s", "p", is_staff=True)
    service.groups.add(Group.objects.get(name="service"))
    client = Client()
    client.force_login(service)

    assert client.get("/admin/accounts/user/").status_code == 200
    assert client.get("/admin/accounts/tokenfamily/").status_code == 403
    answer = client.post(
        f"/admin/accounts/user/{service.pk}/change/", {"is_superuser": "on", "username": "s"}
    )
    assert answer.status_code == 403
    service.refresh_from_db()
    assert service.is_superuser is False


def test_an_owner_cannot_take_over_a_superuser(owner, rows):
    roles.sync()
    second = User.objects.create_user("second", "p", is_staff=True)
    second.groups.add(Group.objects.get(name="owner"))
    client = Client()
    client.force_login(second)
    new = {"password1": "long-enough-91", "password2": "long-enough-91"}

    assert client.post(f"/admin/accounts/user/{owner.pk}/password/", new).status_code == 403
    assert client.get(f"/admin/accounts/user/{rows.pk}/change/").status_code == 200
    owner.refresh_from_db()
    assert owner.check_password("pass-phrase-9")
