"""A category that a learner took out of the portrait stays out, however it is called later."""

import pytest

from content.models import Category
from recommender.dataset import snapshot
from recommender.histories import read_pasts
from recommender.labels import read_labels
from recommender.services.tags import tag_delete
from recommender.serving.feed import read_scene

pytestmark = pytest.mark.django_db


def learned_from(user):
    """Ids of the courses that speak for the learner in training."""
    interactions, _ = snapshot()
    row = interactions.users.row(str(user.pk))
    if row < 0:
        return set()
    return {int(i) for i in interactions.items.ids(interactions.history(row).rows)}


def speaking(user):
    """The same in lists for everybody and in the feed."""
    return (
        {one.past.course_id for one in read_pasts([user.pk])[user.pk].liked},
        {one.past.course_id for one in read_scene(user).state.liked},
    )


@pytest.mark.parametrize("called", ["摄影", "photo"])
def test_a_deleted_category_stays_deleted_under_a_new_name(shop, learner, called):
    user, other = learner(interests=["photo", "code"]), learner()
    for one in (user, other):
        shop.act(one, 0, "favourite")  # 摄影
        shop.act(one, 11, "favourite")  # 编程
    tag_delete(user_id=user.pk, tag=called)
    kept = {shop[11].pk}
    assert (learned_from(user), *speaking(user)) == (kept, kept, kept)

    Category.objects.filter(key="photo").update(name="影像")

    assert (learned_from(user), *speaking(user)) == (kept, kept, kept)
    assert learned_from(other) == {shop[0].pk, shop[11].pk}
    assert read_labels([user.pk]) == {user.pk: ("编程",)}


def test_an_interest_above_does_not_bring_a_renamed_deleted_category_back(shop, learner):
    arts = Category.objects.create(key="arts", name="艺术")
    Category.objects.filter(key="photo").update(parent=arts)
    user = learner(interests=["arts"])
    tag_delete(user_id=user.pk, tag="摄影")
    assert read_labels([user.pk]) == {user.pk: ("艺术",)}

    Category.objects.filter(key="photo").update(name="影像")

    assert read_labels([user.pk]) == {user.pk: ("艺术",)}


def test_a_deleted_category_leaves_those_below_it(shop, learner):
    arts = Category.objects.create(key="arts", name="艺术")
    Category.objects.filter(key="photo").update(parent=arts)
    shop.courses[1].category = arts
    shop.courses[1].save(update_fields=["category"])
    user = learner()
    for n in (0, 1):  # 摄影 below 艺术, and 艺术 itself
        shop.act(user, n, "favourite")

    tag_delete(user_id=user.pk, tag="艺术")

    kept = {shop[0].pk}
    assert (learned_from(user), *speaking(user)) == (kept, kept, kept)
