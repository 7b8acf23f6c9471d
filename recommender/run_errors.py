"""Why a run ended without a model: stored with its parts, said in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recommender.core import errors
from recommender.core.errors import CoreError, Sentence, said_of
from recommender.models import TrainingRun
from recommender.run_words import said
from recommender.words import error_sentence

LONGEST = 2000


def error_columns(why: Exception) -> dict[str, Any]:
    """What a run's row keeps of an error: the words of the moment, and what they were made from."""
    if not isinstance(why, CoreError):
        return {"error": f"{type(why).__name__}: {why}"[:LONGEST], "refusal": {}}
    kept = {"kind": type(why).__name__, "said": _parts(said_of(why))}
    return {"error": error_sentence(why)[:LONGEST], "refusal": kept}


def error_said(run: TrainingRun) -> str:
    """The run's error in the reader's language; as it was written where its parts are unknown."""
    if not run.refusal:
        return said(run.error)
    kind = getattr(errors, run.refusal["kind"], CoreError)
    return said(error_sentence(kind(_whole(run.refusal["said"]))))


def _parts(value: object) -> Any:
    """As JSON can hold it: sentences with their parameters, all else as text."""
    if isinstance(value, Sentence):
        params = {name: _parts(part) for name, part in value.params.items()}
        return {"template": value.template, "params": params}
    if isinstance(value, list | tuple):
        return [_parts(part) for part in value]
    return value if isinstance(value, int) else str(value)  # NaN is a number that no JSON has


def _whole(parts: Any) -> Any:
    """The inverse of `_parts`."""
    if isinstance(parts, Mapping):
        params = {name: _whole(part) for name, part in parts["params"].items()}
        return Sentence(parts["template"], params)
    return [_whole(part) for part in parts] if isinstance(parts, list) else parts
