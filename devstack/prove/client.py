"""A mini-program's side of buying, as threads of a proof use it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import requests

_local = threading.local()
ANSWER_SECONDS = 30.0


class GaveUp(RuntimeError):
    """The product did not answer in time, however often it was asked."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str:
        error = self.body.get("error")
        return str(error.get("code")) if isinstance(error, dict) else ""


@dataclass(frozen=True)
class Shopper:
    """One learner with a token, at one shop."""

    web: str
    openid: str
    token: str
    user_id: int

    def post(self, path: str, body: dict[str, Any] | None = None, key: str = "") -> Answer:
        """One try. Raises `requests.RequestException` where there is no answer."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if key:
            headers["Idempotency-Key"] = key
        reply = session().post(
            f"{self.web}/api/v1{path}", json=body or {}, headers=headers, timeout=ANSWER_SECONDS
        )
        return Answer(reply.status_code, reply.json() if reply.content else {})

    def get(self, path: str) -> Answer:
        reply = session().get(
            f"{self.web}/api/v1{path}",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=ANSWER_SECONDS,
        )
        return Answer(reply.status_code, reply.json() if reply.content else {})

    def insist(
        self, path: str, body: dict[str, Any] | None = None, key: str = "", seconds: float = 120
    ) -> Answer:
        """The same call, the same key, until an answer below 500 that is not "in progress"."""
        ends = time.monotonic() + seconds
        wait = 0.1
        while time.monotonic() < ends:
            try:
                answer = self.post(path, body, key)
            except (requests.RequestException, ValueError):
                answer = Answer(599, {})
            if answer.status < 500 and answer.code != "idempotency_in_progress":
                return answer
            time.sleep(wait)
            wait = min(2.0, wait * 1.7)
        raise GaveUp(f"no answer from {path} in {seconds:.0f} s")

    def order(self, product: int, key: str, **fields: Any) -> Answer:
        items = [{"product_id": str(product), "quantity": 1}]
        return self.insist("/orders", {"items": items, "platform": "android", **fields}, key)

    def pay(self, no: str, key: str, channel: str = "jsapi") -> Answer:
        return self.insist(f"/orders/{no}/pay", {"channel": channel}, key)


def session() -> requests.Session:
    """One keep-alive session for each thread."""
    made: requests.Session | None = getattr(_local, "session", None)
    if made is None:
        made = requests.Session()
        made.trust_env = False
        _local.session = made
    return made
