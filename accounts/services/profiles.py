"""What a user says of themselves, and what they allow."""

from typing import Any

from accounts.models import User
from kernel.crypto import encrypt

PROFILE = ("nickname", "avatar_url", "birth_year", "occupation", "interests")
PREFERENCES = ("personalised_feed", "personalised_offers", "marketing_messages")


def profile_set(*, user: User, **fields: Any) -> User:
    """The given profile fields are stored; others stay."""
    return _set(user, PROFILE, fields)


def preferences_set(*, user: User, **fields: bool) -> User:
    """The given switches are stored and hold from the next request on."""
    return _set(user, PREFERENCES, fields)


def phone_set(*, user: User, number: str) -> None:
    """The phone number is stored, encrypted for this user's row."""
    user.phone_encrypted = encrypt(number, context=phone_context(user))
    user.save(update_fields=["phone_encrypted"])


def phone_context(user: User) -> str:
    """What binds an encrypted number to its row."""
    return f"accounts.phone:{user.pk}"


def _set(user: User, allowed: tuple[str, ...], fields: dict[str, Any]) -> User:
    names = [name for name in allowed if name in fields]
    for name in names:
        setattr(user, name, fields[name])
    if names:
        user.save(update_fields=names)
    return user
