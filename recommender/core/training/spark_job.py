"""The program that Spark's driver runs: events in, item factors out, all as Parquet.

A process of its own, started by `spark_driver`: the Java machine goes with it, and nothing of
the trainer's process can hang on it. It needs pyspark and the standard library; executors need
no Python at all, since no row ever passes through Python.

    python -P spark_job.py FOLDER     FOLDER/job.json tells what to do
"""

import json
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

CHECKPOINT_EVERY = 5  # iterations; cuts the lineage, which otherwise grows until the stack ends


def main(folder: Path) -> None:
    """Writes `started`, then `item_factors` and `done.json`; on an error `failed.json`."""
    told = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    sys.excepthook = _teller(folder)
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    from pyspark.ml.recommendation import ALS  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415
    from pyspark.sql.functions import col  # noqa: PLC0415

    builder = SparkSession.builder.master(told["master"]).appName("kpay-ials")
    for name, value in told["conf"].items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    java = spark.sparkContext._gateway.proc
    try:
        spark.range(1).count()  # an executor answers: a master without any waits in here
        (folder / "started").touch()
        spark.sparkContext.setCheckpointDir((folder / "checkpoints").as_uri())
        events = spark.read.parquet((folder / "events").as_uri())
        als = ALS(
            implicitPrefs=True,
            nonnegative=False,
            userCol="user",
            itemCol="item",
            ratingCol="weight",
            numUserBlocks=told["blocks"],
            numItemBlocks=told["blocks"],
            checkpointInterval=CHECKPOINT_EVERY,
            **told["als"],
        )
        fitted = als.fit(events)
        factors = fitted.itemFactors.select("id", col("features").cast("array<float>"))
        factors.write.parquet((folder / "item_factors").as_uri())
        facts = {"spark": spark.version, "parallelism": spark.sparkContext.defaultParallelism}
        (folder / "done.json").write_text(json.dumps(facts), encoding="utf-8")
    finally:
        spark.stop()
        java.stdin.close()  # which it takes for the end
        java.wait(20)


def _teller(folder: Path) -> Any:
    """An excepthook that leaves the error as one line, and the whole of it in the log."""

    def tell(kind: type[BaseException], why: BaseException, trace: TracebackType | None) -> None:
        lines = [line.strip() for line in str(why).splitlines() if line.strip()]
        # Java's own message stands behind "An error occurred while calling …"
        java = [line.removeprefix(": ") for line in lines if line.startswith(": ")]
        line = (java or lines or [""])[0]
        failed = {"why": f"{kind.__name__}: {line}"[:500]}
        (folder / "failed.json").write_text(json.dumps(failed), encoding="utf-8")
        sys.__excepthook__(kind, why, trace)

    return tell


def _end_with_parent(folder: Path) -> None:
    """Standard input ends when the parent does, however it does: then all of this ends."""
    while os.read(0, 4096):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
