"""`Ledger.backlog`: what is left to do, at a cost that does not grow with the ledger."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from tests.support.lists import TEXT, numbers
from tests.support.query_cost import rows_read
from yunxin_soap import Client, OutcomeUnknown
from yunxin_soap.campaign import AsyncLedger, Backlog, Ledger, State
from yunxin_soap.campaign.storage.backlog import read_backlog
from yunxin_soap.campaign.storage.dialects import ledger_time
from yunxin_soap.campaign.storage.schema import campaign, submission
from yunxin_soap.sandbox import Sandbox


def plan(ledger: Ledger, name: str, count: int) -> None:
    ledger.plan(name, numbers(count), TEXT, channel=37, max_recipients=1)


def test_backlog_counts_what_is_left(
    ledger: Ledger, ledger_url: str, client: Client, sandbox: Sandbox
) -> None:
    """It counts open and paused campaigns and single sends, and not what is settled."""
    assert ledger.backlog() == Backlog(0, 0, 0, None, None)
    plan(ledger, "done", 5)
    with sandbox.inject_fault("close", when="after"):
        ledger.run("done", client)
    plan(ledger, "open", 3)
    plan(ledger, "paused", 4)
    ledger.pause("paused", by="test")
    plan(ledger, "cancelled", 6)
    ledger.cancel("cancelled", by="test")
    with sandbox.inject_fault("close", when="after"), pytest.raises(OutcomeUnknown):
        ledger.once.send(client, "k", "13900000000", TEXT)
    assert ledger.backlog() == Backlog(7, 0, 2, None, None)

    async def main() -> Backlog:
        async with AsyncLedger(ledger_url) as twin:
            return await twin.backlog()

    assert asyncio.run(main()) == ledger.backlog()


def test_backlog_knows_the_oldest_queued_send(ledger: Ledger, engine: sa.Engine) -> None:
    """The age is by the ledger's clock, and of the first one that is pending."""
    for key, ago in (("sent", 500.0), ("first", 200.0), ("second", 100.0)):
        ledger.once.enqueue(key, "13900000000", TEXT, channel=37)
        with engine.begin() as connection:
            own = submission.c.key == key
            now = ledger_time(connection)
            connection.execute(submission.update().where(own).values(queued_at=now - ago))
    with engine.begin() as connection:
        own = submission.c.key == "sent"
        connection.execute(submission.update().where(own).values(state=State.ACCEPTED.value))
    backlog = ledger.backlog()
    assert backlog.pending == 2
    assert backlog.oldest_queued_age is not None
    assert 200.0 <= backlog.oldest_queued_age < 300.0


def test_backlog_knows_the_oldest_start(ledger: Ledger, engine: sa.Engine) -> None:
    """The age is of the first campaign that is started, unfinished and has something to send."""
    for name, ago in (("done", 500.0), ("first", 200.0), ("second", 100.0), ("stopped", 400.0)):
        plan(ledger, name, 1)
        ledger.start(name)
        with engine.begin() as connection:
            own, started_at = campaign.c.name == name, ledger_time(connection) - ago
            connection.execute(campaign.update().where(own).values(started_at=started_at))
            if name == "done":
                connection.execute(submission.update().values(state=State.ACCEPTED.value))
    plan(ledger, "not started", 1)
    ledger.stop("stopped")
    ledger.start("first", workers=2)  # it has waited since it was started first
    ledger.pause("first", by="test")
    age = ledger.backlog().oldest_started_age
    assert age is not None
    assert 200.0 <= age < 300.0
    ledger.stop("first")
    ledger.start("first")
    ledger.stop("second")
    age = ledger.backlog().oldest_started_age
    assert age is not None
    assert age < 100.0


def test_backlog_stops_counting(ledger: Ledger, engine: sa.Engine) -> None:
    """A count ends at a limit, over campaigns and single sends together."""
    plan(ledger, "a", 5)
    plan(ledger, "b", 5)
    with engine.connect() as connection:
        assert read_backlog(connection, 7).pending == 7
        assert read_backlog(connection, 100).pending == 10


def test_backlog_costs_what_is_left(ledger: Ledger, engine: sa.Engine) -> None:
    """What is settled is not read, however much it is."""
    plan(ledger, "old", 3000)
    plan(ledger, "new", 10)
    for name in ("old", "new"):
        ledger.start(name)
    with engine.begin() as connection:
        done = submission.c.campaign_id == 1
        connection.execute(submission.update().where(done).values(state=State.ACCEPTED.value))
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("ANALYZE yunxin_campaign, yunxin_submission"))
    statements: list[tuple[str, dict[str, object]]] = []

    def note(_connection: object, clause: sa.Select[tuple[int]], *_: object) -> None:
        compiled = clause.compile(engine, compile_kwargs={"literal_binds": True})
        statements.append((str(compiled), {}))

    with engine.connect() as connection:
        sa.event.listen(connection, "before_execute", note)
        backlog = read_backlog(connection)
        sa.event.remove(connection, "before_execute", note)
        assert (backlog.pending, backlog.oldest_queued_age) == (10, None)
        assert backlog.oldest_started_age is not None
        # A server is asked for its time, too.
        assert len(statements) == (8 if connection.dialect.name == "sqlite" else 9)
        read = sum(rows_read(connection, sql, values) for sql, values in statements)
    assert read < 200
