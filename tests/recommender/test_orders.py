"""A training that cannot be is refused where it is asked for, before anything is queued."""

import pytest
from django.core.management import CommandError, call_command

from kernel.errors import InvalidInput
from recommender.core.models.popular import PopularConfig
from recommender.core.orders import CONFIGS, check_order
from recommender.core.training.registry import ELSEWHERE, TRAINERS, make_trainer
from recommender.models import TrainingRun
from recommender.services.runs import training_queue
from recommender.tasks import queue_training

pytestmark = pytest.mark.django_db

WRONG = [
    ("nosuch", {}, "model", "nosuch"),
    ("all", {}, "model", "all"),  # of `evaluate` alone
    ("ials\0", {}, "model", "ials"),
    ("ials", {"factorz": 3}, "params", "factorz"),
    ("ials", {"factors": -1}, "params", "factors"),
    ("ials", {"factors": "many"}, "params", "factors"),
    ("ials", {"factors": float("nan")}, "params", "factors"),
    ("ease", {"matrix": {"alfa": 1}}, "params", "alfa"),
    ("ease", {"matrix": 3}, "params", "matrix"),
    ("auto", {"epoch": 3}, "params", "epoch"),
    ("auto", {"candidates": ["ials", "nosuch"]}, "model", "nosuch"),
]


@pytest.mark.parametrize(("model", "params", "field", "named"), WRONG)
def test_a_wrong_order_is_refused_at_once(model, params, field, named):
    for ask in (training_queue, queue_training):
        with pytest.raises(InvalidInput) as refused:
            ask(model=model, params=params)
        assert refused.value.status == 400
        assert list(refused.value.detail) == [field]
        assert named in str(refused.value.message)
    assert TrainingRun.objects.count() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "nosuch"}, "没有这个模型：.*nosuch"),
        ({"model": "ials", "params": '{"factorz": 3}'}, "参数有误：.*factorz"),
        ({"params": "nonsense"}, "--params 不是合法的 JSON"),
        ({"params": "[1]"}, "--params 必须是一个 JSON 对象"),
        ({"params": "[" * 100_000}, "--params 不是合法的 JSON"),
    ],
)
def test_the_command_refuses_a_wrong_order_at_once(options, said):
    with pytest.raises(CommandError, match=said):
        call_command("train", **options, wait=True, timeout=0.1)
    assert TrainingRun.objects.count() == 0


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("auto", {}),
        ("auto", {"candidates": ["popular", "spark_ials"], "factors": 8}),
        ("recent", {"half_life_days": 3}),
        ("ease", {"regularization": 50, "matrix": {"alpha": 0.5}}),
    ],
)
def test_a_good_order_is_queued_as_it_was_given(model, params):
    run = training_queue(model=model, params=params)

    assert (run.status, run.model_name, run.params) == ("queued", model, params)


def test_what_may_be_asked_for_is_what_there_are_trainers_for():
    assert list(CONFIGS) == [*TRAINERS, *ELSEWHERE]
    for name in ("popular", "recent"):
        assert CONFIGS[name] is PopularConfig
    for name, config in CONFIGS.items():
        assert type(make_trainer(name).config) is config, name
        check_order(name, {})
