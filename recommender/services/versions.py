"""Which model serves: publication, promotion and going back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from kernel import clock
from kernel.models import StaffAction
from recommender.errors import (
    ArtifactMissing,
    LeaseLost,
    NoShadow,
    NothingToRollBack,
    ServesAlready,
    ServesNow,
    ShadowNow,
    UnknownVersion,
)
from recommender.models import (
    BatchScore,
    ModelVersion,
    ServingPointer,
    ShadowComparison,
    TrainingRun,
)
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
    candidate: Candidate, *, run_id: int, lease: uuid.UUID, shadow: bool = False, **changes: Any
) -> ModelVersion:
    """The run succeeded and the candidate serves (or is the shadow), both or neither.

    The run's row is taken first by a conditional UPDATE: a worker that lost its lease changes
    nothing and gets LeaseLost.
    """
    closed = run_close(
        run_id=run_id,
        lease=lease,
        status=TrainingRun.Status.SHADOWED if shadow else TrainingRun.Status.SUCCEEDED,
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
    if shadow:
        _shadow(version)
    else:
        _point_at(version, by_id=None, reason="")
    return version


@transaction.atomic
def version_promote(*, version_id: int, by_id: int | None = None, reason: str = "") -> ModelVersion:
    """Web workers serve this version from their next request on.

    ServesNow, and nothing written, for the version that serves already; ArtifactMissing without
    files.
    """
    version = _version(version_id)
    if version.status == Status.SERVING:
        raise ServesNow
    if not version.path or not artifact_path(version.path).is_dir():
        raise ArtifactMissing(version=version.version)
    _point_at(version, by_id=by_id, reason=reason)
    return version


@transaction.atomic
def version_shadow(
    *, version_id: int, on: bool, by_id: int | None = None, reason: str = ""
) -> ModelVersion:
    """This version is compared with the serving one from now on, or no longer; feeds stay.

    One shadow at a time: an earlier one ends. ArtifactMissing without files,
    ServesAlready for the version that serves, ShadowNow and NoShadow where nothing would change.
    """
    version = _version(version_id)
    if on:
        if version.status == Status.SERVING:
            raise ServesAlready
        if version.shadowed_at is not None:
            raise ShadowNow
        if not version.path or not artifact_path(version.path).is_dir():
            raise ArtifactMissing(version=version.version)
        _shadow(version)
    else:
        if version.shadowed_at is None:
            raise NoShadow
        ModelVersion.objects.filter(pk=version.pk).update(shadowed_at=None)
        version.shadowed_at = None
    _noted(by_id, "recommender.shadow" if on else "recommender.unshadow", version, reason)
    return version


def shadow_note(comparison: ShadowComparison) -> ShadowComparison | None:
    """The comparison is kept, once per window: the second of two workers at it comes late."""
    try:
        with transaction.atomic():
            comparison.save(force_insert=True)
    except IntegrityError:
        return None
    return comparison


def _shadow(version: ModelVersion) -> None:
    at = clock.now()
    ModelVersion.objects.exclude(pk=version.pk).filter(shadowed_at__isnull=False).update(
        shadowed_at=None
    )
    ModelVersion.objects.filter(pk=version.pk).update(shadowed_at=at)
    version.shadowed_at = at


@transaction.atomic
def version_roll_back(*, by_id: int | None = None, reason: str = "") -> ModelVersion:
    """The version that served before the present one serves again."""
    before = version_before()
    if before is None:
        raise NothingToRollBack
    return version_promote(version_id=before.pk, by_id=by_id, reason=reason)


def version_before() -> ModelVersion | None:
    """What rolling back would serve; None when there is nothing to go back to."""
    present = ServingPointer.objects.filter(pk=1).values_list("version_id", flat=True).first()
    if present is None:
        return None
    earlier = ModelVersion.objects.filter(promoted_at__isnull=False).exclude(path="")
    return earlier.filter(pk__lt=present).order_by("-pk").first()


def _version(version_id: int) -> ModelVersion:
    version = ModelVersion.objects.filter(pk=version_id).first()
    if version is None:
        raise UnknownVersion
    return version


def versions_prune(keep: int = KEPT) -> list[str]:
    """Versions out of service beyond the newest `keep` name no files; returns those paths.

    Their rows stay as evidence and can no longer be promoted. A shadow keeps its files, and so
    does what a batch under way scores with.
    """
    scoring = BatchScore.objects.filter(status=BatchScore.Status.RUNNING).values("version")
    idle = ModelVersion.objects.exclude(status=Status.SERVING).filter(shadowed_at__isnull=True)
    old = list(idle.exclude(path="").exclude(pk__in=scoring).order_by("-pk")[keep:])
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
    ModelVersion.objects.filter(pk=version.pk).update(
        status=Status.SERVING, promoted_at=at, shadowed_at=None
    )
    version.status, version.promoted_at, version.shadowed_at = Status.SERVING, at, None
    _noted(by_id, "recommender.promote", version, reason)


def _noted(by_id: int | None, action: str, version: ModelVersion, reason: str) -> None:
    """Evidence of what an operator did; nothing for what the system does by itself."""
    if by_id is not None:
        StaffAction.objects.create(
            user_id=by_id,
            action=action,
            target=f"model_version:{version.version}",
            reason=reason or "-",
            created_at=clock.now(),
        )
