"""A shadow is judged on what learners did next; batches list for everybody, shard by shard."""

import csv
import math
import threading
from datetime import timedelta

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from kernel import clock
from kernel.models import StaffAction
from payments.models import Entitlement
from recommender.core.data import History
from recommender.core.matrix import MatrixConfig, pair_weights
from recommender.errors import ArtifactMissing, ServesAlready
from recommender.models import (
    BatchScore,
    BatchShard,
    ModelVersion,
    ServingPointer,
    ShadowComparison,
    TrainingRun,
)
from recommender.scoring import shard_file, shards_score
from recommender.selectors import shadow_totals
from recommender.services.batches import (
    MOST_ATTEMPTS,
    batch_start,
    batches_sweep,
    shard_claim,
    shard_done,
    shard_failed,
)
from recommender.services.runs import training_queue
from recommender.services.versions import version_promote, version_shadow, versions_prune
from recommender.serving.holder import load
from recommender.serving.state import read_state
from recommender.shadow import shadow_compare
from recommender.training_flow import training_run
from tests.builders import make_learner

pytestmark = pytest.mark.django_db(transaction=True)


def both(serve, shadow="ease", serving="popular"):
    """A shadow and the version that serves, both made an hour ago."""
    new, old = serve(shadow, "new"), serve(serving, "old")
    at = clock.now() - timedelta(hours=1)
    ModelVersion.objects.update(created_at=at)
    ModelVersion.objects.filter(pk=new.pk).update(shadowed_at=at)
    return new, old


def test_the_shadow_that_knows_the_taste_foresees_the_next_course(shop, serve):
    shop.crowd()
    new, old = both(serve)
    left, right = make_learner(), make_learner()
    for user, first in ((left, 0), (right, 10)):
        for n in range(4):
            shop.act(user, first + n, "purchase", ago=200 - n)
        shop.act(user, first + 5, "purchase", ago=1)  # the step that both are asked for

    found = shadow_compare()

    assert found is not None
    assert (found.version, found.against, found.users) == (new, old, 2)
    assert found.hit_rate == 1
    assert found.ndcg > found.against_ndcg
    assert 0 < found.overlap < 1
    assert shadow_compare() is None  # nothing new happened
    shop.act(left, 6, "view")
    again = shadow_compare()
    assert (again.users, again.since) == (1, found.until)
    (total,) = shadow_totals(new)
    assert (total.against, total.users) == ("old", 3)
    assert total.ndcg == pytest.approx((2 * found.ndcg + again.ndcg) / 3)


def test_a_step_is_judged_from_what_was_known_before_it(shop, serve, learner):
    shop.crowd()
    new, _ = both(serve)
    user = learner()
    for n in range(4):
        shop.act(user, n, "purchase", ago=200 - n)
    shop.act(user, 0, "view", ago=40)  # a course touched before is no step
    shop.act(user, 6, "purchase", ago=30)
    shop.act(user, 16, "purchase", ago=2)  # later: unknown at the step

    found = shadow_compare()

    loaded = load("new", new.path)
    at = clock.now().timestamp()
    # course 0 was bought and looked at again since: the newest moment, both events' weight
    weights = pair_weights(
        [*[[("purchase", None, at)]] * 3, [("purchase", None, at), ("view", None, at)]],
        at,
        MatrixConfig(),
    )
    rows = loaded.rows(np.array([shop[n].pk for n in (1, 2, 3, 0)]))
    scores = loaded.model.score_one(History.of(rows, weights, [1.0, 2.0, 3.0, 4.0]))
    step = int(loaded.rows(np.array([shop[6].pk]))[0])
    better = [row for row in range(20) if row not in rows and scores[row] > scores[step]]
    assert 0 < len(better) < 10
    assert (found.users, found.hit_rate) == (1, 1)
    assert found.ndcg == pytest.approx(1 / math.log2(len(better) + 2), abs=1e-5)


def test_nothing_is_compared_without_a_shadow_or_with_learners_who_want_no_profile(shop, serve):
    shop.crowd()
    new, _ = both(serve)
    user = make_learner(personalised_feed=False)
    shop.act(user, 0, "view")
    assert shadow_compare() is None

    ModelVersion.objects.filter(pk=new.pk).update(shadowed_at=None)
    shop.act(make_learner(), 0, "view")
    assert shadow_compare() is None
    assert ShadowComparison.objects.count() == 0


def test_one_shadow_at_a_time_with_evidence_and_its_files_are_kept(shop, serve, learner):
    boss = learner(is_staff=True)
    first, second, serving = serve("popular", "a"), serve("popular", "b"), serve("popular", "c")
    ModelVersion.objects.filter(pk=serving.pk).update(status="serving")

    version_shadow(version_id=first.pk, on=True, by_id=boss.pk, reason="试一试")
    version_shadow(version_id=second.pk, on=True, by_id=boss.pk, reason="换一个")

    shadows = ModelVersion.objects.filter(shadowed_at__isnull=False)
    assert [v.version for v in shadows] == ["b"]
    assert [a.reason for a in StaffAction.objects.order_by("pk")] == ["试一试", "换一个"]
    assert versions_prune(keep=0) == ["a"]
    with pytest.raises(ServesAlready):
        version_shadow(version_id=serving.pk, on=True)
    with pytest.raises(ArtifactMissing):
        version_shadow(version_id=first.pk, on=True)
    version_promote(version_id=second.pk, by_id=boss.pk, reason="更好")
    assert ModelVersion.objects.filter(shadowed_at__isnull=False).count() == 0
    assert ServingPointer.objects.get().version == second


def test_a_run_may_publish_a_shadow_and_leave_what_serves(shop):
    shop.crowd()
    good = training_queue(model="ease")
    training_run(good.pk)
    run = training_queue(model="ease", publish=TrainingRun.Publish.SHADOW)

    assert training_run(run.pk) == "shadowed"

    run.refresh_from_db()
    version = ModelVersion.objects.get(version=run.version)
    assert (version.status, bool(version.shadowed_at)) == ("candidate", True)
    assert ServingPointer.objects.get().version.run_id == good.pk


def lists_of(batch) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for shard in batch.shards.all():
        with shard_file(shard).open() as file:
            for row in csv.DictReader(file):
                found.setdefault(int(row["user_id"]), []).append(int(row["course_id"]))
                assert int(row["rank"]) == len(found[int(row["user_id"])])
    return found


def test_every_learner_gets_a_list_of_the_courses_left(shop, serve, learner):
    shop.crowd(6)
    serve("ease")
    user, newcomer, private = learner(), learner(), learner(personalised_feed=False)
    shop.act(user, 0, "purchase", ago=9)
    shop.act(user, 1, "view", ago=5)
    Entitlement.objects.create(
        user=user, scope=f"course:{shop[2].pk}", source="order", source_ref="x",
        valid_from=clock.now() - timedelta(days=1),
    )  # fmt: skip
    type(shop[3]).objects.filter(pk=shop[3].pk).update(status="withdrawn")

    batch = batch_start(k=99, shard_users=3)
    assert shards_score(batch.pk) == batch.shards.count() == 3

    batch.refresh_from_db()
    lists = lists_of(batch)
    assert (batch.status, batch.users) == ("succeeded", 8)
    assert private.pk not in lists
    gone = {shop[n].pk for n in (0, 2, 3)}
    assert set(lists[user.pk]) == {course.pk for course in shop.courses} - gone
    assert len(lists[newcomer.pk]) == 19
    # the order is the model's, from the history that the feed would use
    state = read_state(user.pk)
    loaded = load("v1", "v1")
    scores = loaded.model.score_one(state.history(loaded))
    by_score = sorted(
        lists[user.pk],
        key=lambda course: -scores[list(loaded.course_ids).index(course)],
    )
    assert lists[user.pk] == by_score


def test_a_killed_shard_is_taken_again_and_the_dead_worker_changes_nothing(shop, serve):
    shop.crowd(6)
    serve("popular")
    batch = batch_start(shard_users=2)
    taken = shard_claim(batch_id=batch.pk)  # its worker dies

    assert shards_score(batch.pk) == 2  # the leased one is left alone
    batch.refresh_from_db()
    assert batch.status == "running"
    with connection.cursor() as cursor:  # the lease runs out
        cursor.execute("UPDATE recommender_batchshard SET due_at = now() - interval '1 s'")
    assert batches_sweep() == 1
    assert shards_score(batch.pk) == 1

    batch.refresh_from_db()
    assert (batch.status, batch.users) == ("succeeded", 6)
    assert shard_done(shard=taken, users=77) is False
    assert len(lists_of(batch)) == 6
    assert BatchShard.objects.get(pk=taken.pk).attempts == 2


def test_workers_at_once_share_the_shards(shop, serve):
    shop.crowd(24)
    serve("popular")
    batch = batch_start(shard_users=2)
    done, gate_open = [], threading.Barrier(4)

    def work() -> None:
        gate_open.wait(timeout=10)
        done.append(shards_score(batch.pk))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert sum(done) == 12
    assert set(batch.shards.values_list("attempts", flat=True)) == {1}
    batch.refresh_from_db()
    assert (batch.status, batch.users) == ("succeeded", 24)


def test_a_shard_that_fails_every_time_is_given_up_and_said(shop, serve, model_dir):
    shop.crowd(2)
    serve("popular")
    batch = batch_start()
    (model_dir / "v1" / "manifest.json").unlink()

    shards_score(batch.pk)

    shard = batch.shards.get()
    assert (shard.state, shard.attempts) == ("dead", MOST_ATTEMPTS)
    assert "ArtifactError" in shard.error
    batch.refresh_from_db()
    assert batch.status == "failed"


def test_a_failed_try_is_due_again_at_once(shop, serve):
    shop.crowd(2)
    serve("popular")
    batch = batch_start()
    shard = shard_claim(batch_id=batch.pk)
    assert shard_claim(batch_id=batch.pk) is None

    shard_failed(shard=shard, why="disk full")

    assert shard_claim(batch_id=batch.pk).pk == shard.pk


def test_the_command_writes_one_file_and_goes_on_with_an_open_batch(shop, serve, tmp_path, capsys):
    with pytest.raises(CommandError, match="还没有可用的模型版本"):
        call_command("score_all")
    shop.crowd(5)
    serve("popular")
    opened = batch_start(shard_users=2, k=3)

    call_command("score_all", k=3, here=True, out=tmp_path / "all.csv")

    assert BatchScore.objects.get() == opened
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["user_id", "rank", "course_id", "score"]
    assert len(rows) == 15
    assert "已为 5 位学员打分。" in capsys.readouterr().out
    for _ in range(3):
        call_command("score_all", here=True, wait=True)
    kept = [batch.path for batch in BatchScore.objects.order_by("pk")]
    assert [bool(path) for path in kept] == [False, False, True, True]
    with pytest.raises(CommandError):
        call_command("score_all", k=0)
