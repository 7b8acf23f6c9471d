"""Facts about the catalogue that other apps may want to hear."""

from dataclasses import dataclass
from typing import ClassVar

from kernel.outbox import Event


@dataclass(frozen=True)
class CoursePublished(Event):
    kind: ClassVar[str] = "content.course_published"
    course_id: int


@dataclass(frozen=True)
class CourseWithdrawn(Event):
    kind: ClassVar[str] = "content.course_withdrawn"
    course_id: int
