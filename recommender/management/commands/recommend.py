"""Lists or ratings for everybody in a dataset folder; needs no database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recommender.config import cleaning_config, spark_place
from recommender.core.errors import CoreError
from recommender.management.commands.evaluate import REPORTED, checked_seed
from recommender.words import cleaning_lines


class Command(BaseCommand):
    """Trains on the whole folder and writes one CSV."""

    help = "用数据集文件夹的全部数据训练，并写出每位用户的推荐列表或评分（不需要数据库）"
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dataset", required=True, metavar="DIR")
        parser.add_argument("--model", default="auto", help="auto, or the name of a model")
        parser.add_argument("--k", type=int, default=10)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--out", required=True, metavar="FILE.csv")
        parser.add_argument("--params", default="{}", metavar="JSON")
        parser.add_argument("--tune", type=int, default=0, metavar="N")
        parser.add_argument("--rate", metavar="PAIRS.csv")
        parser.add_argument("--clean", action="store_true", help="训练前先清洗行为数据")

    def handle(self, *args: Any, **options: Any) -> None:
        # here, not at the top: listing the commands must not load torch
        from recommender.core import offline  # noqa: PLC0415
        from recommender.core.training.base import FitOptions  # noqa: PLC0415

        fit = FitOptions(seed=checked_seed(options["seed"]), spark=spark_place())
        report = None
        try:
            params = offline.parsed_params(options["params"])
            folder, out, model = options["dataset"], options["out"], options["model"]
            if options["rate"]:
                dataset = offline.rate_folder(
                    folder, options["rate"], out, model=model, params=params, options=fit
                )
            else:
                dataset, report = offline.recommend_folder(
                    folder,
                    out,
                    model=model,
                    k=options["k"],
                    params=params,
                    tune=options["tune"],
                    clean=cleaning_config() if options["clean"] else None,
                    options=fit,
                )
        except CoreError as why:
            raise CommandError(str(why)) from why
        for line in dataset.report.sentences(REPORTED):
            self.stderr.write(line)
        if report is not None:
            for line in cleaning_lines(report.as_json()):
                self.stderr.write(line)
