"""Lists or ratings for everybody in a dataset folder; needs no database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from recommender.config import cleaning_config, spark_place
from recommender.core.errors import BadParams, CoreError, sentence
from recommender.core_words import in_words
from recommender.management.commands.evaluate import REPORTED
from recommender.management.speaking import SpeakingCommand, checked_seed, refused
from recommender.words import cleaning_lines, trial_lines


class Command(SpeakingCommand):
    """Trains on the whole folder and writes one CSV."""

    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.description = _(
            "用数据集文件夹的全部数据训练，并写出每位用户的推荐列表或评分（不需要数据库）"
        )
        parser.add_argument("--dataset", required=True, metavar="DIR")
        parser.add_argument("--model", default="auto", help=_("auto 或一个模型的名字"))
        parser.add_argument("--k", type=int, default=10)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--out", required=True, metavar="FILE.csv")
        parser.add_argument("--params", default="{}", metavar="JSON")
        parser.add_argument(
            "--tune", type=int, default=0, metavar="N", help=_("在验证数据上搜索参数的次数")
        )
        parser.add_argument(
            "--rate", metavar="PAIRS.csv", help=_("改为预测其中每一对用户与课程的评分")
        )
        parser.add_argument("--clean", action="store_true", help=_("训练前先清洗行为数据"))

    def handle(self, *args: Any, **options: Any) -> None:
        # here, not at the top: listing the commands must not load torch
        from recommender.core import offline  # noqa: PLC0415
        from recommender.core.training.base import FitOptions  # noqa: PLC0415

        fit = FitOptions(seed=checked_seed(options["seed"]), spark=spark_place())
        clean = cleaning_config if options["clean"] else None
        try:
            params = offline.parsed_params(options["params"])
            folder, out, model = options["dataset"], options["out"], options["model"]
            if options["rate"]:
                if options["tune"]:
                    raise BadParams(
                        sentence("--tune searches lists and cannot be used with --rate")
                    )
                done = offline.rate_folder(
                    folder,
                    options["rate"],
                    out,
                    model=model,
                    params=params,
                    clean=clean and clean(),
                    options=fit,
                )
            else:
                done = offline.recommend_folder(
                    folder,
                    out,
                    model=model,
                    k=options["k"],
                    params=params,
                    tune=options["tune"],
                    clean=clean and clean(),
                    options=fit,
                )
        except CoreError as why:
            raise refused(why) from why
        lines = [in_words(line) for line in done.dataset.report.sentences(REPORTED)]
        lines += trial_lines(model, done.search.as_json() if done.search else {})
        lines += cleaning_lines(done.cleaning.as_json() if done.cleaning else {})
        for line in lines:
            self.stderr.write(line)
