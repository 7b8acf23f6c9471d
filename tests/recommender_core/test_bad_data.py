"""Data that must not get through: an error with a name, or counted and skipped."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from recommender.core.data import IdMap, Interactions
from recommender.core.errors import DatasetError
from recommender.core.offline import evaluate_folder, rate_folder, recommend_folder
from recommender.core.reading import read_dataset
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer
from tests.recommender_core.conftest import FAST, events, two_tastes

HEADER = "user_id,item_id,event,value,timestamp\n"
NOW = 1_700_000_000.0


def built(**columns: np.ndarray) -> Interactions:
    plain = {
        "user_rows": np.array([0, 1, 1], np.int32),
        "item_rows": np.array([0, 0, 1], np.int32),
        "times": np.array([1.0, 2.0, 3.0]),
    }
    return Interactions.build(
        users=IdMap.from_ids("uv"), items=IdMap.from_ids("ab"), **{**plain, **columns}
    )


@pytest.mark.parametrize("weight", [np.nan, np.inf, -1.0, 1e12])
def test_weights_that_would_spoil_a_fit_are_refused_by_name(weight):
    with pytest.raises(DatasetError, match="weights must be"):
        built(weights=np.array([1, weight, 1], np.float32))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e20])
def test_values_beyond_any_scale_are_refused_by_name(value):
    with pytest.raises(DatasetError, match="values must be"):
        built(values=np.array([1, value, 1], np.float32))


@pytest.mark.parametrize("time", [np.inf, -np.inf, 1e20])
def test_times_that_are_no_moment_are_refused_by_name(time):
    with pytest.raises(DatasetError, match="times must be"):
        built(times=np.array([1, time, 1]))


@pytest.mark.parametrize("rows", [[0, 2, 1], [0, -1, 1]])
@pytest.mark.parametrize("side", ["user_rows", "item_rows"])
def test_rows_outside_the_id_maps_are_refused_by_name(side, rows):
    with pytest.raises(DatasetError, match="outside"):
        built(**{side: np.array(rows, np.int32)})


def test_columns_of_different_lengths_are_refused_by_name():
    with pytest.raises(DatasetError, match="as long as"):
        built(weights=np.ones(2, np.float32))


def test_what_a_file_can_hold_is_counted_and_skipped(tmp_path):
    long, future = "x" * 300, int(NOW) + 2 * 86_400
    rows = [
        "u,a,view,,5", "u,a,view,,5", "u,a,view,,5",  # the same row again and again
        f"{long},{long},view,,6", "v,a,view,,7", "v,b,rating,4,8",
        "u,b,rating,nan,9", "u,b,rating,inf,9", "u,b,view,,-4", "u,b,view,,1e300",
        f"u,b,view,,{future}", "u,b,rating,1e31,9", "u,b,rating,1e20,9",
    ]  # fmt: skip
    (tmp_path / "interactions.csv").write_text(HEADER + "\n".join(rows) + "\n")
    read = read_dataset(tmp_path, now=NOW)

    assert len(read.interactions) == 4
    assert (read.report.rows, read.report.bad, read.report.duplicates) == (13, 7, 2)
    assert read.report.reasons == {
        "value is not a number": 3,
        "value is out of range": 1,
        "timestamp before 1970": 1,
        "timestamp is not a number": 1,
        "timestamp in the future": 1,
    }
    assert read.interactions.users.row(long) >= 0


@pytest.mark.parametrize("content", [None, "", HEADER, HEADER + "u,a,view,,nan\n"])
@pytest.mark.parametrize("command", ["evaluate", "recommend", "rate"])
def test_a_folder_with_nothing_to_learn_ends_every_command_by_name(tmp_path, content, command):
    if content is not None:
        (tmp_path / "interactions.csv").write_text(content)
    (tmp_path / "pairs.csv").write_text("user_id,item_id\nu,a\n")
    out = tmp_path / "out.csv"
    run = {
        "evaluate": lambda: evaluate_folder(tmp_path, model="popular"),
        "recommend": lambda: recommend_folder(tmp_path, out, model="popular"),
        "rate": lambda: rate_folder(tmp_path, tmp_path / "pairs.csv", out, model="mf"),
    }[command]
    with pytest.raises(DatasetError):
        run()
    assert not out.exists()


@pytest.mark.parametrize("model", ["mf", "concat_linear"])
def test_ratings_of_one_class_come_back_as_that_class(tmp_path, model):
    rows = "".join(f"u{n % 4},i{n % 3},rating,5,{n}\n" for n in range(24))
    (tmp_path / "interactions.csv").write_text(HEADER + rows)
    (tmp_path / "pairs.csv").write_text("user_id,item_id\nu1,i1\nnobody,i1\n")
    rate_folder(tmp_path, tmp_path / "pairs.csv", tmp_path / "out.csv", model=model)

    with (tmp_path / "out.csv").open() as file:
        assert [float(row["rating"]) for row in csv.DictReader(file)] == [5, 5]


@pytest.mark.parametrize("name", FAST)
def test_one_class_of_events_fits_every_model(name):
    rows = [(f"u{n}", "only", float(n)) for n in range(8)]
    x = events(rows, more_items=("other",), stars=[3.0] * 8)
    model = make_trainer(name, FAST[name]).fit(x, FitOptions())

    assert np.isfinite(model.score(x.histories())).all()


@pytest.mark.parametrize("name", FAST)
def test_extreme_but_allowed_weights_fit_every_model(name):
    x = two_tastes()
    weights = np.where(np.arange(len(x)) % 7 == 0, np.float32(1e3), np.float32(0))
    heavy = Interactions.build(
        users=x.users, items=x.items, user_rows=x.user_rows, item_rows=x.item_rows,
        weights=weights, values=x.values, times=x.times, kinds=x.kinds,
    )  # fmt: skip
    model = make_trainer(name, FAST[name]).fit(heavy, FitOptions())

    assert np.isfinite(model.score(heavy.histories())).all()
