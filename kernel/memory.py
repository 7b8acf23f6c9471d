"""What a long-lived process can do about its memory."""

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Freed pages in the middle of glibc's heaps return to the system; elsewhere nothing happens.

    Threads leave holes there that glibc by itself gives back at the end of a heap alone: some
    5 MB of a web worker. Takes a millisecond.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
