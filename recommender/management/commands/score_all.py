"""`manage.py score_all`: lists for everybody by the serving model, over the workers' queue."""

from __future__ import annotations

import csv
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from tqdm import tqdm

from kernel.errors import DomainError
from recommender.models import BatchScore, BatchShard
from recommender.scoring import merged, shards_score
from recommender.services.batches import SHARD_USERS, batch_start

POLL_SECONDS = 0.5


class Command(BaseCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _("用线上模型分片为所有学员打分；中断的批次会接着进行")
        parser.add_argument("--k", type=int, default=20, help=_("每位学员的课程数"))
        parser.add_argument(
            "--shard-users",
            type=int,
            default=SHARD_USERS,
            metavar="N",
            help=_("每个分片的学员数"),
        )
        parser.add_argument("--here", action="store_true", help=_("本进程也参与打分"))
        parser.add_argument("--wait", action="store_true", help=_("跟踪批次直到结束"))
        parser.add_argument(
            "--timeout",
            type=float,
            default=6 * 3600,
            metavar="SECONDS",
            help=_("--wait 最多等待的秒数"),
        )
        parser.add_argument(
            "--out", type=Path, metavar="FILE.csv", help=_("把所有列表写入文件（会等到结束）")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["k"] <= 1000 or options["shard_users"] < 1:
            raise CommandError(_("--k 须在 1 到 1000 之间，--shard-users 至少为 1。"))
        try:
            batch = batch_start(
                k=options["k"], shard_users=options["shard_users"], reason=_("命令行")
            )
        except DomainError as refused:
            raise CommandError(str(refused.message)) from refused
        told = {"batch": batch.pk, "shards": batch.shards.count()}
        self.stdout.write(_("批量打分 #%(batch)s：%(shards)s 个分片。") % told)
        if options["here"]:
            shards_score(batch.pk)
        if options["wait"] or options["out"]:
            batch = self._follow(batch, options["timeout"])
            if batch.status != BatchScore.Status.SUCCEEDED:
                raise CommandError(_("批量打分 #%(batch)s 失败。") % told)
            self.stdout.write(_("已为 %(users)s 位学员打分。") % {"users": batch.users})
        if options["out"]:
            self._write(batch, options["out"])

    def _follow(self, batch: BatchScore, timeout: float) -> BatchScore:
        end = time.monotonic() + timeout
        with tqdm(total=batch.shards.count(), file=self.stderr, disable=None) as bar:
            while batch.status == BatchScore.Status.RUNNING:
                if time.monotonic() > end:
                    raise CommandError(_("等待超时，任务仍在进行。"))
                time.sleep(POLL_SECONDS)
                done = batch.shards.exclude(state=BatchShard.State.DUE).count()
                bar.update(done - bar.n)
                batch.refresh_from_db()
        return batch

    def _write(self, batch: BatchScore, out: Path) -> None:
        try:
            with out.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(merged(batch))
        except OSError as why:
            raise CommandError(_("无法写入 %(file)s：%(why)s") % {"file": out, "why": why}) from why
