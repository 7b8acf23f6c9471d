"""Uploading and publishing items (`wechat.md` B3)."""

import pytest

from wechat_sandbox.client import SandboxRefusedError

ITEM = {
    "id": "course-1",
    "name": "从零开始学编程",
    "price": 9900,
    "remark": "课程",
    "item_url": "https://example.com/cover.png",
}


@pytest.fixture(autouse=True)
def _slow_tasks(shop):
    shop.platform.settings(xpay_goods_seconds=30)


def upload(shop, *items, xpay_env=0):
    return shop.ask("start_upload_goods", {"upload_item": list(items)}, xpay_env=xpay_env)


def uploaded(shop, xpay_env=0):
    return shop.ask("query_upload_goods", {}, xpay_env=xpay_env)


def publish(shop, *ids):
    return shop.ask("start_publish_goods", {"publish_item": [{"id": i} for i in ids]})


def published(shop):
    return shop.ask("query_publish_goods", {})


def test_an_item_is_uploaded_published_and_sold_after_the_quiet_period(shop):
    assert uploaded(shop)["status"] == 0
    assert upload(shop, ITEM)["errcode"] == 0
    assert uploaded(shop)["status"] == 1
    assert uploaded(shop)["upload_item"][0]["upload_status"] == 0
    shop.platform.advance(30)
    done = uploaded(shop)
    assert (done["status"], done["upload_item"][0]["upload_status"]) == (3, 2)

    with pytest.raises(SandboxRefusedError, match="PRODUCT_ID_NOT_PUBLISH"):
        shop.platform.virtual_pay(shop.openid, shop.params())
    assert publish(shop, "course-1")["errcode"] == 0
    assert published(shop)["status"] == 1
    shop.platform.advance(30)
    assert published(shop)["status"] == 3
    assert published(shop)["publish_item"][0]["publish_status"] == 2

    with pytest.raises(SandboxRefusedError, match="CREATED_IN_RECENTLY"):
        shop.platform.virtual_pay(shop.openid, shop.params())
    shop.platform.advance(600)
    assert shop.platform.virtual_pay(shop.openid, shop.params())["errCode"] == 0


def test_the_development_version_sells_in_the_sandbox_environment(shop):
    upload(shop, ITEM)
    shop.platform.advance(30)

    paid = shop.platform.virtual_pay(shop.openid, shop.params(env=1), platform="devtools")

    assert paid["errCode"] == 0


def test_the_same_upload_again_exists_and_another_price_replaces(shop):
    upload(shop, ITEM)
    shop.platform.advance(30)
    upload(shop, ITEM)
    shop.platform.advance(30)
    assert uploaded(shop)["upload_item"][0]["upload_status"] == 1
    assert uploaded(shop)["status"] == 3

    upload(shop, ITEM | {"price": 8800})
    shop.platform.advance(30)
    assert uploaded(shop)["upload_item"][0]["upload_status"] == 2
    [item] = shop.platform.state()["virtual_items"]
    assert (item["price_fen"], item["published_price_fen"]) == (8800, None)


def test_failures_come_by_control_and_leave_the_task_partly_failed(shop):
    shop.platform.plan_virtual_item("course-1", upload="fail", errmsg="图片过大")
    upload(shop, ITEM, ITEM | {"id": "course-2"})
    shop.platform.advance(30)
    task = uploaded(shop)
    assert task["status"] == 2
    assert [item["upload_status"] for item in task["upload_item"]] == [3, 2]
    assert task["upload_item"][0]["errmsg"] == "图片过大"

    shop.platform.plan_virtual_item("course-2", publish="fail")
    publish(shop, "course-2", "course-9")
    shop.platform.advance(30)
    assert published(shop)["status"] == 2
    statuses = [item["publish_status"] for item in published(shop)["publish_item"]]
    assert statuses == [3, 3]


def test_one_task_runs_at_a_time_in_each_environment(shop):
    upload(shop, ITEM)

    assert upload(shop, ITEM | {"id": "course-2"})["errcode"] == 268490012
    assert upload(shop, ITEM, xpay_env=1)["errcode"] == 0
    shop.platform.advance(30)
    assert upload(shop, ITEM | {"id": "course-2"})["errcode"] == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"id": "a" * 65},
        {"id": "课程"},
        {"name": ""},
        {"name": "课" * 21},
        {"price": 0},
        {"price": "9900"},
        {"item_url": "cover.png"},
    ],
)
def test_an_item_that_breaks_a_rule_is_refused(shop, changed):
    assert upload(shop, ITEM | changed)["errcode"] == 268490002
    assert uploaded(shop)["status"] == 0


def test_the_platform_may_take_only_one_item_at_once(shop):
    shop.platform.settings(xpay_uploads_at_once=1)

    assert upload(shop, ITEM, ITEM | {"id": "course-2"})["errcode"] == 268490002
    assert upload(shop, ITEM)["errcode"] == 0
