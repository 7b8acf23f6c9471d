"""Facts of messaging, delivered after the commit that made them true."""

from dataclasses import dataclass
from typing import ClassVar

from kernel.outbox import Event


@dataclass(frozen=True)
class FollowerSeen(Event):
    """A follower of whom only the openid is known."""

    kind: ClassVar[str] = "messaging.follower_seen"
    openid: str


@dataclass(frozen=True)
class MessageQueued(Event):
    """A message of ours is waiting to be sent."""

    kind: ClassVar[str] = "messaging.message_queued"
    message_id: int
