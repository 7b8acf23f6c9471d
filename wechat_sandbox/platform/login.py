"""Login codes, session keys, phone codes, web OAuth (`wechat.md` A1, A2, C6)."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from wechat_sandbox.platform.tokens import require_token
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Code, User
from wechat_sandbox.wire import Json, PlatformError, Reply, Request, json_reply

CODE_SECONDS = 300
_LOGINS_A_MINUTE = 100
_OAUTH_SECONDS = 7200
_REFRESH_SECONDS = 30 * 86400


def new_code(
    sandbox: Sandbox, kind: str, user: User, appid: str, extra: Json | None = None
) -> Code:
    """A code of five minutes; returns the record, kept under its text."""
    text = secrets.token_urlsafe(24)
    code = Code(kind, user, appid, sandbox.clock.now() + CODE_SECONDS, extra=extra or {})
    with sandbox.lock:
        sandbox.state.codes[text] = code
    code.extra["text"] = text
    return code


def jscode2session(sandbox: Sandbox, request: Request) -> Reply:
    """GET /sns/jscode2session"""
    query = request.query
    check_app(sandbox, query.get("appid"), query.get("secret"), kind="mp")
    text = query.get("js_code", "")
    if not text:
        raise PlatformError(41008, "missing code")
    if query.get("grant_type") != "authorization_code":
        raise PlatformError(40002, "invalid grant_type")
    with sandbox.lock:
        known = sandbox.state.codes.get(text)
        if known is not None:
            _count_login(sandbox, known.user)
        user = _use(sandbox, text, "login", query["appid"]).user
        user.seen_at = sandbox.clock.now()
        data: Json = {"openid": user.openid, "session_key": user.session_key}
        if user.unionid and sandbox.state.settings.oa_bound:
            data["unionid"] = user.unionid
    return json_reply(data)


def check_session(sandbox: Sandbox, request: Request) -> Reply:
    """GET /wxa/checksession"""
    with sandbox.lock:
        _signed_user(sandbox, request)
    return json_reply({"errcode": 0, "errmsg": "ok"})


def reset_session(sandbox: Sandbox, request: Request) -> Reply:
    """GET /wxa/resetusersessionkey"""
    with sandbox.lock:
        user = _signed_user(sandbox, request)
        user.refresh_session()
        return json_reply(
            {
                "errcode": 0,
                "errmsg": "ok",
                "openid": user.openid,
                "session_key": user.session_key,
            }
        )


def phone_number(sandbox: Sandbox, request: Request) -> Reply:
    """POST /wxa/business/getuserphonenumber"""
    account = require_token(sandbox, request, kind="mp")
    text = request.json().get("code")
    if not isinstance(text, str) or not text:
        raise PlatformError(40097, "invalid args")
    with sandbox.lock:
        known = sandbox.state.codes.get(text)
        if known is not None and known.kind == "phone" and known.appid != account.appid:
            raise PlatformError(40013, "invalid appid")
        user = _use(sandbox, text, "phone", account.appid).user
    info = {
        "phoneNumber": user.phone,
        "purePhoneNumber": user.phone,
        "countryCode": "86",
        "watermark": {"timestamp": int(sandbox.clock.wire()), "appid": account.appid},
    }
    return json_reply({"errcode": 0, "errmsg": "ok", "phone_info": info})


def oauth_token(sandbox: Sandbox, request: Request) -> Reply:
    """GET /sns/oauth2/access_token"""
    query = request.query
    check_app(sandbox, query.get("appid"), query.get("secret"), kind="oa")
    text = query.get("code", "")
    if not text:
        raise PlatformError(41008, "missing code")
    if query.get("grant_type") != "authorization_code":
        raise PlatformError(40002, "invalid grant_type")
    with sandbox.lock:
        code = _use(sandbox, text, "oauth", query["appid"])
        return json_reply(_new_grant(sandbox, code.user, code.extra))


def oauth_refresh(sandbox: Sandbox, request: Request) -> Reply:
    """GET /sns/oauth2/refresh_token"""
    with sandbox.lock:
        grant = sandbox.state.oauth.get(f"refresh:{request.query.get('refresh_token', '')}")
        if grant is None or grant["until"] < sandbox.clock.now():
            raise PlatformError(40030, "invalid refresh_token")
        return json_reply(_new_grant(sandbox, grant["user"], grant["extra"]))


def oauth_userinfo(sandbox: Sandbox, request: Request) -> Reply:
    """GET /sns/userinfo (scope snsapi_userinfo)"""
    with sandbox.lock:
        grant = _oauth_grant(sandbox, request)
        if grant["extra"].get("scope") != "snsapi_userinfo":
            raise PlatformError(48001, "api unauthorized")
        user: User = grant["user"]
        data: Json = {
            "openid": user.oa_openid,
            "nickname": "微信用户",
            "sex": 0,
            "headimgurl": "",
            "privilege": [],
        }
        if user.unionid and sandbox.state.settings.oa_bound:
            data["unionid"] = user.unionid
    return json_reply(data)


def oauth_check(sandbox: Sandbox, request: Request) -> Reply:
    """GET /sns/auth"""
    with sandbox.lock:
        _oauth_grant(sandbox, request)
    return json_reply({"errcode": 0, "errmsg": "ok"})


def check_app(sandbox: Sandbox, appid: str | None, secret: str | None, *, kind: str) -> None:
    """40013 for an unknown appid or one of the other kind, 40125 for a wrong secret."""
    if not appid:
        raise PlatformError(41002, "appid missing")
    if not secret:
        raise PlatformError(41004, "appsecret missing")
    account = sandbox.identity.account_of(appid)
    if account is None or kind not in {account.kind, "any"}:
        raise PlatformError(40013, "invalid appid")
    if not hmac.compare_digest(secret.encode(), account.secret.encode()):
        raise PlatformError(40125, "invalid appsecret")


def _use(sandbox: Sandbox, text: str, kind: str, appid: str) -> Code:
    """Spends a code: 40029 unknown, expired or foreign; 40163 used."""
    code = sandbox.state.codes.get(text)
    if code is None or code.kind != kind or code.appid != appid:
        raise PlatformError(40029, "invalid code")
    if code.used:
        raise PlatformError(40163, "code been used")
    if code.expires_at < sandbox.clock.now():
        raise PlatformError(40029, "invalid code")
    code.used = True
    return code


def _count_login(sandbox: Sandbox, user: User) -> None:
    now = sandbox.clock.now()
    times = user.login_times
    while times and times[0] <= now - 60:
        times.popleft()
    if len(times) >= _LOGINS_A_MINUTE:
        raise PlatformError(45011, "api minute-quota reach limit")
    times.append(now)


def _signed_user(sandbox: Sandbox, request: Request) -> User:
    require_token(sandbox, request, kind="mp")
    user = sandbox.state.user(request.query.get("openid", ""))
    if user is None:
        raise PlatformError(40003, "invalid openid")
    right = hmac.new(user.session_key.encode(), b"", hashlib.sha256).hexdigest()
    given = request.query.get("signature", "")
    if request.query.get("sig_method") != "hmac_sha256" or not hmac.compare_digest(
        given.encode(), right.encode()
    ):
        raise PlatformError(87009, "invalid signature")
    return user


def _new_grant(sandbox: Sandbox, user: User, extra: Json) -> Json:
    now = sandbox.clock.now()
    access, refresh = secrets.token_urlsafe(48), secrets.token_urlsafe(48)
    kept = {"user": user, "extra": extra}
    sandbox.state.oauth[f"access:{access}"] = {**kept, "until": now + _OAUTH_SECONDS}
    sandbox.state.oauth[f"refresh:{refresh}"] = {**kept, "until": now + _REFRESH_SECONDS}
    data: Json = {
        "access_token": access,
        "expires_in": _OAUTH_SECONDS,
        "refresh_token": refresh,
        "openid": user.oa_openid,
        "scope": extra.get("scope", "snsapi_base"),
    }
    if extra.get("snapshot"):
        data["is_snapshotuser"] = 1
    if user.unionid and sandbox.state.settings.oa_bound:
        data["unionid"] = user.unionid
    return data


def _oauth_grant(sandbox: Sandbox, request: Request) -> Json:
    grant = sandbox.state.oauth.get(f"access:{request.query.get('access_token', '')}")
    if grant is None:
        raise PlatformError(40001, "invalid credential, access_token is invalid or not latest")
    if grant["until"] < sandbox.clock.now():
        raise PlatformError(42001, "access_token expired")
    if request.query.get("openid") != grant["user"].oa_openid:
        raise PlatformError(40003, "invalid openid")
    return grant
