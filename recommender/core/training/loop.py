"""The one neural loop: epochs, validation, early stop, checkpoints, a check for NaN."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from recommender.core.data import Interactions
from recommender.core.errors import TrainingDiverged, sentence
from recommender.core.models.base import Model, Params
from recommender.core.training.base import FitOptions
from recommender.core.training.checkpoint import Checkpoint, Standing
from recommender.core.training.validating import Validation

M = TypeVar("M", bound=Model)
HALF_MOST = 65_504.0  # also False for NaN and infinity
EXPLODED = 10.0  # times the first epoch's loss
HUGE = 1e6  # no loss of ours starts near it, not even in the first epoch
LEAST_RATE = 0.25  # of the first learning rate: with less an epoch moves too little for its price


class Fitting(ABC, Generic[M]):
    """What the loop drives. All its state is in `parameters`, `optimizer` and two generators."""

    parameters: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    rng: np.random.Generator
    decay: float = 1.0  # of the learning rate, from one epoch to the next
    longest_gradient: ClassVar[float] = 0.0  # what a longer one is cut to; 0: never

    @abstractmethod
    def epoch(self) -> float:
        """One pass over the data; the mean loss."""

    @abstractmethod
    def model(self, found: Params) -> M:
        """The NumPy model of the parameters as they stand; a copy."""

    def steps(self, losses: Iterable[Tensor]) -> float:
        """One step of the optimizer for each loss as it comes; their mean."""
        found = []
        for loss in losses:
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if self.longest_gradient:
                torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.longest_gradient)
            self.optimizer.step()
            found.append(float(loss.detach()))
        return float(np.mean(found)) if found else 0.0

    def tensors(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.parameters.items()}


def adamw(
    decayed: Sequence[Tensor], free: Sequence[Tensor], learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW over both, with weight decay for the first; one pass over memory a step on a CPU."""
    groups: list[dict[str, Any]] = [
        {"params": [*decayed]},
        {"params": [*free], "weight_decay": 0.0},
    ]
    on_cpu = all(p.device.type == "cpu" for p in (*decayed, *free))
    return torch.optim.AdamW(
        groups, lr=learning_rate, weight_decay=weight_decay, fused=True if on_cpu else None
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """No threads inside the arithmetic: between two short steps they would only spin."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, "blas"):
            yield
    finally:
        torch.set_num_threads(threads)


def fit_epochs(
    fitting: Fitting[M],
    interactions: Interactions,
    options: FitOptions,
    epochs: int,
    patience: int,
    about: str,
) -> M:
    """Run up to `epochs`; returns the model of the best validated epoch (else of the last).

    A learning rate that falls ends them where it stands below LEAST_RATE of the first.

    Its facts tell `epochs` and `loss`. With a checkpoint folder each epoch is stored, and a fit
    of the same data, seed and `about` (the configuration) goes on from there. TrainingDiverged
    when the loss or a parameter is no longer finite, or the loss explodes.
    """
    told = f"{about} {options.seed} {interactions.data_hash()}"
    with one_thread():
        return _fitted(fitting, interactions, options, epochs, patience, told)


def _fitted(
    fitting: Fitting[M],
    interactions: Interactions,
    options: FitOptions,
    epochs: int,
    patience: int,
    told: str,
) -> M:
    checkpoint = Checkpoint(
        options.checkpoint_dir, hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
    )
    stood = checkpoint.load(fitting) or Standing(best_at=fitting.tensors())
    done, best, best_at, curves = stood.done, stood.best, stood.best_at, stood.curves
    name = fitting.model({}).name
    if curves:
        options.draw(name, curves)
    validation = None
    if options.held:
        validation = Validation(interactions, options.held, options.seed)
    rates = [group["lr"] for group in fitting.optimizer.param_groups]
    while done < epochs and fitting.decay**done >= LEAST_RATE:
        if options.held and best and done - best["epoch"] >= patience:
            break
        for group, rate in zip(fitting.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * fitting.decay**done
        loss = fitting.epoch()
        done += 1
        first = best.get("first", loss)
        _check(fitting, loss, first, done)
        metrics = {"loss": loss}
        if validation is not None:
            metrics["ndcg@10"] = validation.ndcg(fitting.model({}))
        value = metrics.get("ndcg@10", float(done))
        if not best or value > best["value"]:
            best = {"value": value, "epoch": done, "loss": loss, "first": first}
            best_at = fitting.tensors()
        for figure, one in metrics.items():
            before = curves.get(figure, [math.nan] * (done - 1))  # of an older release's file
            curves[figure] = [*before, one]
        checkpoint.store(fitting, Standing(done, best, best_at, curves))
        options.draw(name, curves)
        options.tell(done, epochs, metrics)
    with torch.no_grad():
        for name, parameter in fitting.parameters.items():
            parameter.copy_(best_at[name])
    model = fitting.model({"epochs": best.get("epoch", 0), "loss": best.get("loss", 0.0)})
    checkpoint.clear()
    return model


def _check(fitting: Fitting[M], loss: float, first: float, epoch: int) -> None:
    # models are stored in half precision: what does not fit into it has exploded as well
    finite = all(bool((p.abs() < HALF_MOST).all()) for p in fitting.parameters.values())
    if not math.isfinite(loss) or not finite:
        raise TrainingDiverged(
            sentence(
                "loss %(loss)s in epoch %(epoch)s; try a smaller learning_rate",
                loss=loss,
                epoch=epoch,
            )
        )
    if loss > EXPLODED * max(first, 1.0) or loss > HUGE:
        raise TrainingDiverged(
            sentence(
                "loss exploded from %(first)s to %(loss)s in epoch %(epoch)s; "
                "try a smaller learning_rate",
                first=f"{first:.4g}",
                loss=f"{loss:.4g}",
                epoch=epoch,
            )
        )
