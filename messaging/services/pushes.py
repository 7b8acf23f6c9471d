"""A verified push: stored, applied and answered in one transaction."""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from accounts import services as accounts
from accounts.models import User
from accounts.selectors import user_for_oa
from kernel import clock
from kernel.outbox import publish
from messaging import rules
from messaging.events import FollowerSeen
from messaging.models import MessageEvent
from messaging.rules import Intent
from messaging.selectors import suggestions_for
from wechat.push import SUCCESS, Push, reply_text

_KEEP_PERSONAL = timedelta(days=90)


@transaction.atomic
def push_received(*, push: Push) -> bytes:
    """The reply to `push`, the same bytes for every repeat of it.

    The first delivery inserts the row, and with it waits for or keeps out all others; its effect
    and its reply are committed together. No network: what needs the platform is queued.
    """
    row, is_first = MessageEvent.objects.get_or_create(
        account=push.account,
        dedupe_key=push.dedupe_key,
        defaults={
            "openid": push.openid,
            "msg_type": push.msg_type,
            "event": push.event,
            "event_key": push.event_key,
            "content": push.content,
            "fields": push.fields,
            "raw_sha": push.raw_sha,
            "platform_at": datetime.fromtimestamp(push.create_time, UTC),
        },
    )
    if not is_first:
        return bytes(row.reply)
    row.reply = _apply(push) if push.account == "oa" else SUCCESS
    row.save(update_fields=["reply"])
    return bytes(row.reply)


def pushes_forget() -> int:
    """Pushes older than 90 days hold no words of people any more; their keys stay."""
    return (
        MessageEvent.objects.filter(received_at__lt=clock.now() - _KEEP_PERSONAL)
        .exclude(fields={})
        .update(fields={}, content="", reply=b"")
    )


def _apply(push: Push) -> bytes:
    if push.msg_type != "event":
        return _answer_message(push)
    event = push.event.lower()
    if event == "subscribe":
        _seen(push, followed=True)
        return reply_text(push, rules.welcome_text())
    if event == "unsubscribe":
        accounts.follower_left(openid=push.openid, created_at=push.create_time)
        return SUCCESS
    if event in {"scan", "click"}:
        user = _seen(push, followed=True)
        if event == "click" and push.event_key == rules.MENU_RECOMMEND:
            return _recommend(push, user)
    return SUCCESS


def _answer_message(push: Push) -> bytes:
    user = _seen(push, followed=False)
    intent = rules.intent_of(push.content) if push.msg_type == "text" else Intent.OTHER
    if intent is Intent.RECOMMEND:
        return _recommend(push, user)
    if intent is Intent.STOP_MARKETING and user is not None:
        accounts.preferences_set(user=user, marketing_messages=False)
        return reply_text(push, rules.stopped_text())
    return reply_text(push, rules.help_text())


def _seen(push: Push, *, followed: bool) -> User | None:
    """The follower's user, if known; a new or returning openid's unionid is asked for later."""
    seen = accounts.follower_seen(
        openid=push.openid,
        created_at=push.create_time,
        followed=followed,
        scene=rules.scene_of(push.event, push.event_key),
    )
    if not seen.identity.unionid and (seen.is_new or push.event.lower() == "subscribe"):
        publish(FollowerSeen(openid=push.openid))
    return user_for_oa(push.openid, seen.identity.unionid)


def _recommend(push: Push, user: User | None) -> bytes:
    kpay = settings.KPAY
    items = suggestions_for(user)
    with connection.cursor() as cursor:
        # The feed's own record is committed lazily; this push must be on disk when we answer.
        cursor.execute("SET LOCAL synchronous_commit TO DEFAULT")
    text = rules.recommend_text(
        items,
        mp_appid=kpay.wechat.mp_appid,
        home_url=f"{kpay.public_base_url}/",
    )
    return reply_text(push, text)
