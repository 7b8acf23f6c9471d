"""A small shop with two tastes: people of the left like courses 0 to 9, of the right 10 to 19."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from content.models import Category, Course, Creator
from feedback.models import Event
from kernel import clock
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer
from recommender.dataset import snapshot
from recommender.models import ModelVersion, ServingPointer
from recommender.publishing import artifact_draft, artifact_publish
from recommender.serving.catalogue import forget_all
from recommender.serving.holder import holder
from tests.builders import make_learner


@pytest.fixture(autouse=True)
def model_dir(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """An empty model directory, and a web process that has just started."""
    folder = tmp_path / "models"
    settings.KPAY = replace(settings.KPAY, model_dir=folder, model_reload_seconds=1)
    holder.forget()
    forget_all()
    yield folder
    holder.forget()
    forget_all()


class Shop:
    """Twenty published courses in two categories by four creators."""

    def __init__(self, courses: int = 20) -> None:
        self.left, self.right = (
            Category.objects.create(key=key, name=name, position=n)
            for n, (key, name) in enumerate((("photo", "摄影"), ("code", "编程")))
        )
        creators = [Creator.objects.create(key=f"c{n}", nickname=f"老师{n}") for n in range(4)]
        self.courses = Course.objects.bulk_create(
            Course(
                title=f"课程{n:02d}",
                status=Course.Status.PUBLISHED,
                # old enough not to compete for the slots of new courses
                published_at=clock.now() - timedelta(days=100 + n),
                category=self.left if n < courses // 2 else self.right,
                creator=creators[n % 4],
                tag_names=["入门" if n % 2 else "进阶"],
                hot_score=float(courses - n),
            )
            for n in range(courses)
        )

    def __getitem__(self, n: int) -> Course:
        return self.courses[n]

    def act(self, user: Any, n: int, type: str, value: float | None = None, ago: int = 0) -> Event:
        """One interaction, `ago` minutes old."""
        return Event.objects.create(
            user=user,
            client_event_id=uuid.uuid4().hex,
            type=type,
            course=self[n],
            value=value,
            occurred_at=clock.now() - timedelta(minutes=ago),
            origin=Event.Origin.SERVER,
        )

    def crowd(self, people: int = 24) -> None:
        """People of both tastes, each with seven of the ten courses of theirs, in order."""
        half = len(self.courses) // 2
        for person in range(people):
            user = make_learner()
            first = 0 if person % 2 else half
            for step in range(7):
                n = first + (person // 2 + step) % half
                self.act(user, n, "rating", 5, ago=1000 - 10 * step + person)


@pytest.fixture
def shop(db: None) -> Shop:
    return Shop()


@pytest.fixture
def serve(model_dir: Path) -> Callable[..., ModelVersion]:
    """`serve("ials")` trains on the tables and points the shop at the result."""

    def publish(name: str = "ials", version: str = "v1", **params: Any) -> ModelVersion:
        interactions, _ = snapshot()
        if name == "ials":
            params = {"factors": 4, **params}  # twenty courses have no room for 64
        model = make_trainer(name, params).fit(interactions, FitOptions(seed=0))
        artifact_publish(artifact_draft(model, model_dir, {"version": version}), version)
        row = ModelVersion.objects.create(version=version, name=name, path=version)
        ServingPointer.objects.update_or_create(pk=1, defaults={"version": row})
        return row

    return publish


def ids(page: dict[str, Any]) -> list[int]:
    """Course ids of a feed's reply, in order."""
    return [int(item["course"]["id"]) for item in page["items"]]
