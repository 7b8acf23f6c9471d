"""POST /feed/feedback works from the next request on."""

import pytest

from tests.recommender.conftest import ids

pytestmark = pytest.mark.django_db


def feed(client, **query):
    return client.get("/api/v1/feed", query).json()


def test_feedback_hides_a_course_and_undo_brings_it_back(shop, learner, api_for):
    client = api_for(learner())
    page = feed(client, limit=5)
    said = {"request_id": page["request_id"], "course_id": page["items"][0]["course"]["id"]}

    hidden = client.post("/api/v1/feed/feedback", {**said, "action": "not_interested"})
    without = ids(feed(client, limit=50))
    undone = client.post("/api/v1/feed/feedback", {**said, "action": "undo"})

    assert (hidden.status_code, undone.status_code) == (204, 204)
    assert shop[0].pk not in without
    assert shop[0].pk in ids(feed(client, limit=50))


def test_less_like_this_lowers_its_category(shop, learner, api_for):
    client = api_for(learner())
    page = feed(client, limit=3)
    said = {"request_id": page["request_id"], "course_id": str(shop[0].pk)}

    client.post("/api/v1/feed/feedback", {**said, "action": "less_like_this"})
    after = ids(feed(client, limit=50))

    lefts = [place for place, pk in enumerate(after) if pk in {c.pk for c in shop.courses[:10]}]
    assert shop[0].pk not in after
    assert lefts[0] > 0


def test_feedback_on_what_was_not_shown_is_not_found(shop, learner, api_for):
    client = api_for(learner())
    foreign = feed(api_for(learner()), limit=3)["request_id"]

    reply = client.post(
        "/api/v1/feed/feedback",
        {"request_id": foreign, "course_id": str(shop[0].pk), "action": "not_interested"},
    )

    assert reply.status_code == 404
