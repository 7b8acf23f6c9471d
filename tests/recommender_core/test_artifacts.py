"""Models on disk: what is stored once, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from recommender.core.artifacts import (
    ARRAYS_FILE,
    MANIFEST_FILE,
    load_artifact,
    map_arrays,
    save_artifact,
)
from recommender.core.errors import ArtifactError
from recommender.core.models.ensemble import Ensemble
from recommender.core.training.base import FitOptions
from recommender.core.training.registry import make_trainer
from tests.recommender_core.conftest import two_tastes

OTHER = {"regularization": 5.0}


def blend(x):
    """One member twice, and another with the same steps but other lists of EASE."""
    one, other = (make_trainer("transitions", p).fit(x, FitOptions()) for p in ({}, OTHER))
    return Ensemble(x.items, (one, one, other), (0.3, 0.3, 0.4))


def test_equal_arrays_of_members_are_stored_once_and_come_back(tmp_path):
    x = two_tastes(30)
    model = blend(x)
    save_artifact(model, tmp_path)

    stored = set(map_arrays(tmp_path / ARRAYS_FILE))
    assert {"model.0.step_values", "model.0.values", "model.2.values"} <= stored
    assert not {"model.1.values", "model.1.columns", "model.2.popularity"} & stored
    loaded = load_artifact(tmp_path)
    assert np.array_equal(loaded.score(x.histories()), model.score(x.histories()))
    assert set(loaded.arrays()) == set(model.arrays())
    assert loaded.members[0].steps.values.base is not None  # views of the mapped file
    assert loaded.members[0].steps.values is loaded.members[1].steps.values


def test_a_manifest_that_names_an_array_that_is_not_there_is_refused(tmp_path):
    save_artifact(blend(two_tastes(30)), tmp_path)
    told = json.loads((tmp_path / MANIFEST_FILE).read_text())
    told["same"]["model.1.values"] = "model.7.values"
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(told))

    with pytest.raises(ArtifactError):
        load_artifact(tmp_path)


def test_an_artifact_from_before_arrays_were_shared_still_loads(tmp_path):
    x = two_tastes(30)
    model = make_trainer("ease").fit(x, FitOptions())
    save_artifact(model, tmp_path)
    told = json.loads((tmp_path / MANIFEST_FILE).read_text())
    assert told.pop("same") == {}
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(told))

    assert np.array_equal(load_artifact(tmp_path).score_one(x.history(0)),
                          model.score_one(x.history(0)))  # fmt: skip
