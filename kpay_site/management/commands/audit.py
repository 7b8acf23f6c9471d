"""`manage.py audit [--json]`: every invariant. Exit 0 holds, 1 broken, 2 could not check."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from kpay_site import auditing


class Command(BaseCommand):
    help = "Check every invariant of the money, points and events."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = auditing.audit()
        except DatabaseError as error:
            self.stderr.write(f"audit could not check: {error}")
            sys.exit(2)
        if options["json"]:
            self.stdout.write(json.dumps(report, ensure_ascii=False))
        else:
            self._tell(report)
        sys.exit(0 if report["ok"] else 1)

    def _tell(self, report: dict[str, Any]) -> None:
        for line in report["invariants"]:
            mark = "✘" if line["violations"] else "✔"
            self.stdout.write(
                f"{mark} {line['id']} {line['title']} ({line['checked']}, {line['violations']})"
            )
            for row in line["rows"]:
                self.stdout.write(f"    {row}")
        self.stdout.write(f"pending {report['pending']}  counts {report['counts']}")
