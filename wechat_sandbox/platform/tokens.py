"""Access tokens (`wechat.md` A3): two endpoints, two families, one clock."""

from __future__ import annotations

import hmac
import secrets

from wechat_sandbox.clock import beijing_day
from wechat_sandbox.identity import Account
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Token
from wechat_sandbox.wire import PlatformError, Reply, Request, json_reply

LIFE_SECONDS = 7200
_OVERLAP_SECONDS = 300
_PLAIN_A_DAY = 2000
_STABLE_A_MINUTE = 10_000
_STABLE_A_DAY = 500_000
_FORCED_A_DAY = 20
_FORCED_GAP_SECONDS = 30
_CLEARS_A_MONTH = 10


def token(sandbox: Sandbox, request: Request) -> Reply:
    """GET /cgi-bin/token: always a new one; the old one lives five minutes more."""
    account = _credentials(
        sandbox,
        request,
        grant_type=request.query.get("grant_type"),
        appid=request.query.get("appid"),
        secret=request.query.get("secret"),
    )
    with sandbox.lock:
        now = sandbox.clock.now()
        if sandbox.state.count(f"token:{account.kind}", beijing_day(now)) > _PLAIN_A_DAY:
            raise PlatformError(45009, "reach max api daily quota limit")
        old = sandbox.state.plain.get(account.kind)
        if old is not None:
            old.expires_at = min(old.expires_at, now + _OVERLAP_SECONDS)
        fresh = _new_token(sandbox, account.kind, now)
        sandbox.state.plain[account.kind] = fresh
    return json_reply({"access_token": fresh.text, "expires_in": LIFE_SECONDS})


def stable_token(sandbox: Sandbox, request: Request) -> Reply:
    """POST /cgi-bin/stable_token: the same token until five minutes before its end."""
    if request.method != "POST":
        raise PlatformError(43002, "require POST method")
    data = request.json()
    force = data.get("force_refresh", False)
    if not isinstance(force, bool):
        raise PlatformError(47001, "data format error")
    account = _credentials(
        sandbox,
        request,
        grant_type=data.get("grant_type"),
        appid=data.get("appid"),
        secret=data.get("secret"),
    )
    with sandbox.lock:
        now = sandbox.clock.now()
        _count_stable(sandbox, account.kind, now)
        living = sandbox.state.stable.get(account.kind)
        if force:
            _count_forced(sandbox, account.kind, now)
            for known in sandbox.state.tokens.values():
                if known.account == account.kind and known.text.startswith("S"):
                    known.dead = True
            living = None
        if living is None or living.expires_at - now <= _OVERLAP_SECONDS:
            living = _new_token(sandbox, account.kind, now, stable=True)
            sandbox.state.stable[account.kind] = living
        left = int(living.expires_at - now)
    return json_reply({"access_token": living.text, "expires_in": left})


def clear_quota(sandbox: Sandbox, request: Request) -> Reply:
    """POST /cgi-bin/clear_quota: ten times a month, all daily counters of the account."""
    account = require_token(sandbox, request, kind="any")
    if request.json().get("appid") != account.appid:
        raise PlatformError(40013, "invalid appid")
    with sandbox.lock:
        month = beijing_day(sandbox.clock.now())[:7]
        if sandbox.state.count(f"clear:{account.kind}", month) > _CLEARS_A_MONTH:
            raise PlatformError(48006, "forbid to clear quota because of reaching the limit")
        counters = sandbox.state.counters
        for key in [k for k in counters if k[0].endswith(f":{account.kind}") and k[1] != month]:
            del counters[key]
    return json_reply({"errcode": 0, "errmsg": "ok"})


def require_token(sandbox: Sandbox, request: Request, *, kind: str) -> Account:
    """The account of the request's access token; counts the call against its quota."""
    text = request.query.get("access_token", "")
    if not text:
        raise PlatformError(41001, "access_token missing")
    with sandbox.lock:
        check_address(sandbox, request)
        known = sandbox.state.tokens.get(text)
        now = sandbox.clock.now()
        if known is None or known.dead:
            raise PlatformError(40001, "invalid credential, access_token is invalid or not latest")
        if known.expires_at <= now:
            raise PlatformError(42001, "access_token expired")
        account = sandbox.identity.account(known.account)
        if account is None or kind not in {known.account, "any"}:
            raise PlatformError(48001, "api unauthorized")
        limit = sandbox.state.settings.quotas.get(request.path)
        if limit is not None:
            used = sandbox.state.count(f"{request.path}:{account.kind}", beijing_day(now))
            if used > limit:
                raise PlatformError(45009, "reach max api daily quota limit")
    return account


def check_address(sandbox: Sandbox, request: Request) -> None:
    allowed = sandbox.state.settings.ip_whitelist
    if allowed is not None and request.client_ip not in allowed:
        raise PlatformError(40164, f"invalid ip {request.client_ip}, not in whitelist")


def _credentials(
    sandbox: Sandbox, request: Request, *, grant_type: object, appid: object, secret: object
) -> Account:
    if grant_type != "client_credential":
        raise PlatformError(40002, "invalid grant_type")
    if not isinstance(appid, str) or not appid:
        raise PlatformError(41002, "appid missing")
    if not isinstance(secret, str) or not secret:
        raise PlatformError(41004, "appsecret missing")
    account = sandbox.identity.account_of(appid)
    if account is None:
        raise PlatformError(40013, "invalid appid")
    if not hmac.compare_digest(secret.encode(), account.secret.encode()):
        raise PlatformError(40125, "invalid appsecret")
    with sandbox.lock:
        check_address(sandbox, request)
    return account


def _new_token(sandbox: Sandbox, account: str, now: float, *, stable: bool = False) -> Token:
    mark = "S" if stable else "P"
    text = f"{mark}{secrets.randbelow(90) + 10}_{secrets.token_urlsafe(100)}"
    fresh = Token(text, account, now + LIFE_SECONDS)
    sandbox.state.tokens[text] = fresh
    return fresh


def _count_stable(sandbox: Sandbox, account: str, now: float) -> None:
    if sandbox.state.count(f"stable:{account}", beijing_day(now)) > _STABLE_A_DAY:
        raise PlatformError(45009, "reach max api daily quota limit")
    if sandbox.state.count(f"stable:{account}", f"minute {int(now // 60)}") > _STABLE_A_MINUTE:
        raise PlatformError(45011, "api minute-quota reach limit")


def _count_forced(sandbox: Sandbox, account: str, now: float) -> None:
    last = sandbox.state.forced_at.get(account)
    if last is not None and 0 <= now - last < _FORCED_GAP_SECONDS:
        raise PlatformError(45011, "force refresh too frequent")
    if sandbox.state.count(f"forced:{account}", beijing_day(now)) > _FORCED_A_DAY:
        raise PlatformError(45009, "reach max api daily quota limit")
    sandbox.state.forced_at[account] = now
