"""What messaging does when facts are told."""

from kernel.outbox import subscribe
from messaging import flows
from messaging.events import FollowerSeen, MessageQueued


@subscribe(FollowerSeen, name="messaging.learn_follower", talks=True)
def learn_follower(event: FollowerSeen) -> None:
    flows.follower_learn(openid=event.openid)


@subscribe(MessageQueued, name="messaging.deliver_message", talks=True)
def deliver_message(event: MessageQueued) -> None:
    flows.message_deliver(message_id=event.message_id)
