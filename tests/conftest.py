"""Real PostgreSQL for every test, the sandbox over real HTTP for those that talk to WeChat."""

import os

os.environ.setdefault("KPAY_ENV", "test")
os.environ.setdefault("KPAY_RATE_LIMITS", "off")

import atexit

from devstack.postgres import EmbeddedPostgres

if not os.environ.get("DATABASE_URL", "").strip():
    # Before Django reads its settings; shared by all workers, stopped by the last one.
    _server = EmbeddedPostgres.default()
    _server.__enter__()
    atexit.register(_server.__exit__, None, None, None)
