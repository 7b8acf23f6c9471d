"""Every example of the API documents is played against the sample shop."""

import uuid
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection

from accounts.models import Identity
from kernel import clock
from kpay_site.examples import BODIES, PARAMETERS

# What these need comes from a call before (a code, a number, a token): the shape is shown.
OF_A_CALL_BEFORE = {
    ("post", "/api/v1/auth/wechat/login"),
    ("post", "/api/v1/auth/refresh"),
    ("post", "/api/v1/auth/logout"),
    ("post", "/api/v1/me/phone"),
    ("post", "/api/v1/orders/{no}/pay"),
}


@pytest.fixture
def shop(db) -> None:
    """The sample catalogue with the ids of a fresh demo."""
    with connection.cursor() as cursor:
        for table in ("content_course", "content_lesson", "payments_product",
                      "incentives_coupontemplate"):  # fmt: skip
            cursor.execute(f"ALTER SEQUENCE {table}_id_seq RESTART WITH 1")
    call_command("load_sample", "--catalogue", verbosity=0)


def test_every_example_works(shop, learner, api_for) -> None:
    user = learner()
    Identity.objects.create(user=user, app="mp", appid="wx1", openid="o" + "e" * 27)
    api = api_for(user)
    failed = []
    for (method, path), body in BODIES.items():
        if (method, path) in OF_A_CALL_BEFORE:
            continue
        url = path
        for name, value in PARAMETERS.items():
            url = url.replace(f"{{{name}}}", value)
        if path.endswith("/progress"):
            api.get("/api/v1/lessons/1")
        if path.endswith("/feedback"):
            feed = api.get("/api/v1/feed").json()
            body = {**body, "request_id": feed["request_id"]}
        reply = getattr(api, method)(url, body, HTTP_IDEMPOTENCY_KEY=uuid.uuid4().hex)
        if not 200 <= reply.status_code < 300:
            failed.append((method, path, reply.status_code, reply.content[:200]))
    assert failed == []


def test_the_documents_show_the_examples_and_the_error_shape(client, db) -> None:
    schema = client.get("/api/schema/", HTTP_ACCEPT="application/json").json()
    quote = schema["paths"]["/api/v1/quote"]["post"]
    content = quote["requestBody"]["content"]["application/json"]
    assert content["example"]["items"] == [{"product_id": "1", "quantity": 1}]
    assert quote["responses"]["4XX"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "/Error"
    )
    known = {(method, path) for path, ops in schema["paths"].items() for method in ops}
    assert set(BODIES) <= known


def test_the_events_example_is_accepted(shop, learner, api_for) -> None:
    at = clock.now() - timedelta(minutes=1)
    event = {
        "client_event_id": "e1",
        "type": "view",
        "course_id": "1",
        "occurred_at": at.isoformat(),
    }
    reply = api_for(learner()).post("/api/v1/events", {"events": [event]})
    assert (reply.status_code, reply.json()) == (
        202,
        {"accepted": 1, "duplicate": 0, "rejected": []},
    )
