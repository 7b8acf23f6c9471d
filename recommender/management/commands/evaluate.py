"""Offline evaluation of a model on a dataset folder; needs no database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recommender.config import cleaning_config, spark_place
from recommender.core.errors import CoreError
from recommender.evaluation_page import page
from recommender.words import cleaning_lines

REPORTED = 20


class Command(BaseCommand):
    """Prints or writes the JSON that the contract describes."""

    help = "在数据集文件夹上离线评估推荐模型（不需要数据库）"
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, metavar="DIR")
        parser.add_argument("--model", default="auto", help="auto, all, or the name of a model")
        parser.add_argument("--protocol", choices=("leave-last-out", "temporal", "random"))
        parser.add_argument("--k", type=int, default=10)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--json", metavar="FILE")
        parser.add_argument("--params", default="{}", metavar="JSON")
        parser.add_argument("--tune", type=int, default=0, metavar="N")
        parser.add_argument("--html", metavar="FILE", help="一页自包含的对比表和图")
        parser.add_argument("--clean", action="store_true", help="训练前先清洗训练部分的行为")
        parser.add_argument(
            "--transfer", action="store_true", help="只学过一类课程的用户，另一类排得如何"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # here, not at the top: listing the commands must not load torch
        from recommender.core.offline import evaluate_folder, parsed_params  # noqa: PLC0415
        from recommender.core.training.base import FitOptions  # noqa: PLC0415
        from recommender.core.transfer import Transfer  # noqa: PLC0415

        try:
            result, dataset = evaluate_folder(
                options["dataset"],
                model=options["model"],
                protocol=options["protocol"],
                k=options["k"],
                params=parsed_params(options["params"]),
                tune=options["tune"],
                clean=cleaning_config() if options["clean"] else None,
                between_kinds=options["transfer"],
                options=FitOptions(seed=checked_seed(options["seed"]), spark=spark_place()),
            )
            text = json.dumps(result, ensure_ascii=False, indent=2)
            if options["json"]:
                Path(options["json"]).write_text(text + "\n", encoding="utf-8")
            if options["html"]:
                results = result if isinstance(result, list) else [result]
                Path(options["html"]).write_text(page(results), encoding="utf-8")
        except (CoreError, OSError) as why:
            raise CommandError(str(why)) from why
        for line in dataset.report.sentences(REPORTED):
            self.stderr.write(line)
        first = result[0] if isinstance(result, list) else result
        if "cleaning" in first:
            for line in cleaning_lines(first["cleaning"]):
                self.stderr.write(line)
        for told in result.get("transfer", ()) if isinstance(result, dict) else ():
            self.stderr.write(Transfer(**told).sentence())
        if not options["json"]:
            self.stdout.write(text)


def checked_seed(seed: int) -> int:
    """A seed that every generator accepts."""
    if not 0 <= seed < 2**32:
        raise CommandError("--seed must lie between 0 and 4294967295")
    return seed
