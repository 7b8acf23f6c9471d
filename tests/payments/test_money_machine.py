"""Any sequence of quoting, ordering, paying, cancelling, refunding, late and double money.

The model is the platform's side: which numbers it took money for, and how it answers refunds.
After every example all of that money must have its place and no invariant may be broken. The
longer run: `pytest tests/payments/test_money_machine.py -m long` (5,000 examples).
"""

from collections import Counter
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from incentives.services import coupon_claim, coupon_template_save, earning_rule_save, points_earn
from kernel import outbox
from kernel.errors import Conflict, DomainError
from payments.errors import OrderNotPending
from payments.models import Entry, Gift, GroupOffer, Order, Payment, Refund, ShareRule
from payments.services import (
    bundle_set,
    order_end,
    order_make,
    payment_succeeded,
    plan_publish,
    product_publish,
    quote_make,
)
from payments.services.attempts import payment_closed, payment_open
from payments.services.codes import code_of
from payments.services.gifts import gift_claim, gift_order
from payments.services.groups import group_join, group_start
from payments.services.refunds import refund_told
from tests import ports
from tests.payments.conftest import broken, make_buyer, money_for
from tests.payments.refunding import ask, said

SEEN: Counter[str] = Counter()
_openids = iter(range(10**9))
MINUTE = 60


class Shop(RuleBasedStateMachine):
    """A few buyers at a small shop, and a platform that may say everything late and twice."""

    def __init__(self) -> None:
        super().__init__()
        # Each example is undone, so that the audit looks at one shop and not at thousands.
        self.undo = transaction.atomic()
        self.undo._from_testcase = True  # type: ignore[attr-defined]  # as Django's own cases
        self.undo.__enter__()
        self.clock = 0
        ports.CLOCK_FILE.write_text("0", encoding="ascii")
        self.buyers = [make_buyer(f"oMACHINE{next(_openids):020d}") for _ in range(2)]
        self.courses = [_course(n, fen) for n, fen in enumerate((990, 1999, 1))]
        bundle = product_publish(
            scope="", title="套餐", kind="bundle", price_fen=1500, list_fen=1500,
            channels=["jsapi"],
        )  # fmt: skip
        bundle_set(bundle_id=bundle.pk, item_ids=[c.pk for c in self.courses])
        number = next(_openids)
        plan = plan_publish(key=f"m{number}", title="会员", period="month", price_fen=3000)
        self.products = [*self.courses, bundle, plan.product]
        for course in self.courses[:2]:
            ShareRule.objects.create(scope=course.scope, payee="7", share_bp=3333)
        template = coupon_template_save(
            key=f"c{number}", title="减5", discount_fen=500, per_user=3, budget_count=100,
            budget_fen=100_000,
        )  # fmt: skip
        self.coupons = {
            buyer.pk: [coupon_claim(user_id=buyer.pk, template_id=template.pk).pk]
            for buyer in self.buyers
        }
        earning_rule_save(key="m", kind="comment_approved", points=500, valid_days=90)
        for buyer in self.buyers:
            points_earn(user_id=buyer.pk, kind="comment_approved", ref="gift", points=500)
        self.offer = _group_offer(self.courses[1])
        self.groups: list[int] = []
        self.taken: set[str] = set()  # numbers that the platform took money for

    # -- what buyers do -----------------------------------------------------------------------

    @rule(
        who=st.integers(0, 1),
        which=st.sets(st.integers(0, 4), min_size=1, max_size=3),
        coupon=st.booleans(),
        points=st.sampled_from([0, 0, 7, 100, 500]),
        by_quote=st.booleans(),
    )
    def order(self, who: int, which: set[int], coupon: bool, points: int, by_quote: bool) -> None:
        buyer = self.buyers[who]
        asked: dict[str, Any] = {
            "user": buyer,
            "items": [{"product_id": self.products[n].pk, "quantity": 1} for n in sorted(which)],
            "platform": "android",
            "coupon_id": self.coupons[buyer.pk][0] if coupon else None,
            "points": points,
        }
        try:
            if by_quote:
                quote = quote_make(**asked)
                made = order_make(user=buyer, quote_id=quote.pk)
                assert made.payable_fen == quote.payable_fen
            else:
                made = order_make(**asked)
        except DomainError as refused:
            SEEN[f"order {refused.code}"] += 1
            return
        SEEN[f"order {made.status}"] += 1

    @rule(who=st.integers(0, 1), quantity=st.integers(1, 3))
    def gift(self, who: int, quantity: int) -> None:
        try:
            gift_order(
                user=self.buyers[who], product_id=self.courses[0].pk, quantity=quantity,
                platform="android",
            )  # fmt: skip
            SEEN["gift order"] += 1
        except DomainError as refused:
            SEEN[f"gift {refused.code}"] += 1

    @rule(who=st.integers(0, 1), join=st.booleans(), place=st.integers(0, 5))
    def group(self, who: int, join: bool, place: int) -> None:
        try:
            if join and self.groups:
                group_join(
                    user=self.buyers[who], group_id=self.groups[place % len(self.groups)],
                    platform="android",
                )  # fmt: skip
            else:
                group, _order = group_start(
                    user=self.buyers[who], offer_id=self.offer.pk, platform="android"
                )
                self.groups.append(group.pk)
            SEEN["group order"] += 1
        except DomainError as refused:
            SEEN[f"group {refused.code}"] += 1

    def _orders(self, *status: str) -> list[Order]:
        rows = Order.objects.filter(user__in=self.buyers).order_by("pk")
        return list(rows.filter(status__in=status) if status else rows)

    @precondition(lambda self: self._orders("pending"))
    @rule(place=st.integers(0, 20), channel=st.sampled_from(["jsapi", "native"]))
    def begin(self, place: int, channel: str) -> None:
        order = _pick(self._orders("pending"), place)
        try:
            payment_open(order_id=order.pk, channel=channel, payer_openid="")
        except OrderNotPending:
            SEEN["begin too late"] += 1

    @precondition(lambda self: self._orders("pending"))
    @rule(place=st.integers(0, 20))
    def buy(self, place: int) -> None:
        """The usual way: an attempt, and its money at once."""
        order = _pick(self._orders("pending"), place)
        try:
            payment = payment_open(order_id=order.pk, channel="jsapi", payer_openid="")
        except OrderNotPending:
            return
        self._pays(payment)

    @precondition(lambda self: self._orders("pending"))
    @rule(place=st.integers(0, 20), status=st.sampled_from(["cancelled", "closed"]))
    def end(self, place: int, status: str) -> None:
        order = _pick(self._orders("pending"), place)
        for payment in Payment.objects.filter(order=order, status__in=("created", "prepared")):
            payment_closed(payment_id=payment.pk)
        order_end(order_id=order.pk, status=status)
        SEEN[f"ended {status}"] += 1

    @precondition(lambda self: Gift.objects.filter(status="issued").exists())
    @rule(place=st.integers(0, 20), who=st.integers(0, 1))
    def claim(self, place: int, who: int) -> None:
        gift = _pick(list(Gift.objects.filter(status="issued").order_by("pk")), place)
        try:
            gift_claim(user=self.buyers[who], code=code_of(gift))
            SEEN["claimed"] += 1
        except Conflict as refused:
            SEEN[f"claim {refused.code}"] += 1

    @precondition(lambda self: self._orders("paid", "partially_refunded"))
    @rule(place=st.integers(0, 20), fen=st.one_of(st.none(), st.integers(1, 2500)))
    def ask_back(self, place: int, fen: int | None) -> None:
        order = _pick(self._orders("paid", "partially_refunded"), place)
        try:
            ask(order, amount_fen=fen)
            SEEN["refund asked"] += 1
        except DomainError as refused:
            SEEN[f"refund {refused.code}"] += 1

    # -- what the platform says -----------------------------------------------------------------

    def _payments(self) -> list[Payment]:
        rows = Payment.objects.filter(order__user__in=self.buyers)
        return list(rows.order_by("pk"))

    @precondition(lambda self: self._payments())
    @rule(place=st.integers(0, 20), twice=st.booleans())
    def money(self, place: int, twice: bool) -> None:
        """The payer paid this number: open, closed, of a dead or a paid order alike."""
        self._pays(_pick(self._payments(), place), times=2 if twice else 1)

    def _pays(self, payment: Payment, times: int = 1) -> None:
        before = payment.order.status
        for _ in range(times):
            payment_succeeded(facts=_same_money(payment))
        self.taken.add(payment.out_trade_no)
        payment.refresh_from_db()
        SEEN[f"money for {before}: {'kept' if payment.effective else 'sent back'}"] += 1

    def _refunds(self) -> list[Refund]:
        rows = Refund.objects.filter(order__user__in=self.buyers)
        return list(rows.select_related("payment").order_by("pk"))

    @precondition(lambda self: self._refunds())
    @rule(
        place=st.integers(0, 20),
        status=st.sampled_from(["SUCCESS", "SUCCESS", "PROCESSING", "ABNORMAL", "CLOSED"]),
    )
    def tell(self, place: int, status: str) -> None:
        refund = _pick(self._refunds(), place)
        if refund.status in ("rejected", "closed") or refund.approval == "waiting":
            return  # nobody asked the platform, or it said that it never will
        told = refund_told(refund_id=refund.pk, facts=said(refund, status))
        SEEN[f"refund {refund.status} told {status}: {told.status}"] += 1

    @rule(minutes=st.sampled_from([1, 31, 60 * 25]))
    def wait(self, minutes: int) -> None:
        self.clock += minutes * MINUTE
        ports.CLOCK_FILE.write_text(str(self.clock), encoding="ascii")

    @rule()
    def deliver(self) -> None:
        outbox.deliver_due()

    # -- what must hold -------------------------------------------------------------------------

    @invariant()
    def money_has_its_place(self) -> None:
        """All that came is kept by a paid order or on its way back, to the fen."""
        for payment in self._payments():
            came = payment.out_trade_no in self.taken
            assert (payment.status == "succeeded") == came
            if came and not payment.effective:
                back = payment.refunds.exclude(status__in=("closed", "rejected"))
                assert sum(r.amount_fen for r in back) == payment.amount_fen
        cash = sum(
            Entry.objects.filter(account__startswith="cash:").values_list("amount_fen", flat=True)
        )
        came_fen = sum(p.amount_fen for p in self._payments() if p.out_trade_no in self.taken)
        gone = sum(r.amount_fen for r in self._refunds() if r.status == "succeeded")
        assert cash == came_fen - gone

    def teardown(self) -> None:
        try:
            outbox.deliver_due()
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            assert broken() == []
        finally:
            transaction.set_rollback(True)
            self.undo.__exit__(None, None, None)


def _same_money(payment: Payment) -> Any:
    """What the platform says of this number, the same whenever it is asked."""
    at = payment.success_at
    return money_for(payment, **({"success_at": at} if at else {}))


def _course(n: int, price_fen: int) -> Any:
    number = next(_openids)
    return product_publish(
        scope=f"course:{5_000_000 + number}", title=f"课{n}", kind="course", price_fen=price_fen,
        list_fen=price_fen + 500, channels=["jsapi", "native"],
    )  # fmt: skip


def _group_offer(product: Any) -> Any:
    return GroupOffer.objects.create(product=product, price_fen=999, size=2, hours=24)


def _pick(rows: list[Any], place: int) -> Any:
    return rows[place % len(rows)]


def _run(examples: int, steps: int, *, derandomize: bool) -> None:
    SEEN.clear()
    try:
        run_state_machine_as_test(
            Shop,
            settings=settings(
                max_examples=examples,
                derandomize=derandomize,
                stateful_step_count=steps,
                deadline=None,
                phases=[Phase.generate],  # shrinking against a database takes minutes
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            ),
        )
    finally:
        ports.CLOCK_FILE.unlink(missing_ok=True)
    print("\n" + "\n".join(f"{count:6d} {what}" for what, count in SEEN.most_common()))  # noqa: T201  (what was reached is part of the proof)


@pytest.mark.django_db
def test_no_sequence_of_buying_and_refunding_breaks_an_invariant() -> None:
    _run(15, 30, derandomize=True)
    assert SEEN["money for pending: kept"]
    assert any(what.endswith("sent back") for what in SEEN)
    assert any(what.endswith("told SUCCESS: succeeded") for what in SEEN)


@pytest.mark.long
@pytest.mark.django_db
def test_five_thousand_examples_break_no_invariant() -> None:
    _run(5000, 12, derandomize=False)  # an order is paid in every second example alone
    assert SEEN["money for pending: kept"] > 2000
