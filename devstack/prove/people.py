"""Learners with tokens and courses on sale, for a proof's fresh database.

`python -m devstack.prove.people --users N --courses M --price FEN --out FILE` runs with the
product's environment and writes {openids, tokens, user_ids, products}.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import django


def make(*, users: int, courses: int, price_fen: int) -> dict[str, list[object]]:
    import numpy as np  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415

    from accounts.models import Identity, User  # noqa: PLC0415
    from devstack.bench.seeding import tokens_for  # noqa: PLC0415
    from payments.models import Product  # noqa: PLC0415

    start = User.objects.count()
    people = User.objects.bulk_create(
        User(username=f"prove_{start + n}", nickname=f"学员{n}") for n in range(users)
    )
    appid = settings.KPAY.wechat.mp_appid
    openids = [f"o{'prove':0<20}{person.pk:07d}" for person in people]
    Identity.objects.bulk_create(
        Identity(user=person, app="mp", appid=appid, openid=openid)
        for person, openid in zip(people, openids, strict=True)
    )
    first = Product.objects.count()
    products = Product.objects.bulk_create(
        Product(
            kind="course",
            title=f"第{n}门课",
            scope=f"course:{1_000_000 + first + n}",
            list_fen=price_fen,
            price_fen=price_fen,
            channels=["jsapi", "native"],
        )
        for n in range(courses)
    )
    return {
        "openids": list(openids),
        "tokens": list(tokens_for(np.array([person.pk for person in people], np.int64))),
        "user_ids": [person.pk for person in people],
        "products": [product.pk for product in products],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack.prove.people", description=__doc__)
    for name in ("users", "courses", "price"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    told = parser.parse_args()
    django.setup()
    made = make(users=told.users, courses=told.courses, price_fen=told.price)
    told.out.write_text(json.dumps(made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
