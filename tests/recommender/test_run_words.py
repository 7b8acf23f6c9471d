"""What a run says of itself is said in the language of whoever reads it."""

import re

import pytest
from django.core.management import BaseCommand, CommandError, call_command, load_command_class
from django.test import Client
from django.utils import translation

from recommender import gate, run_words
from recommender.core.errors import BadParams, Sentence, TrainingDiverged, sentence
from recommender.evaluation_page import words
from recommender.management.commands.train import why_not
from recommender.models import TrainingRun
from recommender.run_errors import error_columns, error_said
from recommender.services.runs import run_start, runs_sweep_dead, training_queue
from recommender.training_flow import NO_DATA, NothingToLearn
from tests.builders import make_learner


@pytest.fixture(autouse=True)
def chinese():
    """Whatever language the pages of the test before were asked for in."""
    with translation.override("zh-hans"):
        yield


SEEN = {"ndcg@10": 0.5, "coverage@10": 0.25, "finite": 1.0, "spread": 1.0, "p95_ms": 1.25}


def verdict(**change):
    return [
        check.as_json()
        for check in gate.checks(
            {**SEEN, **change},
            popular={"ndcg@10": 0.2, "coverage@10": 0.1},
            knn={"ndcg@10": 0.3, "coverage@10": 0.9},
            baseline={"ndcg@10": 0.6, "coverage@10": 0.4},
            quality="ndcg@10",
            held_users=50,
        )
    ]


def test_checks_say_what_they_saw_from_stored_figures():
    assert [gate.sentence(check) for check in verdict()] == [
        "得分全部为有限数",
        "得分有区分度",
        "单次打分 1.2 毫秒，上限 50 毫秒",
        "排序质量 NDCG@10 0.5000，热门榜 0.2000",
        "覆盖率 0.2500，热门榜 0.1000",
        "排序质量 NDCG@10 0.5000，近邻基线 0.3000，容许下降 5%",
        "覆盖率 0.2500，至少为线上模型的一半 0.2000",
        "排序质量 NDCG@10 0.5000，线上模型 0.6000，容许下降 5%",
    ]
    assert [check["text"] for check in verdict()] == [gate.sentence(c) for c in verdict()]


def test_checks_are_read_in_the_language_of_the_reader():
    stored = verdict()

    with translation.override("en"):
        read = [gate.sentence(check) for check in stored]
        metric = words("ndcg@10")
    assert read[0] != stored[0]["text"]
    assert read[0] == "All scores are finite"
    assert metric in read[3]
    assert not any("，" in sentence for sentence in read)
    with translation.override("en"):  # and the other way round: written by an English worker
        stored = verdict()
    assert gate.sentence(stored[0]) == "得分全部为有限数"


def test_a_check_of_another_release_is_read_as_it_was_written():
    assert gate.sentence({"name": "finite", "text": "旧的说法", "passed": True}) == "旧的说法"
    assert gate.sentence({"name": "new", "text": "x", "passed": True, "params": {}}) == "x"


@pytest.mark.parametrize(
    "why",
    [
        TrainingDiverged(sentence("loss %(loss)s in epoch %(epoch)s", loss=float("nan"), epoch=3)),
        BadParams(sentence("%(a)s: %(b)s", a="x", b=[sentence("not %(n)s", n=1), "y"])),
        BadParams("a text 100 % plain"),
    ],
)
def test_an_error_is_stored_with_its_parts_and_made_again_from_them(db, why):
    run = TrainingRun.objects.create(**error_columns(why))
    run.refresh_from_db()

    assert error_said(run) == run.error
    assert str(why) in run.error or isinstance(why.args[0], Sentence)
    template = getattr(why.args[0], "template", None)
    assert run.refusal["kind"] == type(why).__name__
    assert template is None or run.refusal["said"]["template"] == template


def english(run):
    with translation.override("en"):
        return error_said(run)


def test_an_error_is_read_in_the_language_of_the_reader(db):
    run = TrainingRun(**error_columns(BadParams("x")))
    assert (error_said(run), english(run)) == ("参数有误：x", "Wrong parameters: x")
    with translation.override("en"):
        run = TrainingRun(**error_columns(BadParams("x")))
    assert error_said(run) == "参数有误：x"
    run = TrainingRun(**error_columns(NothingToLearn(NO_DATA)))
    assert error_said(run) == "没有可用于训练的行为数据。"
    assert english(run).isascii()
    unexpected = error_columns(ZeroDivisionError("division by zero"))
    assert error_said(TrainingRun(**unexpected)) == "ZeroDivisionError: division by zero"
    assert error_said(TrainingRun()) == ""


@pytest.fixture
def operator(db) -> Client:
    client = Client()
    client.force_login(make_learner(username="boss", is_staff=True, is_superuser=True))
    return client


def page(client, run, language):
    address = f"/admin/recommender/trainingrun/{run.pk}/change/"
    return client.get(address, headers={"accept-language": language}).content.decode()


def test_the_page_of_a_run_speaks_the_readers_language(operator):
    run = TrainingRun.objects.create(
        status="failed",
        stage=run_words.MEASURE,
        reason=run_words.DAILY,
        gate=verdict(),
        curves={f"{run_words.CHOOSE} sasrec loss": [[0, 2.0], [1, 1.0]]},
        **error_columns(BadParams("x")),
    )

    native, told = page(operator, run, "zh-hans"), page(operator, run, "en")

    for said in (
        "评估",
        "✓ 得分有区分度",
        "参数有误：x",
        "每日定时训练",
        "训练与选择模型 序列注意力 sasrec 损失",
    ):
        assert said in native
    for said in ("每日定时训练", "得分有区分度", "参数有误", "训练与选择模型", "热门榜 0.2000"):
        assert said not in told
    assert "Wrong parameters: x" in told


def test_a_dead_worker_is_told_in_the_language_of_the_reader(db):
    run = training_queue()
    assert run_start(run_id=run.pk)
    TrainingRun.objects.update(heartbeat_at="2020-01-01T00:00Z")
    with translation.override("en"):
        runs_sweep_dead()

    run.refresh_from_db()
    assert error_said(run) == "训练进程中断：超过 60 秒没有心跳。"
    assert english(run).isascii()


@pytest.mark.parametrize("name", ["train", "score_all"])
def test_help_is_chinese(name):
    parser = load_command_class("recommender", name).create_parser("manage.py", name)
    django_own = {action.dest for action in BaseCommand().create_parser("manage.py", "x")._actions}

    said = [a.help for a in parser._actions if a.dest not in django_own]
    assert len(said) >= 5
    for text in (parser.description, *said):
        assert re.search("[\u4e00-\u9fff]", text), text


def test_the_command_says_why_a_run_failed(db):
    run = training_queue()
    TrainingRun.objects.filter(pk=run.pk).update(
        status="rejected", gate=[{**verdict()[7], "text": "written by somebody else"}]
    )
    run.refresh_from_db()
    assert why_not(run) == "排序质量 NDCG@10 0.5000，线上模型 0.6000，容许下降 5%"
    with pytest.raises(CommandError):
        call_command("train", model="nosuch")
