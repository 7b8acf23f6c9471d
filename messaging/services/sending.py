"""Messages that we send by ourselves: allowed, counted, sent at most once."""

from django.db import IntegrityError, transaction

from accounts.models import Identity, User
from kernel import clock
from kernel.outbox import publish
from messaging.events import MessageQueued
from messaging.locks import lock_sending
from messaging.models import OutboundMessage
from messaging.rules import MARKETING_A_DAY
from messaging.selectors import marketing_count_today

State = OutboundMessage.State


@transaction.atomic
def message_send(*, user_id: int, text: str, kind: str, dedupe_key: str) -> OutboundMessage:
    """The message is queued, or kept as skipped with the reason. The same key is one message.

    `kind` "marketing" obeys the user's switch and at most two a day; "service" obeys following.
    """
    lock_sending(user_id)
    known = OutboundMessage.objects.filter(dedupe_key=dedupe_key).first()
    if known is not None:
        return known
    user = User.objects.get(pk=user_id)
    reason = _refusal(user, kind) or _over_the_cap(user, kind)
    try:
        with transaction.atomic():
            message = OutboundMessage.objects.create(
                user=user,
                kind=kind,
                dedupe_key=dedupe_key,
                text=text,
                state=State.SKIPPED if reason else State.QUEUED,
                reason=reason,
                finished_at=clock.now() if reason else None,
            )
    except IntegrityError:
        return OutboundMessage.objects.get(dedupe_key=dedupe_key)
    if not reason:
        publish(MessageQueued(message_id=message.pk))
    return message


@transaction.atomic
def message_taken(*, message_id: int) -> tuple[OutboundMessage, str] | None:
    """The queued message and its receiver's openid, marked as being sent; None when not to send.

    Following and the switch are looked at again: both may have changed since it was queued. A
    message found as "sending" was given up by a dead process: nobody knows if it arrived.
    """
    taken = OutboundMessage.objects.filter(pk=message_id, state=State.QUEUED).update(
        state=State.SENDING
    )
    if not taken:
        message_finished(message_id=message_id, state=State.UNCERTAIN, reason="process ended")
        return None
    message = OutboundMessage.objects.select_related("user").get(pk=message_id)
    reason = _refusal(message.user, message.kind)
    identity = _followed_identity(message.user)
    if reason or identity is None:
        message_finished(message_id=message_id, state=State.SKIPPED, reason=reason)
        return None
    return message, identity.openid


def message_finished(*, message_id: int, state: str, reason: str = "") -> None:
    """A message that is being sent reached its final state."""
    OutboundMessage.objects.filter(pk=message_id, state=State.SENDING).update(
        state=state, reason=reason[:64], finished_at=clock.now()
    )


def message_postponed(*, message_id: int) -> None:
    """The platform was away before anything happened: the message waits again."""
    OutboundMessage.objects.filter(pk=message_id, state=State.SENDING).update(state=State.QUEUED)


def _refusal(user: User, kind: str) -> str:
    """Why this user must not get this kind of message now; "" when allowed."""
    if _followed_identity(user) is None:
        return "not_following"
    if kind == OutboundMessage.Kind.MARKETING and not user.marketing_messages:
        return "marketing_off"
    return "" if user.is_active else "user_blocked"


def _over_the_cap(user: User, kind: str) -> str:
    if kind != OutboundMessage.Kind.MARKETING:
        return ""
    return "daily_cap" if marketing_count_today(user.pk) >= MARKETING_A_DAY else ""


def _followed_identity(user: User) -> Identity | None:
    return user.identities.filter(app=Identity.App.OA, followed=True).order_by("-pk").first()
