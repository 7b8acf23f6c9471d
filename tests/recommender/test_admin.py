"""What operators see of the recommender, and what they may do."""

import pytest
from django.test import Client

from kernel import clock
from kernel.models import StaffAction
from recommender.models import (
    BatchScore,
    FeedRule,
    ServingPointer,
    ShadowComparison,
    TrainingRun,
)
from recommender.serving.feed import first_page
from tests.builders import make_learner

pytestmark = pytest.mark.django_db

RUN = {
    "status": "succeeded",
    "metrics": {"ndcg@10": 0.1234, "hr@10": 0.2},
    "popular_metrics": {"ndcg@10": 0.05},
    "gate": [{"name": "finite", "text": "得分全部为有限数", "passed": True}],
    "knn_metrics": {"ndcg@10": 0.0777},
    "trigger": "drift",
    "cleaning": {
        "read": 1000,
        "kept": 950,
        "left_out": {"burst": 40, "outlier_rater": 10},
        "users": {"burst": 2, "outlier_rater": 1},
        "thresholds": {"burst_events": 120},
    },
    "lineage": {
        "resumed_from": 7,
        "drift": [{"text": "新课程占近期行为 31%"}],
        "matrix": {"alpha": 0.8},
        "packages": {"numpy": "2.3"},
    },
    "data_hash": "abcdef0123",
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
    assert "0.0777" in page
    for said in (
        "读取 1000 条行为，保留 950 条。",
        "突发：一分钟内上报过多：40 条，涉及 2 位用户",
        "评分明显偏离他人：10 条，涉及 1 位用户",
        "一分钟上报上限 120",
        "从中断的任务 #7 的检查点继续。",
        "漂移：新课程占近期行为 31%",
        "交互矩阵：行为系数 alpha 0.8",
        "软件版本：numpy 2.3",
        "abcdef0123",
    ):
        assert said in page
    assert "outlier_rater" not in page
    assert "&lt;script&gt;" in page
    assert '<script>"' not in page


@pytest.mark.parametrize(
    "model",
    [
        "trainingrun",
        "modelversion",
        "servingpointer",
        "shadowcomparison",
        "batchscore",
        "feedrule",
        "feedrequest",
        "tagdeletion",
    ],
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


def test_a_shadow_is_trained_begun_read_and_ended_by_operators(operator, shop, serve):
    operator.post("/admin/recommender/trainingrun/train-shadow/", {"reason": "先看看"})
    assert TrainingRun.objects.get().publish == "shadow"
    shadow, serving = serve("popular", "v1"), serve("popular", "v2")
    url = f"/admin/recommender/modelversion/{shadow.pk}"

    operator.post(f"{url}/shadow/", {"reason": ""})
    shadow.refresh_from_db()
    assert shadow.shadowed_at is None  # no act without a reason
    operator.post(f"{url}/shadow/", {"reason": "先对比"})
    shadow.refresh_from_db()
    assert shadow.shadowed_at is not None
    ShadowComparison.objects.create(
        version=shadow, against=serving, since=clock.now(), until=clock.now(), users=30,
        overlap=0.4, ndcg=0.2, against_ndcg=0.1, hit_rate=0.5, against_hit_rate=0.25,
        p95_ms=1, against_p95_ms=1,
    )  # fmt: skip
    page = operator.get(f"{url}/change/").content.decode()
    assert "对 v2：30 位学员，NDCG@10 0.2000 / 0.1000" in page
    operator.post(f"{url}/unshadow/", {"reason": "够了"})
    shadow.refresh_from_db()
    assert shadow.shadowed_at is None
    assert [a.action for a in StaffAction.objects.order_by("pk")] == [
        "recommender.shadow",
        "recommender.unshadow",
    ]


def test_a_batch_is_started_with_a_reason_and_shows_its_shards(operator, shop, serve):
    url = "/admin/recommender/batchscore/score/"
    operator.post(url, {"reason": "周报"})
    assert BatchScore.objects.count() == 0  # nothing serves yet
    serve("popular")

    operator.post(url, {"reason": "周报"})

    batch = BatchScore.objects.get()
    assert (batch.reason, batch.requested_by.username) == ("周报", "boss")
    assert "0 / 1" in operator.get("/admin/recommender/batchscore/").content.decode()
    page = operator.get(f"/admin/recommender/batchscore/{batch.pk}/change/")
    assert "待处理" in page.content.decode()


def test_staff_without_the_right_cannot_train(db):
    client = Client()
    client.force_login(make_learner(username="intern", is_staff=True))

    client.post("/admin/recommender/trainingrun/train/", {"reason": "x"})
    client.post("/admin/recommender/trainingrun/train-shadow/", {"reason": "x"})
    client.post("/admin/recommender/batchscore/score/", {"reason": "x"})

    assert TrainingRun.objects.count() == BatchScore.objects.count() == 0


def test_pages_of_versions_and_lists_say_words_and_no_codes(operator, shop, learner, serve):
    version = serve("popular", "v1")
    version.metrics = {"ndcg@10": 0.25, "distinct@10": 0.5, "hr@10[films]": 0.125, "users": 40.0}
    version.recipe = {"members": [{"name": "ease", "weight": 0.75}], "cold_start": True}
    version.save()
    user = learner(interests=["code"])
    page = first_page(user, surface="home", limit=3)

    told = operator.get(f"/admin/recommender/modelversion/{version.pk}/change/").content.decode()
    for said in (
        "热门榜 popular",
        "排序质量 NDCG@10：0.2500",
        "命中率 HR@10（films）：0.1250",
        "留出学员数：40",
        "课程相关矩阵 ease，权重 0.75",
        "没有历史的学员按兴趣与渠道排序",
    ):
        assert said in told
    url = f"/admin/recommender/feedrequest/{page.request_id}/change/"
    told = operator.get(url).content.decode()
    for said in ("首页", "热门榜 popular", "课程10", "所选兴趣"):
        assert said in told
    listed = operator.get("/admin/recommender/feedrequest/").content.decode()
    assert "热门榜 popular" in listed
    run = TrainingRun.objects.create(**RUN, model_name="ials")
    assert "隐式矩阵分解 ials" in operator.get("/admin/recommender/trainingrun/").content.decode()
    told = operator.get(f"/admin/recommender/trainingrun/{run.pk}/change/").content.decode()
    assert "训练 损失" in told
