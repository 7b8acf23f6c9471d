"""The two signatures of virtual payment (`wechat.md` B2)."""

from __future__ import annotations

import hashlib
import hmac

from wechat_sandbox.identity import Identity
from wechat_sandbox.platform.tokens import require_token
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import User
from wechat_sandbox.wire import Json, PlatformError, Request

WRONG_OPENID = 268490001
WRONG_FIELD = 268490002
WRONG_SIGNATURE = 268490003
REPEATED = 268490004
OLD_SESSION = 268490009


def pay_signature(app_key: str, uri: str, body: bytes) -> str:
    """hex(HMAC-SHA256(app key of the environment, uri & body))"""
    return _hex(app_key, uri.encode() + b"&" + body)


def user_signature(session_key: str, body: bytes) -> str:
    """hex(HMAC-SHA256(session_key as its base64 text, body))"""
    return _hex(session_key, body)


def app_key(identity: Identity, env: int) -> str:
    return identity.xpay_app_key_sandbox if env == 1 else identity.xpay_app_key


def same(given: object, right: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode(), right.encode())


def made_with_an_old_key(user: User, body: bytes, given: object) -> bool:
    """The signature was right before the session key was refreshed."""
    return any(same(given, user_signature(key, body)) for key in user.old_session_keys)


def signed_call(sandbox: Sandbox, request: Request) -> Json:
    """The body of a server call whose access token and `pay_sig` are right.

    `pay_sig` covers the exact bytes; the body's `env` says with which key.
    """
    require_token(sandbox, request, kind="mp")
    data = request.json()
    env = data.get("env", 0)
    if isinstance(env, bool) or env not in (0, 1):
        raise PlatformError(WRONG_FIELD, "invalid env")
    key = app_key(sandbox.identity, env)
    right = pay_signature(key, request.path, request.body)
    if not same(request.query.get("pay_sig"), right):
        raise PlatformError(WRONG_SIGNATURE, "pay_sig invalid")
    return data | {"env": env}


def signed_user_call(sandbox: Sandbox, request: Request) -> tuple[Json, User]:
    """As `signed_call`, with the user state's `signature` too."""
    data = signed_call(sandbox, request)
    with sandbox.lock:
        user = known_openid(sandbox, data)
        given = request.query.get("signature")
        if not same(given, user_signature(user.session_key, request.body)):
            if made_with_an_old_key(user, request.body, given):
                raise PlatformError(OLD_SESSION, "session_key expired, login again")
            raise PlatformError(WRONG_SIGNATURE, "signature invalid")
    return data, user


def known_openid(sandbox: Sandbox, data: Json) -> User:
    openid = data.get("openid")
    user = sandbox.state.user(openid) if isinstance(openid, str) else None
    if user is None or user.openid != openid:
        raise PlatformError(WRONG_OPENID, "invalid openid")
    return user


def _hex(key: str, message: bytes) -> str:
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()
