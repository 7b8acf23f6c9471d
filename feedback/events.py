"""Facts about learning that other apps act on, told through the outbox."""

from dataclasses import dataclass
from typing import ClassVar

from kernel.outbox import Event


@dataclass(frozen=True)
class LessonFinished(Event):
    """The server saw at least 90 % of the lesson watched. Told once per user and lesson."""

    kind: ClassVar[str] = "feedback.lesson_finished"
    user_id: int
    lesson_id: int
    course_id: int


@dataclass(frozen=True)
class CourseFinished(Event):
    """All lessons of the course are finished. Told once per user and course."""

    kind: ClassVar[str] = "feedback.course_finished"
    user_id: int
    course_id: int


@dataclass(frozen=True)
class RatingSet(Event):
    """A learner's stars. `counted`: in public means, points and training labels."""

    kind: ClassVar[str] = "feedback.rating_set"
    user_id: int
    course_id: int
    stars: int
    counted: bool
