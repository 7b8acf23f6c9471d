"""`manage.py audit [--json] [--selftest]`: every invariant of the money, points and events.

Exit 0 holds, 1 broken (or, with `--selftest`, a check or a constraint that does not do its
work), 2 could not check.
"""

import json
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django.utils.translation import gettext as _

from kernel.selftest import SelftestBusy
from kpay_site import auditing, selftesting


class Command(BaseCommand):
    help = "Check every invariant of the money, points and events."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        parser.add_argument(
            "--selftest",
            action="store_true",
            help="break each invariant in a transaction that is rolled back, and see that its "
            "constraint refuses it and the audit finds it (never in production)",
        )
        parser.add_argument(
            "--timeout",
            type=int,
            default=auditing.TIMEOUT_SECONDS,
            metavar="SECONDS",
            help="give up (exit 2) when the audit takes longer (default %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["selftest"]:
                good = self._selftest(as_json=options["json"])
            else:
                good = self._audit(as_json=options["json"], seconds=options["timeout"])
        except SelftestBusy as busy:
            self._give_up(_("%s：有表正被占用，5 秒内未能取得锁，请稍后再试。") % busy)
        except DatabaseError as error:
            self._give_up(_("无法核对：%s") % str(error).strip())
        sys.exit(0 if good else 1)

    def _give_up(self, why: str) -> NoReturn:
        self.stderr.write(why)
        sys.exit(2)

    def _audit(self, *, as_json: bool, seconds: int) -> bool:
        report = auditing.audit(timeout_seconds=seconds)
        if as_json:
            self.stdout.write(json.dumps(report, ensure_ascii=False))
        else:
            self._tell(report)
        return bool(report["ok"])

    def _tell(self, report: dict[str, Any]) -> None:
        for line in report["invariants"]:
            mark = "✘" if line["violations"] else "–" if "note" in line else "✔"
            figures = line.get("note") or f"({line['checked']}, {line['violations']})"
            self.stdout.write(f"{mark} {line['id']} {line['title']} {figures}")
            for row in line["rows"]:
                self.stdout.write(f"    {row}")
        self.stdout.write(f"pending {report['pending']}  counts {report['counts']}")

    def _selftest(self, *, as_json: bool) -> bool:
        if settings.KPAY.production:
            self._give_up(_("审计自检会短暂锁表，不在生产环境（KPAY_ENV=production）运行。"))
        lines = selftesting.run()
        if as_json:
            self.stdout.write(json.dumps([line.as_json() for line in lines], ensure_ascii=False))
        else:
            for line in lines:
                self._tell_line(line)
        return all(line.good is not False for line in lines)

    def _tell_line(self, line: selftesting.Line) -> None:
        mark = {True: "✔", False: "✘", None: "–"}[line.good]
        found = {True: _("已发现"), False: _("未发现"), None: ""}[line.detected]
        self.stdout.write(f"{mark} {line.id} {line.title}")
        told = [line.blocked_by and _("拦截：%s") % line.blocked_by, found, line.note]
        self.stdout.write("    " + " · ".join(part for part in told if part))
