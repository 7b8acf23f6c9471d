"""Ways that money comes in, behind one protocol. What may be sold where is a table, not here.

`free` is no way that money comes in: an order over 0 fen is paid by its own creation.
"""

from django.conf import settings

from kernel.errors import DomainError
from payments.channels.protocol import PayChannel, Prepare
from payments.channels.virtual import VirtualChannel
from payments.channels.wechat_v3 import H5Channel, JsapiChannel, NativeChannel
from payments.errors import ChannelNotAllowed
from payments.models.products import Channel

__all__ = ["PayChannel", "Prepare", "channel_named", "channels_ready"]

_CHANNELS: dict[str, PayChannel] = {
    Channel.JSAPI: JsapiChannel(),
    Channel.VIRTUAL: VirtualChannel(),
    Channel.NATIVE: NativeChannel(),
    Channel.H5: H5Channel(),
}


def channels_ready() -> list[str]:
    """Names of the channels that this shop can take money through now."""
    virtual = bool(settings.KPAY.wechat.xpay_offer_id)
    return [str(name) for name in _CHANNELS if virtual or name != Channel.VIRTUAL]


def channel_named(name: str) -> PayChannel:
    """The channel. Raises `ChannelNotAllowed` for one that is not built in."""
    try:
        return _CHANNELS[name]
    except KeyError:
        refused: DomainError = ChannelNotAllowed(channels=channels_ready())
        raise refused from None
