"""The queue of server-sent events, without a server."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from typing import Any

import pytest

from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sandbox.arrivals.store import ArrivalStore
from yunxin_soap.sandbox.inbox.events import EventQueue

pytestmark = pytest.mark.asyncio


def add(store: ArrivalStore, message: str) -> Arrival:
    """Add a rejected arrival."""
    return store.add(
        Arrival(
            received_at=datetime.now(timezone.utc),
            outcome=Outcome.REJECTED,
            result="-5",
            http_status=200,
            remote="127.0.0.1",
            message=message,
        )
    )


def parse(event: bytes) -> tuple[str, Any]:
    """Return the name and the data of an event."""
    name, data = event.decode().removesuffix("\n\n").split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def test_event_queue_arrivals_come_in_order() -> None:
    """Each event has the arrival and the totals of the moment when it is sent."""
    store = ArrivalStore()
    events = EventQueue(store, disconnect=lambda: None)
    for message in ("第一条", "第二条"):
        events.add_arrival(add(store, message))
    for message in ("第一条", "第二条"):
        name, data = parse(await events.next())
        assert (name, data["message"], data["total"], data["dropped"]) == ("arrival", message, 2, 0)


async def test_event_queue_arrival_no_longer_kept_is_left_out() -> None:
    """An event has no data for an arrival that the store no longer has."""
    store = ArrivalStore()
    events = EventQueue(store, disconnect=lambda: None)
    events.add_arrival(add(store, "第一条"))
    store.clear()
    events.add_arrival(None)
    events.add_arrival(add(store, "第二条"))
    assert await events.next() == b""
    assert parse(await events.next()) == ("cleared", {})
    assert parse(await events.next())[1]["message"] == "第二条"


async def test_event_queue_changed_faults_are_one_event_until_it_is_sent() -> None:
    """Many changes of faults cost a slow client one event; later ones are a new event."""
    events = EventQueue(ArrivalStore(), disconnect=lambda: None)
    for _ in range(3):
        events.add_faults_changed()
    events.add_arrival(None)
    assert parse(await events.next()) == ("faults", {})
    assert parse(await events.next()) == ("cleared", {})
    events.add_faults_changed()
    assert parse(await events.next()) == ("faults", {})


async def test_event_queue_client_too_far_behind_is_disconnected() -> None:
    """The queue holds ``max_behind`` events; the next one disconnects the client."""
    disconnected: list[bool] = []
    events = EventQueue(ArrivalStore(), disconnect=lambda: disconnected.append(True), max_behind=2)
    for _ in range(2):
        events.add_arrival(None)
    assert await events.next()
    await asyncio.sleep(0)  # the event loop adds both
    assert not disconnected
    for _ in range(2):
        events.add_arrival(None)
    await asyncio.sleep(0)
    assert disconnected == [True]
    assert await events.next()
    assert await events.next()
