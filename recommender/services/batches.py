"""The life of a batch: cut into shards, each taken by one worker, closed with its last shard.

Shards are due rows: the broker only wakes workers, and a shard whose worker died becomes due by
itself. Leases use the database's clock.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import F, Sum
from django.db.models.functions import Now

from accounts.models import User
from kernel.queue import send
from recommender.errors import NothingServes
from recommender.models import BatchScore, BatchShard, ServingPointer

logger = logging.getLogger(__name__)

TASK = "recommender.score_shards"
QUEUE = "batch"
SHARD_USERS = 2000  # about ten seconds of one process
LEASE = timedelta(seconds=90)
MOST_ATTEMPTS = 5
FAN_OUT = 8  # tasks sent at once; each goes on until nothing is due
KEPT = 2  # finished batches whose files stay
State = BatchShard.State


@transaction.atomic
def batch_start(
    *,
    k: int = 20,
    shard_users: int = SHARD_USERS,
    reason: str = "",
    requested_by_id: int | None = None,
) -> BatchScore:
    """A batch over everybody who has a personal feed now, by the model that serves now.

    Its shards are due; workers of queue `batch` are woken after commit. NothingServes without a
    model; an unfinished batch of the same version is gone on with instead.
    """
    pointer = ServingPointer.objects.select_related("version").first()
    if pointer is None or pointer.version is None:
        raise NothingServes
    under_way = BatchScore.objects.filter(
        version=pointer.version, status=BatchScore.Status.RUNNING, k=k
    ).first()
    batch = under_way or BatchScore.objects.create(
        version=pointer.version, k=k, reason=reason[:200], requested_by_id=requested_by_id
    )
    if under_way is None:
        batch.path = f"batch-{batch.pk}"
        batch.save(update_fields=["path"])
        BatchShard.objects.bulk_create(
            BatchShard(batch=batch, number=n, first_user=first, last_user=last)
            for n, (first, last) in enumerate(_ranges(shard_users))
        )
    transaction.on_commit(lambda: batch_wake(batch.pk), robust=True)
    return batch


def _ranges(shard_users: int) -> list[tuple[int, int]]:
    """First and last key of every `shard_users` learners, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT min(id), max(id) FROM (SELECT id, (row_number() OVER (ORDER BY id) - 1) / %s"  # noqa: S608
            f" AS part FROM {User._meta.db_table} WHERE personalised_feed AND is_active) u"
            " GROUP BY part ORDER BY part",
            [max(1, shard_users)],
        )
        return list(cursor.fetchall())


def batch_wake(batch_id: int) -> int:
    """One task for each due shard, FAN_OUT at most; returns how many were sent."""
    due = BatchShard.objects.filter(batch_id=batch_id, state=State.DUE, due_at__lte=Now()).count()
    return sum(send(TASK, batch_id, queue=QUEUE) for _ in range(min(due, FAN_OUT)))


def batches_sweep() -> int:
    """Batches with due shards are woken again, finished ones closed; returns how many are open."""
    open_ids = list(
        BatchScore.objects.filter(status=BatchScore.Status.RUNNING).values_list("pk", flat=True)
    )
    for batch_id in open_ids:
        if not batch_close(batch_id=batch_id):
            batch_wake(batch_id)
    return len(open_ids)


def shard_claim(*, batch_id: int) -> BatchShard | None:
    """A due shard of the batch, leased to the caller for LEASE; None when none is due.

    Of several workers at one row the conditional UPDATE lets one through; the others try the
    next. A shard that killed MOST_ATTEMPTS workers is given up.
    """
    BatchShard.objects.filter(
        batch_id=batch_id, state=State.DUE, attempts__gte=MOST_ATTEMPTS, due_at__lte=Now()
    ).update(state=State.DEAD)
    due = BatchShard.objects.filter(batch_id=batch_id, state=State.DUE, due_at__lte=Now())
    for pk, lease in list(due.order_by("number").values_list("pk", "lease")[: 2 * FAN_OUT]):
        mine = due.filter(pk=pk, lease=lease).update(
            lease=F("lease") + 1, attempts=F("attempts") + 1, due_at=Now() + LEASE
        )
        if mine:
            return BatchShard.objects.select_related("batch__version").get(pk=pk)
    return None


def shard_renew(*, shard: BatchShard) -> bool:
    """The lease runs anew; False when the shard went to another worker."""
    mine = BatchShard.objects.filter(pk=shard.pk, lease=shard.lease, state=State.DUE)
    return bool(mine.update(due_at=Now() + LEASE))


def shard_done(*, shard: BatchShard, users: int) -> bool:
    """The shard's file is whole; False when another worker holds the shard meanwhile."""
    mine = BatchShard.objects.filter(pk=shard.pk, lease=shard.lease, state=State.DUE)
    return bool(mine.update(state=State.DONE, users=users, done_at=Now(), error=""))


def shard_failed(*, shard: BatchShard, why: str) -> None:
    """Due again at once for another try, or dead after MOST_ATTEMPTS."""
    dead = shard.attempts >= MOST_ATTEMPTS
    BatchShard.objects.filter(pk=shard.pk, lease=shard.lease, state=State.DUE).update(
        state=State.DEAD if dead else State.DUE, due_at=Now(), error=why[:500]
    )


@transaction.atomic
def batch_close(*, batch_id: int) -> bool:
    """The batch is finished when no shard is due any more: succeeded when every one is done."""
    shards = BatchShard.objects.filter(batch_id=batch_id)
    if shards.filter(state=State.DUE).exists():
        return False
    dead = shards.filter(state=State.DEAD).exists()
    users = shards.filter(state=State.DONE).aggregate(n=Sum("users"))["n"] or 0
    closed = BatchScore.objects.filter(pk=batch_id, status=BatchScore.Status.RUNNING).update(
        status=BatchScore.Status.FAILED if dead else BatchScore.Status.SUCCEEDED,
        users=users,
        finished_at=Now(),
    )
    if closed and dead:
        logger.error("batch scoring gave a shard up", extra={"batch": batch_id})
    return True


def batches_prune(keep: int = KEPT) -> list[str]:
    """Finished batches beyond the newest `keep` name no files any more; returns those paths."""
    finished = BatchScore.objects.exclude(status=BatchScore.Status.RUNNING).exclude(path="")
    old = list(finished.order_by("-pk")[keep:])
    BatchScore.objects.filter(pk__in=[batch.pk for batch in old]).update(path="")
    return [batch.path for batch in old]
