"""A training run ends as one of four things, and only one of them moves the pointer."""

import json
import threading
import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import User
from content.models import Course
from kernel import clock
from recommender import gate
from recommender.core.data import History
from recommender.errors import LeaseLost
from recommender.heartbeat import Heartbeat
from recommender.models import ModelVersion, ServingPointer, TrainingRun
from recommender.services.runs import (
    run_report,
    run_start,
    run_wake_next,
    runs_sweep_dead,
    training_queue,
)
from recommender.services.versions import Candidate, version_publish, versions_prune
from recommender.serving.feed import read_scene
from recommender.tasks import sweep_runs, train_daily
from recommender.training_flow import training_run

pytestmark = pytest.mark.django_db(transaction=True)


def trained(model="ease", **params) -> TrainingRun:
    run = training_queue(model=model, params=params)
    training_run(run.pk)
    run.refresh_from_db()
    return run


def pointer() -> str | None:
    return ServingPointer.objects.values_list("version__version", flat=True).first()


def test_a_good_model_is_published_and_served(shop, learner, model_dir):
    shop.crowd()

    run = trained("ease")

    assert (run.status, run.error) == ("succeeded", "")
    assert run.progress == 1
    assert (run.n_users, run.n_items, run.n_interactions) == (24, 20, 168)
    assert run.metrics["ndcg@10"] > run.popular_metrics["ndcg@10"] > 0
    assert not any("[" in name for name in run.metrics)  # nobody here was imported
    assert run.baseline_metrics == {}
    assert all(check["passed"] for check in run.gate)
    assert pointer() == run.version
    manifest = json.loads((model_dir / run.version / "manifest.json").read_text())
    assert manifest["data_hash"] == run.data_hash
    assert manifest["metrics"]["ndcg@10"] == run.metrics["ndcg@10"]
    assert [p.name for p in model_dir.iterdir()] == [run.version]
    scene = read_scene(learner())
    assert (scene.loaded.name, scene.loaded.version) == ("ease", run.version)


def test_auto_chooses_and_reports_curves_and_progress(shop):
    shop.crowd()

    run = trained("auto", candidates=["popular", "ials", "transitions"], factors=4)

    assert run.status == "succeeded", run.error or run.gate
    assert run.metrics["hr@10"] > 0.5
    names = {m["name"] for m in ModelVersion.objects.get().recipe["members"]}
    assert names & {"ials", "transitions"}


def test_a_neural_model_leaves_curves(shop):
    shop.crowd()

    run = trained("history_tower", epochs=3, factors=8)

    assert run.status in {"succeeded", "rejected"}, run.error
    assert any("loss" in name for name in run.curves)
    assert all(len(points) >= 1 for points in run.curves.values())


def test_a_worse_model_is_rejected_and_the_old_one_goes_on(shop, model_dir):
    shop.crowd()
    good = trained("ease")

    run = trained("popular")

    assert run.status == "rejected"
    refused = [c["name"] for c in run.gate if not c["passed"]]
    assert refused == ["against_item_knn", "against_serving"]
    assert run.baseline_metrics["ndcg@10"] == good.metrics["ndcg@10"]
    assert pointer() == good.version
    assert [p.name for p in model_dir.iterdir()] == [good.version]
    assert ModelVersion.objects.count() == 1


def test_the_same_model_again_passes(shop):
    shop.crowd()
    first = trained("ease")

    second = trained("ease")

    assert second.status == "succeeded"
    assert pointer() == second.version != first.version
    assert second.data_hash == first.data_hash
    assert ModelVersion.objects.get(version=first.version).status == "retired"


def ordered_elsewhere(model, **params) -> TrainingRun:
    """Queued by another release, which knew this model or these parameters."""
    return TrainingRun.objects.create(model_name=model, params=params)


@pytest.mark.parametrize(
    ("model", "params", "said"),
    [("no_such", {}, "no_such"), ("ials", {"factorz": 3}, "factorz")],
)
def test_a_wrong_order_ends_as_failed_and_the_next_run_works(shop, model, params, said):
    shop.crowd()
    good = trained("ease")

    run = ordered_elsewhere(model, **params)
    training_run(run.pk)
    run.refresh_from_db()

    assert run.status == "failed"
    assert said in run.error
    assert pointer() == good.version
    assert trained("ease").status == "succeeded"


def test_without_interactions_there_is_nothing_to_learn(shop):
    run = trained("ease")

    assert (run.status, pointer()) == ("failed", None)
    assert run.error == "没有可用于训练的行为数据。"


def silent(run: TrainingRun, seconds: int = 61) -> uuid.UUID:
    """The run was taken by a worker that was last heard of `seconds` ago."""
    lease = run_start(run_id=run.pk)
    assert lease is not None
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE recommender_trainingrun SET heartbeat_at = now() - %s WHERE id = %s",
            [timedelta(seconds=seconds), run.pk],
        )
    return lease


def test_a_run_without_a_heartbeat_fails_and_the_dead_worker_can_move_nothing(shop):
    shop.crowd()
    good = trained("ease")
    run = training_queue(model="ease")
    lease = silent(run)

    sweep_runs()

    run.refresh_from_db()
    assert run.status == "failed"
    assert "60 秒没有心跳" in run.error
    assert run_report(run_id=run.pk, lease=lease, progress=0.5) is False
    with pytest.raises(LeaseLost):
        version_publish(Candidate("late", "ease", "late"), run_id=run.pk, lease=lease)
    assert pointer() == good.version
    assert not ModelVersion.objects.filter(version="late").exists()
    successor = TrainingRun.objects.get(resumes=run)
    assert (successor.status, successor.attempt, successor.model_name) == ("queued", 2, "ease")
    assert training_run(successor.pk) == "succeeded"


def test_a_training_that_kills_its_workers_is_given_up(shop):
    run = training_queue(model="ease")
    for attempt in (1, 2, 3):
        assert run.attempt == attempt
        silent(run)
        assert runs_sweep_dead() == 1
        run = TrainingRun.objects.order_by("pk").last()

    assert TrainingRun.objects.count() == 3
    assert set(TrainingRun.objects.values_list("status", flat=True)) == {"failed"}


def test_a_run_that_beats_is_left_alone(shop):
    run = training_queue()
    silent(run, seconds=30)

    assert runs_sweep_dead() == 0
    run.refresh_from_db()
    assert run.status == "running"


def test_a_redelivered_task_of_a_dead_run_ends_as_failed(shop):
    shop.crowd()
    run = training_queue(model="ease")
    silent(run)

    assert training_run(run.pk) == ""

    run.refresh_from_db()
    assert (run.status, pointer()) == ("failed", None)
    assert TrainingRun.objects.filter(status="queued", resumes=run).count() == 1


def test_a_redelivered_task_of_a_finished_run_does_nothing(shop):
    shop.crowd()
    run = trained("ease")
    finished = run.finished_at

    assert training_run(run.pk) == ""

    run.refresh_from_db()
    assert (run.status, run.finished_at) == ("succeeded", finished)
    assert ModelVersion.objects.count() == 1


def test_only_one_run_trains_at_a_time_and_the_waiting_one_is_woken(shop):
    first, second = training_queue(), training_queue()
    silent(first, seconds=1)

    assert run_start(run_id=second.pk) is None
    second.refresh_from_db()
    assert second.status == "queued"
    assert run_wake_next() is None  # another one is still training
    TrainingRun.objects.filter(pk=first.pk).update(status="failed")
    TrainingRun.objects.filter(pk=second.pk).update(woken_at=clock.now() - timedelta(hours=1))
    assert run_wake_next() == second.pk
    assert run_wake_next() is None  # just woken


def test_eight_workers_at_once_start_one_run(shop):
    runs = [training_queue() for _ in range(2)]
    leases, gate_open = [], threading.Barrier(8)

    def start(n: int) -> None:
        gate_open.wait(timeout=10)
        leases.append(run_start(run_id=runs[n % 2].pk))
        connection.close()

    threads = [threading.Thread(target=start, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)

    assert len(leases) == 8
    assert len([lease for lease in leases if lease]) == 1
    assert TrainingRun.objects.filter(status="running").count() == 1


def test_the_heartbeat_writes_progress_and_notices_a_lost_lease(shop):
    run = training_queue()
    lease = run_start(run_id=run.pk)
    noticed = threading.Event()
    with Heartbeat(run.pk, lease, every=0.05) as beat:
        beat.stage("训练", 0.2, 0.6)
        beat.alive(1, 2)
        beat.drawn("", True, {"loss": [0.5]})
        for _ in range(100):
            run.refresh_from_db()
            if run.progress:
                break
            noticed.wait(0.05)
        TrainingRun.objects.filter(pk=run.pk).update(status="failed")
        for _ in range(100):
            if beat.lost:
                break
            noticed.wait(0.05)

    assert run.progress == pytest.approx(0.4)
    assert run.curves == {"训练 loss": [[0, 0.5]]}
    assert beat.lost


def test_a_training_whose_lease_is_lost_stops_by_itself(shop, monkeypatch):
    shop.crowd()
    monkeypatch.setattr(Heartbeat.__init__, "__defaults__", (0.05,))
    run = training_queue(model="history_tower", params={"epochs": 100000, "patience": 100000})
    ended = []
    worker = threading.Thread(
        target=lambda: (ended.append(training_run(run.pk)), connection.close())
    )
    worker.start()
    for _ in range(400):
        run.refresh_from_db()
        if run.progress > 0.05:
            break
        worker.join(timeout=0.05)
    TrainingRun.objects.filter(pk=run.pk).update(status="failed", error="taken away")
    worker.join(timeout=30)

    assert not worker.is_alive()
    run.refresh_from_db()
    assert (run.status, run.error, pointer()) == ("failed", "taken away", None)


def test_users_of_an_imported_data_set_get_a_figure_of_their_own(shop):
    shop.crowd()
    users = list(User.objects.order_by("pk"))
    for user in users[::2]:
        User.objects.filter(pk=user.pk).update(username=f"ds_films:{user.pk}")

    run = trained()

    half = run.metrics["users[films]"]
    assert 0 < half < run.metrics["users"]
    assert run.metrics["ndcg@10[films]"] > run.popular_metrics["ndcg@10[films]"]


def test_the_daily_run_is_queued_once_a_day(shop):
    train_daily()
    train_daily()
    assert TrainingRun.objects.count() == 1

    TrainingRun.objects.update(status="succeeded")  # today's run is over
    train_daily()
    assert TrainingRun.objects.count() == 1

    TrainingRun.objects.update(created_at=clock.now() - timedelta(hours=25))
    train_daily()
    assert TrainingRun.objects.count() == 2


def test_yesterdays_waiting_run_keeps_todays_from_being_queued(shop):
    train_daily()
    TrainingRun.objects.update(created_at=clock.now() - timedelta(hours=25))

    train_daily()

    assert TrainingRun.objects.count() == 1


def test_the_command_queues_and_refuses_bad_parameters(shop, capsys):
    call_command("train", model="ease", params='{"regularization": 50}')

    run = TrainingRun.objects.get()
    assert (run.status, run.model_name, run.params) == ("queued", "ease", {"regularization": 50})
    for wrong in ("nonsense", "[1]"):
        with pytest.raises(CommandError):
            call_command("train", params=wrong)
    with pytest.raises(CommandError, match="等待超时"):
        call_command("train", wait=True, timeout=0.1)


GOOD = {
    "ndcg@10": 0.5, "coverage@10": 0.5, "finite": 1.0, "spread": 1.0, "p95_ms": 1.0,
}  # fmt: skip
FLOOR = {"ndcg@10": 0.2, "coverage@10": 0.1}
NEIGHBOURS = {"ndcg@10": 0.3, "coverage@10": 0.9}


@pytest.mark.parametrize(
    ("change", "baseline", "fails"),
    [
        ({"ndcg@10": 0.284}, None, ["against_item_knn"]),
        ({"coverage@10": 0.39}, {"ndcg@10": 0.5, "coverage@10": 0.8}, ["coverage_kept"]),
        ({}, {"ndcg@10": 0.5}, []),
        ({"ndcg@10": 0.475}, {"ndcg@10": 0.5}, []),
        ({"ndcg@10": 0.474}, {"ndcg@10": 0.5}, ["against_serving"]),
        ({"ndcg@10": 0.19}, None, ["against_popular", "against_item_knn"]),
        ({"coverage@10": 0.05}, None, ["coverage"]),
        ({"finite": 0.0}, None, ["finite"]),
        ({"spread": 0.0}, None, ["spread"]),
        ({"p95_ms": 51.0}, None, ["latency"]),
    ],
)
def test_the_gate_names_what_fails(change, baseline, fails):
    verdict = gate.checks(
        {**GOOD, **change},
        popular=FLOOR,
        knn=NEIGHBOURS,
        baseline=baseline,
        quality="ndcg@10",
        held_users=50,
    )

    assert [check.name for check in verdict if not check.passed] == fails


def test_old_artifacts_go_and_their_rows_stay(shop, model_dir, monkeypatch):
    shop.crowd()
    monkeypatch.setattr(versions_prune, "__defaults__", (1,))
    versions = [trained("ease").version for _ in range(4)]

    assert {p.name for p in model_dir.iterdir()} == set(versions[2:])
    assert ModelVersion.objects.count() == 4
    assert list(ModelVersion.objects.order_by("pk").values_list("path", flat=True)) == [
        "",
        "",
        *versions[2:],
    ]


def test_a_course_nobody_took_is_ranked_by_its_text(shop, learner):
    """Two courses fresh on the shelf, each described like one of the two tastes."""
    shop.crowd()
    half = len(shop.courses) // 2
    for n, course in enumerate(shop.courses):
        course.intro = "和弦 指法 视唱 练耳" if n < half else "变量 循环 函数 数组"
        course.save(update_fields=["intro"])
    fresh = [
        Course.objects.create(
            title=title, intro=intro, status=Course.Status.PUBLISHED, published_at=clock.now()
        )
        for title, intro in (("新课甲", "指法 和弦 入门"), ("新课乙", "循环 变量 入门"))
    ]

    run = trained("auto", candidates=["popular", "ials", "transitions"], factors=4)

    assert run.status == "succeeded", run.error or run.gate
    assert ModelVersion.objects.get().recipe["cold_start"] is True
    model = read_scene(learner()).loaded.model
    rows = model.items.rows([str(course.pk) for course in fresh])
    for taste, own in ((0, 0), (half, 1)):
        past = model.items.rows([str(c.pk) for c in shop.courses[taste : taste + 3]])
        scores = model.score_one(History.of(past, times=[1.0, 2.0, 3.0]))[rows]
        assert scores[own] > scores[1 - own]
