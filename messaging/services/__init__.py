"""Receiving pushes and sending messages."""

from messaging.services.pushes import push_received, pushes_forget
from messaging.services.sending import (
    message_finished,
    message_postponed,
    message_send,
    message_taken,
)

__all__ = [
    "message_finished",
    "message_postponed",
    "message_send",
    "message_taken",
    "push_received",
    "pushes_forget",
]
