"""Secrets and personal data: what is stored in which form, and what nobody registered."""

import pytest
from django.db import connection
from django.test import Client
from django.utils.module_loading import autodiscover_modules

from accounts.models import Identity
from kernel import clock, crypto, personal
from kernel.ids import new_token
from kernel.models import OutboxRow
from kernel.personal import Form
from payments.selftest import ground
from tests.builders import client_for, make_learner

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _registered() -> None:
    autodiscover_modules("personal")


def found() -> list[tuple[str, str, str]]:
    with connection.cursor() as cursor:
        rows = personal.nothing_in_clear(cursor).rows
    return [(row["table"], row["column"], row["what"]) for row in rows]


def outbox(payload: dict) -> None:
    at = clock.now()
    OutboxRow.objects.create(kind="x", payload=payload, handler="x", due_at=at, created_at=at)


def test_what_the_product_stores_of_people_is_in_order():
    user = make_learner(phone_encrypted=crypto.encrypt("13800138000", context="phone"))
    user.identities.create(
        app="mp", appid="wx1", openid="o" * 28,
        session_key_encrypted=crypto.encrypt("tiihtNczf5v6AKRyjwEUhQ==", context="session_key"),
    )  # fmt: skip
    user.set_password("correct horse battery staple")
    user.save()
    client_for(user)
    Client().force_login(user)
    ground.sale()
    outbox({"order_no": "202611241934001380013800", "prepay_id": "wx13800138000a", "n": 41})

    assert found() == []


@pytest.mark.parametrize(
    "payload",
    [
        {"phone": "13800138000"},
        {"text": "+8613800138000"},
        {"session_key": "tiihtNczf5v6AKRyjwEUhQ=="},
        {"deep": [{"access": new_token()}]},
    ],
)
def test_what_programs_write_down_holds_no_phone_number_and_no_token(payload):
    outbox(payload)

    assert found() == [("kernel_outboxrow", "payload", f"not: {Form.MACHINE.value}")]


@pytest.mark.parametrize("name", ["phone", "mobile_no", "access_token", "openid", "email"])
def test_a_column_that_sounds_like_a_secret_has_to_be_registered(name):
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE payments_refund ADD COLUMN {name} varchar(50)")

    assert found() == [("payments_refund", name, "not registered")]


def test_a_registered_column_that_is_gone_is_reported():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments_payment DROP COLUMN payer_openid")

    assert ("payments_payment", "payer_openid", "does not exist") in found_by_name()


def found_by_name() -> list[tuple[str, str, str]]:
    with connection.cursor() as cursor:
        rows = personal._by_name(cursor, personal.registered()).rows
    return [(row["table"], row["column"], row["what"]) for row in rows]


def test_what_an_erased_person_left_behind_is_found_by_column():
    gone, stays = make_learner(nickname="小明"), make_learner(nickname="小红")
    for user in (gone, stays):
        Identity.objects.create(user=user, app="mp", appid="wx1", openid=f"o{user.pk}")

    def left() -> set[tuple[str, str]]:
        with connection.cursor() as cursor:
            rows = personal.remains(cursor, f"SELECT {gone.pk}").rows
        return {(row["table"], row["column"]) for row in rows}

    assert left() == {("accounts_user", "nickname"), ("accounts_identity", "openid")}
    gone.identities.all().delete()
    gone.nickname = ""
    gone.save()
    assert left() == set()


def test_the_value_of_a_session_cookie_is_not_in_the_database():
    browser = Client()
    browser.force_login(make_learner(is_staff=True, is_superuser=True))
    cookie = browser.cookies["sessionid"].value

    assert browser.get("/admin/").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_key FROM django_session")
        ((stored,),) = cursor.fetchall()
    assert cookie not in stored
    assert Client(headers={"cookie": f"sessionid={stored}"}).get("/admin/").status_code == 302

    browser.post("/admin/logout/")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_session")
        assert cursor.fetchone() == (0,)
    browser.cookies["sessionid"] = cookie
    assert browser.get("/admin/").status_code == 302
