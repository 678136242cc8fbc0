"""Server-sent events: what one listener hears of a sandbox, as it happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from yunxin_soap.sandbox.arrivals.store import Arrival, Record
from yunxin_soap.sandbox.inbox import views

MAX_BEHIND = 1000
"""Events that a slow listener may be behind before it is cut off."""
_KEEP_ALIVE = 15.0


class Follower:
    """One listener; what it is told comes from any thread, what it hears in its event loop.

    Args:
        record: of what it hears.
        cut_off: called when it is too slow: what it did not read is let go.
    """

    def __init__(self, record: Record, cut_off: Callable[[], None]) -> None:
        self._record, self._cut_off = record, cut_off
        # Made when they are heard: what a slow listener is behind with may be dropped meanwhile.
        self._queue: asyncio.Queue[Callable[[], bytes]] = asyncio.Queue(MAX_BEHIND)
        self._loop = asyncio.get_running_loop()
        self._faults_are_due = False

    def arrived(self, arrival: Arrival | None) -> None:
        """Tell it of a new message, or that all are forgotten."""
        event = partial(self._message, arrival.number) if arrival is not None else _cleared
        threadsafe(self._loop, self._tell, event)

    def faults_changed(self) -> None:
        """Tell it that it may look at the faults again."""
        threadsafe(self._loop, self._tell_of_faults)

    async def hear(self) -> bytes:
        """Return what comes next, or after a while that it still listens."""
        try:
            event = await asyncio.wait_for(self._queue.get(), _KEEP_ALIVE)
        except asyncio.TimeoutError:
            return b": still here\n\n"
        return event()

    def _tell(self, event: Callable[[], bytes]) -> None:
        if self._queue.full():
            self._cut_off()
        else:
            self._queue.put_nowait(event)

    def _tell_of_faults(self) -> None:
        if not self._faults_are_due:  # once is enough, however often they change
            self._faults_are_due = True
            self._tell(self._faults)

    def _faults(self) -> bytes:
        self._faults_are_due = False
        return b"event: faults\ndata: {}\n\n"

    def _message(self, number: int) -> bytes:
        arrival = self._record.arrival(number)
        if arrival is None:
            return b""
        kept = {"total": self._record.kept, "dropped": self._record.dropped}
        data = json.dumps(views.listed(arrival) | kept, ensure_ascii=False)
        return f"event: message\ndata: {data}\n\n".encode()


def _cleared() -> bytes:
    return b"event: cleared\ndata: {}\n\n"


def threadsafe(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: Any) -> None:
    """Have a loop call something soon, unless it has ended."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, *args)
