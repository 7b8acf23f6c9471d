"""Chinese first, English second: every sentence has both, and the header chooses."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "locale" / "en" / "LC_MESSAGES"
APPS = (
    "kernel", "wechat", "accounts", "payments", "content", "feedback", "experiments",
    "incentives", "recommender", "messaging", "dashboard", "simulation", "kpay_site",
)  # fmt: skip
CALLS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext"}
HAN = re.compile(r"[\u3400-\u9fff]")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


def sentences_of(tree: ast.AST) -> Iterator[str]:
    """First arguments of gettext calls; for pgettext the second."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in CALLS:
            argument = node.args[1 if name == "pgettext" else 0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value


def sentences() -> dict[str, str]:
    """Every sentence in code and templates -> where it stands."""
    found: dict[str, str] = {}
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            for text in sentences_of(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(text, str(path.relative_to(ROOT)))
        for path in sorted((ROOT / app).rglob("*.html")):
            code = templatize(path.read_text(encoding="utf-8"))
            for call in re.findall(r"gettext\(u?('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")", code):
                found.setdefault(ast.literal_eval(call), str(path.relative_to(ROOT)))
            for call in re.findall(r"\b_\(('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")\)", code):
                found.setdefault(ast.literal_eval(call), str(path.relative_to(ROOT)))
    return {text: where for text, where in found.items() if HAN.search(text)}


@pytest.fixture(scope="module")
def english() -> dict[str, str]:
    """msgid -> English, as the compiled file has it."""
    with (FOLDER / "django.mo").open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog
    return {key if isinstance(key, str) else key[0]: text for key, text in catalogue.items()}


def source_of_the_catalogue() -> dict[str, str]:
    """msgid -> msgstr of the .po file: entries of one line or of several, no plurals in use."""
    entries = re.findall(
        r'^msgid ((?:".*"\n)+)msgstr ((?:".*"\n?)+)',
        (FOLDER / "django.po").read_text(encoding="utf-8"),
        flags=re.M,
    )
    joined = [
        tuple("".join(ast.literal_eval(line) for line in part.splitlines()) for part in entry)
        for entry in entries
    ]
    return dict(joined)


def test_every_chinese_sentence_has_an_english_one(english):
    found = sentences()

    assert len(found) > 500  # the search itself works
    assert {text: where for text, where in found.items() if not english.get(text)} == {}


def test_no_english_sentence_holds_chinese_or_loses_a_placeholder(english):
    wrong = {
        text: told
        for text, told in english.items()
        if text
        and (
            HAN.search(told)
            or sorted(PLACEHOLDER.findall(text)) != sorted(PLACEHOLDER.findall(told))
        )
    }
    assert wrong == {}


def test_nothing_is_translated_that_the_product_no_longer_says(english):
    assert {text for text in english if HAN.search(text)} - set(sentences()) == set()


def test_the_compiled_file_is_the_written_one(english):
    written = source_of_the_catalogue()

    assert "fuzzy" not in (FOLDER / "django.po").read_text(encoding="utf-8")
    assert {key: text for key, text in written.items() if key} == {
        key: text for key, text in english.items() if key
    }


@pytest.mark.parametrize(
    ("header", "speaks_english"),
    [(None, False), ("zh-CN,zh;q=0.9", False), ("fr", False), ("en-US,en;q=0.9", True)],
)
def test_errors_speak_the_language_of_the_header(db, english, header, speaks_english):
    chinese = Client().get("/api/v1/me").json()["error"]["message"]
    headers = {} if header is None else {"Accept-Language": header}
    reply = Client().get("/api/v1/me", headers=headers)

    assert reply.status_code == 401
    assert HAN.search(chinese)
    told = english[chinese] if speaks_english else chinese
    assert reply.json()["error"]["message"] == told


def test_the_admin_is_chinese_and_english_on_request(db):
    chinese = Client().get("/admin/login/").content.decode()
    told = Client().get("/admin/login/", headers={"Accept-Language": "en"}).content.decode()

    assert 'lang="zh-hans"' in chinese
    assert 'lang="en"' in told


def test_what_wechat_calls_answers_in_chinese_whatever_its_headers_say(db):
    reply = Client().post(
        "/wechat/pay/notify", b"{}", "application/json", headers={"Accept-Language": "en"}
    )

    assert 400 <= reply.status_code < 500
    assert HAN.search(reply.json()["message"])
