"""`Ledger.once.enqueue` and `send_queued`: an order and its notice are committed together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.integration.campaign.conftest import executed
from tests.support.lists import TEXT
from tests.support.ports import free_port
from yunxin_soap import (
    AsyncClient,
    BalanceRejected,
    ChannelRejected,
    Client,
    ConfigurationError,
    ContentConflict,
    ContentRejected,
    InvalidRequest,
    LedgerError,
    NotInLedger,
    NotSent,
    OutcomeUnknown,
    Receipt,
    RecipientsSuppressed,
    SendError,
    SendExpired,
)
from yunxin_soap.campaign import AsyncLedger, Ledger, State
from yunxin_soap.campaign.running.once import OnceSend
from yunxin_soap.campaign.storage import dialects
from yunxin_soap.campaign.storage.dialects import ledger_time
from yunxin_soap.campaign.storage.schema import content, recipients, submission
from yunxin_soap.campaign.storage.singles import Singles
from yunxin_soap.cli.language import translate_error, using
from yunxin_soap.errors import rejected_by_code
from yunxin_soap.sandbox import Sandbox

TO = "13900000000"
LEVELS: dict[str, list[Any]] = {
    "sqlite": [None],
    "postgresql": ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"],
    "mysql": ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"],
}


@pytest.fixture
def app(ledger: Ledger, ledger_url: str) -> Iterator[sa.Engine]:
    """The application's own engine, in whose database the ledger is."""
    url = ledger_url if "://" in ledger_url else f"sqlite:///{ledger_url}"
    address = sa.make_url(url).difference_update_query(["schema"])
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mariadb+pymysql"}
    name = address.get_backend_name()
    engine = sa.create_engine(address.set(drivername=drivers.get(name, name)))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE orders (id INTEGER PRIMARY KEY)"))
    yield engine
    engine.dispose()


@pytest.fixture
def unreachable() -> Iterator[Client]:
    """A client of a gateway that is away."""
    url = f"http://127.0.0.1:{free_port()}/api/MsgSend.asmx"
    with Client("demo", "demo", channel="37", endpoint=url, retries=0) as client:
        yield client


def order(connection: sa.Connection, number: int = 1) -> None:
    connection.execute(sa.text(f"INSERT INTO orders VALUES ({number})"))


def orders(engine: sa.Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.text("SELECT id FROM orders ORDER BY id")))


def due(engine: sa.Engine) -> tuple[str, ...]:
    return tuple(Singles(engine).due_keys(1000))


def row(engine: sa.Engine, key: str) -> Any:
    with engine.connect() as connection:
        query = sa.select(submission).where(submission.c.key == key)
        return connection.execute(query).one()


def change(engine: sa.Engine, key: str, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(submission.update().where(submission.c.key == key).values(values))


def enqueue(ledger: Ledger, key: str = "k", to: str = TO, text: str = TEXT, **options: Any) -> bool:
    return ledger.once.enqueue(key, to, text, channel="37", **options)


def test_enqueue_is_part_of_the_callers_transaction(
    ledger: Ledger, app: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """An order and its notice are committed together, or neither is."""
    with app.connect() as connection:
        order(connection)
        assert enqueue(ledger, connection=connection)
        connection.rollback()
    assert orders(app) == []
    assert ledger.once.counts()[State.PENDING] == 0
    # The key is as if it had never been used.
    with app.begin() as connection:
        order(connection)
        assert enqueue(ledger, text="别的【签名】", connection=connection)
    assert orders(app) == [1]
    assert list(ledger.once.keys(State.PENDING)) == ["k"]
    receipt = ledger.once.send_queued(client, "k")
    assert (receipt.message, receipt.recipients) == ("别的【签名】", (TO,))
    assert [each.message for each in sandbox.inbox] == ["别的【签名】"]
    with app.connect() as connection:  # nothing is left of what was rolled back
        assert connection.scalar(sa.select(sa.func.count()).select_from(content)) == 1
        assert connection.scalar(sa.select(sa.func.count()).select_from(recipients)) == 1


def test_enqueue_takes_a_session(ledger: Ledger, app: sa.Engine) -> None:
    """A session of the ORM is a transaction, too, and so is a scoped one."""
    with Session(app) as session:
        order(session.connection())
        enqueue(ledger, "a", connection=session)
        session.rollback()
        order(session.connection())
        enqueue(ledger, "b", connection=session)
        session.commit()
    scoped = scoped_session(sessionmaker(app))
    enqueue(ledger, "c", connection=scoped)
    scoped.commit()
    scoped.remove()
    assert list(ledger.once.keys(State.PENDING)) == ["b", "c"]
    assert orders(app) == [1]


def test_enqueue_repeated_leaves_the_transaction_usable(ledger: Ledger, app: sa.Engine) -> None:
    """A key that is used does not abort the transaction, at any isolation level."""
    assert enqueue(ledger, "old")
    for number, level in enumerate(LEVELS[app.dialect.name.replace("mariadb", "mysql")]):
        own = app if level is None else app.execution_options(isolation_level=level)
        with own.begin() as connection:
            assert enqueue(ledger, f"new-{number}", connection=connection)
            assert not enqueue(ledger, "old", connection=connection)
            assert not enqueue(ledger, f"new-{number}", connection=connection)
            with pytest.raises(ContentConflict, match="used for other recipients"):
                enqueue(ledger, "old", text="别的【签名】", connection=connection)
            order(connection, number)
        assert number in orders(app)
    assert ledger.once.counts()[State.PENDING] == 1 + number + 1


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
@pytest.mark.parametrize("same", [True, False])
def test_enqueue_of_a_key_that_another_transaction_has_just_queued(
    ledger: Ledger, app: sa.Engine, level: str, same: bool
) -> None:
    """The second of two transactions that queue a key waits for the first, and finds its row."""
    if app.dialect.name == "sqlite":
        pytest.skip("a file has one writer at a time")
    if app.dialect.name == "postgresql" and level != "READ COMMITTED":
        pytest.skip("PostgreSQL ends a transaction with such a conflict by itself")
    own = app.execution_options(isolation_level=level)
    with ThreadPoolExecutor(1) as pool, own.begin() as second:
        orders_before = second.execute(sa.text("SELECT count(*) FROM orders")).scalar()
        with own.begin() as first:
            assert enqueue(ledger, connection=first)
            text = TEXT if same else "别的【签名】"
            later = pool.submit(enqueue, ledger, text=text, connection=second)
        if same:
            assert later.result(30) is False
        else:
            with pytest.raises(ContentConflict):
                later.result(30)
        order(second)
    assert (orders_before, orders(app)) == (0, [1])
    with app.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(content)) == 1


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux has /proc/locks")
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_enqueue_beside_the_callers_transaction_names_the_way_out(
    ledger: Ledger,
    app: sa.Engine,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without ``connection=``, the ledger waits for the caller's own transaction, and says so."""
    monkeypatch.setattr(dialects, "BUSY_TIMEOUT", 0.1)
    holder = "another transaction of this process"
    remedy = "if it is the caller's own, end it first, or pass it to once.enqueue as connection="
    with app.connect() as connection:
        order(connection)
        with pytest.raises(LedgerError) as caught:
            enqueue(ledger)
        with pytest.raises(LedgerError, match=f"; {remedy}.: this call sent nothing"):
            ledger.once.send(client, "k", TO, TEXT)
    assert str(caught.value) == (
        f"The ledger cannot be used (database is locked: {holder} has been writing it for 0 s;"
        f" {remedy})."
    )
    assert f"{holder} writes the ledger, and is waited for; {remedy}." in caplog.messages
    with using("zh"):
        assert translate_error(caught.value) == (
            "账本无法使用（database is locked：本进程的另一个事务已写入 0 秒；"
            "如果它是调用方自己的事务，请先结束它，或以 connection= 传给 once.enqueue）。"
        )
    assert enqueue(ledger)


def test_enqueue_needs_a_transaction_of_the_same_ledger(
    ledger: Ledger, app: sa.Engine, tmp_path: Path
) -> None:
    """A connection elsewhere, or one that commits each statement, is a clear error."""
    elsewhere = sa.create_engine(f"sqlite:///{tmp_path / 'app.sqlite'}")
    other = sa.create_engine(f"sqlite:///{tmp_path / 'other.sqlite'}")
    Ledger(tmp_path / "other.sqlite").close()
    each_statement = app.execution_options(isolation_level="AUTOCOMMIT")
    for engine, reason in (
        (elsewhere, "has no table yunxin_ledger: the ledger must"),
        (other, "leads to another ledger"),
        (each_statement, "is in autocommit mode"),
    ):
        with engine.connect() as connection, pytest.raises(ConfigurationError, match=reason):
            enqueue(ledger, connection=connection)
    for engine in (elsewhere, other):
        engine.dispose()
    with pytest.raises(TypeError, match="must be a Connection or a Session of SQLAlchemy, got Eng"):
        enqueue(ledger, connection=app)
    assert ledger.once.counts()[State.PENDING] == 0


def test_enqueue_finds_a_ledger_in_a_schema_that_the_connection_searches(on_server: str) -> None:
    """A ledger in a schema of its own is found by the search path of the application."""
    with Ledger(f"{on_server}?schema=sms") as ledger:
        url = sa.make_url(on_server).set(drivername="postgresql+psycopg")
        elsewhere = sa.create_engine(url)
        searching = sa.create_engine(
            url, connect_args={"options": "-c search_path=public,sms"}, poolclass=sa.NullPool
        )
        with elsewhere.connect() as connection:
            with pytest.raises(ConfigurationError, match="in a schema that its connection searc"):
                enqueue(ledger, connection=connection)
            order_table = sa.text("CREATE TABLE orders (id INTEGER)")
            connection.execute(order_table)  # the error has not ended the transaction
        with searching.begin() as connection:
            assert enqueue(ledger, connection=connection)
        elsewhere.dispose()
        assert list(ledger.once.keys(State.PENDING)) == ["k"]


def test_enqueue_checks_as_a_send_does(ledger: Ledger) -> None:
    """A broken rule is found when a send is queued."""
    for options, error in (
        ({"to": "123"}, InvalidRequest),
        ({"to": ["13900000000", "13900000001"], "max_recipients": 1}, InvalidRequest),
        ({"text": "没有签名"}, InvalidRequest),
        ({"text": "您好 {name}【签名】"}, InvalidRequest),
        ({"text": "好" * 70 + "【签名】", "max_segments": 1}, InvalidRequest),
        ({"max_segments": 0}, InvalidRequest),
        ({"max_recipients": 1001}, InvalidRequest),
        ({"key": " "}, ConfigurationError),
        ({"key": "k" * 256}, ConfigurationError),
        ({"expires_in": 0}, ConfigurationError),
        ({"expires_in": timedelta(0)}, ConfigurationError),
        ({"expires_in": float("nan")}, ConfigurationError),
        ({"expires_in": float("inf")}, ConfigurationError),
    ):
        with pytest.raises(error):
            enqueue(ledger, **options)
    with pytest.raises(InvalidRequest):
        ledger.once.enqueue("k", TO, TEXT, channel="x")
    with pytest.warns(UserWarning, match="more than 1000: it takes"):
        enqueue(ledger, "long", text="好" * 1001 + "【签名】", max_segments=20)
    assert enqueue(ledger, "signed", text="您好", signature="签名", expires_in=timedelta(hours=1))
    assert list(ledger.once.keys(State.PENDING)) == ["long", "signed"]


def test_send_queued_sends_once(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """It returns the receipt of the first call, and so does a send with the same content."""
    with pytest.raises(NotInLedger, match="Nothing was queued with the key 'k'"):
        ledger.once.send_queued(client, "k")
    enqueue(ledger)
    receipt = ledger.once.send_queued(client, "k")
    assert ledger.once.send_queued(client, "k") == receipt
    assert ledger.once.send(client, "k", TO, TEXT) == receipt
    assert not enqueue(ledger)
    assert sandbox.times_accepted(TO) == 1
    ledger.purge(older_than=-1)
    assert ledger.once.send_queued(client, "k").batch_no == receipt.batch_no
    with pytest.raises(ContentConflict, match="its content was purged"):
        enqueue(ledger)


def test_send_queued_by_two_callers_is_one_submission(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Callers of one key share one submission."""
    for number in range(10):
        enqueue(ledger, f"k{number}")
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(ledger.once.send_queued, client, f"k{number}") for _ in range(4)]
            assert len({call.result(30).batch_no for call in calls}) == 1
    assert sandbox.times_accepted(TO) == 10


def test_send_of_a_queued_key_sends_it_now(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """`once.send` with the same content sends what was queued; with other content it does not."""
    enqueue(ledger)
    with pytest.raises(ContentConflict):
        ledger.once.send(client, "k", TO, "别的【签名】")
    receipt = ledger.once.send(client, "k", TO, TEXT)
    assert ledger.once.send_queued(client, "k") == receipt
    assert sandbox.times_accepted(TO) == 1


def test_not_sent_stays_queued_with_a_growing_wait(
    ledger: Ledger, engine: sa.Engine, unreachable: Client, client: Client, sandbox: Sandbox
) -> None:
    """The wait doubles from about a second to five minutes, and is kept in the ledger."""
    enqueue(ledger)
    assert due(engine) == ("k",)
    waits = []
    for _ in range(11):
        with pytest.raises(NotSent):
            ledger.once.send_queued(unreachable, "k")
        found = row(engine, "k")
        assert found.state == State.PENDING.value
        waits.append(found.not_before - found.ended_at)
    assert due(engine) == ()
    for attempt, wait in enumerate(waits):
        assert 0.8 <= wait / min(300, 2**attempt) <= 1.2
    change(engine, "k", not_before=0.0)
    assert due(engine) == ("k",)
    assert ledger.once.send_queued(client, "k").batch_no == sandbox.inbox[0].batch_no
    assert due(engine) == ()


def test_expired_is_cancelled_with_the_reason(
    ledger: Ledger, engine: sa.Engine, unreachable: Client, client: Client, sandbox: Sandbox
) -> None:
    """What was not sent in time never is, and the history says why."""
    enqueue(ledger)
    with pytest.raises(NotSent):
        ledger.once.send_queued(unreachable, "k")
    change(engine, "k", expires_at=1.0)
    assert due(engine) == ("k",)
    for _ in range(2):
        with pytest.raises(SendExpired, match="expired at 1970-01-01 00:00:01 UTC: ") as caught:
            ledger.once.send_queued(client, "k")
    assert (caught.value.safe_to_resend, caught.value.retryable) == (True, False)
    with pytest.raises(SendExpired):
        ledger.once.send(client, "k", TO, TEXT)
    assert due(engine) == ()
    assert not enqueue(ledger)
    (found,) = ledger.find(TO)
    assert found.state is State.CANCELLED
    assert found.history[-1].after is State.CANCELLED
    assert "it was not sent before it expired" in found.history[-1].detail
    assert not sandbox.inbox


def test_send_queued_does_not_begin_after_it_has_expired(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """A send that is claimed in time, and would begin too late, is not sent."""
    enqueue(ledger, expires_in=3600)
    limits: list[float] = []
    submit = client.submit

    def late(given: Any, *, valid_until: float) -> Any:
        limits.append(valid_until)
        return submit(given, valid_until=valid_until - 3600)

    client.submit = late  # type: ignore[method-assign, assignment]
    with pytest.raises(NotSent):
        ledger.once.send_queued(client, "k")
    change(engine, "k", expires_at=row(engine, "k").expires_at - 3590)
    with pytest.raises(NotSent):
        ledger.once.send_queued(client, "k")
    assert limits[0] - limits[1] > 30  # the lease, which is longer than what was left
    assert not sandbox.inbox


@pytest.mark.parametrize(
    ("code", "error", "wait"), [("-8", ChannelRejected, 300), ("-7", BalanceRejected, 300)]
)
def test_rejected_for_a_cause_that_may_pass_stays_queued(
    ledger: Ledger,
    engine: sa.Engine,
    client: Client,
    sandbox: Sandbox,
    code: str,
    error: type[Exception],
    wait: float,
) -> None:
    """What a campaign would pause for leaves a queued send pending, to be tried again later."""
    enqueue(ledger)
    sandbox.inject_fault("code", code=code)
    with pytest.raises(error):
        ledger.once.send_queued(client, "k")
    found = row(engine, "k")
    assert (found.state, str(found.code)) == (State.PENDING.value, code)
    assert 0.8 * wait <= found.not_before - found.ended_at <= 1.2 * wait
    assert due(engine) == ()
    ledger.once.retry("k", by="小王")  # after a top-up, say
    assert due(engine) == ("k",)
    assert ledger.once.send_queued(client, "k").batch_no


def test_rejected_for_its_content_waits_for_a_person(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """A rejection of the content ends it, until an operator retries it."""
    enqueue(ledger, text="促销【签名】")
    for _ in range(2):
        with pytest.raises(ContentRejected):
            ledger.once.send_queued(client, "k")
    assert due(engine) == ()
    ledger.once.retry("k", by="小王")
    assert due(engine) == ("k",)
    assert len(sandbox.arrivals) == 1


def test_unknown_waits_for_a_person(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """An unknown send is due again only by a decision, which gives an expired one a day."""
    enqueue(ledger)
    sandbox.inject_fault("html", when="before")
    with pytest.raises(OutcomeUnknown):
        ledger.once.send_queued(client, "k")
    with pytest.raises(OutcomeUnknown, match="this call sent nothing"):
        ledger.once.send_queued(client, "k")
    assert due(engine) == ()
    change(engine, "k", expires_at=1.0)
    ledger.once.resolve("k", "resend", by="小王")
    assert due(engine) == ("k",)
    with engine.connect() as connection:
        assert 86_000 < row(engine, "k").expires_at - ledger_time(connection) <= 86_400
    assert ledger.once.send_queued(client, "k").batch_no
    assert sandbox.times_accepted(TO) == 1


def test_send_queued_whose_claim_lost_its_answer(
    ledger: Ledger, client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that was committed without an answer is sent, with the content of the ledger."""
    enqueue(ledger)
    claim = OnceSend._try_to_claim

    def lose_answer(self: OnceSend, *args: Any) -> None:
        claim(self, *args)
        self._expires_at = None
        lost = ConnectionError("the connection was lost")
        raise sa.exc.OperationalError("COMMIT", {}, lost, connection_invalidated=True)

    monkeypatch.setattr(OnceSend, "_try_to_claim", lose_answer)
    sandbox.inject_fault("code", code="-7")
    with pytest.raises(BalanceRejected):
        ledger.once.send_queued(client, "k")
    assert ledger.once.counts()[State.PENDING] == 1  # as what was queued, and not rejected


def test_do_not_send_list_is_applied_twice(
    ledger: Ledger, engine: sa.Engine, app: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """A number on the list cannot be queued; one that is put on it later is suppressed."""
    enqueue(ledger)
    ledger.suppression.add(TO, by="小王", reason="退订")
    with app.begin() as connection:
        with pytest.raises(RecipientsSuppressed):
            enqueue(ledger, "l", connection=connection)
        order(connection)
    assert orders(app) == [1]
    for _ in range(2):
        with pytest.raises(RecipientsSuppressed, match="退订"):
            ledger.once.send_queued(client, "k")
    assert due(engine) == ()
    (found,) = ledger.find(TO)
    assert (found.state, found.history[-1].after) == (State.SUPPRESSED, State.SUPPRESSED)
    assert not sandbox.arrivals


def test_enqueue_of_a_key_that_was_not_sent_queues_it(
    ledger: Ledger, engine: sa.Engine, unreachable: Client, client: Client
) -> None:
    """What `once.send` could not send is pending, and can be queued after all."""
    with pytest.raises(NotSent):
        ledger.once.send(unreachable, "k", TO, TEXT)
    with pytest.raises(NotInLedger, match="was not queued"):
        ledger.once.send_queued(client, "k")
    assert due(engine) == ()
    assert enqueue(ledger)
    assert not enqueue(ledger)
    assert due(engine) == ("k",)
    assert ledger.once.send_queued(client, "k").batch_no


@pytest.mark.parametrize(
    ("error", "is_queued"),
    [
        (NotSent("the gateway is away"), True),
        (rejected_by_code(-7), True),
        (rejected_by_code(-16), False),
        (OutcomeUnknown("no response"), False),
    ],
    ids=["not sent", "balance", "number", "unknown"],
)
def test_enqueue_of_a_key_in_flight_queues_it_unless_it_is_sent(
    ledger: Ledger,
    engine: sa.Engine,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    error: SendError,
    is_queued: bool,
) -> None:
    """The end of a single send in flight is that of a queued one, if it was queued meanwhile."""
    queued = []

    def submit(*_: Any, **__: Any) -> Receipt:
        queued.extend([enqueue(ledger), enqueue(ledger)])
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(client, "submit", submit)
        with pytest.raises(type(error)):
            ledger.once.send(client, "k", TO, TEXT)
    assert queued == [True, False]
    assert (row(engine, "k").state == State.PENDING.value) is is_queued
    if is_queued:
        assert row(engine, "k").not_before is not None
        change(engine, "k", not_before=None)
        assert due(engine) == ("k",)
        assert ledger.once.send_queued(client, "k").batch_no


def test_changed_content_is_never_sent(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """A text that is not the one that was queued is damage, not a message."""
    enqueue(ledger)
    with engine.begin() as connection:
        connection.execute(content.update().values(message="别的【签名】"))
    with pytest.raises(LedgerError, match="is not what was queued"):
        ledger.once.send_queued(client, "k")
    assert not sandbox.arrivals


def test_enqueue_takes_few_statements(ledger: Ledger, app: sa.Engine) -> None:
    """The transaction of an application waits for few round trips."""
    enqueue(ledger, "first")
    with app.begin() as connection:
        enqueue(ledger, "second", connection=connection)
        with executed(app) as statements:
            enqueue(ledger, "third", connection=connection)
    assert len(statements) <= 8


def test_async_enqueue_takes_an_asynchronous_transaction(
    ledger: Ledger, ledger_url: str, app: sa.Engine, async_client: Callable[[], AsyncClient]
) -> None:
    """`AsyncLedger.once.enqueue` is part of the transaction of a connection or a session."""

    async def main() -> None:
        async with AsyncLedger(ledger_url) as own, async_client() as client:
            once = own.once
            assert await once.enqueue("a", TO, TEXT, channel=37)
            with app.begin() as connection, pytest.raises(TypeError, match="must be an AsyncConn"):
                await once.enqueue("b", TO, TEXT, channel=37, connection=connection)  # type: ignore[arg-type]
            if app.dialect.name == "postgresql":  # its driver has both kinds
                engine = create_async_engine(app.url)
                async with engine.connect() as connection:
                    with pytest.raises(TypeError, match="must be a Connection or a Session"):
                        enqueue(ledger, connection=connection)
                    assert await once.enqueue("c", TO, TEXT, channel=37, connection=connection)
                    await connection.rollback()
                async with AsyncSession(engine) as session:
                    assert await once.enqueue("d", TO, TEXT, channel=37, connection=session)
                    await session.commit()
                await engine.dispose()
                await once.send_queued(client, "d")
            await once.send_queued(client, "a")
            with pytest.raises(NotInLedger):
                await once.send_queued(client, "c")

    asyncio.run(main())
    assert ledger.once.counts()[State.PENDING] == 0


def test_send_queued_cancelled_is_recorded(
    ledger: Ledger,
    ledger_url: str,
    engine: sa.Engine,
    sandbox: Sandbox,
    async_client: Callable[[], AsyncClient],
) -> None:
    """A task that is cancelled while it sends leaves the outcome in the ledger."""
    enqueue(ledger)
    sandbox.inject_fault("delay", seconds=30)

    async def main() -> None:
        async with AsyncLedger(ledger_url) as own, async_client() as client:
            task = asyncio.create_task(own.once.send_queued(client, "k"))
            give_up = time.monotonic() + 30
            while not sandbox.arrivals and time.monotonic() < give_up:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert row(engine, "k").state == State.UNKNOWN.value
