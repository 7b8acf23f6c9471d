"""Ways that money comes in, behind one protocol. What may be sold where is a table, not here."""

from kernel.errors import DomainError
from payments.channels.protocol import PayChannel, Prepare
from payments.channels.wechat_v3 import JsapiChannel
from payments.errors import ChannelNotAllowed

__all__ = ["PayChannel", "Prepare", "channel_named", "channels_ready"]

_CHANNELS: dict[str, PayChannel] = {"jsapi": JsapiChannel()}


def channels_ready() -> list[str]:
    """Names of the channels that this shop can take money through."""
    return list(_CHANNELS)


def channel_named(name: str) -> PayChannel:
    """The channel. Raises `ChannelNotAllowed` for one that is not built in."""
    try:
        return _CHANNELS[name]
    except KeyError:
        refused: DomainError = ChannelNotAllowed(channels=channels_ready())
        raise refused from None
