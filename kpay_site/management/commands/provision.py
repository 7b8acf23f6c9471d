"""`manage.py provision FILE.json`: a shop as a document says; prints {key: id} last."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError

from kernel.errors import InvalidInput
from kpay_site.provisioning import provision


class Command(BaseCommand):
    help = "Create or update courses, plans, coupons, rules, creators, operators; idempotent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            document = orjson.loads(options["file"].read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise CommandError(f"{options['file']}: {error}") from error
        if not isinstance(document, dict):
            raise CommandError(f"{options['file']}: a JSON object is wanted")
        try:
            made = provision(document)
        except (InvalidInput, IntegrityError) as refused:
            detail = getattr(refused, "detail", "")
            raise CommandError(f"{options['file']}: {refused} {detail}") from refused
        self.stdout.write(json.dumps(made, ensure_ascii=False))
