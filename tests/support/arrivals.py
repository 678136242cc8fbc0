"""Store arrivals that no request has made."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sandbox.arrivals.store import ArrivalStore

NOW = datetime(2026, 10, 5, 8, 0, tzinfo=timezone.utc)


def add_arrival(store: ArrivalStore, **values: Any) -> Arrival:
    """Store an arrival and return it. Default: accepted, without recipients and message."""
    common = {
        "received_at": NOW,
        "outcome": Outcome.ACCEPTED,
        "result": "1",
        "http_status": 200,
        "remote": "127.0.0.1",
    }
    return store.add(Arrival(**{**common, **values}))
