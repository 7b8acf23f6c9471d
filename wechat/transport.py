"""HTTP to one upstream: own pool, timeouts, a size limit, a breaker, and typed failures."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError

from wechat.errors import WeChatNotNow, WeChatUncertain

MAX_ANSWER = 2 * 1024 * 1024
_POOL = 16
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """The platform's raw answer, before anyone has believed it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Breaker:
    """After so many failures in a row nothing is sent for a while, so callers fail at once.

    Then one failure more opens it again, one success closes it for good. One per transport,
    that is per upstream, app and process; nothing is shared between processes.
    """

    def __init__(self, failures: int, seconds: float) -> None:
        self._lock = threading.Lock()
        self._most = max(1, failures)
        self._seconds = seconds
        self._failures = 0
        self._open_until = 0.0

    def check(self) -> None:
        """Raises `WeChatNotNow` while open."""
        if time.monotonic() < self._open_until:
            raise WeChatNotNow(said="breaker open")

    def note(self, *, ok: bool) -> None:
        with self._lock:
            self._failures = 0 if ok else self._failures + 1
            if self._failures >= self._most:
                self._open_until = time.monotonic() + self._seconds
                self._failures = self._most - 1


class Transport:
    """`send` gives an answer of any status, or raises what is known about the request's fate."""

    def __init__(self, base_url: str, timeout: tuple[float, float]) -> None:
        self.base_url = base_url
        self._timeout = timeout
        self._breaker = Breaker(settings.KPAY.breaker_failures, settings.KPAY.breaker_seconds)
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=_POOL, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        if urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}:
            self._session.trust_env = False  # a proxy for the world is not one for ourselves

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        most: int = MAX_ANSWER,
        seconds: float | None = None,
    ) -> Answer:
        """The answer, of at most `most` bytes, whole within `seconds` (else within the timeouts).

        Raises `WeChatNotNow` when nothing was sent, `WeChatUncertain` otherwise.
        """
        self._breaker.check()
        deadline = time.monotonic() + (sum(self._timeout) if seconds is None else seconds)
        try:
            with self._session.request(
                method,
                self.base_url + path,
                params=params,
                headers=headers,
                data=body,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                read = _read(response, deadline, most)
                answer = Answer(response.status_code, response.headers, read)
        except requests.RequestException as error:
            self._breaker.note(ok=False)
            kind = WeChatNotNow if _never_sent(error) else WeChatUncertain
            # The message of a requests error may hold the URL, and with it the secret.
            raise kind(said=type(error).__name__) from None
        self._breaker.note(ok=answer.status < 500)
        return answer


def _read(response: requests.Response, deadline: float, most: int) -> bytes:
    """The whole body, within the size limit and before `deadline` (a slow drip must not hang)."""
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > most or time.monotonic() > deadline:
            raise requests.ReadTimeout
    return bytes(body)


def _never_sent(error: requests.RequestException) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)
