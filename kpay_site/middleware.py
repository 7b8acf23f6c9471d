"""Sessions, CSRF and messages belong to the admin: the API carries bearer tokens.

Each of Django's own classes steps aside for paths that have no use for it, which saves every
feed request four layers.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

Answer = HttpResponseBase | Awaitable[HttpResponseBase]
_WITHOUT = ("/api/v1/", "/wechat/", "/media/", "/healthz", "/readyz", "/metrics")


def _plain(request: HttpRequest) -> bool:
    return request.path_info.startswith(_WITHOUT)


class Sessions(SessionMiddleware):
    def __call__(self, request: HttpRequest) -> Answer:
        return self.get_response(request) if _plain(request) else super().__call__(request)


class Csrf(CsrfViewMiddleware):
    def __call__(self, request: HttpRequest) -> Answer:
        return self.get_response(request) if _plain(request) else super().__call__(request)


class Auth(AuthenticationMiddleware):
    def __call__(self, request: HttpRequest) -> Answer:
        return self.get_response(request) if _plain(request) else super().__call__(request)


class Messages(MessageMiddleware):
    def __call__(self, request: HttpRequest) -> Answer:
        return self.get_response(request) if _plain(request) else super().__call__(request)


class Frames(XFrameOptionsMiddleware):
    def __call__(self, request: HttpRequest) -> Answer:
        return self.get_response(request) if _plain(request) else super().__call__(request)


class PlainQueries:
    """400 for a NUL in the address: the admin's filters would hand it to the database."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Answer:
        query = request.META.get("QUERY_STRING", "")
        if request.path_info.startswith("/admin/") and ("%00" in query or "\0" in query):
            raise SuspiciousOperation("a NUL in the query")
        answer: Answer = self.get_response(request)
        return answer


class Locale(LocaleMiddleware):
    """Language by Accept-Language, Chinese without one or with one we do not speak.

    What WeChat itself calls answers in Chinese: the reply is read in a chat, and the caller's
    headers say nothing of its reader.
    """

    def __call__(self, request: HttpRequest) -> Answer:
        if not request.path_info.startswith("/wechat/"):
            return super().__call__(request)
        translation.deactivate()  # a thread keeps the language of the request before
        return self.get_response(request)
