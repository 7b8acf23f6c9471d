"""Users, their codes and grants, and what they say to the message server."""

from __future__ import annotations

from wechat_sandbox import push
from wechat_sandbox.control import fields
from wechat_sandbox.platform import login
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import Template, User, new_openid, new_session_key
from wechat_sandbox.wire import ControlError, Json

_PLATFORMS = {"ios", "android", "devtools", "h5", "windows", "harmony"}


def user_create(sandbox: Sandbox, data: Json) -> Json:
    """Makes a person, or changes the one with this openid. `unionid: null`: not bound."""
    openid = fields.text(data, "openid") if data.get("openid") is not None else new_openid()
    oa_openid = fields.text(data, "oa_openid", new_openid())
    with sandbox.lock:
        user = sandbox.state.user(openid)
        if user is None:
            user = User(openid, oa_openid, new_openid(), new_session_key())
            sandbox.state.add_user(user)
        if "unionid" in data:
            user.unionid = None if data["unionid"] is None else fields.text(data, "unionid")
        user.platform = fields.choice(data, "platform", _PLATFORMS, user.platform)
        user.phone = fields.text(data, "phone", user.phone)
        follows = fields.flag(data, "follows_oa", user.follows_oa)
        if follows and not user.follows_oa:
            user.subscribe_time = sandbox.clock.wire()
        user.follows_oa = follows
        return user.view()


def user_list(sandbox: Sandbox, _: Json) -> Json:
    with sandbox.lock:
        return {"items": [user.view() for user in sandbox.state.users]}


def login_code(sandbox: Sandbox, data: Json, *, openid: str) -> Json:
    """What wx.login gives. `rotate_session_key`: the platform made a new key this time."""
    user = fields.known_user(sandbox, openid)
    with sandbox.lock:
        user.seen_at = sandbox.clock.now()
        if fields.flag(data, "rotate_session_key", False):
            user.refresh_session()
    appid = fields.text(data, "appid", sandbox.identity.mp.appid)
    return {"code": login.new_code(sandbox, "login", user, appid).extra["text"]}


def phone_code(sandbox: Sandbox, data: Json, *, openid: str) -> Json:
    """What a getPhoneNumber button gives."""
    user = fields.known_user(sandbox, openid)
    user.phone = fields.text(data, "phone", user.phone)
    appid = fields.text(data, "appid", sandbox.identity.mp.appid)
    return {"code": login.new_code(sandbox, "phone", user, appid).extra["text"]}


def oauth_code(sandbox: Sandbox, data: Json, *, openid: str) -> Json:
    """What the browser brings back from open.weixin.qq.com."""
    user = fields.known_user(sandbox, openid)
    scopes = {"snsapi_base", "snsapi_userinfo"}
    extra: Json = {
        "scope": fields.choice(data, "scope", scopes, "snsapi_base"),
        "snapshot": fields.flag(data, "snapshot", False),
    }
    appid = fields.text(data, "appid", sandbox.identity.oa.appid)
    return {"code": login.new_code(sandbox, "oauth", user, appid, extra).extra["text"]}


def grant(sandbox: Sandbox, data: Json, *, openid: str) -> Json:
    """The user's answers in wx.requestSubscribeMessage: each accept allows one send."""
    user = fields.known_user(sandbox, openid)
    template_id = fields.text(data, "template_id")
    count = fields.integer(data, "count", 1, least=0, most=1000)
    with sandbox.lock:
        if template_id not in sandbox.state.templates:
            raise ControlError(404, "no_such_template", template_id)
        user.grants[template_id] = user.grants.get(template_id, 0) + count
        return {"template_id": template_id, "left": user.grants[template_id]}


def template_create(sandbox: Sandbox, data: Json) -> Json:
    """A subscribe-message template of the account: `keys` like ["thing1", "time2"]."""
    keys = data.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(k, str) for k in keys):
        raise ControlError(400, "invalid_keys", "keys must be a list of texts")
    template = Template(
        fields.choice(data, "account", {"mp", "oa"}, "mp"), fields.text(data, "template_id"), keys
    )
    with sandbox.lock:
        sandbox.state.templates[template.template_id] = template
    return dict(template.__dict__)


def message(sandbox: Sandbox, data: Json) -> Json:
    """Pushes a message or an event; the product's status and decrypted answer come back."""
    retry = fields.flag(data, "retry", True)
    timeout = fields.number(data, "timeout_seconds", 5.0, least=0.05, most=60)
    return push.deliver(sandbox, push.new_push(sandbox, data), retry=retry, timeout=timeout)


def verify(sandbox: Sandbox, data: Json) -> Json:
    """The GET with echostr. `tamper`: with a wrong signature."""
    account = sandbox.identity.account(fields.choice(data, "account", {"mp", "oa"}, "oa"))
    if account is None:
        raise ControlError(400, "invalid_account", "account must be mp or oa")
    return push.verify_server(sandbox, account, tamper=fields.flag(data, "tamper", False))


def sent_list(sandbox: Sandbox, data: Json) -> Json:
    """Messages that the product sent and the platform took: ?openid=&account="""
    openid, account = data.get("openid"), data.get("account")
    with sandbox.lock:
        items = [
            item
            for item in sandbox.state.sent
            if openid in {None, item["openid"]} and account in {None, item["account"]}
        ]
    return {"items": items}
