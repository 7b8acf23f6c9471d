#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL it serves itself an embedded PostgreSQL."""

import os
import sys
from contextlib import ExitStack

# Commands that never touch the database (contract section 1).
WITHOUT_DATABASE = {"evaluate", "recommend", "help", "version", "--version"}
HELP = {"-h", "--help"}


def needs_database(arguments: list[str]) -> bool:
    """Whether this command line does more than print, or than work on files."""
    if not arguments or arguments[0] in WITHOUT_DATABASE:
        return False
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return not HELP.intersection(own)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kpay_site.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    with ExitStack() as stack:
        if needs_database(sys.argv[1:]) and not os.environ.get("DATABASE_URL", "").strip():
            from devstack.postgres import EmbeddedPostgres, PostgresFailed  # noqa: PLC0415

            try:
                stack.enter_context(EmbeddedPostgres.default())
            except PostgresFailed as why:
                sys.exit(f"kpay: {why}")
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
