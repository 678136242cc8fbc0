"""Server-sent events: each new arrival, cleared arrivals, changed faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic_core import to_json

from yunxin_soap.sandbox.arrivals.models import Arrival
from yunxin_soap.sandbox.arrivals.store import ArrivalStore
from yunxin_soap.sandbox.inbox import schemas

MAX_BEHIND = 1000
"""Events that can wait for a slow client before its connection is aborted."""
_KEEPALIVE = 15.0
"""Seconds without an event after which a comment is sent, so that a dead client is noticed."""


class EventQueue:
    """The events that wait for one client.

    Other threads add events; the client's event loop takes them out.

    Args:
        arrivals: the store whose arrivals the events describe.
        disconnect: called when the client is too slow; its events are lost.
        max_behind: events that can wait before the client is disconnected.
    """

    def __init__(
        self,
        arrivals: ArrivalStore,
        disconnect: Callable[[], None],
        *,
        max_behind: int = MAX_BEHIND,
    ) -> None:
        self._arrivals, self._disconnect = arrivals, disconnect
        # Events are rendered when they are sent: until then the store may drop their arrival.
        self._queue: asyncio.Queue[Callable[[], bytes]] = asyncio.Queue(max_behind)
        self._loop = asyncio.get_running_loop()
        self._faults_pending = False

    def add_arrival(self, arrival: Arrival | None) -> None:
        """Add an event for a new arrival, or for cleared arrivals if there is none."""
        event = partial(self._arrival_event, arrival.id) if arrival is not None else _cleared_event
        call_threadsafe(self._loop, self._add, event)

    def add_faults_changed(self) -> None:
        """Add an event that the faults have changed."""
        call_threadsafe(self._loop, self._add_faults)

    async def next(self) -> bytes:
        """Return the next event, or a comment if none comes for a while."""
        try:
            event = await asyncio.wait_for(self._queue.get(), _KEEPALIVE)
        except asyncio.TimeoutError:
            return b": keepalive\n\n"
        return event()

    def _add(self, event: Callable[[], bytes]) -> None:
        if self._queue.full():
            self._disconnect()
        else:
            self._queue.put_nowait(event)

    def _add_faults(self) -> None:
        if not self._faults_pending:  # one event covers all changes until it is sent
            self._faults_pending = True
            self._add(self._faults_event)

    def _faults_event(self) -> bytes:
        self._faults_pending = False
        return b"event: faults\ndata: {}\n\n"

    def _arrival_event(self, arrival_id: int) -> bytes:
        arrival = self._arrivals.arrival(arrival_id)
        if arrival is None:
            return b""  # the store has dropped it
        data = schemas.Arrival.of(arrival).shortened().model_dump(mode="json")
        data |= {"total": self._arrivals.kept, "dropped": self._arrivals.dropped}
        return b"event: arrival\ndata: " + to_json(data) + b"\n\n"


def _cleared_event() -> bytes:
    return b"event: cleared\ndata: {}\n\n"


def call_threadsafe(
    loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: Any
) -> None:
    """Schedule a call in an event loop from any thread, unless the loop is closed."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, *args)
