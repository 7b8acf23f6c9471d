"""What the core refuses, each named for what happened, in sentences that can be translated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self


class Sentence(str):
    """English that still knows what it was made from, for whoever says it in another language.

    Equal to the plain text in every respect. A parameter may be a sentence itself, or a list.
    """

    __slots__ = ("params", "template")
    template: str
    params: Mapping[str, object]

    def __new__(cls, template: str, params: Mapping[str, object] | None = None) -> Self:
        plain = {name: _plain(value) for name, value in (params or {}).items()}
        made = super().__new__(cls, template % plain if plain else template)
        made.template, made.params = template, params or {}
        return made


def sentence(template: str, /, **params: object) -> Sentence:
    """`template` with its `%(name)s` filled in."""
    return Sentence(template, params)


def said_of(error: Exception) -> str:
    """The sentence that an error was raised with, still to be translated; else its text."""
    first = error.args[0] if len(error.args) == 1 else None
    return first if isinstance(first, Sentence) else str(error)


def system_said(error: OSError) -> str:
    """Why the system refused, without number and path."""
    return error.strerror or str(error)


def _plain(value: object) -> object:
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else value


class CoreError(Exception):
    """Something the caller can name to a person; the message is one sentence."""


class DatasetError(CoreError):
    """The dataset folder is missing, empty, or (with `strict`) holds a bad row."""


class UnknownModel(CoreError):
    """No trainer or model goes by that name."""


class BadParams(CoreError):
    """A parameter does not exist for the model, or its value is out of range."""


class TrainingDiverged(CoreError):
    """A loss or a parameter stopped being a finite number."""


class TrainingStopped(CoreError):
    """The caller's `should_stop` asked for the end of training."""


class ArtifactError(CoreError):
    """A stored model is missing, truncated, or does not match its manifest."""


class NotARatingModel(CoreError):
    """The model ranks; it does not predict ratings."""


class SparkUnavailable(CoreError):
    """Spark cannot begin: software is missing, or the cluster is away or has no executor."""


class SparkFailed(CoreError):
    """Spark began and ended without a model, or took longer than it may."""
