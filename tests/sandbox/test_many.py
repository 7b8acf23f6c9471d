"""Many payments at once, and a record that does not grow without bound."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from wechat_sandbox.client import SandboxClient
from wechat_sandbox.notifies import NOTIFIES_KEPT, Notify, NotifyLog


def at_once(count, act):
    """`act(n)` for each n, begun together; a failure in any is raised."""
    together = threading.Barrier(count)

    def one(n):
        together.wait(30)
        return act(n)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_sixty_four_payments_at_once_are_all_told(platform, running, prepaid, receiver, sdk):
    numbers = [prepaid(f"T{n:06d}") for n in range(64)]

    paid = at_once(64, lambda n: SandboxClient(running.base_url).pay(numbers[n]))

    assert {reply["notify"]["state"] for reply in paid} == {"received"}
    assert len({reply["transaction_id"] for reply in paid}) == 64
    told = {sdk.callback(*message)["resource"]["out_trade_no"] for message in receiver.notifies()}
    assert told == set(numbers)


def test_sixty_four_attempts_at_one_order_pay_it_once(platform, running, prepaid, receiver):
    number = prepaid()

    def attempt(_):
        client = SandboxClient(running.base_url)
        return client._session.post(
            f"{running.base_url}/_sandbox/payments/{number}", json={}, timeout=30
        ).status_code

    statuses = at_once(64, attempt)

    assert sorted(statuses) == [200] + [409] * 63
    assert len(receiver.notifies()) == 1


def test_without_waiting_the_payment_is_back_before_the_merchant_has_answered(
    platform, prepaid, receiver
):
    go_on = threading.Event()
    receiver.answer = lambda *_: (200 if go_on.wait(30) else 500, b"")
    number = prepaid()

    paid = platform.pay(number, wait=False)
    go_on.set()
    platform.advance(0)

    assert (paid["trade_state"], paid["notify"]["deliveries"]) == ("SUCCESS", [])
    assert platform.notifies(number)[0]["state"] == "received"


def test_a_long_step_of_the_clock_reaches_the_merchant_in_bounded_numbers(
    platform, prepaid, receiver
):
    platform.fault("delay:100")
    for n in range(300):
        platform.pay(prepaid(f"T{n:06d}"), wait=False)
    platform.advance(0)
    now, most = 0, 0
    lock = threading.Lock()

    def answer(*_):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1
        return 200, b""

    receiver.answer = answer
    platform.advance(101)

    assert len(receiver.notifies()) == 300
    assert 1 < most <= 128


def test_the_record_of_notifies_keeps_the_newest():
    log = NotifyLog()
    for n in range(NOTIFIES_KEPT + 2):
        log.add(notify(f"T{n}", f"id{n}"))
    log.add(notify("T5", "again"))

    assert len(log) == NOTIFIES_KEPT
    assert [log.of_order(f"T{n}") for n in range(3)] == [[], [], []]
    assert [n.id for n in log.of_order("T5")] == ["id5", "again"]


def test_the_state_in_brief_counts_what_it_does_not_list(platform, prepaid, payer):
    prepaid("T000001")
    prepaid("T000002")

    brief = platform.state(brief=1)

    assert (brief["users"], brief["orders"], brief["refunds"]) == (1, 2, 0)
    assert len(json.dumps(brief)) < len(json.dumps(platform.state()))


def notify(number, notify_id):
    return Notify(
        notify_id=notify_id,
        event_type="TRANSACTION.SUCCESS",
        url="http://127.0.0.1:1/n",
        plain={"out_trade_no": number},
        body=b"{}",
        created_at=0.0,
    )
