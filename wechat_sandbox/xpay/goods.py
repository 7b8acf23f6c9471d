"""Items: uploaded to the development version, published to the live one (`wechat.md` B3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import Json, PlatformError, Reply, Request, json_reply
from wechat_sandbox.xpay.signing import WRONG_FIELD, signed_call
from wechat_sandbox.xpay.state import GoodsTask, Item

ITEM_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_NAME_CHARACTERS = 20
_REMARK_CHARACTERS = 1024
_MOST_FEN = 10**9
_BUSY = 268490012
_RUNNING, _EXISTS, _GOOD, _BAD = 0, 1, 2, 3  # of one item; a task counts otherwise


def start_upload_goods(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/start_upload_goods"""
    data = signed_call(sandbox, request)
    with sandbox.lock:
        most = sandbox.state.settings.xpay_uploads_at_once
        items = _items(data, "upload_item", most)
        for item in items:
            _check_upload(item)
        _start(sandbox, sandbox.state.xpay.uploads, data["env"], items, _upload)
    return json_reply({"errcode": 0, "errmsg": "ok"})


def query_upload_goods(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/query_upload_goods: the last task of this environment."""
    data = signed_call(sandbox, request)
    with sandbox.lock:
        task = sandbox.state.xpay.uploads.get(data["env"])
        return _task_reply(task, "upload_item")


def start_publish_goods(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/start_publish_goods"""
    data = signed_call(sandbox, request)
    with sandbox.lock:
        items = [{"id": item.get("id")} for item in _items(data, "publish_item", _MOST_FEN)]
        for item in items:
            _check_id(item)
        _start(sandbox, sandbox.state.xpay.publishes, data["env"], items, _publish)
    return json_reply({"errcode": 0, "errmsg": "ok"})


def query_publish_goods(sandbox: Sandbox, request: Request) -> Reply:
    """POST /xpay/query_publish_goods"""
    data = signed_call(sandbox, request)
    with sandbox.lock:
        task = sandbox.state.xpay.publishes.get(data["env"])
        return _task_reply(task, "publish_item")


def put_on_sale(sandbox: Sandbox, item: Item, quiet_seconds: float) -> None:
    """The development version becomes the live one; a change is quiet for a while."""
    if item.published_price != item.price:
        item.usable_at = sandbox.clock.now() + quiet_seconds
    item.published_price = item.price


def view(item: Item) -> Json:
    return {
        "id": item.id,
        "name": item.name,
        "price_fen": item.price,
        "published_price_fen": item.published_price,
        "usable_at": item.usable_at,
    }


def _start(
    sandbox: Sandbox,
    tasks: dict[int, GoodsTask],
    env: int,
    items: list[Json],
    work: Callable[[Sandbox, Json], tuple[int, str]],
) -> None:
    known = tasks.get(env)
    if known is not None and not known.done:
        raise PlatformError(_BUSY, "batch task running, wait for its end")
    status = "upload_status" if work is _upload else "publish_status"
    task = GoodsTask([{**item, status: _RUNNING} for item in items])
    tasks[env] = task

    def job(_: float) -> None:
        with sandbox.lock:
            if tasks.get(env) is not task:
                return
            for item in task.items:
                item[status], item["errmsg"] = work(sandbox, item)
                task.failed = task.failed or item[status] == _BAD
            task.done = True

    sandbox.schedule.at(sandbox.clock.now() + sandbox.state.settings.xpay_goods_seconds, job)


def _upload(sandbox: Sandbox, given: Json) -> tuple[int, str]:
    state = sandbox.state.xpay
    plan = state.item_plans.get(given["id"], {})
    if plan.get("upload") == "fail":
        return _BAD, str(plan.get("errmsg", "upload fail"))
    fresh = Item(
        given["id"], given["name"], given["price"], given.get("remark", ""), given["item_url"]
    )
    known = state.items.get(fresh.id)
    if known is None:
        state.items[fresh.id] = fresh
        return _GOOD, ""
    same = (known.name, known.price, known.remark, known.item_url) == (
        fresh.name, fresh.price, fresh.remark, fresh.item_url,
    )  # fmt: skip
    known.name, known.price = fresh.name, fresh.price
    known.remark, known.item_url = fresh.remark, fresh.item_url
    return (_EXISTS if same else _GOOD), ""


def _publish(sandbox: Sandbox, given: Json) -> tuple[int, str]:
    state = sandbox.state.xpay
    plan = state.item_plans.get(given["id"], {})
    if plan.get("publish") == "fail":
        return _BAD, str(plan.get("errmsg", "publish fail"))
    item = state.items.get(given["id"])
    if item is None:
        return _BAD, "id not exist"
    put_on_sale(sandbox, item, sandbox.state.settings.xpay_quiet_seconds)
    return _GOOD, ""


def _task_reply(task: GoodsTask | None, name: str) -> Reply:
    status = 0 if task is None else 1 if not task.done else 2 if task.failed else 3
    items = [] if task is None else task.items
    return json_reply({"errcode": 0, "errmsg": "ok", name: items, "status": status})


def _items(data: Json, name: str, most: int) -> list[Json]:
    items = data.get(name)
    if not isinstance(items, list) or not items or not all(isinstance(i, dict) for i in items):
        raise PlatformError(WRONG_FIELD, f"invalid {name}")
    if len(items) > most:
        raise PlatformError(WRONG_FIELD, f"{name}: at most {most} at once")
    return items


def _check_id(item: Json) -> None:
    value = item.get("id")
    if not isinstance(value, str) or not ITEM_ID.fullmatch(value):
        raise PlatformError(WRONG_FIELD, "invalid id")


def _check_upload(item: Json) -> None:
    _check_id(item)
    if not _text(item.get("name"), _NAME_CHARACTERS):
        raise PlatformError(WRONG_FIELD, f"invalid name: 1 to {_NAME_CHARACTERS} characters")
    price = item.get("price")
    if isinstance(price, bool) or not isinstance(price, int) or not 0 < price <= _MOST_FEN:
        raise PlatformError(WRONG_FIELD, "invalid price")
    if "remark" in item and not _text(item["remark"], _REMARK_CHARACTERS):
        raise PlatformError(WRONG_FIELD, "invalid remark")
    url = item.get("item_url")
    if not isinstance(url, str) or not re.match(r"https?://", url):
        raise PlatformError(WRONG_FIELD, "invalid item_url")


def _text(value: Any, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most
