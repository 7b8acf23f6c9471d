"""Sticky arms, exclusive layers, no cost while nothing runs."""

import math

import pytest
from django.db import IntegrityError, transaction

from experiments import rules, services
from experiments.errors import ExperimentNotDraft, ExperimentWithoutArms, LayerFull
from experiments.models import Arm, Experiment, Exposure
from experiments.selectors import RunningCache, running_cache
from experiments.services import assign, experiment_start, experiment_stop


@pytest.fixture(autouse=True)
def _forget():
    services.cache_forget()
    yield
    services.cache_forget()


@pytest.fixture
def draft(db):
    """`draft(key, traffic_bp=10000)` with the arms control and treatment, 1 : 1."""

    def make(key: str, *, layer: str = "feed", traffic_bp: int = 10_000, weights=(1, 1)):
        experiment = Experiment.objects.create(key=key, layer=layer, traffic_bp=traffic_bp)
        for name, weight in zip(("control", "treatment"), weights, strict=True):
            Arm.objects.create(experiment=experiment, name=name, weight=weight)
        return experiment

    return make


@pytest.fixture
def running(draft, django_capture_on_commit_callbacks):
    """`running(key, …)` is a started draft, seen by this process at once."""

    def make(key: str, **fields):
        experiment = draft(key, **fields)
        with django_capture_on_commit_callbacks(execute=True):
            return experiment_start(experiment_id=experiment.pk)

    return make


def within_chance(count: int, total: int, share: float) -> bool:
    """Five standard deviations of a binomial: a fair split fails once in 1.7 million."""
    return abs(count - total * share) < 5 * math.sqrt(total * share * (1 - share))


def test_a_user_keeps_the_arm(running, learner):
    running("e1")
    user = learner()

    first = assign(user.pk, "feed")
    services.cache_forget()

    assert first in ({"e1": "control"}, {"e1": "treatment"})
    assert [assign(user.pk, "feed") for _ in range(3)] == [first] * 3


def test_arms_are_split_by_weight():
    arms = [rules.arm_of("e1", user, (("a", 1), ("b", 3))) for user in range(20_000)]

    assert within_chance(arms.count("b"), 20_000, 0.75)


def test_buckets_of_a_layer_and_arms_of_its_experiments_are_independent():
    half = [user for user in range(20_000) if rules.bucket_of("feed", user) < 5000]
    assert within_chance(len(half), 20_000, 0.5)

    for other in ("layer", "experiment"):
        if other == "layer":
            hits = sum(rules.bucket_of("offers", user) < 5000 for user in half)
        else:
            hits = [rules.arm_of("e1", user, (("a", 1), ("b", 1))) for user in half].count("a")
        assert within_chance(hits, len(half), 0.5)


def test_experiments_of_a_layer_share_no_user(running):
    running("e1", traffic_bp=3000)
    running("e2", traffic_bp=7000)
    running("other", layer="offers")

    seen = [assign(user, "feed", record=False) for user in range(5000)]

    assert all(len(one) == 1 for one in seen)
    assert within_chance(sum("e1" in one for one in seen), 5000, 0.3)
    assert all("other" in assign(user, "offers", record=False) for user in range(50))
    assert assign(1, "nothing", record=False) == {}


def test_users_outside_the_traffic_are_in_no_arm(running):
    running("e1", traffic_bp=1000)

    took = sum(bool(assign(user, "feed", record=False)) for user in range(5000))

    assert within_chance(took, 5000, 0.1)


def test_a_full_layer_takes_no_more(running, draft):
    running("e1", traffic_bp=6000)

    with pytest.raises(LayerFull) as refused:
        experiment_start(experiment_id=draft("e2", traffic_bp=4001).pk)

    assert refused.value.detail == {"free_bp": 4000}


def test_the_database_refuses_overlapping_buckets(running, draft):
    first = running("e1", traffic_bp=6000)
    second = draft("e2", traffic_bp=1000)

    with pytest.raises(IntegrityError, match="exclude_each_other"), transaction.atomic():
        Experiment.objects.filter(pk=second.pk).update(status="running", buckets=first.buckets)


def test_a_stopped_experiment_assigns_nobody_and_frees_its_buckets(
    running, learner, django_capture_on_commit_callbacks
):
    experiment = running("e1")
    user = learner()
    assign(user.pk, "feed")

    with django_capture_on_commit_callbacks(execute=True):
        experiment_stop(experiment_id=experiment.pk)
    experiment_stop(experiment_id=experiment.pk)

    assert assign(user.pk, "feed") == {}
    with pytest.raises(ExperimentNotDraft):
        experiment_start(experiment_id=experiment.pk)
    running("e2")
    assert set(assign(user.pk, "feed")) == {"e2"}


def test_an_experiment_needs_two_arms(db):
    experiment = Experiment.objects.create(key="e1", layer="feed")
    Arm.objects.create(experiment=experiment, name="control")
    Arm.objects.create(experiment=experiment, name="nobody", weight=0)

    with pytest.raises(ExperimentWithoutArms):
        experiment_start(experiment_id=experiment.pk)


def test_the_first_exposure_is_recorded_once(
    running, learner, django_capture_on_commit_callbacks, django_assert_num_queries
):
    running("e1")
    user = learner()
    with django_capture_on_commit_callbacks(execute=True):
        arm = assign(user.pk, "feed")["e1"]

    with django_assert_num_queries(0):
        assign(user.pk, "feed")
    services.cache_forget()  # as in another process
    assign(user.pk, "feed")

    (exposure,) = Exposure.objects.all()
    assert (exposure.user_id, exposure.arm) == (user.pk, arm)


def test_nothing_is_asked_while_nothing_runs(db, django_assert_num_queries):
    assign(1, "feed")

    with django_assert_num_queries(0):
        assert [assign(user, "feed") for user in range(100)] == [{}] * 100


def test_another_process_sees_a_start_when_its_memory_is_stale(draft):
    fresh, stale = RunningCache(seconds=60), RunningCache(seconds=0)
    assert fresh.layer("feed") == stale.layer("feed") == ()

    experiment_start(experiment_id=draft("e1").pk)

    assert fresh.layer("feed") == ()
    assert [one.key for one in stale.layer("feed")] == ["e1"]
    assert running_cache is not stale
