"""Bad input ends in a 4xx with a code and a Chinese sentence, and changes nothing."""

import base64
import json
import re
import uuid

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from feedback.models import CourseProgress
from payments.models import Order

pytestmark = pytest.mark.django_db

CHINESE = re.compile(r"[\u4e00-\u9fff]")
BIG = "9" * 400


def refused(reply, status: int, code: str) -> None:
    assert reply.status_code == status, reply.content[:300]
    error = reply.json()["error"]
    assert error["code"] == code
    assert CHINESE.search(error["message"])
    assert set(error) == {"code", "message", "detail", "request_id"}


@pytest.fixture
def api(learner, api_for):
    return api_for(learner())


@pytest.mark.django_db(transaction=True)
def test_a_code_nobody_knows_and_one_that_was_used(sandbox, api_for) -> None:
    login = "/api/v1/auth/wechat/login"
    assert api_for().post(login, {"code": "nobody-knows"}).status_code == 400
    person = sandbox.user()
    code = sandbox.login_code(person["openid"])
    assert api_for().post(login, {"code": code}).status_code == 200
    before = User.objects.count()

    again = api_for().post(login, {"code": code})

    assert (again.status_code, CHINESE.search(again.json()["error"]["message"]) is not None) == (
        400,
        True,
    )
    assert User.objects.count() == before


@pytest.mark.parametrize("token", ["", "x", "é", "a" * 5000, "null"])
def test_a_wrong_token(api_for, token: str) -> None:
    api = api_for()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    refused(api.get("/api/v1/me"), 401, "token_invalid")


def test_an_order_of_nobody_looks_like_no_order(api) -> None:
    for path in ("", "/cancel", "/check"):
        call = api.post if path else api.get
        refused(call(f"/api/v1/orders/202611240000000000000000{path}"), 404, "not_found")


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b'{"nickname": "\\u0000"}',
        b'{"nickname": "\\ud800"}',
        b'{"birth_year": ' + BIG.encode() + b"}",
        b"[]",
        b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
        b"\xff\xfe\x00",
    ],
)
def test_bodies_that_can_not_be_read(api, raw: bytes) -> None:
    refused(
        api.patch("/api/v1/me", data=raw, content_type="application/json"), 400, "invalid_input"
    )


def test_a_body_of_a_megabyte(api) -> None:
    raw = b'{"nickname": "' + b"a" * 1_000_000 + b'"}'
    refused(
        api.patch("/api/v1/me", data=raw, content_type="application/json"), 413, "body_too_large"
    )


@pytest.mark.parametrize("kind", ["application/xml", "multipart/form-data; boundary=x"])
def test_other_media_types(api, kind: str) -> None:
    reply = api.post("/api/v1/quote", data=b"<a/>", content_type=kind)
    refused(reply, 415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/courses", "/orders", "/points/entries", "/feed"])
@pytest.mark.parametrize("cursor", ["%00", "abc", "W10", "eyJhIjoxfQ", "é" * 10, "A" * 3000])
def test_broken_cursors(api, path: str, cursor: str) -> None:
    reply = api.get(f"/api/v1{path}", {"cursor": cursor})
    refused(reply, 400, "invalid_input")


# Moments that Python reads and PostgreSQL, or UTC, does not.
@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00"]
)
@pytest.mark.parametrize("path", ["/orders", "/me/continue", "/me/favourites", "/points/entries"])
def test_cursors_with_impossible_moments(api, path: str, moment: str) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps([moment, 1]).encode()).decode().rstrip("=")
    refused(api.get(f"/api/v1{path}", {"cursor": cursor}), 400, "invalid_input")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", ["0", "9223372036854775807", "9223372036854775808", BIG])
def test_clearing_what_never_was_is_no_fault(api, number: str) -> None:
    for kind in ("rating", "favourite"):
        reply = api.delete(f"/api/v1/courses/{number}/{kind}")
        assert reply.status_code in (204, 404), (kind, reply.content)
    assert not CourseProgress.objects.exists()


@pytest.mark.parametrize(
    "row",
    [
        {"plans": [{"key": "p", "title": "\x00", "price_fen": 1, "period": "month"}]},
        {"earning_rules": [{"key": "e", "kind": "check_in", "points": 10**20}]},
        {"courses": [{"key": "c"}]},
        {"plans": [{"key": "p", "title": "x", "price_fen": "1", "period": "month"}]},
        {"creators": ["x"]},
        {"courses": [{"key": "c", "title": "x", "lessons": [1]}]},
    ],
)
def test_a_broken_row_of_provision_is_one_sentence(row, tmp_path) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(row))

    with pytest.raises(CommandError) as refusal:
        call_command("provision", str(tmp_path / "shop.json"))

    assert CHINESE.search(str(refusal.value))
    assert next(iter(row)) in str(refusal.value)


@pytest.mark.parametrize("value", [BIG, "-1", "0", "1.5", "abc", "１２", "\x00"])
def test_limits_and_ids_that_are_no_numbers(api, value: str) -> None:
    assert api.get("/api/v1/courses", {"limit": value}).status_code == 400
    assert api.get("/api/v1/feed", {"limit": value}).status_code == 400
    body = {"items": [{"product_id": value, "quantity": 1}], "platform": "android"}
    assert 400 <= api.post("/api/v1/quote", body).status_code < 500


@pytest.mark.parametrize(
    "path",
    [f"/courses/{BIG}", f"/lessons/{BIG}", f"/products/{BIG}", "/courses/%00", "/orders/%00",
     "/courses/1%0a", "/me/tags/%00", f"/courses/{BIG}/similar"],
)  # fmt: skip
def test_paths_with_impossible_ids(api, path: str) -> None:
    reply = api.get(f"/api/v1{path}")
    assert 400 <= reply.status_code < 500
    assert CHINESE.search(reply.json()["error"]["message"])


@pytest.mark.parametrize("field", ["q", "tag", "category", "creator", "sort"])
@pytest.mark.parametrize("value", ["\x00", BIG, "'; DROP TABLE x; --", "%", "\ud7ff" * 500])
def test_search_takes_any_text_without_a_fault(api, field: str, value: str) -> None:
    assert api.get("/api/v1/courses", {field: value}).status_code < 500


def test_a_missing_idempotency_key_makes_no_order(api) -> None:
    body = {"items": [{"product_id": "1", "quantity": 1}], "platform": "android"}
    refused(api.post("/api/v1/orders", body), 400, "invalid_input")
    assert not Order.objects.exists()


def test_an_order_for_a_product_nobody_sells(api) -> None:
    body = {"items": [{"product_id": "987654321", "quantity": 1}], "platform": "android"}
    reply = api.post("/api/v1/orders", body, HTTP_IDEMPOTENCY_KEY=uuid.uuid4().hex)
    assert reply.status_code in {400, 404}
    assert CHINESE.search(reply.json()["error"]["message"])
    assert not Order.objects.exists()


def test_wrong_methods(api) -> None:
    refused(api.delete("/api/v1/quote"), 405, "method_not_allowed")


def test_xml_with_entities_is_refused_before_it_is_parsed(client) -> None:
    bomb = (
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
        b"<xml><ToUserName>&b;</ToUserName></xml>"
    )
    for door in ("/wechat/oa/callback", "/wechat/mp/callback"):
        reply = client.post(
            f"{door}?signature=x&timestamp=1&nonce=2", bomb, content_type="text/xml"
        )
        assert 400 <= reply.status_code < 500
        assert CHINESE.search(reply.json()["error"]["message"])
    pay = client.post("/wechat/pay/notify", bomb, content_type="application/json")
    assert 400 <= pay.status_code < 500


def test_a_callback_of_a_megabyte_is_not_read(client) -> None:
    for door in ("/wechat/oa/callback", "/wechat/mp/callback", "/wechat/pay/notify"):
        reply = client.post(door, b"x" * 1_100_000, content_type="text/xml")
        assert reply.status_code in {400, 401, 403, 413}
