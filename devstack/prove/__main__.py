"""`python -m devstack prove NAME [--options]`: one proof; prints one JSON object last.

A proof is a module of this package, named in `PROOFS`, with `add_arguments(parser)` and
`run(told, server=…, state=…) -> dict` whose "ok" says whether what it claims was seen. It works
in databases of its own on the server at `server`. Exit 0 proven, 1 not.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType

from devstack.bootstrap import ROOT
from devstack.postgres import PostgresFailed
from devstack.processes import StartFailed
from devstack.stack import database

PROOFS = {
    "notifies": "10,000 orders with faulty notifies: nothing lost, doubled or homeless",
    "kills": "3,000 orders under SIGKILL, database restarts and emptied queues: the same",
    "races": "64 clients on one coupon, balance, code, refund and key: exactly one succeeds",
    "forgeries": "5,000 mutated notifies and 1,000 pushes: no effect, no 5xx, no call",
    "audit": "the audit of a million journals in 60 s and 500 MB",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m devstack prove")
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, claim in PROOFS.items():
        module = import_module(f"devstack.prove.{name}")
        module.add_arguments(names.add_parser(name, help=claim, description=module.__doc__))
    told = parser.parse_args()

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    state = Path(os.environ.get("KPAY_STATE_DIR") or ROOT / ".kpay").resolve() / "prove"
    state.mkdir(parents=True, exist_ok=True)
    try:
        with database(os.environ) as server:
            proof = import_module(f"devstack.prove.{told.name}")
            found = proof.run(told, server=server, state=state)
    except (PostgresFailed, StartFailed, subprocess.SubprocessError) as error:
        print(f"✘ {error}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    print(json.dumps(found, ensure_ascii=False), flush=True)
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
