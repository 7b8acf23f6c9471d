"""Plants for D03: see `kernel.selftest`."""

from datetime import timedelta

from accounts.models import AccessToken, Identity, TokenFamily, User
from kernel import clock
from kernel.ids import new_no, new_token, token_hash
from kernel.selftest import Planted, plant, sql


def _user() -> User:
    return User.objects.create_user(username=f"selftest_{new_no()}")


def _identity() -> Identity:
    return Identity.objects.create(user=_user(), app="mp", appid="selftest", openid=new_no())


@plant("D03")
def session_key_in_clear() -> Planted:
    rows = Identity.objects.filter(pk=_identity().pk)
    return Planted(
        {"table": "accounts_identity", "column": "session_key_encrypted"},
        lambda: rows.update(session_key_encrypted="tiihtNczf5v6AKRyjwEUhQ=="),
    )


@plant("D03")
def phone_in_clear() -> Planted:
    rows = User.objects.filter(pk=_user().pk)
    return Planted(
        {"table": "accounts_user", "column": "phone_encrypted"},
        lambda: rows.update(phone_encrypted="13800138000"),
    )


@plant("D03")
def token_in_clear() -> Planted:
    family = TokenFamily.objects.create(user=_user())
    token = AccessToken.objects.create(
        hash=token_hash(new_token()), family=family, expires_at=clock.now() + timedelta(hours=1)
    )
    return Planted(
        {"table": "accounts_accesstoken", "column": "hash"},
        lambda: AccessToken.objects.filter(pk=token.pk).update(hash=new_token().encode()),
    )


@plant("D03")
def column_nobody_knows() -> Planted:
    return Planted(
        {"table": "accounts_user", "column": "selftest_phone", "what": "not registered"},
        sql("ALTER TABLE accounts_user ADD COLUMN selftest_phone text"),
    )
