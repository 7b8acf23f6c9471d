"""The web process: `python -m kpay_site.serve` becomes granian on PORT (8000)."""

import os
import sys


def main() -> None:
    env = os.environ
    # NumPy's threads would fight with the server's; arenas cost memory by the thread, and so do
    # large arrays that glibc keeps in its heap instead of giving them back when they are freed.
    env.setdefault("OPENBLAS_NUM_THREADS", "1")
    env.setdefault("MALLOC_ARENA_MAX", "1")
    env.setdefault("MALLOC_MMAP_THRESHOLD_", "131072")
    env.setdefault("DJANGO_SETTINGS_MODULE", "kpay_site.settings")
    command = [
        sys.executable, "-m", "granian", "--interface", "wsgi",
        "--host", env.get("KPAY_WEB_HOST", "127.0.0.1"), "--port", env.get("PORT", "8000"),
        "--workers", env.get("KPAY_WEB_WORKERS", "2"),
        "--blocking-threads", env.get("KPAY_WEB_THREADS", "3"),
        "--respawn-failed-workers", "--no-ws",
        "kpay_site.wsgi:application",
    ]  # fmt: skip
    os.execve(sys.executable, command, env)  # noqa: S606  (no shell wanted)


if __name__ == "__main__":
    main()
