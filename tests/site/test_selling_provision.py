"""Bundles and gifts from a provision file."""

import pytest

from content.models import Course
from content.selectors.access import door_openers
from kernel.errors import InvalidInput
from kpay_site.provisioning import provision
from payments.models import BundleItem, Product

pytestmark = pytest.mark.django_db


def course(key, *products, **fields):
    rows = products or ({"key": f"{key}-p", "title": "单买", "price_fen": 9900},)
    return {
        "key": key, "title": f"课程{key}", "kind": "course", "status": "published",
        "products": list(rows), **fields,
    }  # fmt: skip


def shop(**changed):
    return {
        "courses": [
            course("all", kind="bundle", bundle=["a", "b-p", "vip"]),
            course("a"),
            course("b"),
        ],
        "plans": [{"key": "vip", "title": "会员", "price_fen": 3000, "period": "month"}],
        **changed,
    }


def contents():
    rows = BundleItem.objects.order_by("position").select_related("item")
    return [row.item.key or row.item.title for row in rows]


def test_a_bundle_holds_courses_products_and_plans_that_stand_behind_it():
    first = provision(shop())
    again = provision(shop())

    assert first == again
    assert contents() == ["a-p", "b-p", "会员"]
    assert Product.objects.get(key="all-p").kind == "bundle"


def test_a_bundle_is_changed_by_its_file_and_kept_by_one_without_it():
    provision(shop())
    document = shop()
    document["courses"][0]["bundle"] = ["b"]
    provision(document)
    changed = contents()
    del document["courses"][0]["bundle"]
    provision(document)

    assert changed == contents() == ["b-p"]


@pytest.mark.parametrize("members", [["nothing"], ["all"], "a", [1], ["a", "a-p"]])
def test_a_bundle_that_can_not_be_is_named_with_its_row(members):
    document = shop()
    document["courses"][0]["bundle"] = members

    with pytest.raises(InvalidInput) as refused:
        provision(document)

    assert all(name.startswith("courses[0].") for name in refused.value.detail)
    assert not Product.objects.exists()


def test_only_bundles_hold_something():
    with pytest.raises(InvalidInput):
        provision({"courses": [course("b"), course("a", bundle=["b"])]})


def test_a_gift_of_a_course_is_sold_beside_it_and_opens_no_door():
    gift = {"key": "g", "title": "礼品卡", "price_fen": 8800, "kind": "gift"}
    single = {"key": "p", "title": "单买", "price_fen": 9900}
    provision({"courses": [course("a", gift, single)]})

    made = Course.objects.get()
    assert (made.product.key, made.product.price_fen) == ("p", 9900)
    card = Product.objects.get(key="g")
    assert (card.kind, card.scope, card.active) == ("gift", made.scope, True)
    assert [product["title"] for product in door_openers(made)] == ["单买"]


def test_an_unknown_kind_of_product_is_refused():
    row = {"key": "p", "title": "单买", "price_fen": 9900, "kind": "plan"}

    with pytest.raises(InvalidInput):
        provision({"courses": [course("a", row)]})
