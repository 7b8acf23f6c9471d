"""The state of a neural fit in one safetensors file, so that a killed fit goes on."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

FILE = "checkpoint.safetensors"


class Resumable(Protocol):
    """Everything that the next epoch depends on."""

    parameters: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    rng: np.random.Generator


@dataclass(frozen=True)
class Standing:
    """How far a fit has come."""

    done: int = 0
    best: dict[str, Any] = field(default_factory=dict)  # of the best epoch so far
    best_at: dict[str, Tensor] = field(default_factory=dict)  # its parameters
    curves: dict[str, list[float]] = field(default_factory=dict)  # a figure of each epoch


class Checkpoint:
    """One file in `folder`, written after each epoch; nothing at all without a folder.

    `key` names data, configuration and seed: a file with another key is not used.
    """

    def __init__(self, folder: Path | None, key: str):
        self.path = None if folder is None else Path(folder) / FILE
        self.key = key

    def load(self, fitting: Resumable) -> Standing | None:
        """Put `fitting` back where it stood; None where no checkpoint of it is."""
        if self.path is None or not self.path.is_file():
            return None
        with safe_open(self.path, framework="pt") as file:
            told = json.loads(file.metadata()["told"])
            if told["key"] != self.key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        with torch.no_grad():
            for name, parameter in fitting.parameters.items():
                parameter.copy_(tensors[f"now.{name}"])
        for n, parameter in enumerate(_ordered(fitting.optimizer)):
            prefix = f"optimizer.{n}."
            fitting.optimizer.state[parameter] = {
                name.removeprefix(prefix): tensor.to(parameter.device)
                if tensor.ndim
                else tensor.clone()
                for name, tensor in tensors.items()
                if name.startswith(prefix)
            }
        fitting.generator.set_state(tensors["generator"])
        fitting.rng.bit_generator.state = told["rng"]
        best_at = {n.removeprefix("best."): t for n, t in tensors.items() if n.startswith("best.")}
        curves = {
            n.removeprefix("curve."): t.tolist()
            for n, t in tensors.items()
            if n.startswith("curve.")
        }
        return Standing(int(told["done"]), told["best"], best_at, curves)

    def store(self, fitting: Resumable, standing: Standing) -> None:
        """Write the state after an epoch; the old file stays until the new one is whole.

        The curves are part of it, so a fit that goes on knows every epoch that it builds on.
        """
        if self.path is None:
            return
        tensors = {f"now.{n}": p.detach().cpu().clone() for n, p in fitting.parameters.items()}
        tensors |= {f"best.{n}": p.cpu().clone() for n, p in standing.best_at.items()}
        for name, values in standing.curves.items():
            tensors[f"curve.{name}"] = torch.tensor(values, dtype=torch.float64)
        tensors["generator"] = fitting.generator.get_state()
        for n, parameter in enumerate(_ordered(fitting.optimizer)):
            for name, value in fitting.optimizer.state[parameter].items():
                tensors[f"optimizer.{n}.{name}"] = value.detach().cpu().clone()
        told = {"key": self.key, "done": standing.done, "best": standing.best}
        told["rng"] = fitting.rng.bit_generator.state
        self.path.parent.mkdir(parents=True, exist_ok=True)
        half_done = self.path.with_suffix(".part")
        save_file(tensors, half_done, metadata={"told": json.dumps(told)})
        os.replace(half_done, self.path)

    def clear(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _ordered(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
