"""Logins and checks that ask the platform: talk first, then one transaction."""

import logging

from django.utils.translation import gettext_lazy as _

from accounts import services
from accounts.errors import LoginBlocked, WeChatCodeInvalid, WeChatCodeUsed
from accounts.models import Identity, User
from accounts.selectors import openid_for
from kernel.errors import DomainError, InvalidInput, Unavailable
from kernel.transactions import retrying
from wechat.errors import WeChatRefused
from wechat.mp import mp_client

logger = logging.getLogger(__name__)

# A1
_LOGIN_REFUSALS: dict[str, type[DomainError]] = {
    "40029": WeChatCodeInvalid,
    "41008": WeChatCodeInvalid,
    "40163": WeChatCodeUsed,
    "40226": LoginBlocked,
}
# A2: 40013 is a code of another app, 40097 not a code at all
_PHONE_REFUSALS: dict[str, type[DomainError]] = {
    "40029": WeChatCodeInvalid,
    "40013": WeChatCodeInvalid,
    "40097": WeChatCodeInvalid,
    "40163": WeChatCodeUsed,
}
_PROFILE_SCENE = 1  # A5
# A5: the user was not in the mini-program lately; there is nobody to ask about.
_NOT_ASKABLE = {"61010", "40003", "43104"}


def wechat_login(*, code: str) -> services.SignedIn:
    """The user behind a code of `wx.login`, signed in.

    Raises WeChatCodeInvalid, WeChatCodeUsed, LoginBlocked, UserBlocked, or a WeChatError (503).
    """
    client = mp_client()
    try:
        session = client.code_to_session(code)
    except WeChatRefused as refused:
        raise _meaning(refused, _LOGIN_REFUSALS) from refused
    return retrying(
        lambda: services.signed_in(
            appid=client.appid,
            openid=session.openid,
            unionid=session.unionid or "",
            session_key=session.session_key,
        )
    )


def phone_bind(*, user: User, code: str) -> str:
    """The user's number, asked of the platform and stored. Raises as `wechat_login` does."""
    try:
        number = mp_client().phone_number(code)
    except WeChatRefused as refused:
        raise _meaning(refused, _PHONE_REFUSALS) from refused
    services.phone_set(user=user, number=number)
    return number


def profile_update(*, user: User, **fields: object) -> User:
    """The profile is stored after its texts passed content security. Raises `InvalidInput`.

    A user without a mini-program identity (made by an operator) is not checked.
    """
    texts = {
        name: str(fields[name])
        for name in ("nickname", "occupation")
        if fields.get(name) and fields[name] != getattr(user, name)
    }
    if texts:
        _check_texts(user, texts)
    return services.profile_set(user=user, **fields)


def _check_texts(user: User, texts: dict[str, str]) -> None:
    openid = openid_for(user.pk, Identity.App.MP)
    if openid is None:
        return
    try:
        verdict = mp_client().check_text(openid, "\n".join(texts.values()), _PROFILE_SCENE)
    except WeChatRefused as refused:
        if refused.wechat_code not in _NOT_ASKABLE:
            raise Unavailable from refused
        logger.warning("profile text not checked: %s", refused.wechat_code)
        return
    if verdict != "pass":
        said = [_("包含不适合展示的内容，请修改后再试。")]
        raise InvalidInput(fields=dict.fromkeys(texts, said))


def _meaning(refused: WeChatRefused, known: dict[str, type[DomainError]]) -> DomainError:
    kind = known.get(refused.wechat_code)
    if kind is not None:
        return kind()
    logger.error("the platform refused in a way we do not know: %s", refused)
    return Unavailable(retry_after=5)
