"""Reading the bodies of control calls."""

from __future__ import annotations

from typing import Any

from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.state import User
from wechat_sandbox.wire import ControlError, Json


def choice(data: Json, name: str, allowed: set[str], default: str | None = None) -> str:
    value = data.get(name, default)
    if not isinstance(value, str) or value not in allowed:
        raise ControlError(400, f"invalid_{name}", f"{name} is one of {sorted(allowed)}")
    return value


def number(data: Json, name: str, default: float, *, least: float, most: float) -> float:
    value = data.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ControlError(400, f"invalid_{name}", f"{name} must be a number")
    if not least <= value <= most:
        raise ControlError(400, f"invalid_{name}", f"{name} lies between {least} and {most}")
    return value


def integer(data: Json, name: str, default: int | None, *, least: int, most: int) -> int:
    value = data.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ControlError(400, f"invalid_{name}", f"{name}: an integer, {least} to {most}")
    return value


def text(data: Json, name: str, default: str | None = None) -> str:
    value: Any = data.get(name, default)
    if not isinstance(value, str) or not value:
        raise ControlError(400, f"invalid_{name}", f"{name} must be a text")
    return value


def flag(data: Json, name: str, default: bool) -> bool:
    value = data.get(name, default)
    if not isinstance(value, bool):
        raise ControlError(400, f"invalid_{name}", f"{name} must be true or false")
    return value


def known_user(sandbox: Sandbox, openid: str) -> User:
    """By the openid in either app, or by unionid."""
    with sandbox.lock:
        user = sandbox.state.user(openid)
        if user is None:
            user = next((u for u in sandbox.state.users if u.unionid == openid), None)
    if user is None:
        raise ControlError(404, "no_such_user", f"nobody is called {openid}")
    return user
