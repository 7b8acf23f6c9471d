"""`manage.py import_dataset DIR`: a dataset folder into the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from tqdm import tqdm

from recommender.core.errors import DatasetError
from recommender.core.read_report import ReadReport
from recommender.core_words import in_words
from recommender.dataset_folder import read_folder
from recommender.management.speaking import SpeakingCommand, refused
from recommender.services.imports import dataset_import


class Command(SpeakingCommand):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.description = _("把数据集文件夹导入课程目录与行为表；可以重复执行")
        parser.add_argument("dir", type=Path, help=_("数据集文件夹"))
        parser.add_argument("--strict", action="store_true", help=_("遇到第一个坏行就停止"))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            folder = read_folder(options["dir"], strict=options["strict"])
        except DatasetError as why:
            raise refused(why) from why
        self._tell_bad(folder.report)
        bars: dict[str, Any] = {}
        words = {"courses": _("课程"), "users": _("学员"), "events": _("行为")}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = tqdm(total=total, desc=words[stage], file=self.stderr, disable=None)
            bars[stage].update(done - bars[stage].n)

        try:
            made = dataset_import(folder, tell=tell)
        finally:
            for bar in bars.values():
                bar.close()
        facts = {
            "name": folder.name,
            "courses": made.courses,
            "users": made.users,
            "events": made.events,
            "new_users": made.new_users,
            "new_events": made.new_events,
            "bad": folder.report.bad,
        }
        self.stdout.write(
            _(
                "%(name)s：%(courses)s 门课程，%(users)s 位学员（新增 %(new_users)s），"
                "%(events)s 条行为（新增 %(new_events)s），跳过 %(bad)s 个坏行。"
            )
            % facts
        )

    def _tell_bad(self, report: ReadReport) -> None:
        for bad in report.bad_rows:
            self.stderr.write(in_words(bad.sentence()))
        hidden = report.bad - len(report.bad_rows)
        if hidden > 0:
            self.stderr.write(_("另有 %(n)s 个坏行未列出。") % {"n": hidden})
        for note in report.notes():
            self.stderr.write(in_words(note))
