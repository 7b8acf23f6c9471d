"""`manage.py load_sample`: the sample shop written for the project, and its learners' doings."""

import csv
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from accounts.models import User
from content.models import Course
from feedback.services import ImportedEvent, bulk_import_events, hot_scores_refresh
from kpay_site.provisioning import provision

FOLDER = Path(settings.BASE_DIR) / "content" / "sample"


class Command(BaseCommand):
    help = "Load the sample catalogue and the sample learners' interactions; idempotent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--catalogue", action="store_true", help="courses, prices, coupons")
        parser.add_argument("--interactions", action="store_true", help="sample learners' events")
        parser.add_argument(
            "--bridge", metavar="NAME", help="rows of users of the imported data set NAME too"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["catalogue"]:
            made = provision(document())
            facts = {"courses": Course.objects.count(), "made": len(made)}
            self.stdout.write(_("%(courses)s 门课程，%(made)s 个对象") % facts)
        if options["interactions"]:
            prefix = options["bridge"]
            events = [*rows("interactions.csv", prefix), *rows("interactions_bridge.csv", prefix)]
            new = bulk_import_events(events)
            hot_scores_refresh()
            facts = {"events": len(events), "new": new}
            self.stdout.write(_("%(events)s 条行为（新增 %(new)s）") % facts)


def document() -> dict[str, Any]:
    """shop.json with the courses of all categories; operators are left to the operator."""
    shop: dict[str, Any] = orjson.loads((FOLDER / "shop.json").read_bytes())
    shop.pop("operators", None)
    courses: list[Any] = []
    for path in sorted((FOLDER / "courses").glob("*.json")):
        courses += orjson.loads(path.read_bytes())["courses"]
    return {**shop, "courses": courses}


def rows(name: str, bridge: str | None) -> Iterator[ImportedEvent]:
    """The file's rows with our ids; `ml:12` is user 12 of the data set `bridge`."""
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    courses = dict(
        Course.objects.filter(external_key__isnull=False).values_list("external_key", "pk")
    )
    users = accounts({row["user_id"] for row in read}, bridge)
    for row in read:
        if row["user_id"] in users and row["item_id"] in courses:
            yield ImportedEvent(
                user_id=users[row["user_id"]],
                course_id=courses[row["item_id"]],
                type=row["event"],
                value=float(row["value"]) if row["value"] else None,
                occurred_at=datetime.fromtimestamp(int(row["timestamp"]), UTC),
            )


def accounts(names: set[str], bridge: str | None) -> dict[str, int]:
    """{name in the file: account id}; sample learners are made, users of a data set found."""
    wanted = {}
    for name in names:
        if not name.startswith("ml:"):
            wanted[f"sample:{name}"] = name
        elif bridge:
            wanted[f"ds_{bridge}:{name.removeprefix('ml:')}"] = name
    User.objects.bulk_create(
        [
            User(username=username, nickname=f"学员{name[1:]}", password="!")  # noqa: S106  (none)
            for username, name in wanted.items()
            if username.startswith("sample:")
        ],
        ignore_conflicts=True,
    )
    found = User.objects.filter(username__in=wanted).values_list("username", "pk")
    return {wanted[username]: pk for username, pk in found}
