"""Requests that the platform makes: no redirects, no proxies, one time limit."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from wechat_sandbox.wire import MAX_BODY_BYTES

ANSWER_SECONDS = 5.0  # D4 and C3: later answers do not count


@dataclass(frozen=True)
class Answer:
    """What came back. `status` is None when nothing did; `error` says why."""

    status: int | None
    body: bytes
    seconds: float
    error: str = ""

    @property
    def received(self) -> bool:
        """A 2xx counts, whatever its body says (D4)."""
        return self.status is not None and 200 <= self.status < 300


def send(
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout: float = ANSWER_SECONDS,
    trick: str = "",
    trick_seconds: float = 0.0,
) -> Answer:
    """One request. `trick` misuses the connection.

    half: close in the middle of the body; deaf: send all, close without reading;
    slow: pause `trick_seconds` between headers and body.
    """
    started = time.monotonic()
    parts = urlsplit(url)
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.putrequest(method, target)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.putheader("Connection", "close")
        if trick == "half":
            connection.endheaders()
            connection.send(body[: len(body) // 2])
            return Answer(None, b"", time.monotonic() - started, "reset before effect")
        if trick == "slow":
            connection.endheaders()
            time.sleep(trick_seconds)
            connection.send(body)
        else:
            connection.endheaders(body)
        if trick == "deaf":
            return Answer(None, b"", time.monotonic() - started, "answer not read")
        response = connection.getresponse()
        data = response.read(MAX_BODY_BYTES)
        return Answer(response.status, data, time.monotonic() - started)
    except (OSError, http.client.HTTPException) as error:
        text = f"{type(error).__name__}: {error}"
        return Answer(None, b"", time.monotonic() - started, text)
    finally:
        connection.close()
