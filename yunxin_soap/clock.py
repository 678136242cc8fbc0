"""The clocks of this machine."""

from __future__ import annotations

import time


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
