"""The clocks of this machine."""

from __future__ import annotations

import time
from functools import partial

# Not `time.monotonic`: freezegun stops it, and so do older releases of time-machine, but a wait for
# a socket takes real time. On a Mac, CLOCK_MONOTONIC is another clock than the one of Python.
timeout_clock = (
    partial(time.clock_gettime, getattr(time, "CLOCK_UPTIME_RAW", time.CLOCK_MONOTONIC))
    if hasattr(time, "clock_gettime")
    else partial(time.monotonic)
)
"""Returns seconds as `time.monotonic` does, but also while a test freezes time. For timeouts."""


def wall_clock() -> float:
    """Return the seconds since 1970, UTC."""
    return time.time()


def lease_clock() -> float:
    """Return seconds by a clock that only goes forward, and the same in all processes of a boot.

    It counts the time for which the machine was suspended, where the system has such a clock:
    meanwhile others may have reclaimed what this process holds.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
