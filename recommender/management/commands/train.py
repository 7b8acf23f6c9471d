"""`manage.py train`: queue a training, and follow it with `--wait`."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from tqdm import tqdm

from kernel.errors import DomainError
from recommender import gate, run_words
from recommender.models import TrainingRun
from recommender.run_errors import error_said
from recommender.run_words import said
from recommender.selectors import run_following
from recommender.tasks import queue_training
from recommender.words import cleaning_lines

POLL_SECONDS = 0.5
HINT_SECONDS = 20.0
TELL_SECONDS = 15.0  # between lines where there is no terminal for a bar
GOOD = (TrainingRun.Status.SUCCEEDED, TrainingRun.Status.SHADOWED)
SHOWN = ("hr@10", "ndcg@10", "mrr@10", "recall@20", "coverage@10")


class Command(BaseCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.description = _("把训练任务排入队列；加 --wait 则跟踪到结束，并打印与线上模型的对比")
        parser.add_argument("--model", default="auto", help=_("模型的名字，或 auto"))
        parser.add_argument(
            "--params", default="{}", metavar="JSON", help=_("模型参数，一个 JSON 对象")
        )
        parser.add_argument("--shadow", action="store_true", help=_("作为影子发布，不替换线上模型"))
        parser.add_argument("--wait", action="store_true", help=_("跟踪任务直到结束"))
        parser.add_argument(
            "--timeout",
            type=float,
            default=6 * 3600,
            metavar="SECONDS",
            help=_("--wait 最多等待的秒数"),
        )

    def handle(self, *args: Any, **options: Any) -> None:
        params = _params(options["params"])
        publish = TrainingRun.Publish.SHADOW if options["shadow"] else TrainingRun.Publish.PROMOTE
        try:
            run = queue_training(
                model=options["model"], params=params, reason=run_words.BY_COMMAND, publish=publish
            )
        except DomainError as refused:
            raise CommandError(str(refused.message)) from refused
        self.stdout.write(_("训练任务 #%(run)s 已排队。") % {"run": run.pk})
        if not options["wait"]:
            return
        try:
            run = self._follow(run, options["timeout"])
        except KeyboardInterrupt:
            raise CommandError(
                _("已停止等待，训练任务 #%(run)s 仍会进行。") % {"run": run.pk}
            ) from None
        self._report(run)
        if run.status not in GOOD:
            raise CommandError(
                _("训练任务 #%(run)s %(status)s：%(why)s")
                % {"run": run.pk, "status": run.get_status_display(), "why": why_not(run)}
            )

    def _follow(self, run: TrainingRun, timeout: float) -> TrainingRun:
        begun = told = time.monotonic()
        hinted = False
        with tqdm(total=100, unit="%", file=self.stderr, disable=None) as bar:
            while not run.finished:
                waited = time.monotonic() - begun
                if waited > timeout:
                    raise CommandError(_("等待超时，任务仍在进行。"))
                if not hinted and waited > HINT_SECONDS and run.status == run.Status.QUEUED:
                    hinted = True
                    self.stdout.write(_("仍在排队：请确认 train 队列的 worker 正在运行。"))
                time.sleep(POLL_SECONDS)
                run = run_following(run.pk)
                bar.set_description(said(run.stage))
                bar.update(max(0, int(100 * run.progress) - bar.n))
                if bar.disable and time.monotonic() - told > TELL_SECONDS:  # no terminal
                    told = time.monotonic()
                    self.stdout.write(f"{run.progress:4.0%} {said(run.stage)}")
                    self.stdout.flush()
        return run

    def _report(self, run: TrainingRun) -> None:
        facts = {"u": run.n_users, "i": run.n_items, "n": run.n_interactions}
        self.stdout.write(_("数据：%(u)s 位学员，%(i)s 门课程，%(n)s 条行为。") % facts)
        rows = [(_("新模型"), run.metrics), (_("线上模型"), run.baseline_metrics)]
        rows += [(_("近邻基线"), run.knn_metrics), (_("热门榜"), run.popular_metrics)]
        for line in cleaning_lines(run.cleaning):
            self.stdout.write(f"  {line}")
        self.stdout.write("".join(f"{name:>13}" for name in ("", *SHOWN)))
        for name, metrics in rows:
            if metrics:
                figures = "".join(f"{metrics.get(key, float('nan')):>13.4f}" for key in SHOWN)
                self.stdout.write(f"{name:>10}{figures}")
        for name in (key[6:-1] for key in run.metrics if key.startswith("users[")):
            self.stdout.write(
                _("其中 %(name)s 的 %(n).0f 位学员：NDCG@10 %(got).4f，热门榜 %(floor).4f")
                % {
                    "name": name,
                    "n": run.metrics[f"users[{name}]"],
                    "got": run.metrics[f"ndcg@10[{name}]"],
                    "floor": run.popular_metrics[f"ndcg@10[{name}]"],
                }
            )
        for check in run.gate:
            mark = "√" if check["passed"] else "×"
            self.stdout.write(f"  {mark} {gate.sentence(check)}")
        if run.status == TrainingRun.Status.SUCCEEDED:
            self.stdout.write(_("已上线：%(version)s") % {"version": run.version})
        elif run.status == TrainingRun.Status.SHADOWED:
            self.stdout.write(_("已作为影子发布：%(version)s") % {"version": run.version})
        else:
            self.stdout.write(_("未上线，线上模型不变。"))


def _params(text: str) -> dict[str, Any]:
    try:
        params = json.loads(text)
    except (ValueError, RecursionError) as why:
        raise CommandError(_("--params 不是合法的 JSON：%(why)s") % {"why": why}) from why
    if not isinstance(params, dict):
        raise CommandError(_("--params 必须是一个 JSON 对象"))
    return params


def why_not(run: TrainingRun) -> str:
    """Why a run ended without a model that serves."""
    refused = [gate.sentence(check) for check in run.gate if not check["passed"]]
    return error_said(run) or "；".join(refused) or "-"
