"""What a database has to be to hold a ledger, and what else may be in it."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import transaction, wait_for_locks
from tests.support.lists import TEXT, numbers
from tests.support.mariadb import mariadb_database
from tests.support.postgresql import database
from yunxin_soap import Client
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.campaign.storage import dialects, schema
from yunxin_soap.errors import ConfigurationError, LedgerError, NotInLedger
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.sandbox.arrivals.sqlite import SqliteArrivals


def raw_engine(url: str) -> sa.Engine:
    """Return an engine as an application has it, without the ledger's settings."""
    if "://" not in url:
        return sa.create_engine(f"sqlite:///{url}")
    drivers = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
    address = sa.make_url(url)
    driver = drivers.get(address.get_backend_name(), address.drivername)
    return sa.create_engine(address.set(drivername=driver))


@pytest.fixture
def application(ledger_url: str) -> Iterator[sa.Engine]:
    """An application's own database, where the ledger's address is."""
    engine = raw_engine(ledger_url)
    with engine.begin() as connection:
        for name in ("campaign", "history", "ledger", "submission"):
            connection.execute(sa.text(f"CREATE TABLE {name} (x INTEGER)"))
            connection.execute(sa.text(f"INSERT INTO {name} VALUES (1)"))
    yield engine
    engine.dispose()


def test_ledger_in_an_applications_database(
    application: sa.Engine, ledger_url: str, client: Client
) -> None:
    """A ledger leaves the tables of an application alone, whatever their names are."""
    with pytest.raises(LedgerError, match="There is no ledger"):
        Ledger(ledger_url, create=False)
    with Ledger(ledger_url) as ledger:
        ledger.plan("a", numbers(3), TEXT, channel=37)
        assert ledger.run("a", client).numbers[State.ACCEPTED] == 3
    tables = set(sa.inspect(application).get_table_names())
    ours = set(schema.TABLES.tables)
    assert tables == ours | {"campaign", "history", "ledger", "submission"}
    assert all(name.startswith("yunxin_") for name in ours)
    with application.connect() as connection:
        for name in tables - ours:
            assert connection.scalars(sa.text(f"SELECT x FROM {name}")).all() == [1]


def test_ledger_in_an_applications_file_keeps_its_journal_mode(tmp_path: Path) -> None:
    """An SQLite file with other tables keeps its own journal mode."""
    with sqlite3.connect(tmp_path / "app.sqlite") as file:
        file.execute("CREATE TABLE t (x)")
    file.close()
    with transaction(tmp_path / "app.sqlite") as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"


def test_ledger_sandbox_record_is_refused(tmp_path: Path) -> None:
    """The file in which a sandbox records its arrivals cannot hold a ledger, and is unchanged."""
    path = tmp_path / "sms.sqlite"
    SqliteArrivals(path).close()
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="is the record of a sandbox: name another file"):
        Ledger(path)
    assert path.read_bytes() == before


def test_ledger_two_schemas_are_two_ledgers(on_server: str, client: Client) -> None:
    """Two ledgers in two schemas of one database do not see each other."""
    with pytest.raises(LedgerError, match=r"There is no ledger .*\?schema=sms"):
        Ledger(f"{on_server}?schema=sms", create=False)
    with (
        Ledger(on_server) as public,
        Ledger(f"{on_server}?schema=sms") as one,
        Ledger(f"{on_server}?schema=%E7%9F%AD%20%22Sms%22") as two,
    ):
        for ledger, count in ((public, 1), (one, 2), (two, 3)):
            assert ledger.campaigns() == []
            ledger.plan("a", numbers(count), TEXT, channel=37, max_recipients=1)
            assert ledger.run("a", client).numbers[State.ACCEPTED] == count
        assert [each.status("a").planned for each in (public, one, two)] == [1, 2, 3]
        assert one.purge(older_than=-60) == 2
        assert [len(list(each.results("a"))) for each in (public, one, two)] == [1, 0, 3]
    with Ledger(f"{on_server}?schema=sms", create=False) as one:
        assert one.campaigns() == ["a"]
    with transaction(on_server) as connection:
        assert set(sa.inspect(connection).get_schema_names()) > {"sms", '短 "Sms"', "public"}


@pytest.mark.parametrize("name", ["a%b", 'we"ird; name', "default", "Ünï.K"])
def test_ledger_schema_may_have_any_name(on_server: str, name: str) -> None:
    """A schema is found again by its name, whatever has to be quoted in it."""
    address = f"{on_server}?{urlencode({'schema': name})}"
    for _ in range(2):
        with Ledger(address) as ledger:
            ledger.plan("a", numbers(1), TEXT, channel=37)
    engine = sa.create_engine(on_server)
    assert {name} <= {*sa.inspect(engine).get_schema_names()}
    engine.dispose()


def test_run_on_a_host_with_a_name_of_odd_bytes(
    ledger: Ledger, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host's name may be any bytes; the history shows it printable."""
    monkeypatch.setattr(socket, "gethostname", lambda: "h\udcff\n")
    ledger.plan("a", numbers(1), TEXT, channel=37)
    ledger.run("a", client)
    (found,) = ledger.find(numbers(1)[0])
    assert found.state is State.ACCEPTED
    assert found.history[0].by.startswith("h\ufffd\ufffd/")


def test_ledger_schemas_lock_apart(on_server: str) -> None:
    """A retry in one schema does not wait for a retry or purge in another one."""
    with Ledger(f"{on_server}?schema=one") as one, Ledger(f"{on_server}?schema=two") as two:
        one.plan("a", numbers(1), TEXT, channel=37)
        two.plan("a", numbers(1), TEXT, channel=37)
        with transaction(f"{on_server}?schema=one") as connection, ThreadPoolExecutor(1) as pool:
            dialects.advisory_lock(connection, 20261124)
            assert pool.submit(two.retry, "a", by="test").result(30) == 0
            assert one.status("a").planned == 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("sqlite:///{path}?schema=x", "for PostgreSQL only"),
        ("mysql://root@127.0.0.1/x?schema=y", "for PostgreSQL only"),
        ("postgresql://postgres@127.0.0.1/x?schema=", "must name one schema"),
        ("postgresql://postgres@127.0.0.1/x?schema=a&schema=b", "must name one schema"),
    ],
)
def test_ledger_invalid_schema_is_an_error(tmp_path: Path, address: str, message: str) -> None:
    """A schema is for PostgreSQL, and one name."""
    with pytest.raises(LedgerError, match=message):
        Ledger(address.format(path=tmp_path / "l.sqlite"))


@pytest.mark.parametrize("encoding", ["GBK", "EUC_CN", "LATIN1", "SQL_ASCII"])
def test_ledger_client_encoding_is_utf8(
    on_server: str, client: Client, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """A ledger speaks UTF-8 to the server, whatever PGCLIENTENCODING says."""
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    with Ledger(on_server) as ledger:
        ledger.plan("双十二😀", numbers(1), "您好😀【签名】", channel=37)
        assert ledger.run("双十二😀", client).numbers[State.ACCEPTED] == 1
        (found,) = ledger.find(numbers(1)[0])
        assert (found.campaign, found.message) == ("双十二😀", "您好😀【签名】")


@pytest.mark.parametrize("encoding", ["EUC_CN", "LATIN1", "SQL_ASCII"])
def test_ledger_database_of_another_encoding_is_refused(
    postgresql_server: None, encoding: str
) -> None:
    """A database whose own encoding is not UTF-8 is refused when it is opened."""
    for address in database(
        f"ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    ):
        with pytest.raises(
            LedgerError, match=f"its database is {encoding}, and a ledger needs UTF"
        ):
            Ledger(address)


@pytest.mark.parametrize("charset", ["latin1", "gbk", "utf8mb4 COLLATE utf8mb4_general_ci"])
def test_ledger_tables_have_their_own_character_set(
    mariadb_server: None, client: Client, charset: str
) -> None:
    """The character set of a MySQL database does not matter: the tables have their own."""
    for address in mariadb_database(f"CHARACTER SET {charset}"):
        with Ledger(address) as ledger:
            ledger.plan("双十二😀", numbers(1), "您好😀【签名】", channel=37)
            assert ledger.run("双十二😀", client).numbers[State.ACCEPTED] == 1
            (found,) = ledger.find(numbers(1)[0])
            assert (found.campaign, found.message) == ("双十二😀", "您好😀【签名】")


ALIKE = ["Order", "order", "order ", "ｏrder", "ordér", "订单", "訂單", "😀", "😁", "ß", "ss"]
"""Texts that some collations take for the same."""


def test_names_are_the_same_only_if_their_characters_are(ledger: Ledger, client: Client) -> None:
    """Names and keys differ by case, accent, width and spaces at their end."""
    for index, name in enumerate(ALIKE):
        ledger.plan(name, numbers(index + 1), TEXT, channel=37)
        ledger.once.send(client, name, numbers(index + 1), TEXT)
    assert ledger.campaigns() == ALIKE
    assert [ledger.status(name).planned for name in ALIKE] == list(range(1, len(ALIKE) + 1))
    assert list(ledger.once.keys(State.ACCEPTED)) == ALIKE
    with pytest.raises(NotInLedger):
        ledger.status("ORDER")


def test_names_and_keys_have_a_limit(ledger: Ledger, client: Client) -> None:
    """The longest name and key are kept whole, and a longer one is an error."""
    longest = "名" * 255
    ledger.plan(longest, numbers(1), TEXT, channel=37)
    assert ledger.campaigns() == [longest]
    assert ledger.once.send(client, longest, numbers(1), TEXT).batch_no
    assert list(ledger.once.keys(State.ACCEPTED)) == [longest]
    with pytest.raises(ConfigurationError, match="255 characters at most"):
        ledger.plan(f"{longest}x", numbers(1), TEXT, channel=37)
    with pytest.raises(ConfigurationError, match="255 characters at most"):
        ledger.once.send(client, f"{longest}x", numbers(1), TEXT)


def test_long_texts_are_kept_whole(ledger: Ledger, engine: sa.Engine) -> None:
    """A message, a reason and a list of numbers of any length are kept whole."""
    long, many = "长" * 100_000, numbers(500)
    message = f"{'😀' * 8500}【签名】"  # of nearly as many segments as any message may have
    ledger.plan("a", many, message, channel=37, max_segments=255)
    with engine.begin() as connection:
        connection.execute(schema.submission.update().values(reason=long))
    (found,) = ledger.find(many[-1])
    assert (found.message, found.reason) == (message, long)
    assert [each.number for each in ledger.results("a")] == many


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_values_that_do_not_fit_are_an_error(ledger: Ledger, engine: sa.Engine) -> None:
    """A server that would cut or change a value is told not to."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    for values in ({"size": 2**40}, {"state": None}):
        with pytest.raises(sa.exc.DBAPIError), engine.begin() as connection:
            connection.execute(schema.submission.update().values(values))


def test_values_too_long_for_mariadb_are_an_error(
    on_mariadb: str,
) -> None:
    """MariaDB truncates no text, whatever its own mode is."""
    with Ledger(on_mariadb) as ledger, transaction(on_mariadb) as connection:
        ledger.plan("a", numbers(1), TEXT, channel=37)
        with pytest.raises(sa.exc.DataError, match="too long"):
            connection.execute(schema.submission.update().values(state="x" * 21))


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_connection_that_is_lost_on_its_way_back_to_the_pool_is_replaced(
    engine: sa.Engine,
) -> None:
    """The driver's error does not reach whoever has read everything."""
    is_mysql = engine.dialect.name == "mysql"
    own = sa.text("SELECT connection_id()" if is_mysql else "SELECT pg_backend_pid()")
    end = "KILL {}" if is_mysql else "SELECT pg_terminate_backend({})"

    def read(*, is_lost: bool) -> Any:
        with engine.connect() as connection:
            dialects.read_consistently(connection)
            number = connection.scalar(own)
            connection.rollback()
            lost: Any = connection.connection.driver_connection
            if is_lost:
                with engine.begin() as other:
                    other.execute(sa.text(end.format(number)))
                for _ in range(2):
                    engine.dialect.reset_isolation_level(lost)
                with pytest.raises(engine.dialect.loaded_dbapi.Error):
                    lost.cursor().execute("SELECT 1")
        return number

    first = read(is_lost=True)
    assert read(is_lost=False) != first


def test_ledger_created_by_many_at_once(ledger_url: str) -> None:
    """Several processes may create one ledger at the same moment."""
    start = Barrier(6)

    def create(index: int) -> None:
        start.wait()
        with Ledger(ledger_url) as ledger:
            ledger.plan(f"c{index}", numbers(1), TEXT, channel=37)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create, range(6)))
    with Ledger(ledger_url) as ledger:
        assert sorted(ledger.campaigns()) == [f"c{index}" for index in range(6)]
    with transaction(ledger_url) as connection:
        assert connection.scalars(sa.select(schema.ledger.c.version)).all() == [schema.VERSION]


def test_file_that_another_process_creates_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite lets the second one fail at once that switches a new file to write-ahead logging."""
    path = tmp_path / "l.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("time.sleep", lambda _seconds: other.execute("COMMIT"))
    with closing(other), Ledger(path) as ledger:
        assert ledger.campaigns() == []


class Crash(Exception):
    """Stands for the end of the process."""


@contextmanager
def crash_at(start: str, passes: int = 0) -> Iterator[None]:
    """Let a process end before a statement that starts so, after some of them passed."""
    seen: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.strip().startswith(start):
            seen.append(statement)
            if len(seen) > passes:
                raise Crash

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        with pytest.raises(Crash):
            yield
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)


@pytest.mark.parametrize(
    ("start", "passes"),
    [("CREATE TABLE", 0), ("CREATE TABLE", 1), ("CREATE TABLE", 7), ("INSERT INTO yunxin_led", 0)],
)
def test_ledger_interrupted_creation_is_continued(
    ledger_url: str, client: Client, start: str, passes: int
) -> None:
    """A ledger whose creation broke off after any table is created by the next process."""
    with crash_at(start, passes):
        Ledger(ledger_url)
    with pytest.raises(LedgerError, match="There is no ledger"):
        Ledger(ledger_url, create=False)
    with Ledger(ledger_url) as ledger:
        ledger.plan("a", numbers(1), TEXT, channel=37)
        assert ledger.run("a", client).numbers[State.ACCEPTED] == 1


def test_ledger_without_its_version_is_damaged(ledger: Ledger, ledger_url: str) -> None:
    """A ledger with campaigns, and without its version, is damaged, and is not created again."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    with transaction(ledger_url) as connection:
        connection.execute(schema.ledger.delete())
    with pytest.raises(LedgerError, match="is damaged: it has no version"):
        Ledger(ledger_url)


def test_ledger_interrupted_migration_is_continued(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that broke off after any statement is continued."""
    Ledger(ledger_url).close()
    monkeypatch.setattr(schema, "VERSION", 3)
    steps = {
        2: (
            "ALTER TABLE yunxin_campaign ADD COLUMN two INTEGER",
            "CREATE TABLE yunxin_two (x INTEGER)",
            "CREATE INDEX yunxin_two_x ON yunxin_two (x)",
        ),
        3: ("INSERT INTO yunxin_two VALUES (3)",),
    }
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    for start in ("CREATE TABLE", "CREATE INDEX", "UPDATE yunxin_ledger"):
        with crash_at(start):
            Ledger(ledger_url)
    with transaction(ledger_url) as connection:
        assert connection.scalars(sa.text("SELECT x FROM yunxin_two")).all() == [3]
        assert connection.scalar(sa.select(schema.ledger.c.version)) == 3


def test_ledger_old_server_is_refused(on_mariadb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without what a ledger needs is refused, and the error names the version."""
    monkeypatch.setattr(dialects.MySQL, "_OLDEST_MARIADB", (99, 1))
    with pytest.raises(LedgerError, match=r"it is MariaDB 1\d\.\S+, and a ledger needs .* 99\.1"):
        Ledger(on_mariadb)


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_ledger_server_that_says_nothing_is_an_error(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is accepted, and then not answered, is not waited for."""
    monkeypatch.setattr(dialects, "_CONNECT_TIMEOUT", 2)  # PostgreSQL's least
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}://user:secret@127.0.0.1:{server.getsockname()[1]}/ledger"
        with pytest.raises(LedgerError, match=r"cannot be used \(.*time") as failed:
            Ledger(address)
    assert "secret" not in str(failed.value)


def test_ledger_mariadb_statement_may_take_longer_than_to_connect(
    on_mariadb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the handshake has that bound: a lock may be waited for."""
    monkeypatch.setattr(dialects, "_CONNECT_TIMEOUT", 1)
    with transaction(on_mariadb) as connection:
        assert connection.scalar(sa.text("SELECT SLEEP(1.5)")) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"database": None}, "must name a database"),
        ({"query": {"ssl_ca": "/not/there"}}, "cannot be used .*No such file"),
    ],
)
def test_ledger_mariadb_address_that_cannot_work_is_an_error(
    on_mariadb: str, change: dict[str, Any], message: str
) -> None:
    """What is wrong in an address is one clear error."""
    address = sa.make_url(on_mariadb)._replace(**change)
    with pytest.raises(LedgerError, match=message):
        Ledger(address.render_as_string(hide_password=False))


def test_ledger_transaction_timeout_where_the_server_has_one(on_server: str) -> None:
    """PostgreSQL 17 ends a transaction that lasts long; an older one is not asked for that."""
    with transaction(on_server) as connection:
        found = connection.scalar(sa.text("SELECT current_setting('transaction_timeout', true)"))
        version = connection.dialect.server_version_info or ()
    assert found == ("5min" if version >= (17,) else None)


def test_ledger_mariadb_session(on_mariadb: str) -> None:
    """Each connection to MariaDB has what a ledger relies on."""
    with transaction(on_mariadb) as connection:
        mode, zone, isolation, charset = connection.execute(
            sa.text("SELECT @@sql_mode, @@time_zone, @@tx_isolation, @@character_set_client")
        ).one()
    assert "STRICT_ALL_TABLES" in mode
    assert (zone, isolation, charset) == ("+00:00", "READ-COMMITTED", "utf8mb4")


@pytest.mark.parametrize(
    ("flush", "has_log", "sync", "warned_of"),
    [
        (1, 0, 0, []),
        (1, 1, 1, []),
        (2, 0, 0, ["innodb_flush_log_at_trx_commit = 2"]),
        (1, 1, 0, ["sync_binlog = 0"]),
        (0, 1, 0, ["innodb_flush_log_at_trx_commit = 0 and sync_binlog = 0"]),
    ],
)
def test_ledger_warns_of_a_server_that_may_lose_commits(
    on_mariadb: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    flush: int,
    has_log: int,
    sync: int,
    warned_of: list[str],
) -> None:
    """A server that may forget its last commits in a power cut is named in the log."""
    text = sa.text

    def answer(statement: str) -> sa.TextClause:  # the setting is the whole server's
        is_asked = "@@sync_binlog" in statement
        return text(f"SELECT {flush}, {has_log}, {sync}" if is_asked else statement)

    monkeypatch.setattr(sa, "text", answer)
    Ledger(on_mariadb).close()
    messages = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(messages) == len(warned_of)
    assert all(f"since it has {found}: " in each for found in warned_of for each in messages)


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_deadlock_is_no_failure(
    ledger: Ledger, ledger_url: str, engine: sa.Engine, sandbox: Sandbox, client: Client
) -> None:
    """A decision that a server ended because of a deadlock is repeated."""
    ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=1)
    sandbox.inject_fault("code", code="-14", times=2)
    ledger.run("a", client)
    one, two = (each.submission_id for each in ledger.results("a"))
    lock = schema.submission.update().values(reason=schema.submission.c.reason)
    is_postgresql = engine.dialect.name == "postgresql"
    if is_postgresql:  # it ends who looks for the deadlock first: that must be the other ledger
        with engine.begin() as connection:
            name = engine.url.database
            connection.execute(sa.text(f"ALTER DATABASE {name} SET deadlock_timeout = '5s'"))
    with Ledger(ledger_url) as other, ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            if is_postgresql:
                connection.execute(sa.text("SET LOCAL deadlock_timeout = '1min'"))
            # MySQL ends the transaction that has changed less.
            rows = [(two, 0.0, "pending", "pending", "", "test")] * 100
            columns = "submission_id", "at", "before", "after", "detail", "by"
            dialects.bulk_insert(connection, schema.history, columns, rows)
            connection.execute(lock.where(schema.submission.c.id == two))
            retried = pool.submit(other.retry, "a", by="test")
            wait_for_locks(engine, 1)
            connection.execute(lock.where(schema.submission.c.id == one))
        assert retried.result(60) == 2


def end_other_sessions(connection: sa.Connection) -> None:
    """End every session in this database but this one."""
    if connection.dialect.name == "postgresql":
        own = "datname = current_database() AND pid <> pg_backend_pid()"
        connection.execute(
            sa.text(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {own}")
        )
        return
    others = "SELECT id FROM information_schema.processlist WHERE db = database()"
    for each in connection.scalars(sa.text(f"{others} AND id <> connection_id()")).all():
        connection.execute(sa.text(f"KILL {each}"))


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_ledger_replaces_connections_that_were_lost_while_idle(
    ledger: Ledger, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is checked before it is used, but a busy one not for what is repeated."""
    pings: list[object] = []
    real = engine.dialect.do_ping

    def ping(connection: Any) -> bool:
        pings.append(connection)
        return real(connection)

    monkeypatch.setattr(engine.dialect, "do_ping", ping)

    def read() -> int:
        with engine.connect() as connection:
            connection.scalar(sa.select(schema.ledger.c.version))
        return len(pings)

    assert (read(), read()) == (1, 2)
    with dialects.is_repeated():
        monkeypatch.setattr(dialects, "_PING_AFTER", 3600.0)
        assert read() == 2
        monkeypatch.setattr(dialects, "_PING_AFTER", 0.0)
        assert read() == 3
    with engine.connect() as connection:
        end_other_sessions(connection)
    assert ledger.campaigns() == []


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_ledger_connection_that_is_lost_before_a_read_is_an_error(
    ledger: Ledger, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is lost right after it was checked is an error of the ledger."""
    monkeypatch.setattr(dialects, "_PING_AFTER", 3600.0)
    ledger.campaigns()
    with engine.connect() as connection:
        end_other_sessions(connection)
    with dialects.is_repeated(), pytest.raises(LedgerError, match="The ledger cannot be used"):
        ledger.campaigns()
    assert ledger.campaigns() == []


@pytest.mark.parametrize(
    "address",
    [
        "sms:{}@db.example/ledger",
        "db.example/ledger?password={}",
        "host=db.example PASSWORD={} dbname=ledger",
    ],
)
def test_ledger_address_without_a_scheme_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """An address that lacks its scheme is taken for a path; an error does not quote it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LedgerError, match="it may hold a password") as caught:
        Ledger(address.format("s3cret"), create=False)
    assert "s3cret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
