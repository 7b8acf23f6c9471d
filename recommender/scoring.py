"""Lists for everybody, shard by shard. NumPy alone: any worker can do it."""

from __future__ import annotations

import csv
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from accounts.models import User
from kernel import clock
from recommender.core.errors import CoreError
from recommender.core.threads import one_blas_thread
from recommender.errors import LeaseLost
from recommender.histories import NOBODY, published_rows, read_owned_and_hidden, read_pasts
from recommender.models import BatchScore, BatchShard
from recommender.services.batches import (
    batch_close,
    batches_prune,
    shard_claim,
    shard_done,
    shard_failed,
    shard_renew,
)
from recommender.serving.holder import Loaded, load

logger = logging.getLogger(__name__)

HEADER = ("user_id", "rank", "course_id", "score")
CHUNK = 500  # learners whose past is held at once
Row = tuple[int, int, int, str]


def shards_score(batch_id: int, most: int | None = None) -> int:
    """Score due shards of the batch until none is left (or `most` are done); returns how many.

    Safe to run any number of times and in parallel. A shard's file appears whole; a worker that
    lost its shard meanwhile has written the same lists.
    """
    loaded: Loaded | None = None
    done = 0
    while most is None or done < most:
        shard = shard_claim(batch_id=batch_id)
        if shard is None:
            break
        try:
            if loaded is None:
                loaded = load(shard.batch.version.version, shard.batch.version.path)
            users = _write(shard, loaded)
        except LeaseLost:
            continue
        except (CoreError, OSError) as why:
            logger.exception("shard could not be scored", extra={"shard": shard.pk})
            shard_failed(shard=shard, why=f"{type(why).__name__}: {why}")
            continue
        done += shard_done(shard=shard, users=users)
    if batch_close(batch_id=batch_id):
        for path in batches_prune():
            shutil.rmtree(Path(settings.KPAY.model_dir) / path, ignore_errors=True)
    return done


def shard_file(shard: BatchShard) -> Path:
    return Path(settings.KPAY.model_dir) / shard.batch.path / f"part-{shard.number:05d}.csv"


def _write(shard: BatchShard, loaded: Loaded) -> int:
    """The shard's lists in its file; returns how many learners have one.

    LeaseLost when another worker took the shard over meanwhile.
    """
    final = shard_file(shard)
    final.parent.mkdir(parents=True, exist_ok=True)
    half_done = final.with_suffix(f".{shard.lease}.part")
    users = 0
    with half_done.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for chunk in _chunks(shard):
            lists = _lists(chunk, loaded, shard.batch.k)
            users += len(chunk)
            writer.writerows(lists)
            if not shard_renew(shard=shard):
                half_done.unlink()
                raise LeaseLost
        file.flush()
        os.fsync(file.fileno())
    os.replace(half_done, final)
    return users


def _chunks(shard: BatchShard) -> Iterator[list[int]]:
    """Learners of the shard who want a personal feed, CHUNK at a time."""
    wanted = User.objects.filter(
        pk__gte=shard.first_user, pk__lte=shard.last_user, personalised_feed=True, is_active=True
    )
    ids = list(wanted.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def _lists(user_ids: Sequence[int], loaded: Loaded, k: int) -> Iterator[Row]:
    """The best k courses of each learner, without what is owned, done with or waved off."""
    pasts, gone = read_pasts(user_ids), read_owned_and_hidden(user_ids)
    withdrawn = np.flatnonzero(~published_rows(loaded))
    now = clock.now().timestamp()
    histories = [pasts.get(user, NOBODY).history(loaded, now) for user in user_ids]
    hidden = [_hidden(pasts.get(user, NOBODY).done | gone[user], loaded, withdrawn)
              for user in user_ids]  # fmt: skip
    with one_blas_thread():
        found = loaded.model.best(histories, k, hidden)
    for user, (rows, scores) in zip(user_ids, found, strict=True):
        for rank, (row, score) in enumerate(zip(rows, scores, strict=True), 1):
            yield user, rank, int(loaded.course_ids[row]), f"{score:.6g}"


def _hidden(
    courses: frozenset[int], loaded: Loaded, withdrawn: NDArray[np.int64]
) -> NDArray[np.int64]:
    own = loaded.rows(np.array(sorted(courses), np.int64))
    return np.concatenate([withdrawn, own])


def merged(batch: BatchScore) -> Iterator[list[str]]:
    """All lists of a finished batch, the header first."""
    yield list(HEADER)
    for shard in batch.shards.select_related("batch").order_by("number"):
        with shard_file(shard).open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            next(rows)
            yield from rows
