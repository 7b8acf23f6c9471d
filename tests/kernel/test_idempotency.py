import threading

import pytest
from django.db import connection
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from kernel import clock
from kernel.api import ApiView
from kernel.errors import Conflict
from kernel.idempotency import idempotent
from kernel.models import Heartbeat, IdempotencyKey

pytestmark = pytest.mark.django_db(transaction=True)


class Ring(ApiView):
    @idempotent(route="test.ring")
    def post(self, request):
        beat = Heartbeat.objects.create(name=request.data["name"], beat_at=clock.now())
        return Response({"rang": beat.name}, status=201)


class Call(ApiView):
    fail = False

    @idempotent(route="test.call", talks=True)
    def post(self, request):
        assert not connection.in_atomic_block
        if type(self).fail:
            raise Conflict
        return Response({"called": request.data["name"]})


def post(view, user, body, key="k1"):
    headers = {"HTTP_IDEMPOTENCY_KEY": key} if key else {}
    request = APIRequestFactory().post("/", body, format="json", **headers)
    force_authenticate(request, user=user)
    return view.as_view()(request)


def test_a_repeat_gets_the_same_answer_and_no_second_effect(learner) -> None:
    user = learner()
    first = post(Ring, user, {"name": "a"})
    second = post(Ring, user, {"name": "a"})

    assert (
        (first.status_code, first.data) == (second.status_code, second.data) == (201, {"rang": "a"})
    )
    assert Heartbeat.objects.count() == 1


def test_a_missing_key_is_asked_for(learner) -> None:
    reply = post(Ring, learner(), {"name": "a"}, key="")
    assert reply.status_code == 400
    assert "Idempotency-Key" in reply.data["error"]["detail"]


def test_one_key_for_two_bodies_is_refused(learner) -> None:
    user = learner()
    post(Ring, user, {"name": "a"})
    reply = post(Ring, user, {"name": "b"})
    assert (reply.status_code, reply.data["error"]["code"]) == (422, "idempotency_key_reused")


def test_keys_of_two_users_do_not_meet(learner) -> None:
    assert post(Ring, learner(), {"name": "a"}).status_code == 201
    assert post(Ring, learner(), {"name": "b"}).status_code == 201


def test_sixteen_copies_at_once_have_one_effect_and_one_answer(learner) -> None:
    user = learner()
    replies = []

    def send() -> None:
        replies.append(post(Ring, user, {"name": "a"}))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Heartbeat.objects.count() == 1
    assert {(reply.status_code, reply.data["rang"]) for reply in replies} == {(201, "a")}


def test_a_talking_call_that_failed_may_go_on_at_once_and_is_kept_when_done(learner) -> None:
    user = learner()
    Call.fail = True
    assert post(Call, user, {"name": "a"}).status_code == 409
    Call.fail = False

    assert post(Call, user, {"name": "a"}).data == {"called": "a"}
    Call.fail = True
    assert post(Call, user, {"name": "a"}).data == {"called": "a"}
    Call.fail = False


def test_a_talking_call_under_way_answers_in_progress(learner) -> None:
    user = learner()
    post(Call, user, {"name": "a"})
    IdempotencyKey.objects.update(status=None, lease_until=clock.now() + clock.timedelta(seconds=9))

    reply = post(Call, user, {"name": "a"})

    assert (reply.status_code, reply.data["error"]["code"]) == (409, "idempotency_in_progress")
