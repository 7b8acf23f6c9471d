"""Pending orders of different learners with an open payment each, as their clients left them.

`python -m devstack.bench.orders --count N --out FILE` writes one JSON object a line: the
number, amount and payer that a notify has to name.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import django

PLATFORM = "android"
CHANNEL = "jsapi"


def open_payments(count: int) -> list[dict[str, object]]:
    """`count` new orders, each for one course that its buyer does not own."""
    from accounts.models import User  # noqa: PLC0415
    from content.models import Course  # noqa: PLC0415
    from payments.models import Entitlement  # noqa: PLC0415
    from payments.services.attempts import payment_open, payment_prepared  # noqa: PLC0415
    from payments.services.orders import order_make  # noqa: PLC0415

    buyers = User.objects.filter(is_staff=False).exclude(
        pk__in=Entitlement.objects.values("user_id")
    )
    products = list(
        Course.objects.filter(product__isnull=False)
        .order_by("pk")
        .values_list("product_id", flat=True)[:500]
    )
    found: list[dict[str, object]] = []
    for n, buyer in enumerate(buyers.order_by("-pk")[:count]):
        item = {"product_id": int(products[n % len(products)] or 0), "quantity": 1}
        order = order_make(user=buyer, items=[item], platform=PLATFORM)
        payer = f"bench-openid-{buyer.pk}"
        payment = payment_open(order_id=order.pk, channel=CHANNEL, payer_openid=payer)
        payment_prepared(payment_id=payment.pk, prepared={"prepay_id": f"wx{payment.pk}"})
        found.append(
            {"out_trade_no": payment.out_trade_no, "total": payment.amount_fen, "openid": payer}
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack.bench.orders", description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    told = parser.parse_args()
    django.setup()
    lines = [json.dumps(one) for one in open_payments(told.count)]
    told.out.write_text("\n".join(lines), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
