"""`evaluate` and `recommend` as commands of their own: no database, errors in one sentence."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADER = "user_id,item_id,event,value,timestamp\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    """12 learners with 4 of 8 courses each, one broken row, and a course nobody has taken."""
    shop = tmp_path / "shop"
    shop.mkdir()
    lines = [
        f"u{user},c{(user * 3 + step * (1 + user % 3)) % 8},view,,{1000 + 10 * user + step}"
        for user in range(12)
        for step in range(4)
    ]
    lines.insert(5, "u1,c1,bought,,1000")
    (shop / "interactions.csv").write_text(HEADER + "\n".join(lines) + "\n")
    (shop / "items.csv").write_text("item_id,title\ncold,新课\nc0,第一课\n")
    return shop


def manage(*arguments: object) -> subprocess.CompletedProcess[str]:
    # a database that does not answer: these commands must not ask it
    env = {**os.environ, "DATABASE_URL": "postgres://nobody:x@127.0.0.1:1/none"}
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_recommend_lists_everything_unseen_for_everybody(folder, tmp_path):
    out = tmp_path / "lists.csv"
    done = manage(
        "recommend", "--dataset", folder, "--model", "ials", "--k", 99, "--out", out,
        "--language", "en",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "interactions.csv:7: unknown event" in done.stderr
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["user_id"] for row in rows} == {f"u{n}" for n in range(12)}
    mine = [row for row in rows if row["user_id"] == "u0"]
    assert {row["item_id"] for row in mine} == {f"c{n}" for n in range(4, 8)} | {"cold"}
    assert [int(row["rank"]) for row in mine] == [1, 2, 3, 4, 5]
    scores = [float(row["score"]) for row in mine]
    assert scores == sorted(scores, reverse=True)


def test_evaluate_writes_json_for_one_model_and_a_list_for_all(folder, tmp_path):
    out = tmp_path / "found.json"
    done = manage("evaluate", "--dataset", folder, "--model", "popular", "--json", out)
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["dataset"] == "shop"

    done = manage("evaluate", "--dataset", folder, "--model", "all", "--json", out)
    assert done.returncode == 0, done.stderr
    names = {result["model"] for result in json.loads(out.read_text())}
    assert names >= {"popular", "concat_linear", "ials", "transitions", "history_tower", "auto"}


def test_evaluate_draws_one_page_that_needs_no_network(folder, tmp_path):
    page, out = tmp_path / "found.html", tmp_path / "found.json"
    done = manage(
        "evaluate", "--dataset", folder, "--model", "ials", "--clean", "--html", page, "--json", out
    )

    assert done.returncode == 0, done.stderr
    assert "读取 36 条行为，保留 36 条。" in done.stderr  # the training part: 12 are held out
    html = page.read_text(encoding="utf-8")
    assert html.count("<svg") == html.count("<table") == 1
    assert "数据集 shop：12 位用户" in html
    found = json.loads(out.read_text())
    assert f"{found['metrics']['ndcg@10']:.4f}" in html
    assert not re.search(r"https?:|//[a-z]|<script|<link|<img|url\(|@import", html)


def test_one_evaluation_cleans_and_tells_what_carries_over_between_kinds(folder, tmp_path):
    lines = [f"{user},{kind}{n},view,,{90 * n + 9 * user}"
             for user in range(160) for kind in "cd" for n in (user % 2, 2 + user % 2)]  # fmt: skip
    burst = [f"bot,c{n // 150},view,,{5040 + n / 9}" for n in range(400)]
    (folder / "interactions.csv").write_text(HEADER + "\n".join([*lines, *burst]) + "\n")
    items = [f"{kind}{n},{kind}" for kind in "cd" for n in range(4)]
    (folder / "items.csv").write_text("item_id,category\n" + "\n".join(items) + "\n")
    out = tmp_path / "found.json"
    params = '{"matrix": {"alpha": 0.5}}'
    done = manage(
        "evaluate", "--dataset", folder, "--model", "user_knn", "--params", params,
        "--clean", "--transfer", "--json", out, "--language", "en",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["cleaning"]["left_out"]["burst"] == 300
    assert {(one["source"], one["target"]) for one in found["transfer"]} == {("c", "d"), ("d", "c")}
    assert sum(one["users"] for one in found["transfer"]) == 48  # three tenths of 160
    assert done.stderr.count("users, AUC") == 2

    done = manage(
        "evaluate", "--dataset", folder, "--model", "all", "--transfer", "--language", "en"
    )
    assert done.returncode == 1
    assert "--transfer belongs to one model" in done.stderr


def test_recommend_with_cleaning_still_writes_a_list_for_everybody(folder, tmp_path):
    lines = [f"bot,c{n % 8},view,,{5040 + n / 9}" for n in range(400)]
    with (folder / "interactions.csv").open("a") as file:
        file.write("\n".join(lines) + "\n")
    out = tmp_path / "lists.csv"

    done = manage("recommend", "--dataset", folder, "--model", "popular", "--clean", "--out", out)

    assert done.returncode == 0, done.stderr
    assert "突发：一分钟内上报过多：400 条，涉及 1 位用户" in done.stderr
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["user_id"] for row in rows} == {*(f"u{n}" for n in range(12)), "bot"}
    # what was cleaned out of the learning is still not new to the user
    assert [row["item_id"] for row in rows if row["user_id"] == "bot"] == ["cold"]


def test_a_matrix_is_a_parameter_of_every_model(folder, tmp_path):
    out = tmp_path / "found.json"
    params = '{"matrix": {"alpha": 0.5, "half_life_days": 30}, "factors": 4}'
    done = manage(
        "evaluate", "--dataset", folder, "--model", "ials", "--params", params, "--json", out
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(out.read_text())["params"]
    assert (told["factors"], told["matrix"]["alpha"], told["matrix"]["beta"]) == (4, 0.5, 0.2)


def test_ratings_are_predicted_for_every_pair_known_or_not(folder, tmp_path):
    rated = [f"u{n},c{n % 4},rating,{1 + n % 5},{n}" for n in range(12)]
    (folder / "interactions.csv").write_text(HEADER + "\n".join(rated) + "\n")
    pairs, out = tmp_path / "pairs.csv", tmp_path / "rated.csv"
    pairs.write_text("user_id,item_id\nu1,c1\nnobody,c1\nu1,nothing\nnobody,nothing\n")
    done = manage("recommend", "--dataset", folder, "--model", "mf", "--rate", pairs, "--out", out)

    assert done.returncode == 0, done.stderr
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(r["user_id"], r["item_id"]) for r in rows] == [
        ("u1", "c1"), ("nobody", "c1"), ("u1", "nothing"), ("nobody", "nothing"),
    ]  # fmt: skip
    assert all(1 <= float(row["rating"]) <= 5 for row in rows)
    mean = sum(1 + n % 5 for n in range(12)) / 12
    assert float(rows[-1]["rating"]) == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--model", "magic"], "no model named 'magic'"),
        (["--params", "{"], "--params is not JSON"),
        (["--params", "[1]"], "must be a JSON object"),
        (["--params", '{"depth": 3}'], "no parameter 'depth'"),
        (["--params", '{"factors": -1}'], "must lie between"),
        (["--params", '{"matrix": {"alpha": -1}}'], "must lie between"),
        (["--params", '{"factors": 1.5}'], "must be a whole number"),
        (["--k", "0"], "--k must be at least 1"),
        (["--seed", "-1"], "--seed must lie between"),
        (["--dataset", "/nowhere"], "no dataset folder at /nowhere"),
    ],
)
def test_bad_arguments_end_in_one_sentence(folder, tmp_path, arguments, why):
    out = tmp_path / "out.csv"
    done = manage(
        "recommend", "--dataset", folder, "--model", "ials", "--out", out, "--language", "en",
        *arguments,
    )  # fmt: skip

    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()
