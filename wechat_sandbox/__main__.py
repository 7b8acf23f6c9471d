"""`python -m wechat_sandbox`: one platform on 127.0.0.1 until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from wechat_sandbox.identity import load_identity
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.server import Server


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="wechat_sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=9000, help="0 picks a free one")
    parser.add_argument(
        "--target", default="http://127.0.0.1:8000", help="where the product listens for pushes"
    )
    parser.add_argument("--keys", type=Path, required=True, help="made when missing, then kept")
    parser.add_argument("--clock-file", type=Path, help="the product's KPAY_CLOCK_OFFSET_FILE")
    parser.add_argument("--seed", type=int, help="makes the draws of faults repeatable")
    parser.add_argument("--write-keys-only", action="store_true", help="write keys and exit")
    options = parser.parse_args(arguments)

    identity = load_identity(options.keys)
    if options.write_keys_only:
        path = identity.write_environment(f"http://127.0.0.1:{options.port}")
        sys.stdout.write(f"keys in {identity.directory}, settings in {path}\n")
        return 0
    sandbox = Sandbox(
        identity, target=options.target, clock_file=options.clock_file, seed=options.seed
    )
    try:
        server = Server(sandbox, options.port)
    except OSError as error:
        sys.stderr.write(f"cannot listen on 127.0.0.1:{options.port}: {error.strerror}\n")
        return 1
    identity.write_environment(sandbox.base_url)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server.start()
    sys.stdout.write(f"sandbox ready on {sandbox.base_url}\n")
    sys.stdout.flush()
    stop.wait()
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
