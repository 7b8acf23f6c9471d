"""Covers: well-formed, safe, stable, and with the whole title on them."""

import re
from xml.etree import ElementTree

import pytest

from content.covers import MARGIN, PALETTES, WIDTH, cover_svg, title_layout, width_of
from tests.sample.test_catalogue import COURSES, SHOP

SVG = "{http://www.w3.org/2000/svg}"
NAMES = {
    row["key"]: row.get("name") or row["nickname"]
    for row in [*SHOP["categories"], *SHOP["creators"]]
}


def cover(title: str = "宋朝人的一天", category: str = "历史与人文", key: str = "song") -> str:
    return cover_svg(title=title, category=category, creator="方白", key=key)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own output


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in parsed(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("course", COURSES, ids=lambda course: course["key"])
def test_every_sample_course_gets_a_cover_with_its_whole_title(course):
    svg = cover_svg(
        title=course["title"],
        category=NAMES[course["category"]],
        creator=NAMES[course["creator"]],
        key=course["key"],
    )

    category, *title, creator = texts(svg)
    assert category == NAMES[course["category"]]
    assert creator == NAMES[course["creator"]]
    assert "".join(title).replace(" ", "") == course["title"].replace(" ", "")
    size, lines = title_layout(course["title"])
    assert all(width_of(line) * size <= WIDTH - 2 * MARGIN for line in lines)


def test_markup_in_a_title_is_text_on_the_cover():
    svg = cover(title="<script>alert('&\"')</script>", category="<b>", key='"><script>')

    root = parsed(svg)
    assert {node.tag for node in root.iter()}.isdisjoint({f"{SVG}script", f"{SVG}b"})
    assert "".join(texts(svg)[1:-1]) == "<script>alert('&\"')</script>"
    assert "<script" not in svg


def test_control_characters_do_not_break_the_xml():
    svg = cover(title="复盘\x00的\x0b方\ud800法\n课")

    assert "".join(texts(svg)[1:-1]).replace(" ", "") == "复盘的方法课"


def test_the_same_course_always_has_the_same_cover_and_others_differ():
    assert cover() == cover()
    assert cover(key="tang") != cover(key="song")
    assert cover(category="健康与生活") != cover(category="历史与人文")


def test_a_cover_refers_to_nothing_outside_itself():
    svg = cover(category="Film-Noir")

    assert "href" not in svg
    assert re.findall(r"url\((.)", svg) == ["#"] * svg.count("url(")
    assert svg.count("http") == 1  # the name space


def test_a_category_without_palette_gets_one_by_its_name():
    svg = cover(category="Documentary")

    assert all(palette.deep not in svg for palette in PALETTES.values())
    assert svg == cover(category="Documentary")


def test_a_very_long_title_ends_with_an_ellipsis_and_a_missing_one_is_no_error():
    long = texts(cover(title="把一件小事说清楚" * 12))
    empty = texts(cover(title=""))

    assert len(long) == 5
    assert long[3].endswith("…")
    assert empty == ["历史与人文", "方白"]


def test_a_title_parts_at_its_colon_and_latin_words_stay_whole():
    assert title_layout("基金入门：长期投资的常识课")[1] == ["基金入门：", "长期投资的常识课"]
    _, lines = title_layout("Dr. Strangelove or How I Learned to Stop Worrying and Love")
    assert " ".join(lines).startswith("Dr. Strangelove or How I Learned")
