"""The mini-program's calls: points, check-in, coupons, codes."""

from dataclasses import replace
from datetime import datetime

import pytest

from incentives.models import Coupon, RedeemCode
from incentives.services import coupon_claim, earning_rule_save, redeem_code_save
from payments.models import Entitlement
from payments.selectors import entitled
from payments.services import entitlement_grant
from tests.incentives.conftest import all_at_once


def code_of(reply) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def test_points_tell_balance_and_what_expires(learner, api_for, earn):
    earning_rule_save(key="ci", kind="check_in", points=5)
    user = learner()
    lot = earn(user, 30, valid_days=10)
    client = api_for(user)
    assert client.get("/api/v1/points").json()["checked_in_today"] is False

    checked = client.post("/api/v1/points/check-in").json()
    again = client.post("/api/v1/points/check-in").json()
    points = client.get("/api/v1/points").json()

    assert (checked["points"], checked["streak"], checked["already"]) == (5, 1, False)
    assert (again["balance"], again["already"]) == (35, True)
    assert points["balance"] == 35
    assert (points["checked_in_today"], points["streak"]) == (True, 1)
    (expiring,) = points["expiring"]
    assert expiring["points"] == 30
    assert expiring["expires_at"].endswith("+08:00")
    assert datetime.fromisoformat(expiring["expires_at"]) == lot.expires_at


def test_entries_are_paged_newest_first(learner, api_for, earn):
    user = learner()
    for points in (1, 2, 3):
        earn(user, points)
    client = api_for(user)

    first = client.get("/api/v1/points/entries?limit=2").json()
    second = client.get(
        "/api/v1/points/entries", {"limit": 2, "cursor": first["next_cursor"]}
    ).json()

    assert [entry["delta"] for entry in first["items"] + second["items"]] == [3, 2, 1]
    assert second["next_cursor"] is None
    newest = first["items"][0]
    assert set(newest) == {"id", "delta", "kind", "ref", "text", "created_at"}
    assert (newest["kind"], newest["text"]) == ("earn", "评价通过审核")
    assert isinstance(newest["id"], str)


def test_a_broken_cursor_is_a_client_error(learner, api_for):
    client = api_for(learner())

    for path in ("/api/v1/points/entries", "/api/v1/coupons"):
        assert code_of(client.get(path, {"cursor": "x!"})) == (400, "invalid_input")


def test_nothing_is_told_without_a_token(api_for, db):
    for path in ("points", "points/entries", "coupons"):
        assert api_for().get(f"/api/v1/{path}").status_code == 401
    for path in ("points/check-in", "coupons/claim", "redeem"):
        assert api_for().post(f"/api/v1/{path}", {}).status_code == 401


def test_a_claim_answers_with_the_coupon_and_lists_it(learner, api_for, template):
    rule = template(scopes=["course:*"])
    user = learner()
    client = api_for(user)

    claimed = client.post("/api/v1/coupons/claim", {"template_id": str(rule.pk)})

    assert claimed.status_code == 201
    coupon = claimed.json()
    assert coupon["template_id"] == str(rule.pk)
    assert (coupon["title"], coupon["discount_fen"], coupon["min_fen"]) == ("新人券", 2000, 10_000)
    assert (coupon["status"], coupon["order_no"]) == ("issued", None)
    assert client.get("/api/v1/coupons").json() == {"items": [coupon], "next_cursor": None}
    assert api_for(learner()).get("/api/v1/coupons").json()["items"] == []


def test_coupons_are_listed_by_what_they_are_now(learner, api_for, template, days_later):
    user = learner()
    rule = template(valid_days=3)
    coupon_claim(user_id=user.pk, template_id=rule.pk)
    days_later(0.1)
    client = api_for(user)
    assert len(client.get("/api/v1/coupons?status=issued").json()["items"]) == 1
    Coupon.objects.update(expires_at=Coupon.objects.get().created_at)  # over, not yet swept

    assert client.get("/api/v1/coupons?status=issued").json()["items"] == []
    (expired,) = client.get("/api/v1/coupons?status=expired").json()["items"]
    assert expired["status"] == "expired"
    assert code_of(client.get("/api/v1/coupons?status=nice")) == (400, "invalid_input")


def test_a_claim_with_a_key_is_answered_the_same_again(learner, api_for, template):
    rule = template(per_user=5)
    client = api_for(learner())
    body = {"template_id": str(rule.pk)}

    first = client.post("/api/v1/coupons/claim", body, headers={"Idempotency-Key": "k"})
    again = client.post("/api/v1/coupons/claim", body, headers={"Idempotency-Key": "k"})

    assert first.json() == again.json()
    assert Coupon.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"template_id": "1", "code": "A"},
        {"template_id": "x"},
        {"template_id": 10**25},
        {"template_id": "9" * 19},
        {"template_id": True},
        {"template_id": ["1"]},
        {"code": "a\u0000b"},
        {"code": "x" * 41},
        {"code": {"a": 1}},
    ],
)
def test_bad_claims_are_client_errors(learner, api_for, body):
    reply = api_for(learner()).post("/api/v1/coupons/claim", body)

    assert reply.status_code in {400, 404}
    assert reply.json()["error"]["message"]


def test_refused_claims_say_why(learner, api_for, template):
    client = api_for(learner())
    rule = template(budget_count=1)
    hidden = template(claimable=False)
    client.post("/api/v1/coupons/claim", {"template_id": str(rule.pk)})

    def claim(client, **body):
        return code_of(client.post("/api/v1/coupons/claim", body))

    other = api_for(learner())
    assert claim(other, template_id=str(rule.pk)) == (409, "coupon_sold_out")
    assert claim(other, template_id=str(hidden.pk)) == (409, "coupon_not_claimable")
    assert claim(other, code="nothing") == (404, "not_found")


@pytest.mark.django_db(transaction=True)
def test_64_clients_over_http_get_exactly_ten(learner, api_for, template):
    rule = template(budget_count=10)
    clients = [api_for(learner()) for _ in range(64)]

    replies = all_at_once(
        64,
        lambda n: clients[n].post(
            "/api/v1/coupons/claim",
            {"template_id": str(rule.pk)},
            headers={"Idempotency-Key": f"k{n}"},
        ),
    )

    statuses = sorted(reply.status_code for reply in replies)
    assert statuses == [201] * 10 + [409] * 54


def test_codes_are_rate_limited_even_when_wrong(learner, api_for, settings):
    settings.KPAY = replace(settings.KPAY, rate_limits=True)
    client = api_for(learner())

    claims = [
        client.post("/api/v1/coupons/claim", {"code": f"c{n}"}).status_code for n in range(25)
    ]
    redeems = [client.post("/api/v1/redeem", {"code": f"c{n}"}).status_code for n in range(25)]

    # A window may turn over once in between: at most two windows of ten.
    for statuses in (claims, redeems):
        assert set(statuses) == {404, 429}
        assert statuses.count(404) <= 20


def test_a_code_opens_its_course_once_per_user(learner, api_for):
    redeem_code_save(key="r", code="kpay-2026-gift", scope="course:12", max_uses=2)
    user = learner()
    client = api_for(user)

    first = client.post("/api/v1/redeem", {"code": "KPAY 2026 GIFT"})
    again = client.post("/api/v1/redeem", {"code": "kpay2026gift"})

    assert first.status_code == 200
    assert first.json() == {"scope": "course:12", "course_id": "12", "valid_until": None}
    assert again.json() == first.json()
    assert entitled(user.pk, "course:12")
    assert Entitlement.objects.get().source == "redeem"
    assert RedeemCode.objects.get().used_count == 1


@pytest.mark.django_db(transaction=True)
def test_many_users_at_once_get_exactly_the_uses_of_a_code(learner, api_for):
    redeem_code_save(key="r", code="OPENSESAME", scope="course:12", max_uses=3)
    clients = [api_for(learner()) for _ in range(16)]

    replies = all_at_once(16, lambda n: clients[n].post("/api/v1/redeem", {"code": "OPENSESAME"}))

    assert sorted(reply.status_code for reply in replies) == [200] * 3 + [409] * 13
    assert Entitlement.objects.count() == 3


def test_refused_codes_waste_no_use(learner, api_for):
    redeem_code_save(key="r", code="OPENSESAME", scope="course:12", max_uses=1)
    redeem_code_save(key="off", code="CLOSEDDOOR", scope="course:12", active=False)
    owner = learner()
    entitlement_grant(
        user_id=owner.pk, scope="course:12", source="operator", source_ref="1", reason="test"
    )

    def redeem(user, code):
        return code_of(api_for(user).post("/api/v1/redeem", {"code": code}))

    assert redeem(owner, "OPENSESAME") == (409, "already_owned")
    assert redeem(owner, "CLOSEDDOOR") == (404, "not_found")
    assert redeem(owner, "") == (400, "invalid_input")
    assert RedeemCode.objects.get(key="r").used_count == 0
    api_for(learner()).post("/api/v1/redeem", {"code": "OPENSESAME"})
    assert redeem(learner(), "OPENSESAME") == (409, "code_used_up")


def test_the_code_itself_is_not_kept(db):
    saved = redeem_code_save(key="r", code="kpay-2026-gift", scope="course:12")

    kept = [str(getattr(saved, field.name)) for field in RedeemCode._meta.fields]
    assert not any("2026GIFT" in text.upper() for text in kept)
    assert saved.hint == "GIFT"
