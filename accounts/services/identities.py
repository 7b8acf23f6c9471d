"""Platform identities: who signed in, who follows, and which of them are one person."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction
from django.utils.translation import gettext

from accounts.errors import UserBlocked
from accounts.locks import lock_person
from accounts.models import Identity, User
from accounts.selectors import appid_of, session_key_context
from accounts.services.tokens import TokenPair, issue_tokens
from kernel import clock
from kernel.crypto import encrypt
from kernel.ids import new_token


@dataclass(frozen=True)
class Seen:
    """A follower's identity; `is_new` when nothing had been heard of it before."""

    identity: Identity
    is_new: bool


@dataclass(frozen=True)
class SignedIn:
    user: User
    is_new: bool
    tokens: TokenPair


@transaction.atomic
def signed_in(*, appid: str, openid: str, unionid: str, session_key: str) -> SignedIn:
    """The user of a mini-program login, made when new, with a fresh family of tokens.

    Holds the person's locks, so logins at once of one person, in either app, make one user.
    A follower with the same unionid becomes this user. Raises `UserBlocked`.
    """
    lock_person(f"{appid}:{openid}", unionid)
    identity = (
        Identity.objects.select_related("user").filter(appid=appid, openid=openid).first()
    ) or Identity(app=Identity.App.MP, appid=appid, openid=openid)
    unionid = unionid or identity.unionid
    user = identity.user or _user_of(unionid)
    is_new = user is None
    if user is None:
        user = _new_user()
    if not user.is_active:
        raise UserBlocked
    identity.user, identity.unionid = user, unionid
    identity.session_key_encrypted = encrypt(session_key, context=session_key_context(identity))
    identity.session_key_at = clock.now()
    identity.save()
    _join(unionid, user)
    return SignedIn(user, is_new, issue_tokens(user))


@transaction.atomic
def follower_seen(*, openid: str, created_at: int, followed: bool = False, scene: str = "") -> Seen:
    """The follower's identity exists; with `followed` the person follows since `created_at` (Unix).

    Pushes come in any order: one older than the last change changes nothing but a first scene.
    """
    identity = _follower(openid)
    is_new = identity.pk is None
    at = datetime.fromtimestamp(created_at, UTC)
    if followed and not _older(at, identity.unfollowed_at):
        identity.followed = True
        identity.followed_at = max(at, identity.followed_at or at)
    if scene and not identity.entry_scene:
        identity.entry_scene = scene[:128]
    identity.save()
    return Seen(identity, is_new)


@transaction.atomic
def follower_left(*, openid: str, created_at: int) -> Identity:
    """The person no longer follows (unless an older push says so): nothing is sent any more."""
    identity = _follower(openid)
    at = datetime.fromtimestamp(created_at, UTC)
    if not _older(at, identity.followed_at):
        identity.followed = False
        identity.unfollowed_at = at
        identity.save()
    return identity


@transaction.atomic
def identity_joined(*, openid: str, unionid: str) -> User | None:
    """The follower's unionid is known; the identity belongs to the user who has it, if any.

    An identity that has a user keeps it.
    """
    appid = appid_of(Identity.App.OA)
    lock_person(f"{appid}:{openid}", unionid)
    identity = Identity.objects.select_related("user").get(appid=appid, openid=openid)
    user = identity.user or _user_of(unionid)
    identity.unionid, identity.user = unionid, user
    identity.save(update_fields=["unionid", "user"])
    return user


def _follower(openid: str) -> Identity:
    appid = appid_of(Identity.App.OA)
    lock_person(f"{appid}:{openid}")
    known = Identity.objects.filter(appid=appid, openid=openid).first()
    return known or Identity(app=Identity.App.OA, appid=appid, openid=openid)


def _older(at: datetime, than: datetime | None) -> bool:
    return than is not None and at < than


def _user_of(unionid: str) -> User | None:
    if not unionid:
        return None
    return User.objects.filter(identities__unionid=unionid).order_by("pk").first()


def _join(unionid: str, user: User) -> None:
    if unionid:
        Identity.objects.filter(unionid=unionid, user=None).update(user=user)


def _new_user() -> User:
    nickname = gettext("学员%(number)s") % {"number": f"{secrets.randbelow(10**6):06d}"}
    return User.objects.create_user(f"wx_{new_token()}", nickname=nickname)
