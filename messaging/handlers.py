"""What messaging does when facts are told."""

from messaging import flows
from messaging.events import FollowerSeen, MessageQueued


def learn_follower(event: FollowerSeen) -> None:
    flows.follower_learn(openid=event.openid)


def deliver_message(event: MessageQueued) -> None:
    flows.message_deliver(message_id=event.message_id)
