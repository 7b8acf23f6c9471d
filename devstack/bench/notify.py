"""Payment notifies a second: each for another order, signed and sealed as the platform does."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from devstack.bench import load
from devstack.bench.feed import BenchFailed, checked, doors, per_second
from devstack.bench.ground import Ground, web
from devstack.bench.load import Load
from devstack.bench.report import Line, at_least, median
from wechat_sandbox.clock import rfc3339
from wechat_sandbox.crypto import SIGNATURE_TYPE, rsa_sign, sealed
from wechat_sandbox.identity import Identity, load_identity

CONCURRENCY = 8
BAR = 0.20
PATH = "/wechat/pay/notify"
PAID = """
SELECT count(*) FROM payments_payment p JOIN payments_order o ON o.id = p.order_id
WHERE p.out_trade_no = ANY(%s) AND p.status = 'succeeded' AND o.status = 'paid'
"""


def run(place: Ground, *, rounds: int = 3, each: int = 300, seconds: float = 4) -> list[Line]:
    """Floor, notifies and bare commits in turn; medians. Every notify must have paid its order."""
    payments = opened(place, rounds * each)
    floor_file = doors(place).floor
    identity = load_identity(place.state.parent / "keys")
    floors: list[Load] = []
    notifies: list[Load] = []
    bare: list[float] = []
    with web(place) as (port, _pid):
        checked(port, floor_file, seconds=2, concurrency=CONCURRENCY)
        for n in range(rounds):
            floors.append(checked(port, floor_file, seconds=seconds, concurrency=CONCURRENCY))
            chosen = payments[n * each : (n + 1) * each]
            file = load.write_requests(place.state / "notify.requests", signed(identity, chosen))
            notifies.append(checked(port, file, seconds=60, concurrency=CONCURRENCY, most=each))
            bare.append(_bare(place, seconds))
    _all_paid(place, payments)
    own, least, commits = per_second(notifies), per_second(floors), median(bare)
    pairs = zip(notifies, floors, strict=True)
    ratios = [notify.per_second / floor.per_second for notify, floor in pairs]
    return [
        Line(
            "notify",
            f"notifies/s at concurrency {CONCURRENCY}, each another order",
            f"{own:.0f}/s",
            f"floor {least:.0f}/s",
            **at_least(median(ratios), BAR),
            detail={"ratios": ratios, "p50_ms": [one.p50_ms for one in notifies]},
        ),
        Line(
            "notify",
            "the same beside bare two-row commits",
            f"{own:.0f}/s",
            f"commits {commits:.0f}/s",
            own / commits,
        ),
    ]


def opened(place: Ground, count: int) -> list[dict[str, Any]]:
    """New pending orders with a prepared payment each."""
    out = place.state / "payments.jsonl"
    place.run("devstack.bench.orders", "--count", str(count), "--out", str(out))
    found = [json.loads(line) for line in out.read_text(encoding="ascii").splitlines()]
    if len(found) < count:
        raise BenchFailed(f"only {len(found)} of {count} orders could be made")
    return found


def signed(identity: Identity, payments: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    """One TRANSACTION.SUCCESS for each payment, signed with the platform's key this second."""
    for payment in payments:
        body = _envelope(identity, payment)
        moment, nonce = str(int(time.time())), secrets.token_hex(16)
        message = b"%s\n%s\n%s\n" % (moment.encode(), nonce.encode(), body)
        headers = {
            "Content-Type": "application/json",
            "Wechatpay-Timestamp": moment,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Signature": rsa_sign(identity.public_key_signer, message),
            "Wechatpay-Serial": identity.public_key_id,
            "Wechatpay-Signature-Type": SIGNATURE_TYPE,
        }
        yield load.post(PATH, headers, body)


def _envelope(identity: Identity, payment: dict[str, Any]) -> bytes:
    now = rfc3339(time.time())
    plain = {
        "appid": identity.mp.appid,
        "mchid": identity.mchid,
        "out_trade_no": payment["out_trade_no"],
        "transaction_id": f"42{payment['out_trade_no']}",
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "success_time": now,
        "payer": {"openid": payment["openid"]},
        "amount": {
            "total": payment["total"],
            "payer_total": payment["total"],
            "currency": "CNY",
            "payer_currency": "CNY",
        },
    }
    box = sealed(json.dumps(plain).encode(), key=identity.apiv3_key, associated_data="transaction")
    envelope = {
        "id": str(uuid.uuid4()),
        "create_time": now,
        "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS",
        "summary": "支付成功",
        "resource": {"original_type": "transaction", **box},
    }
    return json.dumps(envelope).encode()


def _bare(place: Ground, seconds: float) -> float:
    arguments = ("--url", place.url, "--clients", str(CONCURRENCY), "--seconds", str(seconds))
    return float(place.run("devstack.bench.bare", *arguments))


def _all_paid(place: Ground, payments: Sequence[dict[str, Any]]) -> None:
    numbers = [one["out_trade_no"] for one in payments]
    rows = place.execute(PAID, [numbers])
    if rows[0][0] != len(payments):
        raise BenchFailed(f"{rows[0][0]} of {len(payments)} notified orders are paid")
