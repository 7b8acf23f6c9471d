"""When an upstream fails again and again, callers fail at once for a while."""

import time

import pytest

from wechat.errors import WeChatNotNow
from wechat.transport import Breaker


def is_open(breaker):
    try:
        breaker.check()
    except WeChatNotNow as error:
        return error.said == "breaker open"
    return False


def fail(breaker, times):
    for _time in range(times):
        breaker.note(ok=False)


@pytest.mark.parametrize(("failures", "opened"), [(2, False), (3, True)])
def test_it_opens_after_so_many_failures_in_a_row(failures, opened):
    breaker = Breaker(3, 60)

    fail(breaker, failures)

    assert is_open(breaker) is opened


def test_a_success_in_between_begins_the_count_anew():
    breaker = Breaker(3, 60)

    fail(breaker, 2)
    breaker.note(ok=True)
    fail(breaker, 2)

    assert not is_open(breaker)


def test_after_the_pause_one_failure_opens_it_again_and_one_success_closes_it():
    breaker = Breaker(3, 0.05)
    fail(breaker, 3)
    time.sleep(0.06)
    let_through = not is_open(breaker)

    fail(breaker, 1)
    again = is_open(breaker)
    time.sleep(0.06)
    breaker.note(ok=True)
    fail(breaker, 2)

    assert (let_through, again, is_open(breaker)) == (True, True, False)
