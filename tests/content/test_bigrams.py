"""Search tokens, worked out by hand."""

from content import bigrams


def test_a_run_gives_its_bigrams_and_its_last_character():
    assert list(bigrams.tokens("复盘系统")) == ["复盘", "盘系", "系统", "统"]


def test_punctuation_separates_and_width_and_case_are_folded():
    assert list(bigrams.tokens("Ｐｙ：入门")) == ["py", "y", "入门", "门"]
    assert bigrams.search_key("《Python》 入门！") == "python入门"


def test_a_token_in_two_places_keeps_its_heavier_weight():
    assert bigrams.vector([("复盘", "A"), ("复盘会", "B")]) == "'会':1B '复盘':1A '盘':1A '盘会':1B"


def test_a_query_is_an_or_of_its_bigrams():
    assert bigrams.query("复盘 时间管") == "'复盘' | '时间' | '间管'"


def test_a_single_character_is_asked_for_by_prefix():
    assert bigrams.query("盘") == "'盘':*"


def test_a_query_without_letters_asks_for_nothing():
    assert bigrams.query("！？ '\\ :* &") == ""


def test_quotes_and_operators_never_reach_the_query():
    assert bigrams.query("a'|b & 'c") == "'a':* | 'b':* | 'c':*"
