"""What a dataset folder can hold, told by every command alike."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recommender.core import offline
from recommender.core.cleaning import CleaningConfig, clean
from recommender.core.errors import BadParams, DatasetError
from recommender.core.event_file import CHUNK
from recommender.core.reading import read_dataset
from recommender.core.training.registry import TRAINERS
from recommender.core.training.tuning import SPACES
from recommender.dataset_folder import read_folder

HEADER = "user_id,item_id,event,value,timestamp\n"
NOW = 1_700_000_000.0
SEED = 3


def folder_of(tmp_path, rows, raw=b""):
    (tmp_path / "interactions.csv").write_bytes((HEADER + "".join(rows)).encode() + raw)
    return tmp_path


def rated(tmp_path, *more, users=30, factor=1):
    """Each of 30 users rates 8 of 12 items 1 to 5, times `factor`; `more` rows come after."""
    rng = np.random.default_rng(SEED)
    rows = [
        f"u{user},i{item},rating,{factor * rng.integers(1, 6)},{1000 * user + n}\n"
        for user in range(users)
        for n, item in enumerate(rng.permutation(12)[:8])
    ]
    return folder_of(tmp_path, [*rows, *(f"{row}\n" for row in more)])


def run(name, *arguments):
    out, err = StringIO(), StringIO()
    call_command(name, *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


# --- ratings outside the scale


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("value", ["1000000", "100", "-100", "0", "0.4", "5.1", "6", "10", "-3"])
def test_a_rating_off_the_scale_is_skipped_counted_and_named(tmp_path, value, quoted):
    item = '"far"' if quoted else "far"
    read = read_dataset(rated(tmp_path, f"new,{item},rating,{value},1600000000"), now=NOW)

    assert [(bad.line, bad.reason) for bad in read.report.bad_rows] == [
        (242, "a rating must lie between 0.5 and 5")
    ]
    assert (len(read.ratings), read.report.rows, read.report.bad) == (240, 241, 1)
    # nothing of the row is left: neither its user nor its item
    assert (len(read.interactions.users), len(read.interactions.items)) == (30, 12)
    assert read.interactions.users.row("new") == read.interactions.items.row("far") == -1
    with pytest.raises(DatasetError, match="line 242: a rating must lie between 0.5 and 5"):
        read_dataset(tmp_path, now=NOW, strict=True)


def test_what_comes_after_a_skipped_rating_keeps_its_ids(tmp_path):
    rows = ["a,x,rating,99,1\n", "b,y,view,,2\n", "a,y,rating,5,3\n", "c,z,rating,0.5,4\n"]
    read = read_dataset(folder_of(tmp_path, rows), now=NOW)

    x = read.interactions
    pairs = zip(x.users.ids(x.user_rows.tolist()), x.items.ids(x.item_rows.tolist()), strict=True)
    assert sorted(pairs) == [("a", "y"), ("b", "y"), ("c", "z")]
    assert sorted(read.ratings.values.tolist()) == [0.5, 5]


@pytest.mark.parametrize(
    ("factor", "scale", "wrong"), [(2, (0, 10), "11"), (20, (0, 100), "1000000")]
)
def test_ratings_that_are_all_on_another_scale_are_taken_on_it(tmp_path, factor, scale, wrong):
    folder = rated(tmp_path, f"u1,i3,rating,{wrong},1600000000", factor=factor)
    read = read_dataset(folder, now=NOW, keep_log=True)

    assert (read.report.scale.least, read.report.scale.most) == scale
    assert read.report.bad == 1
    assert set(read.ratings.values.tolist()) == {factor * n for n in range(1, 6)}
    assert [str(note) for note in read.report.notes()] == [
        f"the ratings run from {scale[0]} to {scale[1]} and not from 0.5 to 5; "
        "import_dataset skips what lies outside 0.5 to 5"
    ]
    # for the cleaning they are stars: 2 of 10 and 20 of 100 are a fifth of the way from .5 to 5
    assert min(read.log.values) == pytest.approx(0.5 + 0.2 * 4.5)
    assert clean(read.log, CleaningConfig(outlier_ratings=0)).report.left_out == {}


def test_one_absurd_rating_bends_no_prediction(tmp_path):
    plain, odd = tmp_path / "plain", tmp_path / "odd"
    plain.mkdir()
    odd.mkdir()
    rated(plain)
    rated(odd, "u1,i3,rating,1000000,1600000000", "u1,i4,rating,-100,1600000001")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("user_id,item_id\nu1,i3\nu2,i5\nnobody,i1\n")
    params = {"factors": 2, "iterations": 8}
    found = []
    for folder in (plain, odd):
        offline.rate_folder(folder, pairs, tmp_path / "out.csv", model="mf", params=params)
        found.append((tmp_path / "out.csv").read_text())

    assert found[0] == found[1]


def test_a_watched_share_beyond_the_whole_is_skipped(tmp_path):
    read = read_dataset(folder_of(tmp_path, ["u,a,play,101,5\n", "u,b,play,100,6\n"]), now=NOW)

    assert [bad.reason for bad in read.report.bad_rows] == [
        "the watched share must lie between 0 and 100"
    ]


# --- one model of all


def test_models_that_fail_are_named_and_the_others_stand(tmp_path):
    # four users are too few to search parameters on; what searches none is judged all the same
    rows = [f"u{user},i{(user + n) % 7},view,,{60 * user + n}\n" for user in range(4)
            for n in range(4)]  # fmt: skip
    folder, html = folder_of(tmp_path, rows), tmp_path / "all.html"

    out, said = run("evaluate", "--dataset", folder, "--model", "all", "--tune", 1, "--html", html)

    found = {result["model"]: result for result in json.loads(out)}
    why = "只能留出 4 位用户，不足以搜索参数"
    assert list(found) == [*TRAINERS, "auto"]
    failed = {name for name, result in found.items() if "failed" in result}
    assert failed == set(TRAINERS) & set(SPACES)
    assert found["ease"] == {
        "model": "ease", "dataset": tmp_path.name, "protocol": "leave-last-out", "seed": 0,
        "failed": why,
    }  # fmt: skip
    assert "ndcg@10" in found["auto"]["metrics"]
    assert f"课程相关矩阵 ease 没有结果：{why}" in said
    drawn = html.read_text(encoding="utf-8")
    assert drawn.count(why) == len(failed)
    assert re.search(r"<td>ease</td><td colspan=\"\d+\">只能留出", drawn)


def test_where_every_model_fails_there_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="holds out nothing"):
        offline.evaluate_folder(folder_of(tmp_path, ["u,a,view,,5\n"]), model="all")


# --- nothing that can be used


@pytest.mark.parametrize(
    ("raw", "causes"),
    [
        ("u,课,view,,5\nv,程,view,,6\n".encode("gbk"),
         "not UTF-8: 2 (first interactions.csv, line 2)"),
        (b"u,a,view,,2024-01-01T00:00:00\n,a,view,,5\nu,b,view,,2024-01-01\n",
         "timestamp is not a number: 2 (first interactions.csv, line 2); "
         "empty user_id or item_id: 1 (first interactions.csv, line 3)"),
        (b"u,a,rating,nan,5\n",
         "value is not a number: 1 (first interactions.csv, line 2)"),
        (b"", "it holds no row"),
        (b"u,a,impression,,5\n", "impressions: 1"),
        (b"u,a,rating,9,5\n",
         "a rating must lie between 0.5 and 5: 1 (first interactions.csv, line 2)"),
    ],
)  # fmt: skip
def test_a_file_without_a_usable_row_tells_the_causes_with_their_counts(tmp_path, raw, causes):
    with pytest.raises(DatasetError) as refused:
        read_dataset(folder_of(tmp_path, [], raw), now=NOW)

    assert str(refused.value) == (
        f"interactions.csv holds no interaction that can be used: {causes}"
    )


# --- rows


def test_a_quoted_line_break_is_part_of_an_id(tmp_path):
    rows = ['"u\n1",a,view,,5\r\n', 'v,"a\r\n\r\nb",view,,6\r\n', "w,a,bought,,7\r\n"]
    read = read_dataset(folder_of(tmp_path, rows), now=NOW)

    assert read.interactions.users.ids([0, 1]) == ["u\n1", "v"]
    assert read.interactions.items.ids([0, 1]) == ["a", "a\r\n\r\nb"]
    assert [(bad.line, bad.reason) for bad in read.report.bad_rows] == [(7, "unknown event")]
    assert read.report.rows == 3


def test_a_row_may_go_on_beyond_a_chunk_of_lines(tmp_path):
    rows = [f"u{n % 50},i{n % 40},view,,{n}\n" for n in range(CHUNK - 1)]
    read = read_dataset(
        folder_of(tmp_path, [*rows, '"u\n0",i0,view,,9\n', "v,i1,dance,,9\n"]), now=NOW
    )

    assert read.interactions.users.row("u\n0") == 50
    # a header, 19,999 rows of a line, one of two
    assert [(bad.line, bad.reason) for bad in read.report.bad_rows] == [
        (CHUNK + 3, "unknown event")
    ]


def test_a_quote_that_never_ends_costs_its_own_line(tmp_path):
    rows = ["u,a,view,,5\n", 'u,"b,view,,5\n', *(f"v,a{n},view,,6\n" for n in range(300))]
    read = read_dataset(folder_of(tmp_path, rows), now=NOW)

    assert [(bad.line, bad.reason) for bad in read.report.bad_rows] == [
        (3, "a quote is never closed")
    ]
    assert len(read.interactions) == 301


def test_what_is_taken_for_something_else_is_told_and_counted(tmp_path):
    rows = ["u,a,,,5\n", "u,a,view,,5\n", "u,b,rating,,\n", f"{'x' * 101},a,view,,7\n",
            "v,a,view,,8\n"]  # fmt: skip
    read = read_dataset(folder_of(tmp_path, rows), now=NOW)

    assert [str(note) for note in read.report.notes()] == [
        "1 events repeat a pair of user and item: the first of each counts",
        "1 of 5 events carry no time: they count as the oldest",
        "1 rows name no event: each is a view",
        "1 ratings without a number count as interactions; import_dataset skips them",
        "1 rows carry an id of more than 100 characters; import_dataset skips them",
    ]
    assert len(read.interactions) == 4


def test_mostly_missing_times_are_told_and_wholly_missing_ones_are_none(tmp_path):
    some = read_dataset(folder_of(tmp_path, ["u,a,view,,\n", "u,b,view,,\n", "u,c,view,,7\n"]))
    assert [str(note) for note in some.report.notes()] == [
        "2 of 3 events carry no time: the set counts as one without times"
    ]
    none = read_dataset(folder_of(tmp_path, ["u,a,view,,\n", "u,b,view,,\n"]))
    assert none.report.notes() == []


def test_a_creator_of_a_folder_is_no_judge_of_the_own_items(tmp_path):
    folder = folder_of(tmp_path, ["u,a,rating,5,5\n", "v,a,rating,4,6\n", "u,b,rating,3,7\n"])
    (folder / "items.csv").write_text("item_id,creator\na,u\nb,somebody\n")
    read = read_dataset(folder, now=NOW, keep_log=True)

    assert clean(read.log).report.left_out == {"creator_on_own_course": 1}


def test_a_directory_in_place_of_a_file_is_refused(tmp_path):
    folder_of(tmp_path, ["u,a,view,,5\n"])
    (tmp_path / "items.csv").mkdir()

    with pytest.raises(DatasetError, match=r"items\.csv is not a file"):
        read_dataset(tmp_path)


# --- the commands


def test_pairs_that_are_none_are_skipped_and_named(tmp_path):
    rated(tmp_path)
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out.csv"
    pairs.write_bytes(b"user_id,item_id\nu1,i1\nu\x001,i1\nu1\n\nu2,\xff\nnobody,i2\n")

    _, said = run("recommend", "--dataset", tmp_path, "--model", "mf", "--rate", pairs,
                  "--params", '{"iterations": 4}', "--out", out)  # fmt: skip

    with out.open(newline="") as file:
        asked = [(row["user_id"], row["item_id"]) for row in csv.DictReader(file)]
    assert asked == [("u1", "i1"), ("nobody", "i2")]
    assert said.splitlines()[:4] == [
        "pairs.csv:3：含有 NUL 字节",
        "pairs.csv:4：字段数不对",
        "pairs.csv:6：不是 UTF-8 编码",
        "共 245 行，跳过 3 行",
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--model", "magic"], "没有名为 magic 的模型；可用：auto, popular"),
        (["--params", "{"], "--params 不是 JSON："),
        (["--params", '{"depth": 3}'], "popular 没有参数 depth；可用："),
        (["--params", '{"half_life_days": "x"}'], "popular：half_life_days 必须是数字"),
        (["--k", "0"], "--k 至少为 1"),
        (["--tune", "-5"], "--tune 至少为 0"),
        (["--seed", "-1"], "--seed 必须在 0 到 4294967295 之间"),
        (["--dataset", "/nowhere"], "/nowhere 不是数据集文件夹"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "recommend"])
def test_bad_arguments_are_refused_in_chinese(tmp_path, command, arguments, why):
    rated(tmp_path)
    out = ["--out", tmp_path / "out.csv"] if command == "recommend" else []

    with pytest.raises(CommandError) as refused:
        run(command, "--dataset", tmp_path, "--model", "popular", *out, *arguments)

    assert str(refused.value).startswith(why)


@pytest.mark.parametrize("option", ["--json", "--html", "--out"])
def test_a_path_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path, option):
    (tmp_path / "file").write_text("")
    command, out = ("recommend", []) if option == "--out" else ("evaluate", [])
    for where, why in (
        (tmp_path, "是一个文件夹"),
        (tmp_path / "no" / "where", "没有这个文件或文件夹"),
        (tmp_path / "file" / "below", "路径中的一段不是文件夹"),
    ):
        with pytest.raises(CommandError) as refused:
            run(command, "--dataset", "/nowhere", "--model", "popular", option, where, *out)
        assert str(refused.value) == f"无法写入 {where}：{why}"


def test_a_path_that_can_be_written_is_left_as_it_was(tmp_path):
    (tmp_path / "old").write_text("kept")
    offline.check_writable(tmp_path / "old", tmp_path / "new", None)

    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "kept"


def test_a_search_reports_every_trial(tmp_path):
    rated(tmp_path)
    out, said = run("evaluate", "--dataset", tmp_path, "--model", "popular", "--tune", 3)

    found = json.loads(out)
    trials = found["tuning"]["trials"]
    assert found["tuning"]["metric"] == "ndcg@10"
    assert [trial["params"] for trial in trials][0] == {}
    assert len(trials) == 3
    best = max(trials, key=lambda trial: trial["value"])
    assert (
        best["params"].get("half_life_days", found["params"]["half_life_days"])
        == (found["params"]["half_life_days"])
    )
    lines = [line for line in said.splitlines() if line.startswith("popular 第 ")]
    assert len(lines) == 3
    assert [line.endswith("（选用）") for line in lines].count(True) == 1

    _, said = run("recommend", "--dataset", tmp_path, "--model", "popular", "--tune", 2,
                  "--out", tmp_path / "out.csv")  # fmt: skip
    assert said.count("popular 第 ") == 2


def test_a_transfer_without_a_pair_says_why(tmp_path):
    rated(tmp_path)
    items = [f"i{n},{'甲乙'[n % 2]}\n" for n in range(12)]
    (tmp_path / "items.csv").write_text("item_id,category\n" + "".join(items))

    out, said = run("evaluate", "--dataset", tmp_path, "--model", "popular", "--transfer")

    found = json.loads(out)
    assert found["transfer"] == []
    # three tenths of 30 users are tested, known by one of two kinds each
    assert found["transfer_note"].startswith("受测的 9 位用户中，同一对分类最多 ")
    assert found["transfer_note"] in said


def test_a_search_does_not_go_with_ratings(tmp_path):
    rated(tmp_path)

    with pytest.raises(CommandError, match="不能与 --rate 同用"):
        run("recommend", "--dataset", tmp_path, "--rate", tmp_path / "pairs.csv", "--tune", 2,
            "--out", tmp_path / "out.csv")  # fmt: skip


def test_a_model_without_a_search_space_is_refused_before_the_data_is_read():
    with pytest.raises(BadParams, match="auto cannot be tuned"):
        offline.evaluate_folder("/nowhere", model="auto", tune=2)


def test_the_import_and_the_models_take_the_same_rows(tmp_path):
    cells = [
        ["u1", '"u\n2"', '"a""b"', "", " ", "u\x00x", "u3", "x" * 100],
        ["i1", "i2", '"i,3"', "", "i\x00x"],
        ["view", "", "Rating ", "rating", "play", "dance", "impression", "search"],
        ["", "0.5", "5", "5.5", "0", "-3", "101", "100", "nan", "1e31", "1e10", "x"],
        ["", "5", "1600000000", "-1", "inf", "99999999999", "2024-01-01"],
    ]
    rng = np.random.default_rng(SEED)
    rows = [[str(rng.choice(column)) for column in cells] for _ in range(3000)]
    # a rating without stars is an interaction to models alone
    rows = [row for row in rows if not (row[2].strip().lower() == "rating" and not row[3])]
    folder = folder_of(tmp_path, [",".join(row) + "\r\n" for row in [["u", "i", "view", "", ""],
                                                                     *rows]])  # fmt: skip

    one, other = read_folder(folder), read_dataset(folder, keep_log=True)

    bad = {row.line: row.reason for row in other.report.bad_rows}
    assert len(bad) == 100
    assert sorted(bad) == [row.line for row in one.report.bad_rows]
    assert (one.report.rows, one.report.bad) == (other.report.rows, other.report.bad)
    assert 200 < len(one.interactions) < 2500
    events = [row for row in one.interactions if row.event != "impression"]
    assert len(other.log) == len(events)
    assert one.user_ids() == other.interactions.users.ids(range(len(other.interactions.users)))
    assert one.report.without_event == other.report.without_event > 0
