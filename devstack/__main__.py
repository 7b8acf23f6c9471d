"""`python -m devstack demo|test|bench|prove [arguments]`: make the environment, run inside it."""

import os
import sys

from devstack import bootstrap

COMMANDS = {"demo", "test", "bench", "prove"}


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print("usage: python -m devstack demo|test|bench|prove [arguments]", file=sys.stderr)
        return 2
    try:
        python = bootstrap.ensure()
    except bootstrap.BootstrapFailed as error:
        print(f"kpay: {error}", file=sys.stderr)
        return 1
    name = sys.argv[1]
    os.chdir(bootstrap.ROOT)
    command = [str(python), "-m", f"devstack.{name}", *sys.argv[2:]]
    os.execv(python, command)  # noqa: S606  (no shell wanted)


if __name__ == "__main__":
    sys.exit(main())
