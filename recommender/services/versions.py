"""Which model serves: publication, promotion and going back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from kernel import clock
from kernel.models import StaffAction
from recommender.errors import ArtifactMissing, LeaseLost, NothingToRollBack
from recommender.models import ModelVersion, ServingPointer, TrainingRun
from recommender.services.runs import run_close

Status = ModelVersion.Status
KEPT = 5  # retired artifacts that an operator can still go back to


@dataclass(frozen=True)
class Candidate:
    """An artifact on disk that passed the gate; `path` is relative to the model directory."""

    version: str
    name: str
    path: str
    metrics: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    data_hash: str = ""


@transaction.atomic
def version_publish(
    candidate: Candidate, *, run_id: int, lease: uuid.UUID, **changes: Any
) -> ModelVersion:
    """The run succeeded and the candidate serves, both or neither.

    The run's row is taken first by a conditional UPDATE: a worker that lost its lease changes
    nothing and gets LeaseLost.
    """
    closed = run_close(
        run_id=run_id,
        lease=lease,
        status=TrainingRun.Status.SUCCEEDED,
        version=candidate.version,
        progress=1,
        **changes,
    )
    if not closed:
        raise LeaseLost
    version = ModelVersion.objects.create(
        version=candidate.version,
        name=candidate.name,
        path=candidate.path,
        metrics=candidate.metrics,
        recipe=candidate.recipe,
        data_hash=candidate.data_hash,
        run_id=run_id,
    )
    _point_at(version, by_id=None, reason="")
    return version


@transaction.atomic
def version_promote(*, version_id: int, by_id: int | None = None, reason: str = "") -> ModelVersion:
    """Web workers serve this version from their next request on."""
    version = ModelVersion.objects.get(pk=version_id)
    if not version.path or not artifact_path(version.path).is_dir():
        raise ArtifactMissing(version=version.version)
    _point_at(version, by_id=by_id, reason=reason)
    return version


@transaction.atomic
def version_roll_back(*, by_id: int | None = None, reason: str = "") -> ModelVersion:
    """The version that served before the present one serves again."""
    present = ServingPointer.objects.filter(pk=1).values_list("version_id", flat=True).first()
    earlier = ModelVersion.objects.filter(promoted_at__isnull=False).exclude(path="")
    before = None if present is None else earlier.filter(pk__lt=present).order_by("-pk").first()
    if before is None:
        raise NothingToRollBack
    return version_promote(version_id=before.pk, by_id=by_id, reason=reason)


def versions_prune(keep: int = KEPT) -> list[str]:
    """Retired versions beyond the newest `keep` name no files any more; returns those paths.

    Their rows stay as evidence and can no longer be promoted.
    """
    retired = ModelVersion.objects.filter(status=Status.RETIRED).exclude(path="").order_by("-pk")
    old = list(retired[keep:])
    ModelVersion.objects.filter(pk__in=[version.pk for version in old]).update(path="")
    return [version.path for version in old]


def artifact_path(relative: str) -> Path:
    """Where the files of a version lie on this machine."""
    return Path(settings.KPAY.model_dir) / relative


def _point_at(version: ModelVersion, *, by_id: int | None, reason: str) -> None:
    """The pointer's row comes first: two promotions at once follow one another."""
    at = clock.now()
    ServingPointer.objects.update_or_create(
        pk=1,
        defaults={"version": version, "moved_at": at, "moved_by_id": by_id, "reason": reason},
    )
    others = ModelVersion.objects.filter(status=Status.SERVING).exclude(pk=version.pk)
    others.update(status=Status.RETIRED)
    ModelVersion.objects.filter(pk=version.pk).update(status=Status.SERVING, promoted_at=at)
    version.status, version.promoted_at = Status.SERVING, at
    if by_id is not None:
        StaffAction.objects.create(
            user_id=by_id,
            action="recommender.promote",
            target=f"model_version:{version.version}",
            reason=reason or "-",
            created_at=at,
        )
