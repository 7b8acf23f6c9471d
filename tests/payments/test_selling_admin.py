"""Operators try prices, set bundles and offers, and decide on invoices."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from incentives.services import coupon_claim, coupon_template_save
from kernel import clock
from kernel.models import StaffAction
from payments.models import BundleItem, GroupOffer, Invoice, Product, Quote
from payments.services.invoices import invoice_request
from tests.payments.conftest import pay

pytestmark = pytest.mark.django_db

TRY = reverse("admin:payments_product_try_any")


@pytest.fixture
def office():
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def product_form(product, **changed):
    values = {
        "title": product.title, "list_fen": product.list_fen, "price_fen": product.price_fen,
        "channels": "jsapi,virtual", "member_scope": "membership:vip", "active": "on",
        "promo_from_0": "", "promo_from_1": "", "promo_until_0": "", "promo_until_1": "",
    }  # fmt: skip
    return {**values, **changed}


def page_of(product):
    return reverse("admin:payments_product_change", args=[product.pk])


@pytest.mark.parametrize(
    "changed",
    [
        {"promo_fen": 9900},
        {"promo_until_0": "2030-01-01", "promo_until_1": "00:00:00"},
        {
            "promo_fen": 100,
            "promo_from_0": "2030-01-02", "promo_from_1": "00:00:00",
            "promo_until_0": "2030-01-01", "promo_until_1": "00:00:00",
        },
    ],
)  # fmt: skip
def test_a_promotion_that_makes_no_sense_is_refused(office, course, changed):
    product = course(price_fen=9900)

    reply = office.post(page_of(product), product_form(product, **changed))

    assert reply.status_code == 200
    product.refresh_from_db()
    assert product.promo_fen is None


def test_a_promotion_with_dates_is_saved(office, course):
    product = course(price_fen=9900)
    dates = {"promo_until_0": "2030-01-01", "promo_until_1": "00:00:00"}

    reply = office.post(page_of(product), product_form(product, promo_fen=4900, **dates))

    assert reply.status_code == 302
    product.refresh_from_db()
    assert product.promo_fen == 4900
    assert product.promo_until is not None


def bundle_rows(*items, initial=0):
    rows = {"bundle_items-TOTAL_FORMS": len(items), "bundle_items-INITIAL_FORMS": initial}
    for number, item in enumerate(items):
        rows |= {
            f"bundle_items-{number}-item": item.pk,
            f"bundle_items-{number}-position": number,
        }
    return rows


def test_what_is_in_a_bundle_is_set_on_its_page(office, course, bundle):
    made, first, second = bundle(), course(), course()

    saved = office.post(page_of(made), product_form(made, **bundle_rows(first, second)))

    assert saved.status_code == 302
    assert [row.item for row in BundleItem.objects.order_by("position")] == [first, second]


def test_a_bundle_in_a_bundle_is_refused_on_its_page(office, course, bundle):
    made, inner = bundle(), bundle(course())

    refused = office.post(page_of(made), product_form(made, **bundle_rows(inner)))

    assert refused.status_code == 200
    assert "不能包含其他套餐" in refused.content.decode()
    assert not BundleItem.objects.filter(bundle=made).exists()


def test_a_course_page_has_no_bundle_rows(office, course):
    assert "bundle_items" not in office.get(page_of(course())).content.decode()


def test_a_price_is_tried_for_a_learner_and_a_coming_promotion(office, buyer, course):
    product = course(price_fen=9900, list_fen=19900)
    soon = clock.now() + timedelta(days=2)
    Product.objects.filter(pk=product.pk).update(promo_fen=5900, promo_from=soon)
    template = coupon_template_save(key="t", title="券", discount_fen=2000, budget_count=9)
    coupon_claim(user_id=buyer.pk, template_id=template.pk)
    at = (soon + timedelta(hours=1)).astimezone(clock.SHOP_ZONE).strftime("%Y-%m-%dT%H:%M")
    asked = {"items": f"{product.pk}", "learner": buyer.username, "platform": "android"}

    now = office.get(TRY, asked).content.decode()
    then = office.get(TRY, {**asked, "at": at, "best": "on"}).content.decode()

    assert "应付 ¥99.00（总价 ¥199.00，优惠 ¥100.00，积分抵扣 ¥0.00）" in now
    assert "可再省 20.00 元" in now
    assert "应付 ¥39.00" in then
    for step in ("原价", "优惠价", "限时优惠", "立减20元"):
        assert step in then
    assert not Quote.objects.exists()


def test_gifts_are_tried_by_the_piece(office, course):
    product = course(price_fen=1000)

    page = office.get(TRY, {"items": f"{product.pk}x3", "platform": "android", "as_gift": "on"})

    assert "应付 ¥30.00" in page.content.decode()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"items": "abc"}, "无法识别"),
        ({"items": "99999999"}, "内容不存在"),
        ({"items": "1", "learner": "nobody"}, "没有这位学员"),
        ({"items": "1", "points": "5"}, "请填写学员"),
    ],
)
def test_a_trial_says_what_is_wrong(office, asked, said):
    page = office.get(TRY, {"platform": "android", **asked})

    assert page.status_code == 200
    assert said in page.content.decode()


def test_chosen_products_are_tried(office, course):
    first, second = course(), course()
    address = reverse("admin:payments_product_changelist")

    reply = office.post(
        address, {"action": "try_chosen", "_selected_action": [first.pk, second.pk]}
    )

    assert reply.status_code == 302
    page = office.get(reply["Location"])
    assert all(str(product.pk) in page.content.decode() for product in (first, second))


def test_a_group_offer_is_below_the_shops_price(office, course):
    product = course(price_fen=9900)
    address = reverse("admin:payments_groupoffer_add")
    form = {"product": product.pk, "size": 3, "hours": 24, "active": "on"}

    refused = office.post(address, {**form, "price_fen": 9900})
    saved = office.post(address, {**form, "price_fen": 6900})

    assert (refused.status_code, saved.status_code) == (200, 302)
    assert GroupOffer.objects.get().price_fen == 6900


def asked_for(buyer, course, pending):
    order = pending(course(price_fen=9900))
    pay(order)
    return invoice_request(
        user=buyer, no=order.no, kind="personal", title="林小满", email="lin@example.com"
    )


def test_staff_issue_an_invoice_with_its_number(office, buyer, course, pending):
    invoice = asked_for(buyer, course, pending)
    address = reverse("admin:payments_invoice_issued", args=[invoice.pk])

    shown = office.get(address)
    empty = office.post(address, {"number": " "})
    done = office.post(address, {"number": "2431200001"})

    assert "99.00" in shown.content.decode()
    assert (empty.status_code, done.status_code) == (200, 302)
    invoice.refresh_from_db()
    assert (invoice.status, invoice.number) == ("issued", "2431200001")
    assert StaffAction.objects.get().target == f"invoice:{invoice.pk}"
    assert address not in office.get(done["Location"]).content.decode()


def test_staff_reject_an_invoice_with_a_reason(office, buyer, course, pending):
    invoice = asked_for(buyer, course, pending)
    address = reverse("admin:payments_invoice_reject", args=[invoice.pk])

    office.post(address, {"reason": "抬头有误"})
    again = office.post(address, {"reason": "再驳回"})

    assert again.status_code == 200  # the form says that it is decided
    invoice.refresh_from_db()
    assert (invoice.status, invoice.note) == ("rejected", "抬头有误")
    assert Invoice.objects.count() == 1


def test_who_may_only_look_decides_nothing(buyer, course, pending):
    invoice = asked_for(buyer, course, pending)
    client = Client()
    clerk = User.objects.create_user("clerk", is_staff=True)
    client.force_login(clerk)

    for name in ("issued", "reject"):
        address = reverse(f"admin:payments_invoice_{name}", args=[invoice.pk])
        assert client.post(address, {"number": "1", "reason": "x"}).status_code == 403
    assert client.get(TRY).status_code == 403
    invoice.refresh_from_db()
    assert invoice.status == "requested"
