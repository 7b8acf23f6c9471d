"""Around `migrate`: the `audit` schema of views goes and comes back, roles are brought up to date.

PostgreSQL refuses to alter a column under a view, so the views are no migrations: one
`audit.sql` per app is run after every `migrate`, then `audit_missing.sql` for parts not built yet.
"""

from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group
from django.db import connections

from accounts import roles


def drop_audit_views(using: str = "default", **_: Any) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS audit CASCADE")


def restore(using: str = "default", **kwargs: Any) -> None:
    """The audit views stand again and the staff roles hold their permissions.

    `flush` sends the same signal without a plan; it leaves views alone.
    """
    if "plan" in kwargs:
        _views(using)
    if "plan" in kwargs or not Group.objects.using(using).exists():
        # Django makes each app's permissions at that app's turn, and this app comes first.
        for config in apps.get_app_configs():
            create_permissions(config, verbosity=0, using=using)
        roles.sync()


def _views(using: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS audit CASCADE")
        cursor.execute("CREATE SCHEMA audit")
        for path in [
            *(Path(config.path) / "audit.sql" for config in apps.get_app_configs()),
            Path(__file__).with_name("audit_missing.sql"),
        ]:
            if path.is_file():
                cursor.execute(path.read_text(encoding="utf-8"))
