"""Messaging's talks with the platform."""

import logging

from accounts import services as accounts
from kernel import clock
from messaging import services
from messaging.models import OutboundMessage
from wechat.errors import WeChatNotNow, WeChatRefused, WeChatUncertain
from wechat.oa import oa_client

logger = logging.getLogger(__name__)

State = OutboundMessage.State
_NOT_FOLLOWING = "43004"  # C7


def follower_learn(*, openid: str) -> None:
    """The follower's unionid is known where the platform tells it, and joins its user.

    Somebody who followed before this shop was installed counts as a follower from here on.

    Safe to repeat. Raises WeChatNotNow and WeChatUncertain: ask again later.
    """
    # One second back: an unsubscribe of this very moment wins.
    asked_at = int(clock.timestamp()) - 1
    try:
        info = oa_client().user_info(openid)
    except WeChatRefused as refused:
        logger.warning("a follower's unionid is not to be had: %s", refused.wechat_code)
        return
    if info.subscribed:
        accounts.follower_seen(openid=openid, created_at=asked_at, followed=True)
    if info.unionid:
        accounts.identity_joined(openid=openid, unionid=info.unionid)


def message_deliver(*, message_id: int) -> None:
    """The message is sent, or its row says why not. Raises WeChatNotNow: it waits again."""
    client = oa_client()
    taken = services.message_taken(message_id=message_id)
    if taken is None:
        return
    message, openid = taken
    try:
        client.send_custom_text(openid, message.text)
    except WeChatRefused as refused:
        # 45015: the 48 h window is over; 45047: five were sent in it. Neither is repeated.
        services.message_finished(
            message_id=message_id, state=State.REFUSED, reason=refused.wechat_code
        )
        if refused.wechat_code == _NOT_FOLLOWING:
            accounts.follower_left(openid=openid, created_at=int(clock.timestamp()))
    except WeChatUncertain as error:
        services.message_finished(
            message_id=message_id, state=State.UNCERTAIN, reason=error.wechat_code
        )
    except WeChatNotNow:
        services.message_postponed(message_id=message_id)
        raise
    else:
        services.message_finished(message_id=message_id, state=State.SENT)
