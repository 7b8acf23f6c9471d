from __future__ import annotations

import numpy as np
import pytest

from recommender.core.errors import DatasetError
from recommender.core.reading import read_dataset

HEADER = "user_id,item_id,event,value,timestamp\n"
NOW = 1_700_000_000.0


def folder_of(tmp_path, interactions: str | bytes, items: str | None = None):
    raw = interactions.encode() if isinstance(interactions, str) else interactions
    (tmp_path / "interactions.csv").write_bytes(HEADER.encode() + raw)
    if items is not None:
        (tmp_path / "items.csv").write_text(items)
    return tmp_path


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("u,a,view,,nan", "timestamp is not a number"),
        ("u,a,view,,inf", "timestamp is not a number"),
        ("u,a,view,,soon", "timestamp is not a number"),
        ("u,a,view,,-5", "timestamp before 1970"),
        ("u,a,view,,1e300", "timestamp is not a number"),
        ("u,a,view,,99999999999", "timestamp in the future"),
        ("u,a,rating,nan,5", "value is not a number"),
        ("u,a,bought,,5", "unknown event"),
        ("u,a,view,5", "wrong number of fields"),
        ("u,a,view,,5,6", "wrong number of fields"),
        (",a,view,,5", "empty user_id or item_id"),
        ("u,,view,,5", "empty user_id or item_id"),
        ("u\0,a,view,,5", "NUL byte"),
    ],
)
def test_a_bad_row_is_reported_with_its_line_and_skipped(tmp_path, row, reason):
    folder = folder_of(tmp_path, f"u,good,view,,5\n{row}\nv,good,view,,6\n")

    read = read_dataset(folder, now=NOW)

    assert [(bad.file, bad.line, bad.reason) for bad in read.report.bad_rows] == [
        ("interactions.csv", 3, reason)
    ]
    assert (read.report.rows, read.report.bad, len(read.interactions)) == (3, 1, 2)
    with pytest.raises(DatasetError, match=f"line 3: {reason}"):
        read_dataset(folder, now=NOW, strict=True)


def test_bytes_that_are_not_utf8_make_a_bad_row(tmp_path):
    read = read_dataset(folder_of(tmp_path, b"u,good,view,,5\nu,\xff\xfe,view,,5\n"), now=NOW)

    assert [bad.reason for bad in read.report.bad_rows] == ["not UTF-8"]
    assert read.interactions.items.ids([0]) == ["good"]


def test_long_quoted_and_chinese_ids_are_ids(tmp_path):
    long = "x" * 300
    read = read_dataset(
        folder_of(tmp_path, f'{long},"a,""b",view,,5\r\n用户,课程,play,80,6\r\n'), now=NOW
    )

    assert read.report.bad == 0
    assert read.interactions.users.ids([0, 1]) == [long, "用户"]
    assert read.interactions.items.ids([0, 1]) == ['a,"b', "课程"]


def test_impressions_are_no_interactions_but_their_ids_are_known(tmp_path):
    read = read_dataset(folder_of(tmp_path, "u,a,view,,5\nv,b,impression,,6\n"), now=NOW)

    assert len(read.interactions) == 1
    assert read.report.impressions == 1
    assert read.interactions.users.rows(["v"]).tolist() == [1]
    assert len(read.interactions.history(1)) == 0
    assert len(read.interactions.items) == 2


def test_the_catalogue_is_the_union_of_both_files(tmp_path):
    items = (
        "item_id,title,category,tags,creator,published_at,price_fen,text\n"
        'a,甲,钱,x|y,某,2024-01-01T00:00:00+00:00,990,"two\nlines"\n'
        "cold,,,,,,,\n"
        "a,again,,,,,,\n"
        "worse,,,,,,-3,\n"
        "short\n"
    )
    read = read_dataset(folder_of(tmp_path, "u,a,view,,5\nu,b,view,,6\n", items), now=NOW)

    assert read.interactions.items.ids(range(3)) == ["a", "b", "cold"]
    assert len(read.interactions.items) == 3
    assert read.table.titles == ["甲", "", ""]
    assert read.table.tags[0] == ("x", "y")
    assert read.table.published_at[0] == 1_704_067_200
    assert read.table.price_fen.tolist() == [990, -1, -1]
    assert [(bad.line, bad.reason) for bad in read.report.bad_rows] == [
        (5, "item_id repeats"),
        (6, "price_fen is out of range"),
        (7, "wrong number of fields"),
    ]


def test_ratings_are_kept_apart_from_the_first_event(tmp_path):
    read = read_dataset(folder_of(tmp_path, "u,a,view,,5\nu,a,rating,4.5,6\n"), now=NOW)

    assert len(read.interactions) == 1
    assert np.isnan(read.interactions.values[0])
    assert read.ratings.values.tolist() == [4.5]


def test_a_set_mostly_without_times_has_none(tmp_path):
    read = read_dataset(folder_of(tmp_path, "u,a,view,,\nu,b,view,,\nu,c,view,,7\n"), now=NOW)

    assert read.interactions.times is None
    assert read.report.without_time == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no interactions.csv"),
        ("", "must begin with the header"),
        ("a,b,c\n1,2,3\n", "must begin with the header"),
        (HEADER, "no interaction that can be used"),
        (HEADER + "u,a,impression,,5\n", "no interaction that can be used"),
    ],
)
def test_a_folder_without_interactions_is_refused_by_name(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "interactions.csv").write_text(content)

    with pytest.raises(DatasetError, match=reason):
        read_dataset(tmp_path, now=NOW)


def test_a_missing_folder_is_refused_by_name(tmp_path):
    with pytest.raises(DatasetError, match="no dataset folder"):
        read_dataset(tmp_path / "nowhere")


def test_events_items_and_what_users_told_come_together(tmp_path):
    folder = folder_of(
        tmp_path, "u,a,view,,5\nu,a,play,40,6\nu,b,impression,,7\nv,b,rating,4,8\n",
        "item_id,category\na,钱\nb,画\n",
    )  # fmt: skip
    (folder / "users.csv").write_text("user_id,interests\nv,画|钱\n")

    read = read_dataset(folder, now=NOW, keep_log=True)

    assert len(read.log) == 3  # both events of (u, a), no impression
    assert read.log.values.tolist()[1:] == [40, 4]
    for built in (read.interactions, read.ratings):
        assert built.table.categories == read.table.categories == ["钱", "画"]
        assert built.people.labels == [(), ("画", "钱")]
    assert read_dataset(folder, now=NOW).log is None


def test_quoted_rows_and_a_bad_one_among_them_read_as_plain_ones(tmp_path):
    """Plain chunks are read at once, others row by row."""
    rng = np.random.default_rng(0)
    rows = [
        [f"u{rng.integers(40)}", f"课{rng.integers(30)}", ("view", "rating", "Play ", "")[n % 4],
         str(rng.integers(1, 6)) if n % 4 == 1 else "", str(rng.integers(1000)) if n % 3 else ""]
        for n in range(500)
    ]  # fmt: skip
    plain, quoted = tmp_path / "plain", tmp_path / "quoted"
    plain.mkdir()
    quoted.mkdir()
    folder_of(plain, "".join(",".join(row) + "\n" for row in rows))
    slow = [",".join(f'"{cell}"' for cell in row) + "\r\n" for row in rows]
    folder_of(quoted, "".join([*slow[:250], "v,,view,,5\n", "\n", *slow[250:]]))

    one, other = (read_dataset(folder, now=NOW, keep_log=True) for folder in (plain, quoted))

    assert one.interactions.data_hash() == other.interactions.data_hash()
    assert one.ratings.data_hash() == other.ratings.data_hash()
    assert len(one.log) == len(other.log) == 500
    assert (one.report.rows, one.report.bad) == (500, 0)
    assert (other.report.rows, other.report.bad) == (501, 1)
    assert [bad.line for bad in other.report.bad_rows] == [252]
    assert one.report.duplicates == other.report.duplicates > 0
