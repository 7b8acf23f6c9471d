"""Artifacts on disk: whole under their final name, or not there at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from recommender.core.artifacts import save_artifact
from recommender.core.models.base import Model

DRAFT_PREFIX = ".draft-"
WORK_PREFIX = ".work-"


def artifact_draft(model: Model, root: Path, manifest: Mapping[str, Any]) -> Path:
    """Write the model into a new draft folder below `root`, flushed to disk; returns the folder.

    Nobody loads a draft: the gate tries it out first, then `artifact_publish` gives it its name.
    """
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=root))
    save_artifact(model, draft, manifest)
    # web workers may run as another user than the one that trains
    draft.chmod(0o755)
    for file in draft.iterdir():
        file.chmod(0o644)
        _flush(file)
    _flush(draft)
    return draft


def artifact_publish(draft: Path, version: str) -> Path:
    """Rename the draft to its version, so that it appears at once and survives a crash."""
    final = draft.parent / version
    draft.rename(final)
    _flush(draft.parent)
    return final


def artifact_discard(folder: Path) -> None:
    """Remove a draft, or an artifact that no row names."""
    shutil.rmtree(folder, ignore_errors=True)


def drafts_discard(root: Path) -> int:
    """Remove what killed trainings left; only the holder of the one running lease may call it."""
    left = list(root.glob(f"{DRAFT_PREFIX}*")) if root.is_dir() else []
    for folder in left:
        artifact_discard(folder)
    return len(left)


def work_claim(
    root: Path, run_id: int, resumes_id: int | None, keep: Collection[int | None] = ()
) -> Path:
    """The run's own folder: what the run it resumes had left, or an empty one.

    Only the holder of the one running lease may call it: folders of other runs are removed,
    but for those in `keep`, which wait for their successors.
    """
    mine = root / f"{WORK_PREFIX}{run_id}"
    left = root / f"{WORK_PREFIX}{resumes_id}"
    root.mkdir(parents=True, exist_ok=True)
    if resumes_id is not None and left.is_dir() and not mine.exists():
        left.rename(mine)
    kept = {mine, *(root / f"{WORK_PREFIX}{run}" for run in keep)}
    for folder in root.glob(f"{WORK_PREFIX}*"):
        if folder not in kept:
            artifact_discard(folder)
    mine.mkdir(exist_ok=True)
    return mine


def work_discard(root: Path, run_id: int) -> None:
    """A run that ended by itself needs nothing any more."""
    artifact_discard(root / f"{WORK_PREFIX}{run_id}")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
