"""The official account's server API (`wechat.md` C)."""

from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings

from kernel.transactions import outside_transaction
from wechat.errors import WeChatUncertain
from wechat.platform import AppConfig, Platform
from wechat.tokens import StableToken


@dataclass(frozen=True)
class OaUser:
    """What the platform says of a follower. `unionid` is "" when the app is not bound."""

    openid: str
    subscribed: bool
    unionid: str
    scene: str


def oa_client() -> "OaClient":
    """The client of the configured account. Raises `WeChatNotConfigured`. No network."""
    wechat, timeout = settings.KPAY.wechat, settings.KPAY.http_timeout
    return _client_of(AppConfig(wechat.api_base, wechat.oa_appid, wechat.oa_secret, timeout))


@lru_cache(maxsize=2)
def _client_of(config: AppConfig) -> "OaClient":
    return OaClient(config)


class OaClient:
    """One method for each call. Raises the errors of `wechat.errors`."""

    def __init__(self, config: AppConfig) -> None:
        self._platform = Platform(config)
        self._token = StableToken(self._platform)

    @property
    def appid(self) -> str:
        return self._platform.config.appid

    @outside_transaction
    def user_info(self, openid: str) -> OaUser:
        """Whether a person follows, and the unionid (C6). Refused: 40003 unknown openid."""
        data = self._token.call(
            lambda token: self._platform.get(
                "/cgi-bin/user/info", {"access_token": token, "openid": openid, "lang": "zh_CN"}
            )
        )
        unionid = data.get("unionid") or ""
        if data.get("openid") != openid or not isinstance(unionid, str) or len(unionid) > 128:
            raise WeChatUncertain(said="user_info of another shape")
        return OaUser(
            openid=openid,
            subscribed=data.get("subscribe") == 1,
            unionid=unionid,
            scene=str(data.get("qr_scene_str") or data.get("qr_scene") or ""),
        )

    @outside_transaction
    def send_custom_text(self, openid: str, text: str) -> None:
        """A customer-service message (C7). Refused: 45015 window over, 45047 too many, 43004.

        Not repeatable: after `WeChatUncertain` the message may have arrived.
        """
        body = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        self._token.call(
            lambda token: self._platform.post(
                "/cgi-bin/message/custom/send", body, {"access_token": token}
            )
        )
