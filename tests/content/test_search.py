"""Search over twenty titles: each kind of query finds what it should, first or among the first."""

from datetime import timedelta

import pytest

from content.models import Course, SearchMiss, SearchTerm
from content.selectors import hot_terms, suggestions
from content.selectors.courses import find_courses
from content.services import ImportedCourse, bulk_import_courses, searches_forget
from kernel import clock
from tests.content.shop import make_category, make_course, make_creator

TITLES = [
    "每周一小时：建立你的个人复盘系统",
    "时间管理的七个习惯",
    "Python 数据分析入门",
    "Python 自动化办公",
    "用 Excel 做经营分析",
    "普通人的理财第一课",
    "基金定投十二讲",
    "亲子沟通的艺术",
    "青春期心理学",
    "写作的五个台阶",
    "公众号写作训练营",
    "中国古代史十讲",
    "唐诗里的长安",
    "睡眠与健康",
    "在家也能练的瑜伽",
    "产品经理的第一年",
    "商业模式画布",
    "高效会议手册",
    "演讲与表达",
    "机器学习的数学基础",
]


@pytest.fixture
def shop(db):
    bulk_import_courses("测试", [ImportedCourse(key=title, title=title) for title in TITLES])


def found(text: str) -> list[str]:
    courses, order = find_courses(text=text)
    ids = courses.order_by(*order).values_list("pk", flat=True)[:10]
    titles = dict(Course.objects.values_list("pk", "title"))
    return [titles[pk] for pk in ids]


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("时间管理的七个习惯", "时间管理的七个习惯"),  # exact
        ("PYTHON数据", "Python 数据分析入门"),  # prefix, another case, no space
        ("Ｐｙｔｈｏｎ自动", "Python 自动化办公"),  # full width
        ("个人复盘", "每周一小时：建立你的个人复盘系统"),  # inside
        ("瑜伽", "在家也能练的瑜伽"),  # two characters at the end
        ("机器习的数学基础", "机器学习的数学基础"),  # one character dropped
        ("基金定投二讲", "基金定投十二讲"),  # dropped near the end
        ("亲子艺术", "亲子沟通的艺术"),  # two parts without a space
        ("分析 经营", "用 Excel 做经营分析"),  # two words, turned around
        ("公众号 训练", "公众号写作训练营"),
        ("excel", "用 Excel 做经营分析"),
        ("长", "唐诗里的长安"),  # a single character, inside
        ("安", "唐诗里的长安"),  # a single character, the last
    ],
)
def test_the_wanted_title_comes_first(shop, query, title):
    assert found(query)[0] == title


def test_a_title_that_begins_with_the_query_stands_before_others(shop):
    make_course("学会写作")

    assert found("写作")[0] == "写作的五个台阶"
    assert set(found("写作")) == {"写作的五个台阶", "公众号写作训练营", "学会写作"}


def test_one_common_bigram_of_many_is_noise(shop):
    # 8 bigrams of which a title shares one: 0.61 / 8 < 0.1
    assert found("外星飞船驾驶技术入门") == []


def test_creators_and_tags_are_found_and_weigh_less_than_titles(shop):
    creator = make_creator("苏文清")
    by_her = make_course("另一门课", creator=creator.key)
    make_course("苏文清的故事")
    tagged = make_course("第三门课", tags=["断舍离"])

    assert found("苏文清") == ["苏文清的故事", by_her.title]
    assert found("断舍离") == [tagged.title]


def test_drafts_and_withdrawn_courses_are_not_found(db):
    make_course("秘密课程", status="draft")

    assert found("秘密课程") == []


@pytest.mark.parametrize("text", ["", "！！", "'; DROP TABLE x; --", "a:*&|!()<->", "\\'"])
def test_odd_queries_are_answered(shop, api_for, text):
    assert api_for().get("/api/v1/courses", {"q": text}).status_code == 200


def test_a_search_without_result_is_logged_once_per_word_with_its_count(shop, api_for):
    for text in ("量子力学", "量子 力学"):
        reply = api_for().get("/api/v1/courses", {"q": text})
        assert reply.json() == {"items": [], "next_cursor": None}

    miss = SearchMiss.objects.get()
    assert (miss.key, miss.query, miss.times) == ("量子力学", "量子 力学", 2)
    assert not SearchTerm.objects.exists()


def test_suggestions_put_tags_and_creators_before_titles(shop):
    make_course("写作课", tags=["写作技巧"])

    words = suggestions("写作")

    assert words[0] == "写作技巧"
    assert words[1] in {"写作课", "写作的五个台阶"}  # both begin with it
    assert "公众号写作训练营" in words


def test_hot_words_are_words_of_the_catalogue_never_learners_free_text(shop, api_for):
    make_course("课", tags=["瑜伽"], category=make_category("养生").key)
    guest = api_for()
    for text in ("瑜伽", "瑜伽", "养生", "瑜伽的资源"):
        assert guest.get("/api/v1/courses", {"q": text}).json()["items"]

    assert hot_terms()[:2] == ["瑜伽", "养生"]
    assert "瑜伽的资源" not in hot_terms()


def test_words_asked_for_once_are_forgotten_after_a_week(db):
    at = clock.now()
    for key, times, days in [("旧", 5, 91), ("一次", 1, 8), ("新", 1, 6), ("常问", 2, 8)]:
        SearchMiss.objects.create(
            key=key, query=key, times=times, last_at=at - timedelta(days=days)
        )

    assert searches_forget() == 2
    assert set(SearchMiss.objects.values_list("key", flat=True)) == {"新", "常问"}
