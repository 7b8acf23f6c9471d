"""The operators' pages: templates are written, ledgers are read."""

import pytest
from django.test import Client

from accounts.models import User
from incentives.models import CouponTemplate, EarningRule, RedeemCode
from incentives.services import check_in, code_redeem, coupon_claim, earning_rule_save

MODELS = (
    "coupontemplate",
    "coupon",
    "templateuser",
    "earningrule",
    "pointswallet",
    "pointlot",
    "pointentry",
    "pointclawback",
    "checkin",
    "redeemcode",
    "redeemuse",
)
WRITTEN = {"coupontemplate", "earningrule", "redeemcode"}
TEMPLATE = {
    "key": "new",
    "title": "新人券",
    "discount_fen": 2000,
    "min_fen": 10_000,
    "scopes": "course:*",
    "budget_count": 10,
    "per_user": 1,
    "valid_days": 30,
    "claimable": "on",
    "active": "on",
}


@pytest.fixture
def operator(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("op", "secret-of-op"))
    return client


@pytest.mark.parametrize("model", MODELS)
def test_lists_open_search_and_are_read_only_where_they_are_evidence(
    operator, learner, template, earn, model
):
    user = learner()
    earn(user, 30)
    earning_rule_save(key="ci", kind="check_in", points=5)
    check_in(user.pk)
    coupon_claim(user_id=user.pk, template_id=template().pk)
    operator.post(
        "/admin/incentives/redeemcode/add/",
        {"key": "r", "scope": "pack:1", "max_uses": 1, "active": "on", "code": "OPENSESAME"},
    )
    code_redeem(user_id=user.pk, code="OPENSESAME")
    path = f"/admin/incentives/{model}/"

    assert operator.get(path).status_code == 200
    assert operator.get(path, {"q": user.username}).status_code == 200
    assert operator.get(f"{path}add/").status_code == (200 if model in WRITTEN else 403)


def test_a_template_is_written_and_its_promise_is_closed_after_the_first_claim(operator, learner):
    reply = operator.post("/admin/incentives/coupontemplate/add/", TEMPLATE)
    assert reply.status_code == 302, reply.content.decode()
    rule = CouponTemplate.objects.get()
    assert rule.scopes == ["course:*"]
    coupon_claim(user_id=learner().pk, template_id=rule.pk)
    path = f"/admin/incentives/coupontemplate/{rule.pk}/change/"

    operator.post(path, {**TEMPLATE, "title": "新名字", "discount_fen": 1, "min_fen": 0})
    rule.refresh_from_db()
    assert (rule.title, rule.discount_fen, rule.min_fen) == ("新名字", 2000, 10_000)

    refused = operator.post(path, {**TEMPLATE, "budget_count": 0})
    assert "预算不能低于已领取的数量。" in refused.content.decode()


def test_a_second_rule_in_force_is_refused_with_a_sentence(operator):
    earning_rule_save(key="ci", kind="check_in", points=5)

    reply = operator.post(
        "/admin/incentives/earningrule/add/",
        {
            "key": "ci2",
            "kind": "check_in",
            "points": 9,
            "streak_bonus": 0,
            "valid_days": 9,
            "active": "on",
        },
    )

    assert reply.status_code == 200
    assert EarningRule.objects.count() == 1


def test_a_code_without_its_text_is_refused(operator):
    reply = operator.post(
        "/admin/incentives/redeemcode/add/",
        {"key": "r", "scope": "pack:1", "max_uses": 1, "active": "on"},
    )

    assert "请填写兑换码。" in reply.content.decode()
    assert not RedeemCode.objects.exists()
