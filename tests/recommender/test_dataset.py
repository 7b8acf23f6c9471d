"""From tables to arrays, and from dataset folders to tables."""

import csv
import time

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from content.models import Course, Creator
from feedback.models import CourseHide, Event
from payments.models import Entitlement, Order
from recommender.dataset import snapshot
from tests.builders import make_learner

pytestmark = pytest.mark.django_db


def pairs(interactions):
    """{(user, item): weight} with table keys."""
    columns = zip(interactions.user_rows, interactions.item_rows, interactions.weights, strict=True)
    return {
        (int(interactions.users.id(u)), int(interactions.items.id(i))): float(w)
        for u, i, w in columns
    }


def test_a_snapshot_weighs_all_events_of_a_pair(shop, learner):
    one, two = learner(), learner()
    shop.act(one, 0, "view")
    shop.act(one, 0, "rating", 5)
    shop.act(one, 1, "play", 100)
    shop.act(one, 2, "play", 0)
    shop.act(two, 0, "purchase")
    shop.act(two, 1, "impression")

    interactions, cleaning = snapshot()

    # .8 s / (s + 1) + .2 r, over the .4 of one ordinary event; s sums the weights of the events
    assert pairs(interactions) == pytest.approx(
        {
            (one.pk, shop[0].pk): (0.8 * 1.4 / 2.4 + 0.2) / 0.4,
            (one.pk, shop[1].pk): 0.8 * 0.7 / 1.7 / 0.4,
            (one.pk, shop[2].pk): 0.8 * 0.28 / 1.28 / 0.4,
            (two.pk, shop[0].pk): 0.8 * 1.5 / 2.5 / 0.4,
        }
    )
    assert len(interactions.items) == 20
    told = cleaning.as_json()
    assert (told["read"], told["kept"], told["left_out"], told["pairs"]) == (5, 5, {}, 4)
    assert told["thresholds"]["burst_events"] == 120


def test_a_snapshot_leaves_out_what_is_no_like(shop, learner):
    user = learner()
    author = learner()
    Creator.objects.filter(pk=shop[5].creator_id).update(user=author)
    shop.act(user, 0, "favourite")
    shop.act(user, 0, "rating", 1)  # the low rating takes the favourite with it
    shop.act(user, 1, "favourite")
    CourseHide.objects.create(user=user, course=shop[1], action="not_interested")
    shop.act(user, 2, "favourite")
    Course.objects.filter(pk=shop[2].pk).update(status="withdrawn")
    Event.objects.filter(pk=shop.act(user, 3, "rating", 5).pk).update(counted=False)
    shop.act(author, 5, "rating", 5)
    shop.act(user, 4, "rating", 5)

    interactions, cleaning = snapshot()

    assert set(pairs(interactions)) == {(user.pk, shop[4].pk)}
    assert cleaning.left_out == {"creator_on_own_course": 1, "low_rating": 2}


def test_a_burst_of_client_events_is_no_person(shop, learner):
    bot, person = learner(), learner()
    for n in range(130):
        event = shop.act(bot, n % 20, "view")
        Event.objects.filter(pk=event.pk).update(origin="app")
    shop.act(person, 0, "view")

    interactions, cleaning = snapshot()

    assert {user for user, _ in pairs(interactions)} == {person.pk}
    assert cleaning.left_out == {"burst": 130}


def write(folder, interactions, items=None, users=None):
    folder.mkdir(exist_ok=True)
    tables = {"interactions": interactions, "items": items, "users": users}
    headers = {
        "interactions": "user_id,item_id,event,value,timestamp",
        "items": "item_id,title,category,tags,creator,published_at,price_fen,text",
        "users": "user_id,birth_year,gender,occupation,interests",
    }
    for name, rows in tables.items():
        if rows is not None:
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                file.write(headers[name] + "\n")
                csv.writer(file).writerows(rows)
    return folder


GOOD = [
    ("u1", "a", "rating", "4.5", "1700000000"),
    ("u1", "b", "purchase", "", "1700000100"),
    ("u2", "a", "view", "", "1700000200"),
    ("u2", "a", "complete", "", "1700000300"),
    ("u3", "b", "play", "80", ""),
]
ITEMS = [
    ("a", "摄影,入门", "摄影", "入门|构图", "李老师", "1600000000", "1990", "一段介绍"),
    ("c", "没人看过的课", "编程", "", "", "2024-05-01", "", ""),
]


def test_an_import_makes_courses_accounts_and_interactions_only(tmp_path, db, capsys):
    folder = write(tmp_path / "school", GOOD, ITEMS, [("u1", "1990", "f", "教师", "摄影|编程")])

    call_command("import_dataset", str(folder))

    courses = {c.external_key: c for c in Course.objects.select_related("product", "category")}
    assert set(courses) == {"school:a", "school:b", "school:c"}
    a, b, c = (courses[f"school:{key}"] for key in "abc")
    assert (a.title, a.category.name, a.tag_names) == ("摄影,入门", "摄影", ["入门", "构图"])
    assert (a.product.price_fen, b.product.price_fen) == (1990, 990)
    assert (a.creator.key, a.kind, a.status) == ("dataset:school", "article", "published")
    assert [lesson.is_trial for lesson in a.lessons.all()] == [True, False]
    assert b.published_at.timestamp() == 1700000100  # when it was first used
    assert c.published_at.year == 2024
    user = User.objects.get(username="ds_school:u1")
    assert (user.birth_year, user.occupation, user.interests) == (1990, "教师", ["摄影", "编程"])
    assert not user.has_usable_password()
    assert user.identities.count() == 0
    kept = Event.objects.filter(user=user).order_by("occurred_at")
    assert [(e.type, e.value, e.origin) for e in kept] == [
        ("rating", 4.5, "import"),
        ("purchase", None, "import"),
    ]
    assert Event.objects.count() == 5
    assert Entitlement.objects.count() == Order.objects.count() == 0
    a.refresh_from_db()
    assert (a.rating_sum, a.rating_count, a.learner_count) == (4.5, 1, 2)
    assert "5 条行为（新增 5）" in capsys.readouterr().out


def test_a_second_import_changes_nothing(tmp_path, db, capsys):
    folder = write(tmp_path / "school", GOOD, ITEMS)
    call_command("import_dataset", str(folder))
    before = (Course.objects.count(), User.objects.count(), Event.objects.count())
    capsys.readouterr()

    call_command("import_dataset", str(folder))

    assert (Course.objects.count(), User.objects.count(), Event.objects.count()) == before
    assert "新增 0）" in capsys.readouterr().out


BAD = [
    (("u1", "a", "dance", "", ""), "unknown event"),
    (("", "a", "view", "", ""), "empty user_id"),
    (("u1", "", "view", "", ""), "empty item_id"),
    (("u1", "a", "rating", "7", ""), "a rating must lie between 0.5 and 5"),
    (("u1", "a", "rating", "", ""), "a rating must lie between 0.5 and 5"),
    (("u1", "a", "view", "x", ""), "value is not a number"),
    (("u1", "a", "view", "nan", ""), "value is not a number"),
    (("u1", "a", "purchase", "1e300", ""), "value is out of range"),
    (("u1", "a", "view", "", "-5"), "timestamp before 1970 or in the future"),
    (("u1", "a", "view", "", "99999999999"), "timestamp before 1970 or in the future"),
    (("u1", "a", "view", "", "soon"), "timestamp is not a number"),
    (("u1", "a", "play", "101", ""), "the watched share must lie between 0 and 100"),
    (("u1", "a\0b", "view", "", ""), "NUL byte"),
    (("u1", "a", "view"), "wrong number of fields"),
    (("u" * 300, "a", "view", "", ""), "user_id is longer than 100 characters"),
    (("u1", "a" * 101, "view", "", ""), "item_id is longer than 100 characters"),
]


def test_bad_rows_are_named_with_file_and_line_and_skipped(tmp_path, db, capsys):
    folder = write(tmp_path / "school", [GOOD[0], *(row for row, _ in BAD), GOOD[1]])

    call_command("import_dataset", str(folder), language="en")

    said = capsys.readouterr()
    for line, (_, reason) in enumerate(BAD, start=3):
        assert f"interactions.csv:{line}: {reason}" in said.err
    call_command("import_dataset", str(folder))
    said = capsys.readouterr()
    assert "interactions.csv:3：未知的行为类型" in said.err
    assert f"跳过 {len(BAD)} 个坏行" in said.out
    assert Event.objects.count() == 2


def test_bytes_that_are_not_utf8_are_a_bad_row(tmp_path, db, capsys):
    folder = write(tmp_path / "school", GOOD)
    with (folder / "interactions.csv").open("ab") as file:
        file.write(b"u1,\xff\xfe,view,,\r\n")

    call_command("import_dataset", str(folder), language="en")

    assert "interactions.csv:7: not UTF-8" in capsys.readouterr().err


def test_bad_items_and_users_are_skipped_too(tmp_path, db, capsys):
    items = [*ITEMS, ("a", "again", *[""] * 6), ("d", "x", "", "", "", "", "-1", "")]
    users = [("u1", "190", "", "", ""), ("u2", "1980", "", "", "")]
    folder = write(tmp_path / "school", GOOD, items, users)

    call_command("import_dataset", str(folder), language="en")

    said = capsys.readouterr().err
    assert "items.csv:4: item_id repeats" in said
    assert "items.csv:5: price_fen is out of range" in said
    assert "users.csv:2: birth_year is out of range" in said
    assert not Course.objects.filter(external_key="school:d").exists()


def test_strict_stops_at_the_first_bad_row_and_loads_nothing(tmp_path, db):
    folder = write(tmp_path / "school", [*GOOD, BAD[0][0]])

    with pytest.raises(CommandError, match="interactions.csv, line 7: unknown event"):
        call_command("import_dataset", str(folder), strict=True, language="en")

    assert Course.objects.count() == Event.objects.count() == 0


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_a_folder_that_is_none_is_refused_in_one_sentence(tmp_path, db, make):
    make(tmp_path / "nothing")

    with pytest.raises(CommandError):
        call_command("import_dataset", str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "文件里没有数据行"),
        ("u1,课,view,,\r\nu2,程,view,,\r\n".encode("gbk"), "不是 UTF-8 编码 2 行（首见于"),
        (b"u" * 300 + b",a,view,,\r\n", "user_id 超过 100 个字符 1 行"),
    ],
)
def test_a_folder_of_which_nothing_can_be_used_ends_with_its_causes(tmp_path, db, raw, why):
    folder = write(tmp_path / "school", [])
    with (folder / "interactions.csv").open("ab") as file:
        file.write(raw)

    with pytest.raises(CommandError, match=f"没有可用的行为：.*{why}"):
        call_command("import_dataset", str(folder))

    assert Course.objects.count() == User.objects.count() == 0


def test_a_row_without_an_event_is_a_view_and_a_quoted_line_break_part_of_an_id(
    tmp_path, db, capsys
):
    folder = write(tmp_path / "school", [("u1", "a", "", "", ""), ("u\n1", "a", "view", "", "")])

    call_command("import_dataset", str(folder))

    said = capsys.readouterr()
    assert "1 行没有写行为类型，按浏览计" in said.err
    assert "跳过 0 个坏行" in said.out
    assert [event.type for event in Event.objects.all()] == ["view", "view"]


def test_a_directory_in_place_of_a_file_is_refused(tmp_path, db):
    folder = write(tmp_path / "school", GOOD)
    (folder / "items.csv").mkdir()

    with pytest.raises(CommandError, match=r"items\.csv 不是文件"):
        call_command("import_dataset", str(folder))


def test_a_set_without_times_trains_without_times(tmp_path, db):
    rows = [(f"u{n}", f"i{m}", "view", "", "") for n in range(3) for m in range(3)]
    call_command("import_dataset", str(write(tmp_path / "untimed", rows)))

    interactions, _ = snapshot()

    assert interactions.times is None
    assert len(interactions) == 9


def test_twenty_thousand_rows_load_within_seconds(tmp_path, db):
    random = np.random.default_rng(0)
    rows = [
        (f"u{random.integers(500)}", f"i{random.integers(800)}", "rating", "4", 1.6e9 + n)
        for n in range(20_000)
    ]
    folder = write(tmp_path / "large", rows)
    begun = time.monotonic()

    call_command("import_dataset", str(folder))

    # 100,004 rows of 9,066 items take 18 s on two cores; this leaves room for a busy machine
    assert time.monotonic() - begun < 30
    assert Event.objects.count() == 20_000


def test_learners_of_the_shop_are_untouched_by_an_import(tmp_path, db):
    user = make_learner(username="ds_other")
    call_command("import_dataset", str(write(tmp_path / "school", GOOD)))

    user.refresh_from_db()
    assert user.username == "ds_other"
    assert User.objects.count() == 4
