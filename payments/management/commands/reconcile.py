"""`manage.py reconcile --date YYYY-MM-DD [--channel wechat|virtual] [--json]`.

Exit 0: everything matched or was repaired. 1: differences are open. 2: a bill could not be had.
"""

import json
import sys
from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from kernel import clock
from payments.flows.reconciling import reconciliation_work
from payments.models import Reconciliation
from payments.reports import reconciliation_report
from payments.services.reconciling import channels_in_use, reconciliation_begin


class Command(BaseCommand):
    help = "Fetch the platform's bill of a day, match it, repair or report every difference."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--date", required=True, type=date.fromisoformat)
        parser.add_argument("--channel", choices=Reconciliation.Channel.values)
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        day: date = options["date"]
        if day >= clock.local_date():
            self.stderr.write(str(_("%s 还没有过完，没有账单可对。") % day))
            sys.exit(2)
        only = options["channel"]
        channels = [only] if only else channels_in_use(day) or [Reconciliation.Channel.WECHAT]
        reports = []
        for channel in channels:
            row = reconciliation_begin(channel=channel, day=day)
            reports.append(reconciliation_report(reconciliation_work(row)))
        exit_status = max(self._status(report) for report in reports)
        if options["json"]:
            whole = {"date": str(day), "ok": exit_status == 0, "reconciliations": reports}
            self.stdout.write(json.dumps(whole, ensure_ascii=False))
        else:
            for report in reports:
                self._tell(report)
        sys.exit(exit_status)

    def _status(self, report: dict[str, Any]) -> int:
        if report["status"] in ("due", "failed"):
            return 2
        return 0 if report["status"] == "done" and not report["open"] else 1

    def _tell(self, report: dict[str, Any]) -> None:
        self.stdout.write(
            f"{report['channel']} {report['date']}: {report['status']}, "
            f"{report['rows']} rows, {report['matched']} matched, "
            f"{report['repaired']} repaired, {report['closed']} closed, {report['open']} open"
        )
        if report["error"]:
            self.stdout.write(f"  {report['error']}")
        fund = report["fund"]
        if fund is not None:
            self.stdout.write(
                f"  fund: income {fund['income_fen']} expense {fund['expense_fen']} "
                f"fees {fund['fees_fen']}; our cash {fund['ours_fen']} (fen)"
            )
        for each in report["differences"]:
            self.stdout.write(
                f"  {each['state']:8} {each['subject']} {each['kind']} {each['number']} "
                f"ours {each['ours_fen']} {each['ours_status']} "
                f"theirs {each['theirs_fen']} {each['theirs_status']} {each['note']}".rstrip()
            )
