"""Access tokens by `stable_token`: one encrypted row, one refresher over all processes (A3).

The refresher holds a PostgreSQL advisory lock of its session, not a transaction, while it talks.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from django.db import connection
from django.db.models import F

from kernel import clock
from kernel.crypto import Undecryptable, decrypt, encrypt
from kernel.transactions import outside_transaction
from wechat.errors import WeChatError, WeChatNotNow, WeChatUncertain
from wechat.models import PlatformToken
from wechat.platform import TOKEN_DEAD, Platform

T = TypeVar("T")

# A3: a new token is made from 300 s before the end; earlier calls get the same one.
_RENEWABLE_SECONDS = 300
_SPREAD_SECONDS = 210
_WAIT_SECONDS = 10.0
_LOCK_CLASS = 0x6B706179  # "kpay": the first half of the advisory lock's key


@dataclass(frozen=True)
class Token:
    text: str
    version: int


class StableToken:
    """The token of one app. `call` is the way to use it."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._appid = platform.config.appid

    def call(self, use: Callable[[str], T]) -> T:
        """`use(token)`; when the platform calls the token dead, once more with a new one."""
        token = self._current() or self._renewed(dead=None)
        try:
            return use(token.text)
        except WeChatError as error:
            if error.wechat_code not in TOKEN_DEAD:
                raise
        fresh = self._renewed(dead=token)
        try:
            return use(fresh.text)
        except WeChatError as error:
            if error.wechat_code in TOKEN_DEAD:
                raise WeChatNotNow(error.wechat_code, "a new token is refused too") from error
            raise

    def _current(self) -> Token | None:
        """The stored token when it need not be renewed yet."""
        row = PlatformToken.objects.filter(appid=self._appid).first()
        if row is None or row.renew_at <= clock.now():
            return None
        return self._opened(row)

    def _opened(self, row: PlatformToken) -> Token | None:
        try:
            return Token(decrypt(row.token_encrypted, context=self._context), row.version)
        except Undecryptable:
            return None  # the field keys were changed without the old one: fetch again

    @property
    def _context(self) -> str:
        return f"wechat.token:{self._appid}"

    @outside_transaction
    def _renewed(self, dead: Token | None) -> Token:
        """A token newer than `dead`: another process's, or one fetched by this process alone."""
        give_up = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < give_up:
            with _advisory_lock(self._appid) as held:
                known = self._current()
                if known is not None and (dead is None or known.version > dead.version):
                    return known
                if held:
                    return self._fetched(dead)
            time.sleep(0.02 + secrets.randbelow(60) / 1000)
        raise WeChatNotNow(said="another process is still renewing the token")

    def _fetched(self, dead: Token | None) -> Token:
        answer = self._ask(force=False)
        if dead is not None and answer["access_token"] == dead.text:
            # The platform still counts it as living, yet refuses it: end it (20 a day).
            answer = self._ask(force=True)
        at = clock.now()
        life = int(answer["expires_in"])
        early = _RENEWABLE_SECONDS - secrets.randbelow(_SPREAD_SECONDS) - 1
        text = str(answer["access_token"])
        fields = {
            "token_encrypted": encrypt(text, context=self._context),
            "fetched_at": at,
            "renew_at": at + timedelta(seconds=max(life - early, life // 2)),
        }
        row, _made = PlatformToken.objects.update_or_create(
            appid=self._appid,
            defaults={**fields, "version": F("version") + 1},
            create_defaults={**fields, "version": 1},
        )
        row.refresh_from_db(fields=["version"])
        return Token(text, row.version)

    def _ask(self, *, force: bool) -> dict[str, Any]:
        config = self._platform.config
        answer = self._platform.post(
            "/cgi-bin/stable_token",
            {
                "grant_type": "client_credential",
                "appid": config.appid,
                "secret": config.secret,
                "force_refresh": force,
            },
        )
        token, life = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token or not isinstance(life, int) or life <= 0:
            raise WeChatUncertain(said="no token in the answer")
        return answer


@contextmanager
def _advisory_lock(name: str) -> Iterator[bool]:
    """Try to take the session's lock of `name`; it falls by itself if this process dies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", [_LOCK_CLASS, name])
        (held,) = cursor.fetchone()
    try:
        yield bool(held)
    finally:
        if held:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", [_LOCK_CLASS, name])
