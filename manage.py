#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL it serves itself an embedded PostgreSQL."""

import os
import sys
from contextlib import ExitStack

# Commands that never touch the database (contract section 1).
WITHOUT_DATABASE = {"evaluate", "recommend", "help", "version", "--version", "--help"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kpay_site.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    with ExitStack() as stack:
        command = sys.argv[1] if len(sys.argv) > 1 else "help"
        if command not in WITHOUT_DATABASE and not os.environ.get("DATABASE_URL", "").strip():
            from devstack.postgres import EmbeddedPostgres  # noqa: PLC0415

            stack.enter_context(EmbeddedPostgres.default())
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
