"""Messages of ours: allowed, counted, sent at most once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from accounts import services as accounts
from accounts.models import Identity, User
from kernel.models import OutboxRow
from kernel.outbox import deliver_due
from messaging.models import OutboundMessage
from messaging.services import message_send

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def follower(account, person):
    """A user who follows and wrote a moment ago, so the 48 h window is open."""
    account.push("oa", person["oa_openid"], "subscribe")
    account.push("oa", person["oa_openid"], "text", content="你好")
    deliver_due()
    return User.objects.get()


def send(user, key, kind="marketing", text="新课上线：写作课"):
    return message_send(user_id=user.pk, text=text, kind=kind, dedupe_key=key)


def state(key):
    row = OutboundMessage.objects.get(dedupe_key=key)
    return row.state, row.reason


def test_a_message_arrives_as_written(account, follower):
    send(follower, "a")
    deliver_due()

    (sent,) = account.sent()
    assert sent["message"]["text"] == {"content": "新课上线：写作课"}
    assert sent["escaped"] is False
    assert state("a") == ("sent", "")


def test_the_same_key_is_one_message(account, follower):
    first, second = send(follower, "a"), send(follower, "a")
    deliver_due()

    assert first.pk == second.pk
    assert len(account.sent()) == 1


def test_the_third_marketing_message_of_a_day_is_not_sent(account, follower):
    for key in "abc":
        send(follower, key)
    send(follower, "receipt", kind="service")
    deliver_due()

    assert state("c") == ("skipped", "daily_cap")
    assert len(account.sent()) == 3


def test_the_cap_holds_for_eight_senders_at_once(follower):
    together = Barrier(8)

    def run(number):
        try:
            together.wait(timeout=10)
            return send(follower, f"k{number}").state
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(run, range(8)))

    assert sorted(states) == ["queued"] * 2 + ["skipped"] * 6


def test_a_switch_that_went_off_after_queueing_stops_marketing_alone(account, follower):
    send(follower, "ad")
    send(follower, "receipt", kind="service")
    accounts.preferences_set(user=follower, marketing_messages=False)
    deliver_due()

    assert state("ad") == ("skipped", "marketing_off")
    assert state("receipt") == ("sent", "")


def test_one_who_left_gets_nothing_at_all(account, person, follower):
    send(follower, "queued", kind="service")
    account.push("oa", person["oa_openid"], "unsubscribe")
    send(follower, "later", kind="service")
    deliver_due()

    assert state("queued") == ("skipped", "not_following")
    assert state("later") == ("skipped", "not_following")
    assert account.sent() == []


@pytest.mark.parametrize("errcode", ["45015", "45047"])
def test_a_closed_window_is_final(account, follower, errcode):
    account.fault(f"errcode:{errcode}", on="api", path="/cgi-bin/message/custom/send")
    send(follower, "a")
    deliver_due()

    assert state("a") == ("refused", errcode)
    assert not OutboxRow.objects.exclude(state="done").exists()


def test_a_platform_that_says_not_following_is_believed(account, follower):
    account.fault("errcode:43004", on="api", path="/cgi-bin/message/custom/send")
    send(follower, "a")
    deliver_due()

    assert state("a") == ("refused", "43004")
    assert Identity.objects.get(app="oa").followed is False


def test_an_unknown_fate_is_not_repeated(account, follower):
    account.fault("reset_after_effect", on="api", path="/cgi-bin/message/custom/send", count=1)
    send(follower, "a")
    deliver_due()
    deliver_due()

    assert state("a")[0] == "uncertain"
    assert len(account.sent()) == 1


def test_a_platform_that_is_busy_gets_it_later(account, follower):
    account.fault("errcode:45011", on="api", path="/cgi-bin/message/custom/send", count=1)
    send(follower, "a")
    deliver_due()
    assert state("a") == ("queued", "")

    account.advance(60)
    deliver_due()

    assert state("a") == ("sent", "")


def test_a_sender_that_died_in_the_middle_leaves_no_second_message(account, follower):
    message = send(follower, "a")
    OutboundMessage.objects.filter(pk=message.pk).update(state="sending")

    deliver_due()

    assert state("a") == ("uncertain", "process ended")
    assert account.sent() == []
