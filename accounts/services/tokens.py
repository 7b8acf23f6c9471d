"""Access and refresh tokens: hashes in families, rotated, ended at once."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from accounts.errors import RefreshTokenInvalid, RefreshTokenReused, TokenInvalid
from accounts.models import AccessToken, RefreshToken, TokenFamily, User
from kernel import clock
from kernel.errors import Unauthenticated
from kernel.ids import new_token, token_hash

# Spent refresh tokens are kept as long as a living one could be: reuse must be seen.
_PURGE_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class TokenPair:
    """What the client gets; `expires_in` seconds of the access token."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in: int


@transaction.atomic
def issue_tokens(user: User) -> TokenPair:
    """A new family of tokens for a login of `user`."""
    return _grow(TokenFamily.objects.create(user=user))


def tokens_refresh(*, refresh: str) -> TokenPair:
    """A new pair; the old refresh token is spent. Of two that race, one gets it.

    Raises `RefreshTokenReused` for a spent one and ends its family, so that neither a thief nor
    the owner can go on; `RefreshTokenInvalid` for everything else.
    """
    digest, at = token_hash(refresh), clock.now()
    token = RefreshToken.objects.select_related("family__user").filter(pk=digest).first()
    if token is None or token.family.ended_at is not None or token.expires_at <= at:
        raise RefreshTokenInvalid
    if not token.family.user.is_active:
        raise RefreshTokenInvalid
    with transaction.atomic():
        if RefreshToken.objects.filter(pk=digest, used_at=None).update(used_at=at):
            TokenFamily.objects.filter(pk=token.family_id).update(refreshed_at=at)
            return _grow(token.family)
    _end(token.family_id, TokenFamily.EndReason.REUSE)
    raise RefreshTokenReused


def tokens_end(*, access: str = "", refresh: str = "") -> None:
    """The families of these tokens are over, access included. Safe to repeat.

    Raises `Unauthenticated` without a token, `TokenInvalid` when none of them is ours.
    """
    if not access and not refresh:
        raise Unauthenticated
    found = {
        *AccessToken.objects.filter(pk=token_hash(access)).values_list("family_id", flat=True),
        *RefreshToken.objects.filter(pk=token_hash(refresh)).values_list("family_id", flat=True),
    }
    if not found:
        raise TokenInvalid
    for family_id in found:
        _end(family_id, TokenFamily.EndReason.LOGOUT)


def user_sessions_end(*, user_id: int) -> int:
    """All logins of a user are over (an operator's action); returns how many there were."""
    return TokenFamily.objects.filter(user_id=user_id, ended_at=None).update(
        ended_at=clock.now(), end_reason=TokenFamily.EndReason.OPERATOR
    )


def tokens_purge() -> int:
    """Tokens that expired over a day ago are gone, and families without any token."""
    before = clock.now() - _PURGE_AFTER
    gone = AccessToken.objects.filter(expires_at__lt=before).delete()[0]
    gone += RefreshToken.objects.filter(expires_at__lt=before).delete()[0]
    TokenFamily.objects.filter(
        created_at__lt=before, access_tokens=None, refresh_tokens=None
    ).delete()
    return gone


def _end(family_id: int, reason: TokenFamily.EndReason) -> None:
    TokenFamily.objects.filter(pk=family_id, ended_at=None).update(
        ended_at=clock.now(), end_reason=reason
    )


def _grow(family: TokenFamily) -> TokenPair:
    kpay, at = settings.KPAY, clock.now()
    access, refresh = new_token(), new_token()
    AccessToken.objects.create(
        hash=token_hash(access),
        family=family,
        expires_at=at + timedelta(seconds=kpay.access_token_seconds),
    )
    RefreshToken.objects.create(
        hash=token_hash(refresh),
        family=family,
        expires_at=at + timedelta(seconds=kpay.refresh_token_seconds),
    )
    return TokenPair(access, refresh, kpay.access_token_seconds)
