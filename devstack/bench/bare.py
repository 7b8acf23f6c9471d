"""The least that a money write costs here: two rows and a commit that waits for the disk.

`python -m devstack.bench.bare --url URL --clients N --seconds S` prints commits a second.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time

import psycopg

TABLES = (
    "CREATE TABLE IF NOT EXISTS bench_pair (id bigserial PRIMARY KEY, amount int NOT NULL)",
    "CREATE TABLE IF NOT EXISTS bench_pair_line"
    " (id bigserial PRIMARY KEY, pair bigint NOT NULL, note text NOT NULL)",
)
PAIR = (
    "WITH one AS (INSERT INTO bench_pair (amount) VALUES (%s) RETURNING id)"
    " INSERT INTO bench_pair_line (pair, note) SELECT id, %s FROM one"
)


def commits(url: str, clients: int, seconds: float) -> float:
    """Transactions a second of `clients` connections, each one round trip."""
    with psycopg.connect(url, autocommit=True) as link:
        for table in TABLES:
            link.execute(table)
    done = [0] * clients
    ends = time.monotonic() + seconds

    def client(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as link:
            while time.monotonic() < ends:
                link.execute(PAIR, [number, "note"], prepare=True)
                done[number] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.monotonic() - began)


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack.bench.bare", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3)
    told = parser.parse_args()
    print(f"{commits(told.url, told.clients, told.seconds):.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
