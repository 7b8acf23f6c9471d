"""Offline evaluation of a model on a dataset folder; needs no database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from recommender.config import cleaning_config, spark_place
from recommender.core.errors import CoreError, Sentence
from recommender.core.read_report import ReadReport
from recommender.core_words import in_words
from recommender.evaluation_page import page
from recommender.management.speaking import SpeakingCommand, checked_seed, refused
from recommender.words import cleaning_lines, failed_line, trial_lines

REPORTED = 20


class Command(SpeakingCommand):
    """Prints or writes the JSON that the contract describes."""

    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.description = _("在数据集文件夹上离线评估推荐模型（不需要数据库）")
        parser.add_argument("--dataset", required=True, metavar="DIR")
        parser.add_argument("--model", default="auto", help=_("auto、all 或一个模型的名字"))
        parser.add_argument("--protocol", choices=("leave-last-out", "temporal", "random"))
        parser.add_argument("--k", type=int, default=10)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--json", metavar="FILE")
        parser.add_argument("--params", default="{}", metavar="JSON")
        parser.add_argument(
            "--tune", type=int, default=0, metavar="N", help=_("在验证数据上搜索参数的次数")
        )
        parser.add_argument("--html", metavar="FILE", help=_("一页自包含的对比表和图"))
        parser.add_argument("--clean", action="store_true", help=_("训练前先清洗训练部分的行为"))
        parser.add_argument(
            "--transfer", action="store_true", help=_("只学过一类课程的用户，另一类排得如何")
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # here, not at the top: listing the commands must not load torch
        from recommender.core.offline import (  # noqa: PLC0415
            check_writable,
            evaluate_folder,
            parsed_params,
        )
        from recommender.core.training.base import FitOptions  # noqa: PLC0415

        seed = checked_seed(options["seed"])
        try:
            check_writable(options["json"], options["html"])
            result, dataset = evaluate_folder(
                options["dataset"],
                model=options["model"],
                protocol=options["protocol"],
                k=options["k"],
                params=parsed_params(options["params"]),
                tune=options["tune"],
                clean=cleaning_config() if options["clean"] else None,
                between_kinds=options["transfer"],
                options=FitOptions(seed=seed, spark=spark_place()),
            )
            results = result if isinstance(result, list) else [result]
            text = json.dumps(_said(result), ensure_ascii=False, indent=2)
            if options["json"]:
                Path(options["json"]).write_text(text + "\n", encoding="utf-8")
            if options["html"]:
                Path(options["html"]).write_text(page(results), encoding="utf-8")
        except (CoreError, OSError) as why:
            raise refused(why) from why
        self._tell(results, dataset.report)
        if not options["json"]:
            self.stdout.write(text)

    def _tell(self, results: list[dict[str, Any]], report: ReadReport) -> None:
        """Beside the JSON: what was read, left out, tried, and what failed."""
        from recommender.core.transfer import Transfer  # noqa: PLC0415

        lines = [in_words(line) for line in report.sentences(REPORTED)]
        for one in results:
            if "failed" in one:
                lines.append(failed_line(one))
            lines += trial_lines(one["model"], one.get("tuning", {}))
        lines += cleaning_lines(next((r["cleaning"] for r in results if "cleaning" in r), {}))
        lines += [in_words(Transfer(**one).sentence()) for one in results[0].get("transfer", ())]
        if "transfer_note" in results[0]:
            why = in_words(results[0]["transfer_note"])
            lines.append(_("分类之间的比较没有结果：%(why)s") % {"why": why})
        for line in lines:
            self.stderr.write(line)


def _said(value: Any) -> Any:
    """The same with every sentence of the core in the reader's language."""
    if isinstance(value, dict):
        return {key: _said(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_said(part) for part in value]
    return in_words(value) if isinstance(value, Sentence) else value
