"""What people mean, and what we say."""

import pytest

from messaging import rules
from messaging.rules import Intent, Suggestion


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("推荐", Intent.RECOMMEND),
        (" 推荐。", Intent.RECOMMEND),
        ("推荐课程", Intent.RECOMMEND),
        ("请推荐几门课", Intent.RECOMMEND),
        ("给我推荐", Intent.RECOMMEND),
        ("Recommend", Intent.RECOMMEND),
        ("不要推荐", Intent.OTHER),
        ("退订", Intent.STOP_MARKETING),
        ("TD", Intent.STOP_MARKETING),
        ("怎么退订会员", Intent.OTHER),
        ("", Intent.OTHER),
    ],
)
def test_intents(text, intent):
    assert rules.intent_of(text) is intent


@pytest.mark.parametrize(
    ("event", "key", "scene"),
    [
        ("subscribe", "qrscene_a1", "a1"),
        ("subscribe", "", ""),
        ("subscribe", "other", ""),
        ("SCAN", "a1", "a1"),
        ("CLICK", "a1", ""),
    ],
)
def test_scenes(event, key, scene):
    assert rules.scene_of(event, key) == scene


def test_titles_open_the_mini_program_and_cannot_break_the_link():
    items = [Suggestion(12, 'A<b>"课"', "因为您学过《B》")]

    text = rules.recommend_text(items, mp_appid="wx1", home_url="https://k.cn/")

    assert text == (
        "为您推荐：\n\n"
        '1. <a data-miniprogram-appid="wx1" data-miniprogram-path="pages/course/detail?id=12" '
        'href="https://k.cn/">A＜b＞”课”</a>\n'
        "推荐理由：因为您学过《B》"
    )


def test_three_long_titles_and_reasons_fit_into_one_reply():
    items = [Suggestion(2**63 - 1, "题" * 200, "由" * 200) for _ in range(3)]

    text = rules.recommend_text(items, mp_appid="wx" + "1" * 16, home_url="https://" + "k" * 60)

    assert len(text.encode()) <= 2048
    assert text.count("题") == 3 * 39
