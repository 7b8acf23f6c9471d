"""One training run from snapshot to promotion. Loaded by workers of queue `train` alone.

The serving model is touched only by the last step, in one transaction with the run's success;
whatever happens before leaves the pointer where it was.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, TypeVar

import torch
from django.conf import settings
from django.utils.translation import gettext_noop
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from kernel import clock
from recommender import core, gate
from recommender import run_words as stages
from recommender.blocks import with_blocks
from recommender.config import cleaning_config, matrix_config, spark_place
from recommender.core.artifacts import load_artifact, load_manifest, save_artifact
from recommender.core.data import Interactions
from recommender.core.errors import ArtifactError, CoreError, TrainingDiverged
from recommender.core.models.base import Model
from recommender.core.models.cold_start import known_as
from recommender.core.preparing import MATRIX, without_matrix
from recommender.core.splits import Split
from recommender.core.storing import load_columns, store_columns
from recommender.core.training.base import FitOptions
from recommender.core.training.candidates import EARLY_STOPPED
from recommender.dataset import snapshot, sources_of, told_of
from recommender.errors import GateRefused, LeaseLost
from recommender.heartbeat import Heartbeat
from recommender.measuring import (
    Metrics,
    as_plain,
    held_out,
    judged_users,
    measure,
    quality_name,
    serving_facts,
)
from recommender.models import ModelVersion, TrainingRun
from recommender.publishing import (
    artifact_discard,
    artifact_draft,
    artifact_publish,
    drafts_discard,
    work_claim,
    work_discard,
)
from recommender.recipes import Made, Recipe, make, make_again
from recommender.run_errors import error_columns
from recommender.services.runs import run_close, run_report, run_start
from recommender.services.versions import Candidate, version_publish, versions_prune

logger = logging.getLogger(__name__)
T = TypeVar("T")


NO_DATA = gettext_noop("没有可用于训练的行为数据。")


class NothingToLearn(CoreError):
    """No usable interaction is in the tables."""


def training_run(run_id: int) -> str:
    """Carry out a queued run; returns its final status, or "" when there was nothing to do.

    Safe to call again with the same id: a closed run stays closed, a living one is left alone.
    """
    lease = run_start(run_id=run_id)
    if lease is None:
        return ""
    run = TrainingRun.objects.get(pk=run_id)
    beat = Heartbeat(run_id, lease)
    beat.go_on(run.curves, run.progress)
    try:
        with beat, threadpool_limits(settings.KPAY.train_threads):
            torch.set_num_threads(settings.KPAY.train_threads)
            _Training(run, lease, beat).run()
    except LeaseLost:
        logger.error("training run lost its lease", extra={"run": run_id})
        return ""
    except GateRefused:
        run_close(run_id=run_id, lease=lease, status=TrainingRun.Status.REJECTED, progress=1)
    except TrainingDiverged as why:
        _failed(run_id, lease, beat, why, TrainingRun.Status.DIVERGED)
    except CoreError as why:
        _failed(run_id, lease, beat, why)
    except Exception as why:
        _failed(run_id, lease, beat, why)
        raise
    # only a killed worker leaves its work behind, for the run that takes it up
    work_discard(Path(settings.KPAY.model_dir), run_id)
    return TrainingRun.objects.values_list("status", flat=True).get(pk=run_id)


def _failed(
    run_id: int,
    lease: uuid.UUID,
    beat: Heartbeat,
    why: Exception,
    status: TrainingRun.Status = TrainingRun.Status.FAILED,
) -> None:
    """Close without a model, unless the run was taken away meanwhile."""
    if beat.lost:
        return
    run_close(run_id=run_id, lease=lease, status=status, **error_columns(why))
    work_discard(Path(settings.KPAY.model_dir), run_id)


@dataclass(frozen=True)
class Rivals:
    """What the candidate is measured against, on the same split."""

    popular: Metrics
    knn: Metrics
    baseline: Metrics  # the serving model's recipe; empty when nothing serves


@dataclass
class _Training:
    run_row: TrainingRun
    lease: uuid.UUID
    beat: Heartbeat
    work: Path = Path()  # snapshot, choice and checkpoints of this run
    matrix: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """Raises GateRefused, LeaseLost or CoreError; returns once the new version serves."""
        root = Path(settings.KPAY.model_dir)
        drafts_discard(root)
        waiting = TrainingRun.objects.filter(status=TrainingRun.Status.QUEUED)
        self.work = work_claim(
            root,
            self.run_row.pk,
            self.run_row.resumes_id,
            keep=set(waiting.values_list("resumes_id", flat=True)),
        )
        self.beat.stage(stages.READ, 0.0, 0.05)
        interactions = self._snapshot()
        if not len(interactions):
            raise NothingToLearn(NO_DATA)
        split = held_out(interactions, self.run_row.seed)
        places = judged_users(split, self.run_row.seed)
        # a network is fitted once to learn its epochs, and once more on all of the training part
        twice = self.run_row.model_name in EARLY_STOPPED
        self.beat.stage(stages.CHOOSE, 0.05, 0.55, fits=2 if twice else 1)
        made = self._made(split)
        self.beat.stage(stages.MEASURE, 0.55, 0.62)
        sources = sources_of(split.train.users, [split.held.user_rows[n] for n in places])
        metrics = measure(made.model, split, places, self.beat.alive, sources)
        rivals = self._rivals(made, metrics, split, places, sources)
        self.beat.stage(stages.FINAL, 0.75, 0.95)
        final = self._fit("final", lambda told: make_again(made.recipe, interactions, told))
        self.beat.stage(stages.CHECK, 0.95, 1.0)
        self._judge_and_publish(root, final, made, interactions, metrics, rivals, places)

    def _snapshot(self) -> Interactions:
        """What the tables say; a run that goes on learns from what the dead one had read.

        Checkpoints belong to one state of the data, and so do the figures noted on the way.
        """
        kept, row = self.work / "snapshot.npz", self.run_row
        matrix = matrix_config(row.params.get(MATRIX))
        try:
            interactions = load_columns(kept, Interactions)
            cleaning = row.cleaning
        except ArtifactError:
            if row.resumes_id:
                self.beat.begin_anew()
            interactions, cleaned = snapshot(row.params.get(MATRIX))
            interactions = with_blocks(interactions)
            cleaning = cleaned.as_json()
            store_columns(interactions, kept)
        told = {
            "matrix": asdict(matrix),
            "cleaning": asdict(cleaning_config()),
            "packages": {name: installed(name) for name in ("numpy", "scipy", "torch")},
            "threads": settings.KPAY.train_threads,
            "told": told_of(interactions),
            **({"resumed_from": row.resumes_id} if row.resumes_id else {}),
        }
        self._note(
            cleaning=cleaning,
            n_users=len(interactions.users),
            n_items=len(interactions.items),
            n_interactions=len(interactions),
            data_hash=interactions.data_hash(),
            code_version=code_version(),
            lineage={**row.lineage, **told},
        )
        self.matrix = asdict(matrix)
        return interactions

    def _made(self, split: Split) -> Made:
        """The chosen model on the training part; kept, so that nothing is chosen anew."""
        folder = self.work / "chosen"
        try:
            told = load_manifest(folder)
            return Made(load_artifact(folder), told["recipe"], told["chosen"])
        except ArtifactError:
            pass  # the usual case: nothing was chosen yet
        params = without_matrix(self.run_row.params)
        made = self._fit(
            "choose", lambda told: make(self.run_row.model_name, params, split.train, told)
        )
        self._note()  # its curves, since they are drawn no more once the choice is stored
        plain = {"recipe": as_plain(made.recipe), "chosen": as_plain(made.chosen)}
        save_artifact(made.model, folder, plain)
        return made

    def _rivals(
        self,
        made: Made,
        metrics: Metrics,
        split: Split,
        places: list[int],
        sources: dict[int, str],
    ) -> Rivals:
        """The popular list, plain item neighbours and the serving model's recipe, all fitted on
        the same training part.

        The served artifact itself has learned the held-out events, so its recipe is judged, not
        its numbers. An equal recipe needs no second fit.
        """

        def judged(name: str, recipe: Recipe) -> Metrics:
            rival = self._fit(name, lambda told: make_again(recipe, split.train, told))
            found = measure(rival, split, places, self.beat.alive, sources)
            return found | {"p95_ms": serving_facts(rival, split.train)["p95_ms"]}

        self.beat.stage(stages.BASELINES, 0.62, 0.68, fits=4)  # and their measuring
        popular, knn = judged("popular", POPULAR), judged("item_knn", ITEM_KNN)
        self._note(
            metrics=as_plain(metrics), popular_metrics=as_plain(popular), knn_metrics=as_plain(knn)
        )
        recipe = serving_recipe()
        self.beat.stage(stages.SERVING, 0.68, 0.75, fits=2)
        if recipe is None:
            return Rivals(popular, knn, {})
        if recipe == as_plain(made.recipe):
            baseline = metrics | {"p95_ms": serving_facts(made.model, split.train)["p95_ms"]}
        else:
            try:
                baseline = judged("serving", recipe)
            except CoreError as why:
                # a recipe of an older release that this one cannot follow: nothing to compare
                logger.warning("serving recipe cannot be followed", extra={"why": str(why)})
                baseline = {}
        self._note(baseline_metrics=as_plain(baseline))
        return Rivals(popular, knn, baseline)

    def _fit(self, name: str, fit: Callable[[FitOptions], T]) -> T:
        """Run one fit with progress, a stop when the lease is lost, and its own checkpoints."""
        return fit(
            FitOptions(
                seed=self.run_row.seed,
                on_progress=lambda done, total, _metrics: self.beat.alive(done, total),
                on_curves=self.beat.drawn,
                should_stop=lambda: self.beat.lost,
                checkpoint_dir=self.work / "checkpoints" / name,
                spark=spark_place(),
            )
        )

    def _judge_and_publish(
        self,
        root: Path,
        model: Model,
        made: Made,
        interactions: Interactions,
        metrics: Metrics,
        rivals: Rivals,
        places: list[int],
    ) -> None:
        """Publish when every check passes, else leave no file behind and raise GateRefused."""
        version = f"{clock.now():%Y%m%d-%H%M%S}-{self.run_row.pk}"
        told = as_plain(metrics)
        manifest = {
            "version": version,
            "metrics": told,
            "data_hash": interactions.data_hash(),
            "code_version": code_version(),
            "recipe": as_plain(made.recipe),
            "chosen": as_plain(made.chosen),
            "matrix": self.matrix,
            "trained_at": clock.now().isoformat(),
            "run": self.run_row.pk,
        }
        draft = artifact_draft(model, root, manifest)
        try:
            # what is judged is what web workers will load, not what is in memory
            facts = serving_facts(load_artifact(draft), interactions)
            seen = {**metrics, **facts, "finite": min(facts["finite"], metrics["finite"])}
            quality = quality_name(interactions)
            verdict = gate.checks(
                seen,
                popular=rivals.popular,
                knn=rivals.knn,
                baseline=rivals.baseline,
                quality=quality,
                held_users=len(places),
            )
            self._note(gate=[check.as_json() for check in verdict], metrics=as_plain(seen))
            if not all(check.passed for check in verdict):
                raise GateRefused
            published = artifact_publish(draft, version)
        except BaseException:
            artifact_discard(draft)
            raise
        candidate = Candidate(
            version=version,
            name=self.run_row.model_name if self.run_row.model_name != "auto" else known_as(model),
            path=version,
            metrics=as_plain(seen),
            recipe=as_plain(made.recipe),
            data_hash=interactions.data_hash(),
        )
        try:
            shadow = self.run_row.publish == TrainingRun.Publish.SHADOW
            version_publish(candidate, run_id=self.run_row.pk, lease=self.lease, shadow=shadow)
        except BaseException:
            artifact_discard(published)
            raise
        for path in versions_prune():
            artifact_discard(root / path)

    def _note(self, **changes: Any) -> None:
        if not run_report(run_id=self.run_row.pk, lease=self.lease, **self.beat.told(), **changes):
            raise LeaseLost


POPULAR: Recipe = {"members": [{"name": "popular", "params": {}, "weight": 1.0}]}
ITEM_KNN: Recipe = {"members": [{"name": "item_knn", "params": {}, "weight": 1.0}]}


def serving_recipe() -> Recipe | None:
    """How the model now serving was made; None when none serves or its row does not tell."""
    recipe = (
        ModelVersion.objects.filter(status=ModelVersion.Status.SERVING)
        .values_list("recipe", flat=True)
        .first()
    )
    return recipe if recipe and recipe.get("members") else None


def code_version() -> str:
    """A digest of the core's own source, so that a model tells which code made it."""
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(Path(core.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
