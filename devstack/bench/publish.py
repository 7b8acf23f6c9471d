"""Fits and publishes a model of the kind that serves in production, from the bench database.

`python -m devstack.bench.publish` follows a fixed recipe (what `auto` blends on data with
times), so that two runs compare the same thing; drafts, files and the pointer are the product's.
"""

from __future__ import annotations

import argparse
import sys

import django

# What `auto` keeps of its candidates on the demo's data, and the wrapper for items and users that
# are new; one epoch gives arrays of the same shapes as twenty.
MEMBERS: tuple[tuple[str, dict[str, object]], ...] = (
    ("popular", {}),
    ("ials", {"iterations": 5}),
    ("ials", {"iterations": 5, "half_life": 0.0}),
    ("ease", {}),
    ("ease", {"half_life": 3.0}),
    ("transitions", {}),
    ("transitions", {"step_share": 1.0, "window": 20, "decay": 0.9, "step_half_life": 6.0}),
    ("history_tower", {}),
)
NOTHING = [0.0] * len(MEMBERS)
MIX = {
    "straight": [[0.02] * len(MEMBERS), NOTHING],
    "curved": [[0.4] * len(MEMBERS), NOTHING],
    "facts": [[0.1, 0.1, -0.1, -0.5, -1.0], [0.0] * 5],
    "lengths": [3.0, 1.0, 0.7, 6.0],
}


def publish(tower_epochs: int) -> str:
    """A fresh version serves; returns its name."""
    from django.conf import settings  # noqa: PLC0415

    from kernel import clock  # noqa: PLC0415
    from recommender.core.training.base import FitOptions  # noqa: PLC0415
    from recommender.dataset import snapshot  # noqa: PLC0415
    from recommender.models import ModelVersion  # noqa: PLC0415
    from recommender.publishing import artifact_draft, artifact_publish  # noqa: PLC0415
    from recommender.recipes import make_again  # noqa: PLC0415
    from recommender.services.versions import version_promote  # noqa: PLC0415

    interactions, _cleaning = snapshot()
    told = {"history_tower": {"epochs": tower_epochs}}
    members = [
        {"name": name, "params": params | told.get(name, {}), "weight": 1.0}
        for name, params in MEMBERS
    ]
    recipe = {"members": members, "mix": MIX, "cold_start": True}
    model = make_again(recipe, interactions, FitOptions())
    version = f"bench-{clock.now():%Y%m%d-%H%M%S}"
    draft = artifact_draft(model, settings.KPAY.model_dir, {"version": version})
    artifact_publish(draft, version)
    row = ModelVersion.objects.create(version=version, name=model.name, path=version, recipe=recipe)
    version_promote(version_id=row.pk)
    return version


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack.bench.publish", description=__doc__)
    parser.add_argument("--tower", type=int, default=1, help="epochs of the history tower")
    told = parser.parse_args()
    django.setup()
    print(publish(told.tower))
    return 0


if __name__ == "__main__":
    sys.exit(main())
