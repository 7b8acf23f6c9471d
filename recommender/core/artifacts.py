"""One safetensors file and one manifest per model; read by memory map, never pickle."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.core.data import IdMap
from recommender.core.errors import ArtifactError
from recommender.core.models.base import Model
from recommender.core.models.registry import model_class

ARRAYS_FILE = "model.safetensors"
MANIFEST_FILE = "manifest.json"
FORMAT = 1
_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "I8": np.int8,
}


def save_artifact(
    model: Model, folder: str | Path, manifest: Mapping[str, Any] | None = None
) -> Path:
    """Write `model` and its items into `folder`; returns the folder.

    The manifest gets the given entries (metrics, data hash, code version, ...) beside what
    loading needs. Both files appear whole or not at all, the manifest last.
    """
    # here, not at the top: readers map the file by hand and need no writer
    from safetensors.numpy import save_file  # noqa: PLC0415

    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    arrays = {f"model.{name}": array for name, array in model.arrays().items()}
    arrays |= {f"items.{name}": array for name, array in model.items.arrays().items()}
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    same = _repeated(arrays)
    told = {
        **(manifest or {}),
        "format": FORMAT,
        "model": model.name,
        "params": model.params(),
        "facts": model.facts(),
        "arrays": ARRAYS_FILE,
        "item_ids": f"{ARRAYS_FILE}#items",
        "n_items": len(model.items),
        "shapes": {name: list(array.shape) for name, array in arrays.items()},
        "same": same,
    }
    stored = {name: array for name, array in arrays.items() if name not in same}
    with tempfile.TemporaryDirectory(dir=root) as half_done:
        save_file(stored, Path(half_done) / ARRAYS_FILE)
        written = Path(half_done) / MANIFEST_FILE
        written.write_text(json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True))
        os.replace(Path(half_done) / ARRAYS_FILE, root / ARRAYS_FILE)
        os.replace(written, root / MANIFEST_FILE)
    return root


def load_manifest(folder: str | Path) -> dict[str, Any]:
    """The manifest as written; ArtifactError when it is missing or broken."""
    try:
        told = json.loads((Path(folder) / MANIFEST_FILE).read_text())
    except (OSError, ValueError) as why:
        raise ArtifactError(f"no readable manifest in {folder}: {why}") from why
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise ArtifactError(f"{folder} holds an artifact of another format")
    return told


def load_artifact(folder: str | Path) -> Model:
    """The model in `folder`, its arrays read-only views of one mapped file."""
    told = load_manifest(folder)
    arrays = map_arrays(Path(folder) / ARRAYS_FILE)
    try:
        arrays |= {name: arrays[first] for name, first in told.get("same", {}).items()}
    except (KeyError, AttributeError) as why:
        raise ArtifactError(f"arrays in {folder} do not match the manifest") from why
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    if shapes != told.get("shapes"):
        raise ArtifactError(f"arrays in {folder} do not match the manifest")
    items = IdMap(**_under("items.", arrays))
    return model_class(told["model"]).from_arrays(_under("model.", arrays), told["params"], items)


def map_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Tensors of a safetensors file (8 bytes of header length, JSON, data) as mapped views."""
    try:
        mapped = np.memmap(path, np.uint8, mode="r")
        length = int.from_bytes(mapped[:8].tobytes(), "little")
        header: dict[str, Any] = json.loads(mapped[8 : 8 + length].tobytes())
        body = mapped[8 + length :].view(np.ndarray)
        header.pop("__metadata__", None)
        return {
            name: body[slice(*told["data_offsets"])]
            .view(_DTYPES[told["dtype"]])
            .reshape(told["shape"])
            for name, told in header.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as why:
        raise ArtifactError(f"{path} is not a readable model file: {why}") from why


def _repeated(arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """Names of arrays that an earlier one equals, and that one's name: both are stored once.

    Members of a stack often share lists; a web worker need not keep them twice.
    """
    firsts: dict[tuple[str, tuple[int, ...], bytes], str] = {}
    same = {}
    for name, array in arrays.items():
        digest = hashlib.sha256(array.reshape(-1).view(np.uint8).data).digest()
        first = firsts.setdefault((array.dtype.str, array.shape, digest), name)
        if first != name:
            same[name] = first
    return same


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
