"""Who is who."""

from django.conf import settings

from accounts.errors import SessionExpired
from accounts.models import Identity, User
from kernel.crypto import Undecryptable, decrypt


def appid_of(app: str) -> str:
    """The configured appid of "mp" or "oa"."""
    wechat = settings.KPAY.wechat
    appid: str = wechat.mp_appid if app == Identity.App.MP else wechat.oa_appid
    return appid


def openid_for(user_id: int, app: str) -> str | None:
    """The user's newest openid in the configured "mp" or "oa"; None for a user without one."""
    return (
        Identity.objects.filter(user_id=user_id, app=app, appid=appid_of(app))
        .order_by("-pk")
        .values_list("openid", flat=True)
        .first()
    )


def session_key_context(identity: Identity) -> str:
    """What binds an encrypted session key to its row."""
    return f"accounts.session_key:{identity.appid}:{identity.openid}"


def session_key_for(user_id: int, openid: str) -> str:
    """The newest session key of this openid in the mini-program, which is the user's.

    Raises `SessionExpired` without one. Whether it still counts the platform alone knows; it
    never goes to a client or into a log.
    """
    identity = Identity.objects.filter(
        user_id=user_id, appid=appid_of(Identity.App.MP), openid=openid
    ).first()
    if identity is None or not identity.session_key_encrypted:
        raise SessionExpired
    try:
        return decrypt(identity.session_key_encrypted, context=session_key_context(identity))
    except Undecryptable:
        raise SessionExpired from None  # sealed with a key that is gone: a new login seals anew


def user_by_openid(app: str, openid: str) -> User | None:
    """The user behind an openid of "mp" or "oa" (or of that appid), None while unknown."""
    appid = appid_of(app) if app in Identity.App.values else app
    return User.objects.filter(identities__appid=appid, identities__openid=openid).first()


def user_for_oa(openid: str, unionid: str = "") -> User | None:
    """The user behind a follower, by openid or by unionid; None while nobody is known."""
    known = user_by_openid(Identity.App.OA, openid)
    if known is not None or not unionid:
        return known
    return User.objects.filter(identities__unionid=unionid).order_by("pk").first()


def follower(openid: str) -> Identity | None:
    """The identity of an openid in our official account."""
    return Identity.objects.filter(appid=appid_of(Identity.App.OA), openid=openid).first()
