"""Resuming, diverging, drift and lineage of trainings."""

import uuid
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from feedback.models import Event
from kernel import clock
from recommender.core.data import Interactions
from recommender.core.errors import ArtifactError
from recommender.core.storing import load_columns, store_columns
from recommender.dataset import snapshot
from recommender.drift import drift_signals, drift_to_train
from recommender.models import FeedRequest, ModelVersion, ServingPointer, TrainingRun
from recommender.publishing import WORK_PREFIX
from recommender.services.runs import run_start, runs_sweep_dead, training_queue
from recommender.tasks import train_on_drift
from recommender.training_flow import training_run
from tests.recommender_core.conftest import events

pytestmark = pytest.mark.django_db(transaction=True)


def trained(model="ease", **params) -> TrainingRun:
    run = training_queue(model=model, params=params)
    training_run(run.pk)
    run.refresh_from_db()
    return run


def killed(run: TrainingRun) -> TrainingRun:
    """The run's worker is gone; returns the run that takes it up."""
    TrainingRun.objects.filter(pk=run.pk).update(
        heartbeat_at=clock.now() - timedelta(hours=1), status="running"
    )
    runs_sweep_dead()
    return TrainingRun.objects.get(resumes=run)


def test_columns_come_back_as_they_were(tmp_path):
    x = events([("u", "课", 3.0), ("v", "b" * 300, 1.0)], stars=[4, 5], more_items=("c",))

    store_columns(x, tmp_path / "x.npz")
    back = load_columns(tmp_path / "x.npz", Interactions)

    assert back.data_hash() == x.data_hash()
    assert back.items.ids(range(3)) == x.items.ids(range(3))
    assert np.array_equal(back.history(0).times, x.history(0).times)
    untimed = events([("u", "a", None)])
    store_columns(untimed, tmp_path / "y.npz")
    assert load_columns(tmp_path / "y.npz", Interactions).times is None
    (tmp_path / "x.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:200])
    for broken in ("x.npz", "nowhere.npz"):
        with pytest.raises(ArtifactError):
            load_columns(tmp_path / broken, Interactions)


def test_a_resumed_run_learns_from_what_the_dead_one_had_read(shop, model_dir):
    shop.crowd()
    before, cleaning = snapshot()
    dead = training_queue(model="ease")
    assert run_start(run_id=dead.pk)
    store_columns(before, model_dir / f"{WORK_PREFIX}{dead.pk}" / "snapshot.npz")
    TrainingRun.objects.filter(pk=dead.pk).update(cleaning=cleaning.as_json())
    shop.crowd(4)  # later events: they wait for the next training

    heir = killed(dead)
    training_run(heir.pk)

    heir.refresh_from_db()
    assert (heir.status, heir.data_hash) == ("succeeded", before.data_hash())
    assert heir.n_users == 24
    assert heir.cleaning["read"] == cleaning.report.read
    assert heir.lineage["resumed_from"] == dead.pk
    assert not list(model_dir.glob(f"{WORK_PREFIX}*"))
    assert trained("ease").n_users == 28


def test_work_of_a_run_that_waits_to_be_resumed_is_kept_by_another_training(shop, model_dir):
    shop.crowd()
    dead = training_queue(model="ease")
    assert run_start(run_id=dead.pk)
    kept, stale = (model_dir / f"{WORK_PREFIX}{name}" for name in (dead.pk, 999_999))
    for folder in (kept, stale):
        store_columns(snapshot()[0], folder / "snapshot.npz")
    heir = killed(dead)

    assert trained("ease").status == "succeeded"

    assert kept.is_dir()
    assert not stale.exists()
    assert training_run(heir.pk) == "succeeded"
    assert not kept.exists()


@pytest.mark.parametrize("rate", [300.0, 1e7])
def test_a_training_that_diverges_ends_in_a_state_of_its_own(shop, model_dir, rate):
    shop.crowd()
    good = trained("ease")

    run = trained("history_tower", learning_rate=rate, epochs=30, patience=30)

    assert run.status == "diverged"
    assert "loss" in str(run.refusal["said"])
    assert run.error.startswith("训练发散：")
    assert "learning_rate" in run.error
    assert ServingPointer.objects.get().version.version == good.version
    assert {p.name for p in model_dir.iterdir()} == {good.version}


def test_the_run_tells_what_it_came_from(shop):
    shop.crowd()

    run = trained("ease", regularization=20.0, matrix={"alpha": 0.5, "half_life_days": 90})

    assert run.status == "succeeded", run.error
    assert run.lineage["matrix"]["alpha"] == 0.5
    assert run.lineage["matrix"]["half_life_days"] == 90
    assert run.lineage["cleaning"]["burst_events"] == 120
    assert run.lineage["packages"]["numpy"] == np.__version__
    assert run.cleaning["pairs"] == run.n_interactions == 168
    assert len(run.data_hash) == 32
    assert len(run.code_version) == 16
    assert run.knn_metrics["ndcg@10"] > run.popular_metrics["ndcg@10"]
    assert run.knn_metrics["p95_ms"] > 0
    assert {"against_popular", "against_item_knn", "coverage"} <= {c["name"] for c in run.gate}


def test_a_wrong_matrix_fails_by_name(shop):
    shop.crowd()

    run = TrainingRun.objects.create(model_name="ease", params={"matrix": {"alfa": 1}})
    training_run(run.pk)
    run.refresh_from_db()

    assert (run.status, "alfa" in run.error) == ("failed", True)


def quick(settings, **limits):
    settings.KPAY = replace(settings.KPAY, drift={"least_events": 20, **limits})


def aged(version_row: ModelVersion, days: float):
    at = clock.now() - timedelta(days=days)
    ModelVersion.objects.filter(pk=version_row.pk).update(created_at=at, promoted_at=at)


def test_without_a_model_or_with_few_events_nothing_drifts(shop, serve, settings):
    assert drift_signals() == []
    serve("popular")
    shop.crowd(1)
    assert drift_signals() == []  # 7 events


def test_new_courses_and_new_learners_are_measured_shares(shop, learner, serve, settings):
    quick(settings)
    row = serve("popular")
    aged(row, 10)
    old = [learner() for _ in range(4)]
    for user in old:
        type(user).objects.filter(pk=user.pk).update(date_joined=clock.now() - timedelta(days=50))
    new = learner()
    type(shop[0]).objects.filter(pk=shop[19].pk).update(published_at=clock.now())
    for user in (*old, new):
        for n in range(5):
            shop.act(user, n, "view")
    for user in old:
        shop.act(user, 19, "view")

    items, users = drift_signals()

    assert (items.name, items.value, items.events) == ("new_items", round(4 / 29, 4), 29)
    assert (users.name, users.value, users.events) == ("new_users", 0.2, 5)
    assert not items.crossed
    quick(settings, new_items=0.1)
    assert [signal.name for signal in drift_signals() if signal.crossed] == ["new_items"]


def shown(user, version, *, days_ago, impressions, clicks):
    at = clock.now() - timedelta(days=days_ago)
    feed = FeedRequest.objects.create(
        user=user, surface="home", model_name="x", model_version=version, personalised=True,
        created_at=at,
    )  # fmt: skip
    Event.objects.bulk_create(
        Event(user=user, client_event_id=uuid.uuid4().hex, type=kind, request_id=feed.request_id,
              occurred_at=at, received_at=at)
        for kind, count in (("impression", impressions), ("click", clicks))
        for _ in range(count)
    )  # fmt: skip


def test_the_click_rate_is_compared_with_the_models_first_days(shop, learner, serve, settings):
    quick(settings)
    aged(serve("popular", "v1"), 10)
    user = learner()
    shown(user, "v1", days_ago=9, impressions=100, clicks=20)
    shown(user, "other", days_ago=1, impressions=100, clicks=90)
    shown(user, "v1", days_ago=1, impressions=50, clicks=5)

    (signal,) = drift_signals()

    assert (signal.name, signal.value, signal.events) == ("click_drop", 0.5, 50)
    assert signal.crossed
    assert signal.text == "点击率从 20.0% 变为 10.0%"


def test_drift_queues_one_training_and_not_one_right_after_another(shop, learner, serve, settings):
    quick(settings)
    aged(serve("popular", "v1"), 10)
    shown(learner(), "v1", days_ago=9, impressions=100, clicks=20)
    shown(learner(), "v1", days_ago=1, impressions=50, clicks=1)

    train_on_drift()
    train_on_drift()

    run = TrainingRun.objects.get()
    assert (run.trigger, run.status) == ("drift", "queued")
    assert run.reason == "点击率从 20.0% 变为 2.0%"
    assert run.lineage["drift"][0]["name"] == "click_drop"
    TrainingRun.objects.update(status="succeeded")
    assert drift_to_train() == []  # it has just run
    TrainingRun.objects.update(created_at=clock.now() - timedelta(hours=7))
    assert len(drift_to_train()) == 1
