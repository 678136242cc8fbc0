"""Ledgers of both kinds, each for one test, and a gateway to send to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.mariadb import mariadb_database
from tests.support.postgresql import database
from yunxin_soap import AsyncClient, Client
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.campaign.models import ClaimedSubmission, Ending, Pause
from yunxin_soap.campaign.storage.claims import ClaimResult, Claims
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.campaign.storage.paces import Offer
from yunxin_soap.campaign.storage.reads import Reads
from yunxin_soap.campaign.storage.runners import RunnerIdentity
from yunxin_soap.sandbox import Sandbox


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a ledger that is not there yet."""
    if request.param == "sqlite":
        return str(tmp_path / "ledger.sqlite")
    name = {"postgresql": "on_server", "mariadb": "on_mariadb"}[request.param]
    address: str = request.getfixturevalue(name)
    return address


@pytest.fixture
def on_server(postgresql_server: None) -> Iterator[str]:
    """The address of a ledger on a PostgreSQL server."""
    yield from database()


@pytest.fixture
def on_mariadb(mariadb_server: None) -> Iterator[str]:
    """The address of a ledger on a MariaDB server."""
    yield from mariadb_database()


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """A new ledger."""
    with Ledger(ledger_url) as ledger:
        yield ledger


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A gateway that nobody else sends to."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def engine(ledger: Ledger, ledger_url: str) -> Iterator[sa.Engine]:
    """The database of that ledger, by a connection pool of its own."""
    engine = open_engine(ledger_url)
    yield engine
    engine.dispose()


@pytest.fixture
def manual_runner(engine: sa.Engine) -> Iterator[Callable[..., ManualRunner]]:
    """Makes runners of that ledger, each of whose steps a test makes itself."""
    runners: list[ManualRunner] = []

    def make(**identity: Any) -> ManualRunner:
        runners.append(ManualRunner(engine, **identity))
        return runners[-1]

    yield make
    for each in runners:
        each.identity.end()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """A client of that gateway."""
    with Client(
        "demo", "demo", endpoint=sandbox.url, channel="37", retries=0, timeout=30.0
    ) as client:
        yield client


@pytest.fixture
def async_client(sandbox: Sandbox) -> Callable[[], AsyncClient]:
    """Makes asynchronous clients of that gateway."""

    def make() -> AsyncClient:
        return AsyncClient(
            "demo", "demo", endpoint=sandbox.url, channel="37", retries=0, timeout=30.0
        )

    return make


@contextmanager
def transaction(url: str | os.PathLike[str]) -> Iterator[sa.Connection]:
    """A transaction in a ledger's database, by a connection of its own."""
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


class ManualRunner:
    """A runner of the campaign ``a`` that does nothing by itself.

    Args:
        engine: the ledger's database.
        identity: fields of its identity that differ from those of a runner of this process.
    """

    def __init__(self, engine: sa.Engine, **identity: Any) -> None:
        self._engine = engine
        self.claims = Claims(engine)
        self.campaign_id = Reads(engine).campaign_id("a")
        self.identity = replace(RunnerIdentity.new(), **identity)
        self.claims.runners.register(self.identity, self.campaign_id)

    def exchange(
        self,
        *endings: Ending,
        in_flight: Collection[int] = (),
        limit: int = 0,
        pause: Pause | None = None,
    ) -> ClaimResult:
        """Exchange with the ledger."""
        return self.claims.exchange(
            self.identity,
            self.campaign_id,
            endings=endings,
            in_flight=in_flight,
            limit=limit,
            pause=pause,
        )

    def claim(self, limit: int = 1) -> list[ClaimedSubmission]:
        """Claim submissions."""
        return self.exchange(limit=limit).claimed

    def reclaim_stalled(self) -> list[int]:
        """Reclaim what stalled runners of the campaign left."""
        with self._engine.begin() as connection:
            return self.claims.runners.reclaim_stalled(connection, self.campaign_id)


@contextmanager
def executed(engine: sa.Engine | type[sa.Engine] = sa.Engine) -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements that an engine, or every engine, executes, with their parameters."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        found.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


@contextmanager
def taken_slots() -> Iterator[list[float]]:
    """Collect the slots of paces that are taken, by the ledger's clock."""
    found: list[float] = []
    take = Offer.take

    def note(offer: Offer, sizes: Sequence[int]) -> list[float]:
        taken = take(offer, sizes)
        found.extend(taken)
        return taken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Offer, "take", note)
        yield found


def wait_for_locks(engine: sa.Engine, count: int) -> None:
    """Wait until so many connections to a server wait for a lock."""
    waits = sa.text(
        "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist"
        " ON id = trx_mysql_thread_id WHERE trx_state = 'LOCK WAIT' AND db = database()"
        if engine.dialect.name == "mysql"
        else "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND datname = current_database()"
    )
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        with engine.connect() as connection:
            if (connection.scalar(waits) or 0) >= count:
                return
        time.sleep(0.15)  # MariaDB shows what it showed last if it was asked 0.1 s ago
    raise AssertionError("nobody waits for the lock")


def ended(claimed: ClaimedSubmission, state: State, **values: Any) -> Ending:
    """Return that a submission ended just now, after a second."""
    now = time.monotonic()
    return Ending(claimed, state, now - 1, now, **values)
