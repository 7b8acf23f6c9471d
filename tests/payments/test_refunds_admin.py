"""Operators refund, decide and set rules in the admin; every deed is kept with its reason."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from accounts import roles
from accounts.models import User
from kernel.models import StaffAction
from payments.models import Order, Refund, RefundPolicy, ShareRule
from tests.payments.conftest import pay
from tests.payments.refunding import ask, money, paid_order, staff, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def office(db: None) -> Any:
    """`office("finance")` is the browser of an operator in that role."""
    roles.sync()

    def make(role: str) -> Client:
        user = User.objects.create_user(f"{role}{User.objects.count()}", is_staff=True)
        user.groups.set(Group.objects.filter(name=role))
        client = Client()
        client.force_login(user)
        return client

    return make


def on_order(order: Order) -> str:
    return f"/admin/payments/order/{order.pk}/refund/"


def on_refund(refund: Refund, deed: str) -> str:
    return f"/admin/payments/refund/{refund.pk}/{deed}/"


def deeds() -> list[str]:
    return list(StaffAction.objects.order_by("pk").values_list("action", flat=True))


def test_service_refunds_an_order_by_line_by_amount_or_whole(office, buyer, course):
    order = paid_order(buyer, course(), (5000, 0, 0), (3000, 0, 0))
    service = office("service")
    page = service.get(on_order(order))
    assert "可退 50.00 元" in page.content.decode()
    assert (
        on_order(order)
        in service.get(reverse("admin:payments_order_change", args=[order.pk])).content.decode()
    )

    by_line = service.post(on_order(order), {"line_2": "12.34", "reason": "课程有误"})
    by_amount = service.post(on_order(order), {"amount": "10", "reason": "补偿"})
    rest = service.post(on_order(order), {"reason": "全部"})

    assert [r.status_code for r in (by_line, by_amount, rest)] == [302] * 3
    amounts = list(Refund.objects.order_by("pk").values_list("amount_fen", "cause"))
    assert amounts == [(1234, "operator"), (1000, "operator"), (5766, "operator")]
    assert deeds() == ["payments.refund_request"] * 3
    assert StaffAction.objects.first().reason == "课程有误"


@pytest.mark.parametrize(
    "form",
    [
        {"amount": "1"},
        {"amount": "1.234", "reason": "x"},
        {"amount": "-1", "reason": "x"},
        {"amount": "999999999999", "reason": "x"},
        {"amount": "100", "reason": "x"},
        {"line_1": "1", "amount": "2", "reason": "x"},
        {"line_1": "x", "reason": "x"},
        {"reason": " "},
        {"reason": "\x00"},
    ],
)
def test_a_wrong_form_comes_back_with_its_mistake(office, course, pending, form):
    order = pending(course(price_fen=9900))
    pay(order)

    reply = office("finance").post(on_order(order), form)

    assert reply.status_code == 200
    assert "errors" in reply.content.decode() or "error" in reply.content.decode()
    assert not Refund.objects.exists()


def test_an_unpaid_order_says_so(office, course, pending):
    reply = office("finance").post(on_order(pending(course())), {"reason": "x"})

    assert "订单尚未支付" in reply.content.decode()


def test_who_may_not_refund_sees_no_door(office, course, pending):
    order = pending(course())
    pay(order)

    assert office("editor").get(on_order(order)).status_code == 403
    assert office("analyst").post(on_order(order), {"reason": "x"}).status_code == 403
    assert office("finance").get("/admin/payments/order/0/refund/").status_code == 404


def test_finance_decides_and_service_does_not(office, course, pending):
    order = pending(course(price_fen=60_000))
    pay(order)
    refund = ask(order)
    service, finance = office("service"), office("finance")
    page = reverse("admin:payments_refund_change", args=[refund.pk])

    refused = [service.post(on_refund(refund, deed)).status_code for deed in ("approve", "reject")]
    shown = finance.get(page).content.decode()
    hidden = service.get(page).content.decode()
    asked = finance.get(on_refund(refund, "approve")).status_code
    done = finance.post(on_refund(refund, "approve"), {"note": "同意"})

    assert refused == [403, 403]
    assert on_refund(refund, "approve") in shown
    assert on_refund(refund, "give-up") not in shown
    assert on_refund(refund, "approve") not in hidden
    assert (asked, done.status_code) == (200, 302)
    refund.refresh_from_db()
    assert (refund.approval, refund.decision_note) == ("approved", "同意")


def test_nobody_decides_on_a_refund_of_their_own(office, course, pending):
    order = pending(course(price_fen=60_000))
    pay(order)
    finance = office("finance")
    finance.post(on_order(order), {"reason": "x"})
    refund = Refund.objects.get()

    own = finance.post(on_refund(refund, "approve"), {"note": ""})
    other = office("owner").post(on_refund(refund, "reject"), {"reason": "证据不足"})

    assert "申请人不能审批自己的退款" in own.content.decode()
    assert other.status_code == 302
    refund.refresh_from_db()
    assert (refund.status, refund.approval) == ("rejected", "rejected")
    assert money(order)[0] == 0


def test_a_reason_is_needed(office, course, pending):
    order = pending(course(price_fen=60_000))
    pay(order)
    refund = ask(order)
    finance = office("finance")

    for deed in ("reject", "ask-again", "give-up", "send-elsewhere"):
        assert finance.post(on_refund(refund, deed), {"reason": ""}).status_code == 200
    refund.refresh_from_db()
    assert refund.status == "requested"
    assert deeds() == []


def test_a_card_wants_all_of_its_fields(office, course, pending):
    order = pending(course())
    pay(order)
    refund = ask(order)
    tell(refund, "ABNORMAL")
    form = {"to": "card", "bank_type": "ICBC_DEBIT", "number": "12", "reason": "注销"}

    reply = office("finance").post(on_refund(refund, "send-elsewhere"), form)

    assert reply.status_code == 200
    assert "退到银行卡时必须填写" in reply.content.decode()
    assert deeds() == []


def test_the_list_shows_what_waits_for_a_person_and_why(office, course, pending):
    orders = [pending(course(price_fen=60_000)), pending(course()), pending(course())]
    for order in orders:
        pay(order)
    waiting, stuck, well = (ask(order) for order in orders)
    Refund.objects.filter(pk=stuck.pk).update(checks=12, last_error="WeChatNotNow NOT_ENOUGH")
    finance = office("finance")

    page = finance.get("/admin/payments/refund/?todo=person").content.decode()
    errors = finance.get("/admin/payments/refund/?todo=error").content.decode()

    assert waiting.out_refund_no in page
    assert stuck.out_refund_no in page
    assert "NOT_ENOUGH" in page
    assert well.out_refund_no not in page
    assert waiting.out_refund_no not in errors


def test_asking_again_puts_it_first(office, course, pending):
    order = pending(course())
    pay(order)
    refund = ask(order)
    Refund.objects.filter(pk=refund.pk).update(checks=440, next_check_at=None, last_error="x")

    reply = office("finance").post(on_refund(refund, "ask-again"), {"reason": "余额已充值"})

    assert reply.status_code == 302
    refund.refresh_from_db()
    assert (refund.checks, refund.next_check_at is not None) == (1, True)
    assert deeds() == ["payments.refund_ask_again"]


POLICY = {"kind": "course", "full_days": 14, "full_below_bp": 5000, "tail": "none", "tail_days": 0}


def test_a_refund_policy_is_set_within_its_bounds(office):
    finance = office("finance")
    add = reverse("admin:payments_refundpolicy_add")

    made = finance.post(add, POLICY)
    wrong = [
        finance.post(add, {**POLICY, "kind": "", **changed}).status_code
        for changed in (
            {"full_below_bp": 10_001},
            {"full_days": 366},
            {"tail": "unused", "tail_days": 14},
            {"full_days": -1},
        )
    ]
    twice = finance.post(add, POLICY)

    assert (made.status_code, wrong, twice.status_code) == (302, [200] * 4, 200)
    assert RefundPolicy.objects.get().full_days == 14
    assert deeds() == ["payments.refund_policy_add"]


def test_shares_of_one_scope_stay_within_the_whole(office):
    finance = office("finance")
    add = reverse("admin:payments_sharerule_add")
    rule = {"scope": "course:1", "payee": "7", "share_bp": 7000, "active": "on"}

    first = finance.post(add, rule)
    beyond = finance.post(add, {**rule, "payee": "8", "share_bp": 3001})
    fits = finance.post(add, {**rule, "payee": "8", "share_bp": 3000})
    change = reverse("admin:payments_sharerule_change", args=[ShareRule.objects.first().pk])
    grown = finance.post(change, {**rule, "share_bp": 7001})
    odd = finance.post(add, {**rule, "payee": "Ä", "share_bp": 1, "scope": "course:2"})

    statuses = [r.status_code for r in (first, beyond, fits, grown, odd)]
    assert statuses == [302, 200, 302, 200, 200]
    assert "还可设 3000" in beyond.content.decode()
    assert deeds() == ["payments.share_rule_add"] * 2
    assert finance.get(change.replace("change", "delete")).status_code == 403


def test_reading_roles_change_no_rule(office):
    service = office("service")

    assert service.get(reverse("admin:payments_refundpolicy_add")).status_code == 403
    assert service.get(reverse("admin:payments_refundpolicy_changelist")).status_code == 200


def test_staff_without_a_role_decides_nothing(course, pending):
    order = pending(course(price_fen=60_000))
    pay(order)
    refund = ask(order)
    client = Client()
    client.force_login(staff("guest", "view_refund"))

    assert client.post(on_refund(refund, "approve"), {"note": ""}).status_code == 403
