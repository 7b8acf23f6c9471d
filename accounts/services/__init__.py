"""What changes a person: signing in, tokens, profile, following."""

from accounts.services.identities import (
    SignedIn,
    follower_left,
    follower_seen,
    identity_joined,
    signed_in,
)
from accounts.services.profiles import phone_set, preferences_set, profile_set
from accounts.services.tokens import (
    TokenPair,
    issue_tokens,
    tokens_end,
    tokens_purge,
    tokens_refresh,
    user_sessions_end,
)

__all__ = [
    "SignedIn",
    "TokenPair",
    "follower_left",
    "follower_seen",
    "identity_joined",
    "issue_tokens",
    "phone_set",
    "preferences_set",
    "profile_set",
    "signed_in",
    "tokens_end",
    "tokens_purge",
    "tokens_refresh",
    "user_sessions_end",
]
