"""The codes of paid gift lines: readable for their giver, provable for whoever claims."""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings

from kernel import clock, crypto
from kernel.ids import new_code, readable_code, token_hash
from kernel.money import largest_remainder
from payments.models import Gift, OrderLine

_SEAL = "payments.gift"


def code_hash(code: str) -> bytes:
    """What is stored of a code as somebody typed it."""
    return token_hash(readable_code(code))


def code_of(gift: Gift) -> str:
    """The code in clear, for the giver alone."""
    return crypto.decrypt(gift.code_sealed, context=_SEAL)


def gifts_make(lines: Sequence[OrderLine]) -> list[Gift]:
    """One gift per piece of the gift lines of an order just paid, each worth its share.

    Called in the transaction that pays the order, once.
    """
    at = clock.now()
    until = at + timedelta(days=settings.KPAY.gift_days)
    gifts = []
    for line in lines:
        if not line.gives:
            continue
        worth = largest_remainder(line.payable_fen, [1] * line.quantity)
        for number, fen in enumerate(worth, start=1):
            code = new_code()
            gifts.append(
                Gift(
                    line=line,
                    number=number,
                    scope=line.gives,
                    amount_fen=fen,
                    code_hash=code_hash(code),
                    code_sealed=crypto.encrypt(code, context=_SEAL),
                    message=line.message,
                    created_at=at,
                    expires_at=until,
                    next_sweep_at=until,
                )
            )
    return Gift.objects.bulk_create(gifts)
