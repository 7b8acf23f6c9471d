"""Uploading and publishing the items of virtual payment (`wechat.md` B3).

The platform runs one batch of each kind at a time and tells of the last one only: no batch is
started while an earlier one's outcome is not known. Each step may be repeated, an item that is
there already says so.
"""

import logging
from collections.abc import Mapping, Sequence

from django.conf import settings

from payments.models import XpayItem
from payments.services.items import (
    item_failed,
    items_claimed,
    items_moved,
    items_wait,
)
from wechat.errors import WeChatError, WeChatRefused
from wechat.xpay import Goods, GoodsTask, ItemStatus, TaskStatus, XpayClient, xpay_client

logger = logging.getLogger(__name__)

State = XpayItem.State
_GOOD = {ItemStatus.DONE, ItemStatus.EXISTS}
_NAME_CHARACTERS = 20  # what the platform shows


def items_sweep() -> int:
    """One step for every item that is due; returns how many were looked at.

    What goes wrong is kept on the rows, which are due again by themselves.
    """
    due = items_claimed()
    by_state: dict[str, list[XpayItem]] = {}
    for item in due:
        by_state.setdefault(item.state, []).append(item)
    client = xpay_client()
    for step, state in (
        (_published, State.PUBLISHING),
        (_uploaded, State.UPLOADING),
        (_upload, State.DRAFT),
    ):
        items = by_state.get(state, [])
        if not items:
            continue
        try:
            step(client, items)
        except WeChatError as error:
            logger.warning("%s xpay items wait: %s", len(items), error)
            items_wait(ids=[item.pk for item in items], why=str(error))
    return len(due)


def _published(client: XpayClient, items: Sequence[XpayItem]) -> None:
    good = _judged(client.query_publish_goods(), items)
    items_moved(ids=[item.pk for item in good], state=State.PUBLISHED)


def _uploaded(client: XpayClient, items: Sequence[XpayItem]) -> None:
    good = _judged(client.query_upload_goods(), items)
    if not good:
        return
    if XpayItem.objects.filter(state=State.PUBLISHING).exists():
        items_wait(ids=[item.pk for item in good], why="another batch is being published")
        return
    client.publish_goods([item.item_id for item in good])
    items_moved(ids=[item.pk for item in good], state=State.PUBLISHING)


def _judged(task: GoodsTask, items: Sequence[XpayItem]) -> list[XpayItem]:
    """Those that the batch did well; the others wait, fail, or begin again."""
    told: Mapping[str, tuple[ItemStatus, str]] = {i.id: (i.status, i.said) for i in task.items}
    good, running, lost = [], [], []
    for item in items:
        status, said = told.get(item.item_id, (None, ""))
        if status in _GOOD:
            good.append(item)
        elif status is ItemStatus.FAILED:
            item_failed(item_id=item.pk, why=said or "the platform refuses the item")
        elif status is None and task.status is not TaskStatus.RUNNING:
            lost.append(item)  # another batch was started since, by hand or before a crash
        else:
            running.append(item)
    items_wait(ids=[item.pk for item in running], why="running")
    items_moved(ids=[item.pk for item in lost], state=State.DRAFT)
    return good


def _upload(client: XpayClient, items: Sequence[XpayItem]) -> None:
    """Start a batch; where the platform refuses one as a whole its items go one by one."""
    if XpayItem.objects.filter(state=State.UPLOADING).exists():
        return
    alone = [item for item in items if item.last_error.startswith(WeChatRefused.__name__)]
    batch = alone[:1] or list(items)
    titles = dict(
        XpayItem.objects.filter(pk__in=[item.pk for item in batch]).values_list(
            "pk", "product__title"
        )
    )
    image = settings.KPAY.xpay_item_image or (
        f"{settings.KPAY.public_base_url}/static/dashboard/favicon.svg"
    )
    goods = [
        Goods(
            id=item.item_id,
            name=titles[item.pk][:_NAME_CHARACTERS],
            price_fen=item.price_fen,
            remark=titles[item.pk],
            image_url=image,
        )
        for item in batch
    ]
    try:
        client.upload_goods(goods)
    except WeChatRefused as refused:
        if len(batch) == 1:
            item_failed(item_id=batch[0].pk, why=str(refused))
            return
        raise
    items_moved(ids=[item.pk for item in batch], state=State.UPLOADING)
