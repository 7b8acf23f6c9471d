"""What learners told, what feeds logged, what the catalogue says: into training and to the feed."""

import uuid
from datetime import timedelta

import numpy as np
import pytest

from accounts.models import Identity
from content.models import Category
from feedback.models import Event
from kernel import clock
from payments.models import Product
from recommender.core.data import Interactions
from recommender.core.storing import load_columns, store_columns
from recommender.core.training.debias import event_weights
from recommender.dataset import snapshot
from recommender.labels import read_labels
from recommender.models import FeedRequest, TagDeletion
from recommender.scoring import merged, shards_score
from recommender.services.batches import batch_start
from recommender.services.runs import training_queue
from recommender.serving.feed import first_page, read_scene
from recommender.training_flow import training_run
from tests.recommender.conftest import ids

pytestmark = pytest.mark.django_db(transaction=True)


def came_by(user, scene):
    Identity.objects.create(
        user=user, app="oa", appid="wx0", openid=uuid.uuid4().hex, entry_scene=scene
    )


def labels_in(interactions, user):
    return interactions.people.labels[interactions.users.row(str(user.pk))]


def test_interests_and_channels_come_into_the_snapshot_as_labels(shop, learner):
    arts = Category.objects.create(key="arts", name="艺术")
    Category.objects.filter(pk=shop.left.pk).update(parent=arts)
    above, by_name, quiet = learner(interests=["arts"]), learner(interests=["编程"]), learner()
    came_by(by_name, "poster_7")
    for user in (above, by_name, quiet):
        shop.act(user, 0, "favourite")

    interactions, _ = snapshot()

    assert labels_in(interactions, above) == ("摄影", "艺术")  # and what lies below
    assert labels_in(interactions, by_name) == ("channel:poster_7", "编程")
    assert labels_in(interactions, quiet) == ()


def test_what_was_deleted_or_switched_off_is_no_label(shop, learner):
    gone, off = learner(interests=["code", "photo"]), learner(interests=["code"])
    off.personalised_feed = False
    off.save(update_fields=["personalised_feed"])
    for tag in ("编程", "code"):
        TagDeletion.objects.create(user=gone, tag=tag)

    assert read_labels() == {gone.pk: ("摄影",)}
    assert read_labels([off.pk]) == {}


def test_the_catalogue_tells_prices_and_dates_and_plain_text(shop, learner):
    dear = Product.objects.create(
        kind="course",
        title="x",
        scope="course:1",
        price_fen=9900,
        list_fen=9900,
        channels=["jsapi"],
    )
    type(shop[0]).objects.filter(pk=shop[0].pk).update(product=dear, intro="<p>和弦&amp;指法</p>")
    shop.act(learner(), 0, "view")

    table = snapshot()[0].table

    assert table.price_fen.tolist() == [9900] + [-1] * 19
    assert table.published_at[0] == pytest.approx(shop[0].published_at.timestamp())
    assert table.texts[0] == "\n和弦&指法"


def fed(user, courses, chances):
    return FeedRequest.objects.create(
        user=user, surface="home", model_name="x", personalised=True,
        items=[course.pk for course in courses], propensities=chances,
        codes=[0] * len(chances), scores=[1.0] * len(chances),
    ).request_id  # fmt: skip


def acted(user, course, kind, request_id, ago=0):
    Event.objects.create(
        user=user, course=course, type=kind, request_id=request_id, origin="app",
        client_event_id=uuid.uuid4().hex, occurred_at=clock.now() - timedelta(minutes=ago),
    )  # fmt: skip


def test_a_click_out_of_a_feed_carries_the_chance_with_which_it_was_shown(shop, learner):
    user, other = learner(), learner()
    request = fed(user, [shop[3], shop[4], shop[5]], [1.0, 0.02, 1.0])
    later = fed(user, [shop[4]], [0.9])
    acted(user, shop[4], "click", request, ago=9)
    acted(user, shop[4], "view", later)  # the first act out of a feed counts
    acted(user, shop[3], "impression", request, ago=9)  # seen, not taken
    acted(user, shop[7], "view", request)  # the list did not hold it
    acted(other, shop[5], "click", request)  # another one's list
    shop.act(user, 9, "purchase")

    interactions, _ = snapshot()

    found = {
        (int(interactions.users.id(u)), int(interactions.items.id(i))): chance
        for u, i, chance in zip(
            interactions.user_rows, interactions.item_rows, interactions.propensities, strict=True
        )
    }
    assert found.pop((user.pk, shop[4].pk)) == pytest.approx(0.02)
    assert set(found) == {(user.pk, shop[7].pk), (user.pk, shop[9].pk), (other.pk, shop[5].pk)}
    assert np.isnan(list(found.values())).all()
    weights = event_weights(interactions, 0.5)
    drawn = interactions.propensities == np.float32(0.02)
    assert weights[drawn].min() > weights[~drawn].max()  # all courses were taken once


def test_without_feeds_and_without_words_nothing_is_carried(shop, learner):
    shop.act(learner(), 0, "view")

    interactions, _ = snapshot()

    assert interactions.propensities is None
    assert interactions.people is None


def test_a_resumed_run_reads_the_same_labels_and_chances(shop, learner, tmp_path):
    user = learner(interests=["code"])
    acted(user, shop[0], "click", fed(user, [shop[0]], [0.1]))
    shop.act(user, 1, "view")
    interactions, _ = snapshot()

    store_columns(interactions, tmp_path / "x.npz")
    back = load_columns(tmp_path / "x.npz", Interactions)

    assert back.data_hash() == interactions.data_hash()
    assert labels_in(back, user) == ("编程",)
    assert np.array_equal(back.propensities, interactions.propensities, equal_nan=True)


def crowd_that_told(shop):
    """Two tastes: the left declared photography, the right came by the poster."""
    shop.crowd()
    half = len(shop.courses) // 2
    for event in Event.objects.select_related("user").order_by("user_id", "pk").distinct("user_id"):
        user = event.user
        if event.course_id < shop[half].pk:
            type(user).objects.filter(pk=user.pk).update(interests=["photo"])
        else:
            came_by(user, "poster")


def trained(model, **params):
    run = training_queue(model=model, params=params)
    assert training_run(run.pk) == "succeeded"
    run.refresh_from_db()
    return run


@pytest.mark.parametrize("model", ["ease", "two_tower"])
def test_a_new_learners_first_feed_follows_the_channel(shop, learner, api_for, model):
    crowd_that_told(shop)
    params = {"epochs": 60, "factors": 16} if model == "two_tower" else {}
    trained(model, **params)
    mine, plain = learner(), learner()
    came_by(mine, "poster")

    page = api_for(mine).get("/api/v1/feed", {"limit": 6}).json()
    other = api_for(plain).get("/api/v1/feed", {"limit": 6}).json()

    right = {course.pk for course in shop.courses[10:]}
    assert len(right & set(ids(page))) > len(right & set(ids(other)))
    assert "与你情况相近的学员在学" in {item["reason"]["text"] for item in page["items"]}
    assert page["model"]["name"] == model
    assert {item["reason"]["text"] for item in other["items"]} == {"很多学员在学"}


def test_with_personalisation_off_the_channel_says_nothing(shop, learner, serve):
    crowd_that_told(shop)
    trained("ease")
    user = learner(personalised_feed=False, interests=["code"])
    came_by(user, "poster")
    nobody = learner(personalised_feed=False)

    assert read_scene(user).history is None
    mine, plain = (first_page(u, surface="home", limit=20) for u in (user, nobody))
    assert [one.card["id"] for one in mine.shown] == [one.card["id"] for one in plain.shown]


def test_the_first_course_outweighs_what_was_told(shop, learner):
    crowd_that_told(shop)
    trained("ease")
    user = learner()
    came_by(user, "poster")
    shop.act(user, 2, "favourite")
    shop.act(user, 3, "favourite")

    shown = first_page(user, surface="home", limit=4).shown

    left = {str(course.pk) for course in shop.courses[:10]}
    assert sum(one.card["id"] in left for one in shown) >= 3


def test_lists_for_everybody_know_the_labels_too(shop, learner):
    crowd_that_told(shop)
    trained("ease")
    user = learner()
    came_by(user, "poster")

    batch = batch_start(k=4)
    shards_score(batch.pk)
    batch.refresh_from_db()

    _head, *rows = merged(batch)
    mine = {int(course) for who, _rank, course, _score in rows if int(who) == user.pk}
    assert mine <= {course.pk for course in shop.courses[10:]}
    assert len(mine) == 4


def test_the_run_tells_what_else_it_learned_from(shop, learner):
    crowd_that_told(shop)
    user = learner()
    acted(user, shop[0], "click", fed(user, [shop[0]], [0.1]))
    type(shop[0]).objects.create(
        title="没人学过", status="published", published_at=clock.now(), category=shop.left
    )

    run = trained("ease")

    assert run.lineage["told"] == {
        "cold_items": 1, "labelled_users": 24, "propensities": 1, "blocks": []
    }  # fmt: skip
