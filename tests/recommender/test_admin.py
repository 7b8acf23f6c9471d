"""What operators see of the recommender, and what they may do."""

import pytest
from django.test import Client

from recommender.models import FeedRule, ServingPointer, TrainingRun
from recommender.serving.feed import first_page
from tests.builders import make_learner

pytestmark = pytest.mark.django_db

RUN = {
    "status": "succeeded",
    "metrics": {"ndcg@10": 0.1234, "hr@10": 0.2},
    "popular_metrics": {"ndcg@10": 0.05},
    "gate": [{"name": "finite", "text": "得分全部为有限数", "passed": True}],
    "curves": {"训练 loss": [[0, 5.0], [1, 4.0], [2, 3.5]], "<script>": [[0, 1], [1, 2]]},
}


@pytest.fixture
def operator() -> Client:
    user = make_learner(username="boss", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    return client


def test_the_page_of_a_run_shows_its_figures_and_curves(operator, db):
    run = TrainingRun.objects.create(**RUN)

    page = operator.get(f"/admin/recommender/trainingrun/{run.pk}/change/").content.decode()

    assert "0.1234" in page
    assert "✓ 得分全部为有限数" in page
    assert page.count("<polyline") == 2
    assert "&lt;script&gt;" in page
    assert '<script>"' not in page


@pytest.mark.parametrize(
    "model",
    ["trainingrun", "modelversion", "servingpointer", "feedrule", "feedrequest", "tagdeletion"],
)
def test_every_list_opens(operator, shop, learner, serve, model):
    TrainingRun.objects.create(**RUN)
    serve("popular", "v1")
    FeedRule.objects.create(action="pin", target_id=shop[0].pk)
    first_page(learner(), surface="home", limit=3)

    assert operator.get(f"/admin/recommender/{model}/").status_code == 200


def test_training_asks_for_a_reason_and_then_queues(operator, db):
    url = "/admin/recommender/trainingrun/train/"

    assert operator.get(url).status_code == 200
    assert operator.post(url, {"reason": ""}).status_code == 200
    assert TrainingRun.objects.count() == 0
    assert operator.post(url, {"reason": "新课上架"}).status_code == 302

    run = TrainingRun.objects.get()
    assert (run.status, run.reason, run.requested_by.username) == ("queued", "新课上架", "boss")


def test_promotion_and_rolling_back_by_operators(operator, shop, serve):
    first, second = serve("popular", "v1"), serve("popular", "v2")

    operator.post(f"/admin/recommender/modelversion/{first.pk}/promote/", {"reason": "试试"})
    assert ServingPointer.objects.get().version == first
    operator.post(f"/admin/recommender/modelversion/{second.pk}/promote/", {"reason": "更好"})
    operator.post("/admin/recommender/modelversion/roll-back/", {"reason": "不好"})

    pointer = ServingPointer.objects.get()
    assert (pointer.version, pointer.reason) == (first, "不好")


def test_staff_without_the_right_cannot_train(db):
    client = Client()
    client.force_login(make_learner(username="intern", is_staff=True))

    client.post("/admin/recommender/trainingrun/train/", {"reason": "x"})

    assert TrainingRun.objects.count() == 0
