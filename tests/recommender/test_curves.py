"""What a run shows of its fits: each a line of its own, whole after a resumption."""

from datetime import timedelta

import pytest

from kernel import clock
from recommender.blocks import with_blocks
from recommender.core.errors import TrainingStopped
from recommender.core.storing import store_columns
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer
from recommender.curves import curves_svg
from recommender.dataset import snapshot
from recommender.heartbeat import Heartbeat
from recommender.measuring import held_out
from recommender.models import TrainingRun
from recommender.publishing import WORK_PREFIX
from recommender.recipes import make
from recommender.services.runs import run_start, runs_sweep_dead, training_queue
from recommender.training_flow import training_run
from tests.recommender_core.conftest import events

CHOOSE, AGAIN, FINAL = "训练与选择模型", "再次训练选中的模型", "用全部数据训练"
FITS = {"epochs": 6, "patience": 6, "factors": 8}


def two_tastes():
    rows = [
        (f"u{u}", f"i{(u + n) % 5 + 5 * (u % 2)}", float(n)) for u in range(30) for n in range(4)
    ]
    return events(rows)


def test_a_checkpoint_holds_the_curves_of_all_its_epochs(tmp_path):
    x, whole, begun = two_tastes(), [], []

    def listener(into, stop=0):
        def told(name, validated, curves):
            into.append((name, validated, {k: list(v) for k, v in curves.items()}))
            if stop and len(curves["loss"]) == stop:
                raise TrainingStopped("killed")

        return told

    def fit(**options):
        make_trainer("history_tower", FITS).fit(x, FitOptions(seed=4, **options))

    fit(on_curves=listener(whole))
    with pytest.raises(TrainingStopped):
        fit(checkpoint_dir=tmp_path, on_curves=listener([], stop=2))
    fit(checkpoint_dir=tmp_path, on_curves=listener(begun))

    assert [len(curves["loss"]) for *_, curves in whole] == [1, 2, 3, 4, 5, 6]
    assert [len(curves["loss"]) for *_, curves in begun] == [2, 3, 4, 5, 6]  # told at once
    assert begun[-1] == whole[-1]
    assert whole[-1][:2] == ("history_tower", False)


@pytest.fixture
def beat(db):
    """A heartbeat of a run, that only the test makes write."""
    run = training_queue()
    return Heartbeat(run.pk, run_start(run_id=run.pk), every=1000)


def test_the_bar_never_falls_back(beat):
    seen = []

    def alive(done, total):
        beat.alive(done, total)
        seen.append(beat.told()["progress"])

    beat.stage(CHOOSE, 0.05, 0.55, fits=2)
    for done in (5, 10, 1, 10):  # stopped early at 10 of 20 epochs, then fitted again
        alive(done, 20 if len(seen) < 2 else 10)
    beat.stage("评估", 0.55, 0.62)
    alive(0, 100)
    beat.stage("评估基线", 0.4, 0.5)  # a stage that ends below stands still
    alive(5, 10)

    # of the 0.5: a half of 5/20, a half of 10/20, then the second half by tenths
    assert seen == pytest.approx([0.1125, 0.175, 0.325, 0.55, 0.55, 0.55])


def test_each_fit_is_a_line_of_its_own(beat):
    beat.stage(CHOOSE, 0.05, 0.55, fits=2)
    beat.drawn("sasrec", True, {"loss": [6.5, 6.0], "ndcg@10": [0.1, 0.2]})
    beat.drawn("sasrec", False, {"loss": [7.4, float("nan"), 6.1]})
    beat.drawn("neumf", True, {"loss": [0.7]})
    beat.stage(FINAL, 0.75, 0.95)
    beat.drawn("sasrec", False, {"loss": [7.0]})

    assert beat.told()["curves"] == {
        f"{CHOOSE} sasrec loss": [[0, 6.5], [1, 6.0]],
        f"{CHOOSE} sasrec ndcg@10": [[0, 0.1], [1, 0.2]],
        f"{AGAIN} sasrec loss": [[0, 7.4], [2, 6.1]],  # what is no number leaves its place free
        f"{CHOOSE} neumf loss": [[0, 0.7]],
        f"{FINAL} sasrec loss": [[0, 7.0]],
    }
    page = curves_svg(beat.told()["curves"])
    assert page.count("<polyline") == 3  # of more than one point
    assert f"{AGAIN} 序列注意力 sasrec 损失" in page


def test_a_fit_that_begins_again_takes_no_point_away(beat):
    beat.go_on({f"{CHOOSE} sasrec loss": [[0, 6.5], [1, 6.0], [2, 5.5]]}, 0.3)
    beat.stage(CHOOSE, 0.05, 0.55)

    beat.drawn("sasrec", True, {"loss": [6.5]})
    assert beat.told()["curves"] == {f"{CHOOSE} sasrec loss": [[0, 6.5], [1, 6.0], [2, 5.5]]}
    assert beat.told()["progress"] == 0.3
    beat.drawn("sasrec", True, {"loss": [6.5, 6.0, 5.5, 5.25]})
    assert beat.told()["curves"][f"{CHOOSE} sasrec loss"][-1] == [3, 5.25]

    beat.begin_anew()
    assert (beat.told()["curves"], beat.told()["progress"]) == ({}, 0.0)


def killed_after(model_dir, epochs):
    """The run that takes up a training of FITS whose worker died after so many epochs.

    Its row was written earlier: it knows the first epoch alone.
    """
    run = training_queue(model="history_tower", params=FITS)
    assert run_start(run_id=run.pk)
    work, told = model_dir / f"{WORK_PREFIX}{run.pk}", []
    interactions, cleaning = snapshot()
    store_columns(with_blocks(interactions), work / "snapshot.npz")

    def die(_name, validated, curves):
        told.append(curves)
        if len(told) == epochs:
            raise TrainingStopped("killed")

    options = FitOptions(checkpoint_dir=work / "checkpoints" / "choose", on_curves=die)
    with pytest.raises(TrainingStopped):
        make("history_tower", FITS, held_out(interactions, 0).train, options)
    first = {f"{CHOOSE} history_tower loss": [[0, round(told[0]["loss"][0], 6)]]}
    TrainingRun.objects.filter(pk=run.pk).update(
        cleaning=cleaning.as_json(),
        curves=first,
        progress=0.1,
        heartbeat_at=clock.now() - timedelta(hours=1),
    )
    runs_sweep_dead()
    return TrainingRun.objects.get(resumes=run)


@pytest.mark.django_db(transaction=True)
def test_a_resumed_run_shows_the_curves_of_an_uninterrupted_one(shop, model_dir):
    shop.crowd()
    whole = training_queue(model="history_tower", params=FITS)
    training_run(whole.pk)
    whole.refresh_from_db()
    assert {name.rpartition(" ")[0] for name in whole.curves} == {
        f"{stage} history_tower" for stage in (CHOOSE, AGAIN, FINAL)
    }
    for figure in ("loss", "ndcg@10"):
        assert [x for x, _ in whole.curves[f"{CHOOSE} history_tower {figure}"]] == [
            0,
            1,
            2,
            3,
            4,
            5,
        ]

    for epochs in (1, 4, 7):  # the seventh is the first of the second fit
        heir = killed_after(model_dir, epochs)
        assert heir.progress == 0.1
        training_run(heir.pk)

        heir.refresh_from_db()
        assert heir.lineage["resumed_from"] == heir.resumes_id
        assert {name: heir.curves[name] for name in whole.curves} == whole.curves


@pytest.mark.django_db(transaction=True)
def test_a_run_whose_work_is_lost_shows_no_points_of_other_data(shop):
    shop.crowd()
    run = training_queue(model="ease")
    assert run_start(run_id=run.pk)
    TrainingRun.objects.filter(pk=run.pk).update(
        curves={f"{CHOOSE} sasrec loss": [[0, 6.5]]},
        progress=0.3,
        heartbeat_at=clock.now() - timedelta(hours=1),
    )
    runs_sweep_dead()
    heir = TrainingRun.objects.get(resumes=run)

    training_run(heir.pk)

    heir.refresh_from_db()
    assert (heir.status, heir.curves) == ("succeeded", {})
