"""What survives the sanitiser, and what does not."""

import pytest

from content.richtext import one_line, plain_text, sanitised
from content.rules import reading_seconds
from tests.content.shop import make_course


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("<p>好<script>alert(1)</script></p>", "<p>好</p>"),
        ('<img src="https://a/x.png" onerror="alert(1)">', '<img src="https://a/x.png">'),
        ('<a href="javascript:alert(1)">点</a>', '<a rel="noopener noreferrer nofollow">点</a>'),
        ('<p style="position:fixed" class="x" onclick="x()">好</p>', "<p>好</p>"),
        ('<iframe src="https://evil"></iframe><p>好</p>', "<p>好</p>"),
        ('<img src="data:text/html;base64,xx">', "<img>"),
        ("<svg><script>alert(1)</script></svg>好", "好"),
        ("<p>a\x00b\ud800c</p>", "<p>abc</p>"),
        ("<p>未闭合", "<p>未闭合</p>"),
    ],
)
def test_only_listed_tags_and_schemes_survive(dirty, clean):
    assert sanitised(dirty) == clean
    assert sanitised(clean) == clean


def test_saving_a_course_cleans_its_texts(db):
    course = make_course(
        "<b>标题</b>",
        intro='<p onclick="x()">介绍</p><script>1</script>',
        lessons=[{"key": "a", "title": "一", "content": "<p>文<script>1</script></p>"}],
    )

    course.refresh_from_db()
    assert course.intro == "<p>介绍</p>"
    assert course.lessons.get().content == "<p>文</p>"


def test_plain_text_drops_tags_and_entities():
    assert plain_text("<p>一&amp;二</p><p>三</p>") == "一&二 三"


def test_a_title_is_one_printable_line():
    assert one_line("  a\n\tb\x00c\u200b ", limit=4) == "a bc"


def test_reading_time_is_400_characters_a_minute_and_ten_seconds_at_least():
    assert reading_seconds(0) == 10
    assert reading_seconds(400) == 60
    assert reading_seconds(401) == 61  # 60.15 s, rounded up
