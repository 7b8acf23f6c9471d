"""Mutated notifies and pushes: no effect, no 5xx, no call to the platform.

`python -m devstack prove forgeries [--notifies 5000] [--pushes 1000] [--seed 1]`. A true notify of
an unpaid order is changed in every header, every byte, the serial and every field (rightly signed
and sealed again, so that only its content gives it away); true pushes of both accounts likewise.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import random
import secrets
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from devstack.prove.stage import Stage, stage
from wechat_sandbox import msgcrypt
from wechat_sandbox.clock import rfc3339
from wechat_sandbox.crypto import SIGNATURE_TYPE, rsa_sign, sealed
from wechat_sandbox.identity import Account, Identity, load_identity

NOTIFY = "/wechat/pay/notify"
HEADERS = ("Timestamp", "Nonce", "Signature", "Serial", "Signature-Type")
# Whatever could move when a lie is believed. Kept raw events are evidence, not an effect.
EFFECTS = """
SELECT (SELECT count(*) FROM audit.effects), (SELECT count(*) FROM audit.journals),
       (SELECT count(*) FROM audit.entitlements), (SELECT count(*) FROM audit.refunds),
       (SELECT count(*) FROM audit.payments WHERE status = 'succeeded'),
       (SELECT count(*) FROM audit.orders WHERE status <> 'pending'),
       (SELECT count(*) FROM messaging_messageevent),
       (SELECT count(*) FROM accounts_identity)
"""
_local = threading.local()


@dataclass(frozen=True)
class Sent:
    """One request. `believable` is rightly signed: it may be stored, yet must not act."""

    kind: str
    path: str
    headers: dict[str, str]
    body: bytes
    believable: bool = False


class Forger:
    """Makes lies out of one true notify."""

    def __init__(self, identity: Identity, payment: dict[str, Any], seed: int) -> None:
        self.identity, self.payment = identity, payment
        self.draw = random.Random(seed)  # noqa: S311  (reproducible, not secret)

    def plain(self) -> dict[str, Any]:
        return {
            "appid": self.identity.mp.appid,
            "mchid": self.identity.mchid,
            "out_trade_no": self.payment["out_trade_no"],
            "transaction_id": f"42{secrets.token_hex(13)}",
            "trade_type": "JSAPI",
            "trade_state": "SUCCESS",
            "success_time": rfc3339(time.time()),
            "payer": {"openid": self.payment["openid"]},
            "amount": {
                "total": self.payment["total"],
                "payer_total": self.payment["total"],
                "currency": "CNY",
                "payer_currency": "CNY",
            },
        }

    def envelope(self, plain: Any, key: str = "", **changed: Any) -> dict[str, Any]:
        box = sealed(
            json.dumps(plain).encode(),
            key=key or self.identity.apiv3_key,
            associated_data="transaction",
        )
        return {
            "id": str(uuid.uuid4()),
            "create_time": rfc3339(time.time()),
            "resource_type": "encrypt-resource",
            "event_type": "TRANSACTION.SUCCESS",
            "summary": "支付成功",
            "resource": {"original_type": "transaction", **box},
            **changed,
        }

    def headers(self, body: bytes, moment: int | None = None) -> dict[str, str]:
        stamp = str(int(time.time()) if moment is None else moment)
        nonce = secrets.token_hex(16)
        message = b"%s\n%s\n%s\n" % (stamp.encode(), nonce.encode(), body)
        return {
            "Wechatpay-Timestamp": stamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": rsa_sign(self.identity.public_key_signer, message),
            "Wechatpay-Serial": self.identity.public_key_id,
            "Wechatpay-Signature-Type": SIGNATURE_TYPE,
        }

    def true(self) -> tuple[dict[str, str], bytes]:
        body = json.dumps(self.envelope(self.plain())).encode()
        return self.headers(body), body

    def header(self) -> Sent:
        headers, body = self.true()
        name = f"Wechatpay-{self.draw.choice(HEADERS)}"
        value = headers[name]
        how = self.draw.choice(("gone", "empty", "cut", "changed", "long", "strange"))
        if how == "gone":
            del headers[name]
        else:
            # Not the last four characters: base64 keeps spare bits there.
            place = self.draw.randrange(max(1, len(value) - 4))
            other = "A" if value[place] != "A" else "B"
            headers[name] = {
                "empty": "",
                "cut": value[: len(value) // 2],
                "changed": value[:place] + other + value[place + 1 :],
                "long": value * 30,
                "strange": "\u00ff\u00fe" + value,
            }[how]
        return Sent(f"header {name} {how}", NOTIFY, headers, body)

    def byte(self) -> Sent:
        headers, body = self.true()
        place = self.draw.randrange(len(body))
        bit = 1 << self.draw.randrange(8)
        raw = bytearray(body)
        raw[place] ^= bit
        how = self.draw.choice(("flip", "flip", "cut", "more", "twice"))
        spoiled = {
            "flip": bytes(raw),
            "cut": body[:place],
            "more": body + b" ",
            "twice": body + body,
        }[how]
        return Sent(f"byte {how}", NOTIFY, headers, spoiled)

    def stale(self) -> Sent:
        body = json.dumps(self.envelope(self.plain())).encode()
        # Ahead of the clock by more than the moments that it waits here for its turn.
        away = self.draw.choice((-300, -301, -3600, -(10**8), 400, 3600, 86400, 10**9))
        headers = self.headers(body, int(time.time()) + away)
        return Sent("stale timestamp", NOTIFY, headers, body)

    def serial(self) -> Sent:
        headers, body = self.true()
        headers["Wechatpay-Serial"] = self.draw.choice(
            (
                "PUB_KEY_ID_0000000000000000000000000000",
                secrets.token_hex(20).upper(),
                self.identity.merchant_serial,
                self.identity.public_key_id.lower(),
                "../../etc/passwd",
                "0",
            )
        )
        return Sent("serial", NOTIFY, headers, body)

    def field(self) -> Sent:
        """Rightly signed and sealed; one fact is a lie or of a wrong type."""
        plain = self.plain()
        odd: list[Any] = [None, "", 0, -1, 1.5, True, [], {}, "x" * 600, 2**70, "\x00", "\ud83d"]
        lies: dict[str, tuple[Any, ...]] = {
            "total": (self.payment["total"] + 1, 0, -1, *odd),
            "currency": ("USD", ""),
            "appid": ("wx0000000000000000",),
            "mchid": ("1900000000",),
            "openid": ("o" + "x" * 27, ""),
            "trade_state": ("NOTPAY", "CLOSED", "REFUND", "", 7),
            "transaction_id": ("", None, 1, [], "x" * 600),
            "out_trade_no": ("", None, [], {}, 7, "x" * 600, "\x00"),
            "success_time": ("yesterday", "2026-01-01T00:00:00", 5),
            "amount": (None, [], "9"),
            "payer": ("o", []),
        }
        name = self.draw.choice(list(lies))
        value = self.draw.choice(lies[name])
        if name in {"total", "currency"}:
            plain["amount"][name] = value
        elif name == "openid":
            plain["payer"]["openid"] = value
        else:
            plain[name] = value
        body = json.dumps(self.envelope(plain)).encode()
        return Sent(f"field {name}", NOTIFY, self.headers(body), body, believable=True)

    def envelope_field(self) -> Sent:
        """Rightly signed; the envelope around the facts is wrong, or sealed with another key."""
        how = self.draw.choice(("key", "algorithm", "nonce", "associated", "type", "shape", "id"))
        envelope = self.envelope(self.plain(), key=secrets.token_hex(16) if how == "key" else "")
        resource = envelope["resource"]
        if how == "algorithm":
            resource["algorithm"] = self.draw.choice(("AES", "", None, "AEAD_SM4_GCM"))
        elif how == "nonce":
            resource["nonce"] = self.draw.choice(("", "x", None, 7, secrets.token_hex(6)))
        elif how == "associated":
            resource["associated_data"] = self.draw.choice(("", "refund", 7, None))
        elif how == "type":
            envelope["event_type"] = self.draw.choice(
                ("REFUND.SUCCESS", "REFUND.CLOSED", "X", "TRANSACTION.CLOSED", "", 7, None)
            )
        elif how == "shape":
            envelope["resource"] = self.draw.choice((None, [], "x", {}, 7))
        elif how == "id":
            envelope["id"] = self.draw.choice((None, "", 7, "x" * 400, []))
        body = json.dumps(envelope).encode()
        return Sent(f"envelope {how}", NOTIFY, self.headers(body), body, believable=True)

    def notifies(self, count: int) -> Iterator[Sent]:
        ways = (
            self.header, self.header, self.byte, self.byte, self.stale, self.serial, self.field,
            self.field, self.envelope_field,
        )  # fmt: skip
        for n in range(count):
            yield ways[n % len(ways)]()

    def push(self) -> Sent:
        account = self.draw.choice((self.identity.mp, self.identity.oa))
        message = _message(account, self.payment["openid"])
        stamp, nonce = str(int(time.time())), secrets.token_hex(8)
        box = msgcrypt.encrypt(message, aes_key=account.aes_key, appid=account.appid)
        query = {
            "signature": msgcrypt.signature(account.token, stamp, nonce),
            "timestamp": stamp,
            "nonce": nonce,
            "openid": self.payment["openid"],
            "encrypt_type": "aes",
            "msg_signature": msgcrypt.signature(account.token, stamp, nonce, box),
        }
        how = self.draw.choice(("query", "query", "byte", "plain", "stale", "other key", "appid"))
        if how == "query":
            name = self.draw.choice(("timestamp", "nonce", "msg_signature"))
            value = query[name]
            place = self.draw.randrange(len(value))
            other = "1" if value[place] != "1" else "2"
            query[name] = self.draw.choice(("", value[:place] + other + value[place + 1 :]))
        elif how == "stale":
            return self._sealed(account, message, str(int(time.time()) - 301), how)
        elif how == "other key":
            other_key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
            return self._sealed(account, message, stamp, how, aes_key=other_key)
        elif how == "appid":
            return self._sealed(account, message, stamp, how, appid="wx0000000000000000")
        body = json.dumps({"ToUserName": account.original_id, "Encrypt": box}).encode()
        if how == "byte":
            raw = bytearray(box.encode())
            place = self.draw.randrange(len(raw) - 4)
            raw[place] = ord("A") if raw[place] != ord("A") else ord("B")
            body = json.dumps({"ToUserName": "", "Encrypt": raw.decode()}).encode()
        if how == "plain":
            body = message
            if self.draw.random() < 0.5:
                del query["encrypt_type"], query["msg_signature"]
        return Sent(f"push {how}", f"{_door(account)}?{urlencode(query)}", {}, body)

    def _sealed(
        self, account: Account, message: bytes, stamp: str, how: str, **crypto: str
    ) -> Sent:
        nonce = secrets.token_hex(8)
        keys = {"aes_key": account.aes_key, "appid": account.appid, **crypto}
        box = msgcrypt.encrypt(message, **keys)
        query = {
            "timestamp": stamp,
            "nonce": nonce,
            "encrypt_type": "aes",
            "msg_signature": msgcrypt.signature(account.token, stamp, nonce, box),
        }
        body = json.dumps({"ToUserName": account.original_id, "Encrypt": box}).encode()
        return Sent(f"push {how}", f"{_door(account)}?{urlencode(query)}", {}, body)


def _door(account: Account) -> str:
    return f"/wechat/{account.kind}/callback"


def _message(account: Account, openid: str) -> bytes:
    return json.dumps(
        {
            "ToUserName": account.original_id,
            "FromUserName": openid,
            "CreateTime": int(time.time()),
            "MsgType": "event",
            "Event": "subscribe",
            "EventKey": secrets.token_hex(4),
        }
    ).encode()


def send(web: str, one: Sent) -> int:
    """The status of the answer, 599 where the connection broke."""
    connection: http.client.HTTPConnection | None = getattr(_local, "connection", None)
    if connection is None:
        parts = urlsplit(web)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        _local.connection = connection
    try:
        connection.putrequest("POST", one.path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(one.body)))
        for name, value in one.headers.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(one.body)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        _local.connection = None
        return 599
    return answer.status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--notifies", type=int, default=5000)
    parser.add_argument("--pushes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)


def run(told: argparse.Namespace, *, server: str, state: Path) -> dict[str, Any]:
    """The proof; "ok" when nothing moved, nothing unsigned was taken, nobody was called."""
    with stage("forgeries", server=server, state=state, processes=("web",)) as place:
        seen = _run(place, told.notifies, told.pushes, told.seed)
    quiet = not seen["outbound_calls"] and not seen["effects"]
    return {"ok": quiet and not seen["five_hundreds"] and not seen["forged_taken"], **seen}


def _run(place: Stage, notifies: int, pushes: int, seed: int) -> dict[str, Any]:
    shop = place.shop(users=1, courses=1)
    shopper = shop.shoppers[0]
    order = shopper.order(shop.products[0], "forged-order")
    paying = shopper.pay(order.body["no"], "forged-pay")
    payment = {
        "out_trade_no": paying.body["out_trade_no"],
        "openid": shopper.openid,
        "total": shop.price_fen,
    }
    forger = Forger(load_identity(place.state / "keys"), payment, seed)
    before, calls = place.rows(EFFECTS)[0], place.sandbox.last_call()
    seen = [
        *_volley(place, forger.notifies(notifies)),
        *_volley(place, (forger.push() for _ in range(pushes))),
    ]
    after = place.rows(EFFECTS)[0]
    by_kind: dict[str, Counter[str]] = {}
    for one, status in seen:
        by_kind.setdefault(one.kind, Counter())[str(status)] += 1
    outbound = place.sandbox.last_call() - calls
    # The true one still works: the lies did not spoil the way for it.
    headers, body = forger.true()
    true_status = send(place.web, Sent("true", NOTIFY, headers, body))
    return {
        "notifies": notifies,
        "pushes": pushes,
        "seed": seed,
        "effects": [now - then for now, then in zip(after, before, strict=True) if now != then],
        "outbound_calls": outbound,
        "five_hundreds": sum(status >= 500 for _one, status in seen),
        "forged_taken": sum(status < 300 and not one.believable for one, status in seen),
        "kinds": {kind: dict(counts) for kind, counts in sorted(by_kind.items())},
        "true_one": true_status,
        "audit_ok": place.audit()["ok"],
    }


def _volley(place: Stage, lies: Iterator[Sent]) -> list[tuple[Sent, int]]:
    """Made shortly before they leave: a lie that is stale by accident proves nothing."""
    seen: list[tuple[Sent, int]] = []
    with ThreadPoolExecutor(8) as crew:
        while chunk := list(islice(lies, 100)):
            seen += zip(chunk, crew.map(lambda one: send(place.web, one), chunk), strict=True)
    return seen
