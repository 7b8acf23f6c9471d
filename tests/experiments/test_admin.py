"""Operators start, stop and read experiments in the admin."""

import pytest
from django.test import Client

from accounts.models import User
from experiments import services
from experiments.models import Arm, Experiment

LIST = "/admin/experiments/experiment/"


@pytest.fixture
def operator(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("op", "secret-of-op"))
    yield client
    services.cache_forget()


def act(client: Client, action: str, *rows: Experiment) -> str:
    reply = client.post(
        LIST, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True
    )
    assert reply.status_code == 200
    return reply.content.decode()


def test_an_operator_starts_and_stops_an_experiment(operator):
    experiment = Experiment.objects.create(key="e1", layer="feed", title="首页排序")
    empty = Experiment.objects.create(key="e2", layer="feed")
    for name in ("control", "treatment"):
        Arm.objects.create(experiment=experiment, name=name)

    page = act(operator, "start", experiment, empty)

    assert "首页排序：已完成。" in page
    assert "实验至少需要两个权重大于 0 的分组。" in page
    experiment.refresh_from_db()
    assert experiment.status == "running"
    assert operator.get(f"{LIST}{experiment.pk}/change/").status_code == 200
    act(operator, "stop", experiment)
    experiment.refresh_from_db()
    assert experiment.status == "stopped"


def test_pages_open(operator):
    for path in (LIST, f"{LIST}add/", "/admin/experiments/exposure/"):
        assert operator.get(path).status_code == 200
