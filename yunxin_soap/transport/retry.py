"""When a client may connect again after a submission was *not sent*."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from yunxin_soap.clock import timeout_clock

if TYPE_CHECKING:
    from yunxin_soap.transport.base import NetworkSettings


FIRST_DELAY = 0.2
"""Seconds before the first retry. Each further delay is twice as long."""


class RetrySchedule:
    """Decides how often and when one call may connect again. Does no I/O.

    A retry starts only if its connection and its full response timeout still fit into the total
    timeout. A late retry is therefore never cut short, which would make its outcome unknown.

    Args:
        settings: ``retries``, ``timeout``, ``connect_timeout`` and ``total_timeout`` count.
        started: the clock's time at the start of the call.
        clock: returns the time in seconds.
        jitter: returns a random number from 0 to 1.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        started: float,
        clock: Callable[[], float] = timeout_clock,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock, self._jitter = clock, jitter
        self._retries_left = settings.retries
        self._backoff = FIRST_DELAY
        self._last_start = (
            started + settings.total_timeout - settings.timeout - settings.connect_timeout
        )

    def next_delay(self) -> float | None:
        """Return the seconds to wait before the next attempt; None if there must be no other.

        The jitter shortens each delay by up to a half.
        """
        if self._retries_left <= 0:
            return None
        delay = self._backoff * (0.5 + self._jitter() / 2)
        if self._clock() + delay > self._last_start:
            return None
        self._retries_left -= 1
        self._backoff *= 2
        return delay
