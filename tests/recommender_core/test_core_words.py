"""Every sentence of the core has its Chinese, with the same parts; its English is its own."""

from __future__ import annotations

import ast
import copy
import re
from pathlib import Path

import pytest
from django.utils.translation import override

from recommender.core import event_file
from recommender.core.errors import DatasetError, said_of, sentence
from recommender.core_words import _templates, in_words

ROOT = Path(__file__).resolve().parents[2] / "recommender"
PART = re.compile(r"%\(\w+\)s")
CONSTANTS = vars(event_file)


def templates() -> set[str]:
    """First arguments of `sentence` calls, constants among them looked up."""
    found = set()
    folders = ("core", "management", "")
    for path in (p for one in folders for p in (ROOT / one).glob("**/*.py" if one else "*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "sentence",
                "_refused",
            ):
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        found.add(part.value)
                    elif isinstance(part, ast.Name) and part.id.isupper() and part.id in CONSTANTS:
                        found.add(CONSTANTS[part.id])
    return found


def test_every_sentence_of_the_core_is_translated_with_its_parts():
    with override("zh-hans"):
        known = _templates("zh-hans")

    found = templates()
    assert len(found) > 70  # the search itself works
    assert "a rating must lie between 0.5 and 5" in found
    assert found - set(known) == set()
    wrong = {
        template: said
        for template, said in known.items()
        if sorted(PART.findall(template)) != sorted(PART.findall(said))
    }
    assert wrong == {}


def test_a_sentence_within_a_sentence_is_translated_too():
    inner = sentence("%(name)s is not a number", name="value")
    said = sentence("%(file)s, line %(line)s: %(reason)s", file="a.csv", line=3, reason=inner)
    listed = sentence(
        "interactions.csv holds no interaction that can be used: %(causes)s",
        causes=[sentence("it holds no row"), sentence("impressions: %(n)s", n=2)],
    )

    assert said == "a.csv, line 3: value is not a number"
    with override("zh-hans"):
        assert in_words(said) == "a.csv 第 3 行：value 不是数字"
        assert in_words(listed) == "interactions.csv 没有可用的行为：文件里没有数据行；曝光 2 行"
        assert in_words("nobody translated this") == "nobody translated this"
    with override("en"):
        assert in_words(said) == "a.csv, line 3: value is not a number"
        assert in_words(listed).endswith("can be used: it holds no row; impressions: 2")


def test_an_error_keeps_its_sentence_through_a_copy():
    # made anew from what a pickle would hold
    error = copy.deepcopy(DatasetError(sentence("empty %(name)s", name="item_id")))

    assert str(error) == "empty item_id"
    with override("zh-hans"):
        assert in_words(said_of(error)) == "item_id 为空"


@pytest.mark.parametrize("text", ["100 % sure %(name)s", "plain"])
def test_a_sentence_without_parts_is_taken_as_it_stands(text):
    assert sentence(text) == text
    with override("zh-hans"):
        assert in_words(sentence(text)) == text
