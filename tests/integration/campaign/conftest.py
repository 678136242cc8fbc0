"""Ledgers of both kinds, each for one test, and a gateway to send to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.lists import TEXT as TEXT
from tests.support.lists import numbers as numbers
from tests.support.postgresql import database
from yunxin_soap import AsyncClient
from yunxin_soap.campaign import Ledger
from yunxin_soap.sandbox import Sandbox


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a ledger that is not there yet."""
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.sqlite")
    else:
        yield request.getfixturevalue("on_server")


@pytest.fixture
def on_server(postgresql_server: None) -> Iterator[str]:
    """The address of a ledger on a PostgreSQL server."""
    yield from database()


@pytest.fixture
def ledger(where: str) -> Iterator[Ledger]:
    """A new ledger."""
    with Ledger(where) as ledger:
        yield ledger


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A gateway that nobody else sends to."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Callable[..., AsyncClient]:
    """Makes clients of that gateway."""

    def make(**options: object) -> AsyncClient:
        settings = {"endpoint": sandbox.url, "channel": "37", "retries": 0, "timeout": 5.0}
        return AsyncClient("demo", "demo", **{**settings, **options})  # type: ignore[arg-type]

    return make


def wait_for_locks(ledger: Ledger, count: int) -> None:
    """Wait until so many connections to a server wait for a lock."""
    waits = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        with ledger._engine.connect() as connection:
            if (connection.scalar(waits) or 0) >= count:
                return
    raise AssertionError("nobody waits for the lock")
