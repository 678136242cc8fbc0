"""Everything that differs between SQLite in a file, and PostgreSQL, MySQL and MariaDB on a server.

`dialect_of` gives the class of a database; the functions below are what all of them can do.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import socket
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from shutil import disk_usage
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable

from yunxin_soap.campaign.storage.lock_holder import THIS_PROCESS, lock_holder
from yunxin_soap.campaign.storage.reserve import RESERVE_SIZE, make_reserve, release_reserve
from yunxin_soap.errors import LedgerError
from yunxin_soap.sentences import Sentence, text_of

_log = logging.getLogger(__name__)
LOCK_TIMEOUT = 60
"""Seconds to wait for a lock on a server: its holder may be suspended."""
BUSY_TIMEOUT = 30.0
"""Seconds to wait for another SQLite writer."""
_WAL_POLL = 0.01
"""Seconds until the next try to switch a file to write-ahead logging."""
_SILENCE = 1.0
"""Seconds of that wait after which the log says for whom it is."""
_OWN_TRANSACTION = Sentence(
    "; if it is the caller's own, end it first, or pass it to once.enqueue as connection="
)
"""What to do if this process has locked the file itself."""
IDLE_TIMEOUT = 30
"""Seconds after which a server ends a transaction whose process does nothing: it may be frozen, or
its machine gone, and other runners wait for its locks."""
_TRANSACTION_TIMEOUT = 300
"""Seconds after which a server ends a transaction, where it can; planning and reading may last."""
READ_ONLY = "yunxin_read_only"
"""The execution option of a connection that only reads, and so takes no write lock."""
_CONNECT_TIMEOUT = 10
_PING_AFTER = 1.0
"""Seconds without use after which a connection is checked even for what is repeated if it fails."""
_is_repeated: ContextVar[bool] = ContextVar("yunxin_is_repeated", default=False)
"""Whether the caller repeats what fails because its connection was lost."""
_SILENCE_TIMEOUT = 3600
"""Seconds of a silent MySQL server, within one statement, after which a connection is given up.

No statement of a ledger takes that long: the longest wait for a lock is the half an hour of a
second plan, and each statement of a cancel, a purge or a report of a million submissions takes some
seconds.
"""
# A server that vanishes silently is noticed within half a minute instead of hours.
_KEEPALIVE_IDLE, _KEEPALIVE_INTERVAL, _KEEPALIVE_COUNT = 10, 5, 4
_TCP_USER_TIMEOUT = 30_000
_Rows = Sequence[tuple[Any, ...]]
_Types = Mapping[str, sa.types.TypeEngine[Any]]


class WritingCTEs:
    """The parts of a PostgreSQL statement that changes several tables."""

    now: sa.ColumnElement[float] = sa.cast(
        sa.extract("epoch", sa.func.statement_timestamp()), sa.Double()
    )
    """The ledger's time when the statement began: before it waited for any lock."""

    @staticmethod
    def next_id(table: sa.Table) -> sa.ColumnElement[int]:
        """Return the next id of a table that numbers its rows."""
        return sa.func.nextval(sa.func.pg_get_serial_sequence(table.name, "id"))

    @staticmethod
    def insert_unless_used(
        column: sa.Column[Any], values: Mapping[str, Any], condition: sa.ColumnElement[bool]
    ) -> postgresql.Insert:
        """Insert a row on a condition, unless another one has its value of a unique column."""
        row = [
            each if isinstance(each, sa.ColumnElement) else sa.literal(each)
            for each in values.values()
        ]
        return (
            postgresql.insert(column.table)
            .from_select([*values], sa.select(*row).where(condition))
            .on_conflict_do_nothing(index_elements=[column])
        )


class Dialect(ABC):
    """What one kind of database needs to hold a ledger."""

    name: str
    """SQLAlchemy's name of it."""
    schemes: tuple[str, ...]
    """The schemes of its addresses."""
    driver: str
    """The package of its driver, as in the module names of its errors."""
    extra: str
    """The extra of this package that installs the driver."""
    writing_ctes: WritingCTEs | None = None
    """What a statement that changes several tables needs; None: there is no such statement."""
    is_local = False
    """Whether every runner is on this machine."""

    def full_address(self, address: sa.URL) -> sa.URL:
        """Return an address with one of the schemes as SQLAlchemy needs it.

        Raises:
            LedgerError: a ledger cannot be there.
        """
        return address.set(drivername=f"{self.name}+{self.driver}")

    def scheme_of_driver(self, module: str) -> str:
        """Return SQLAlchemy's scheme for a driver, which an application may have chosen."""
        return f"{self.name}+{module.lower()}"

    def address_of_settings(self, settings: Mapping[str, Any]) -> str:
        """Return the address, with its password, of a database in Django's ``DATABASES``.

        Args:
            settings: ``NAME``, ``USER``, ``PASSWORD``, ``HOST``, ``PORT`` and ``OPTIONS``.

        Raises:
            LedgerError: an address cannot carry one of the options.
        """
        host, port, query = settings["HOST"], settings["PORT"], self._query_of(settings["OPTIONS"])
        if host.startswith("/") or "," in host:  # a folder or file with a socket, or several hosts
            query |= {self._host_option: host} | ({"port": str(port)} if port else {})
            host = port = ""
        return sa.URL.create(
            self.name,
            username=settings["USER"] or None,
            password=settings["PASSWORD"] or None,
            host=host or None,
            port=int(port) if port else None,
            database=str(settings["NAME"] or "") or None,
            query=query,
        ).render_as_string(hide_password=False)

    _host_option = "host"
    _own_options: frozenset[str] = frozenset()
    """The options of Django's that a ledger's own connections do not need: they have their own."""

    def _query_of(self, options: Mapping[str, Any]) -> dict[str, str]:
        """Return the query of an address for the options of a connection."""
        needed = {name: value for name, value in options.items() if name not in self._own_options}
        for name, value in needed.items():
            if not isinstance(value, (str, int)):
                raise LedgerError(
                    Sentence(
                        "the ledger's own connections cannot be made with OPTIONS[{name}]",
                        name=repr(name),
                    )
                )
        return {name: str(value) for name, value in needed.items()}

    def file_of(self, address: sa.URL) -> str | None:
        """Return the path of the ledger's file; None if it is on a server."""
        return None

    def split_schema(self, address: sa.URL) -> tuple[sa.URL, str | None]:
        """Return an address without ``?schema=…``, and the name of that schema.

        Raises:
            LedgerError: it has one, which is for PostgreSQL only.
        """
        if "schema" in address.query:
            raise LedgerError("?schema= is for PostgreSQL only: name the database in the address.")
        return address, None

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of `sqlalchemy.create_engine`."""
        return {
            # The end of a send must be recorded, however many threads want a connection.
            "max_overflow": -1,
            # Whatever the server's default is: after waiting for a lock, a transaction must see
            # what was committed meanwhile.
            "isolation_level": "READ COMMITTED",
        }

    @abstractmethod
    def set_up(self, engine: sa.Engine, namespace: str | None) -> None:
        """Register the settings that each new connection of an engine needs.

        Args:
            engine: the engine.
            namespace: the PostgreSQL schema of the ledger, if the address names one.
        """

    def check_server(self, connection: sa.Connection) -> str:
        """Return why the server cannot hold a ledger; empty if it can."""
        return ""

    @contextlib.contextmanager
    def creating(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Give a transaction in which no other process creates or migrates the same ledger."""
        with engine.begin() as connection:
            self.advisory_lock(connection, _CREATE_LOCK)
            yield connection

    def enable_wal(self, engine: sa.Engine) -> None:  # noqa: B027 - a server has nothing to do
        """Let readers and a writer not wait for each other; a server does that anyway."""

    def truncate_wal(self, engine: sa.Engine) -> str:
        """Remove deleted data; return what prevents it. A server does that by itself, later."""
        return ""

    def read_consistently(self, connection: sa.Connection) -> None:
        """Let everything that a connection reads be of one moment, for as long as it takes."""
        try:
            connection.execution_options(isolation_level="REPEATABLE READ")
        except connection.dialect.loaded_dbapi.Error as error:  # SQLAlchemy lets it pass as it is
            raise sa.exc.OperationalError("SET TRANSACTION", {}, error) from error
        self.lift_timeouts(connection)

    @abstractmethod
    def lift_timeouts(self, connection: sa.Connection) -> None:
        """Let the transaction last, and idle, for as long as it needs."""

    @abstractmethod
    def ledger_time(self, connection: sa.Connection) -> float:
        """Return the time by the ledger's clock."""

    @abstractmethod
    def set_lock_timeout(self, connection: sa.Connection, seconds: int) -> None:
        """Change the lock timeout until the transaction ends."""

    @abstractmethod
    def advisory_lock(self, connection: sa.Connection, key: int) -> None:
        """Lock a key until the transaction ends."""

    @abstractmethod
    def insert_with_ids(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: _Rows
    ) -> Sequence[int]:
        """Insert many rows, and return their new ids in the order of the rows."""

    @abstractmethod
    def bulk_insert(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: _Rows
    ) -> None:
        """Insert many rows, by the fastest way that the database has."""

    @abstractmethod
    def insert_unless_used(self, column: sa.Column[Any], values: Mapping[str, Any]) -> sa.Insert:
        """Return what inserts a row, unless another one has its value of a unique column.

        It waits for a transaction that inserts that value. Nothing else that is wrong with the row
        is ignored, and the transaction goes on.
        """

    @abstractmethod
    def in_autocommit(self, connection: sa.Connection) -> bool:
        """Return whether each statement of an application's connection is a transaction."""

    def make_reserve(self, engine: sa.Engine) -> None:  # noqa: B027 - a server has its own disk
        """Keep some room on this machine's disk."""

    def release_reserve(self, engine: sa.Engine) -> bool | None:
        """Give that room back; return whether there was any. None: the disk is a server's."""
        return None

    @abstractmethod
    def is_full(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the disk is full."""

    def rows_of_json(
        self, json: sa.BindParameter[str], types: _Types
    ) -> sa.TableValuedAlias | None:
        """Return the table that a JSON array of objects stands for in a statement.

        None: the database has no round trips, so that a statement for each row costs no more.
        """
        return None

    @abstractmethod
    def texts_of_json(self, json: sa.BindParameter[str]) -> sa.TableValuedAlias:
        """Return the table, with a column `value`, that a JSON array of texts stands for."""

    def is_transient(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the server is down, busy or restarting, so that waiting may help."""
        return error.connection_invalidated or isinstance(error, sa.exc.OperationalError)

    def is_deadlock(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the server has rolled a transaction back for another one's sake."""
        return False

    def is_done_already(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether a migration failed because an interrupted one did the same before."""
        return False


def _remedy(holder: str) -> str:
    """Return what ends a sentence about who has locked a file, if the caller can do something."""
    return _OWN_TRANSACTION if holder == THIS_PROCESS else ""


class SQLite(Dialect):
    """A file. It has one writer at a time, and one clock: this machine's."""

    name, schemes = "sqlite", ("sqlite",)
    driver, extra = "sqlite3", "campaign"
    is_local = True

    def full_address(self, address: sa.URL) -> sa.URL:
        """Return an address as SQLAlchemy needs it, with the whole path.

        Raises:
            LedgerError: it names no file.
        """
        path = address.database or ""
        if not path or ":memory:" in path:
            raise LedgerError("A ledger must survive the process: name a file.")
        if "uri" in address.query:
            raise LedgerError("Name an SQLite ledger by its path, not by an SQLite URI.")
        # The process may change its directory, and the file is opened again for each connection.
        return address.set(drivername=self.name, database=str(Path(path).resolve()))

    def scheme_of_driver(self, module: str) -> str:
        """Return SQLAlchemy's scheme for a driver."""
        return self.name

    def address_of_settings(self, settings: Mapping[str, Any]) -> str:
        """Return the path of a database in Django's ``DATABASES``."""
        return str(settings["NAME"])

    def file_of(self, address: sa.URL) -> str | None:
        """Return the path of the ledger's file."""
        return address.database

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of `sqlalchemy.create_engine`."""
        # A connection serves one thread at a time, but not always the same one.
        connect_args = {"timeout": BUSY_TIMEOUT, "check_same_thread": False}
        return {"max_overflow": -1, "connect_args": connect_args}

    def set_up(self, engine: sa.Engine, namespace: str | None) -> None:
        """Register the settings that each new connection of an engine needs."""
        sa.event.listen(engine, "connect", self._set_up)
        sa.event.listen(engine, "begin", self._begin)
        sa.event.listen(engine, "handle_error", self._explain)

    @staticmethod
    def _set_up(connection: sqlite3.Connection, _record: object) -> None:
        # SQLAlchemy begins transactions (below). The driver would begin them at the first write,
        # which is too late.
        connection.isolation_level = None
        cursor = connection.cursor()
        # With NORMAL, a power cut may lose a commit, and a submission would be sent again.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        # Overwrite what is purged; do not only unlink it.
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()

    @staticmethod
    def _explain(context: sa.engine.ExceptionContext) -> None:
        """Say in an error what its text does not: who locks the file, or that the disk is full."""
        error = context.original_exception
        if context.engine is None:
            return
        file, text = str(context.engine.url.database), str(error)
        if "locked" in text and (holder := lock_holder(file)):
            error.args = (
                Sentence(
                    "{error}: {holder} has been writing it for {seconds} s{remedy}",
                    error=text,
                    holder=holder,
                    seconds=f"{BUSY_TIMEOUT:.0f}",
                    remedy=_remedy(holder),
                ),
            )
        elif "disk I/O error" in text and disk_usage(Path(file).parent).free < RESERVE_SIZE:
            error.args = (f"{_FULL}: {text}",)

    @staticmethod
    def _begin(connection: sa.Connection) -> None:
        # A writer locks at once: what it has read in its transaction still holds when it writes.
        if connection.get_execution_options().get(READ_ONLY):
            connection.exec_driver_sql("BEGIN")
            return
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA busy_timeout = {min(_SILENCE, BUSY_TIMEOUT) * 1000:.0f}")
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT * 1000:.0f}")
            if holder := lock_holder(str(connection.engine.url.database)):
                _log.warning("%s writes the ledger, and is waited for%s.", holder, _remedy(holder))
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT * 1000:.0f}")

    def enable_wal(self, engine: sa.Engine) -> None:
        """Switch an empty file to write-ahead logging, for good."""
        deadline = time.monotonic() + BUSY_TIMEOUT
        with contextlib.closing(engine.raw_connection()) as connection:
            # Of two processes that switch it at once, SQLite lets one fail without a wait.
            while not self._switch_to_wal(connection.cursor(), last=time.monotonic() > deadline):
                time.sleep(_WAL_POLL)

    @staticmethod
    def _switch_to_wal(cursor: Any, *, last: bool) -> bool:
        """Try to switch an empty file to write-ahead logging; return whether that is done."""
        try:
            if not cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if last or "locked" not in str(error):
                raise
            return False
        return True

    def truncate_wal(self, engine: sa.Engine) -> str:
        """Remove deleted data from the file and its log; return what prevents it."""
        with contextlib.closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            try:
                busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error as error:
                return str(error)
        return "another connection reads it" if busy else ""

    def read_consistently(self, connection: sa.Connection) -> None:
        """Do nothing: a transaction always reads one moment."""

    def lift_timeouts(self, connection: sa.Connection) -> None:
        """Do nothing: no transaction is ended."""

    def ledger_time(self, connection: sa.Connection) -> float:
        """Return the time by this machine's clock."""
        return time.time()

    def set_lock_timeout(self, connection: sa.Connection, seconds: int) -> None:
        """Do nothing: a file has `BUSY_TIMEOUT`."""

    def advisory_lock(self, connection: sa.Connection, key: int) -> None:
        """Do nothing: the transaction is the only writer."""

    def insert_with_ids(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: _Rows
    ) -> Sequence[int]:
        """Insert many rows, and return their new ids; this transaction is the only writer."""
        last = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
        ids = range(last + 1, last + 1 + len(rows))
        _insert_numbered(connection, table, columns, rows, ids)
        return ids

    def bulk_insert(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: _Rows
    ) -> None:
        """Insert many rows by one prepared statement."""
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(
            f"{_insert_into(connection, table, columns)} VALUES ({marks})", list(rows)
        )

    def texts_of_json(self, json: sa.BindParameter[str]) -> sa.TableValuedAlias:
        """Return the table, with a column `value`, that a JSON array of texts stands for."""
        return sa.func.json_each(json).table_valued("value", name="given")

    def insert_unless_used(self, column: sa.Column[Any], values: Mapping[str, Any]) -> sa.Insert:
        """Return what inserts a row, unless another one has its value of a unique column."""
        row = sqlite.insert(column.table).values(values)
        return row.on_conflict_do_nothing(index_elements=[column])

    def in_autocommit(self, connection: sa.Connection) -> bool:
        """Return whether each statement of an application's connection is a transaction."""
        driver: Any = connection.connection.driver_connection
        # With an isolation level, the driver itself begins a transaction before the first write.
        return not driver.in_transaction and driver.isolation_level is None

    def make_reserve(self, engine: sa.Engine) -> None:
        """Keep some room on the disk of the file; an application's own connection has none."""
        if engine.url.database is not None:
            make_reserve(engine.url.database)

    def release_reserve(self, engine: sa.Engine) -> bool:
        """Give that room back; return whether there was any."""
        return engine.url.database is not None and release_reserve(engine.url.database)

    def is_full(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the disk is full."""
        return _FULL in driver_message(error)

    def is_transient(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether another process holds the file, or the disk is full."""
        text = driver_message(error).lower()
        return "locked" in text or "busy" in text or self.is_full(error)


class PostgreSQL(Dialect):
    """A PostgreSQL server.

    A server that cannot be reached, or that accepts a connection and says nothing, is given up
    after ten seconds; a connection whose other end is gone, after half a minute. But a server
    whose process is suspended, on a machine that runs, keeps its connections, and libpq waits for
    its answer without a limit: a run says so every 20 seconds, and ends on Ctrl-C; every other call
    waits until the server goes on or its process ends.
    """

    name, schemes = "postgresql", ("postgresql", "postgres")
    driver, extra = "psycopg", "campaign"
    writing_ctes = WritingCTEs()
    _own_options = frozenset({"pool", "server_side_binding", "isolation_level", "client_encoding"})

    def _query_of(self, options: Mapping[str, Any]) -> dict[str, str]:
        query = super()._query_of(options)
        if role := query.pop("assume_role", None):
            escaped = role.replace("\\", r"\\").replace(" ", r"\ ")
            query["options"] = f"{query.get('options', '')} -c role={escaped}".strip()
        return query

    def split_schema(self, address: sa.URL) -> tuple[sa.URL, str | None]:
        """Return an address without ``?schema=…``, and the name of that schema.

        Raises:
            LedgerError: it names no schema, or two.
        """
        if "schema" not in address.query:
            return address, None
        namespace = address.query["schema"]
        if not isinstance(namespace, str) or not namespace.strip():
            raise LedgerError("?schema= in the ledger's address must name one schema.")
        return address.difference_update_query(["schema"]), namespace

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of `sqlalchemy.create_engine`."""
        connect_args = {
            # Whatever PGCLIENTENCODING says.
            "client_encoding": "utf8",
            "connect_timeout": _CONNECT_TIMEOUT,
            "keepalives_idle": _KEEPALIVE_IDLE,
            "keepalives_interval": _KEEPALIVE_INTERVAL,
            "keepalives_count": _KEEPALIVE_COUNT,
            "tcp_user_timeout": _TCP_USER_TIMEOUT,
        }
        return {**super().engine_options(), "connect_args": connect_args}

    def set_up(self, engine: sa.Engine, namespace: str | None) -> None:
        """Register the settings that each new connection of an engine needs."""
        # Not by SQLAlchemy, which doubles a % for a statement with parameters.
        path = None if namespace is None else '"{}"'.format(namespace.replace('"', '""'))

        def set_up(connection: Any, _record: object) -> None:
            self._set_up(connection, path)

        _check_connections(engine)
        # First of all: SQLAlchemy's own first look at the server uses the schema, too.
        sa.event.listen(engine, "connect", set_up, insert=True)

    @staticmethod
    def _set_up(connection: Any, search_path: str | None) -> None:
        if search_path is not None:
            connection.execute(f"SET search_path = {search_path}")
        # A server may be configured to lose its last commits in a crash, and a submission would be
        # sent again.
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}s'")
        # The server forgets it after a pipeline, as in `executemany`, until the next statement.
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}s'")
        # From version 17 on.
        connection.execute(
            "SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s",
            (f"{_TRANSACTION_TIMEOUT}s", "transaction_timeout"),
        )
        # From version 14 on, if the server was built with it. The default method takes long to
        # find that it cannot compress numbers.
        connection.execute(
            "SELECT set_config(name, 'lz4', false) FROM pg_settings"
            " WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
        )
        connection.commit()

    def lift_timeouts(self, connection: sa.Connection) -> None:
        """Let the transaction last, and idle, for as long as it needs."""
        connection.execute(
            sa.text(
                "SELECT set_config(name, '0', true) FROM pg_settings"
                " WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"
            )
        )

    def check_server(self, connection: sa.Connection) -> str:
        """Return why the server cannot hold a ledger; empty if it can."""
        encoding = connection.scalar(sa.text("SHOW server_encoding"))
        if encoding == "UTF8":
            return ""
        return (
            f"the encoding of its database is {encoding}, and a ledger needs UTF8 (CREATE DATABASE"
            " … ENCODING 'UTF8' TEMPLATE template0)"
        )

    def ledger_time(self, connection: sa.Connection) -> float:
        """Return the time by the server's clock."""
        clock = sa.func.extract("epoch", sa.func.clock_timestamp())
        return float(connection.execute(sa.select(clock)).scalar_one())

    def set_lock_timeout(self, connection: sa.Connection, seconds: int) -> None:
        """Change the lock timeout until the transaction ends."""
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{seconds}s'"))

    def advisory_lock(self, connection: sa.Connection, key: int) -> None:
        """Lock a key of this schema until the transaction ends."""
        # There is no current schema until it is created.
        where = sa.func.coalesce(sa.func.current_schema(), sa.func.current_setting("search_path"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key, sa.func.hashtext(where))))

    def insert_with_ids(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: _Rows
    ) -> Sequence[int]:
        """Insert many rows with ids of the table's sequence, and return the ids."""
        each = sa.func.generate_series(1, len(rows)).table_valued("n")
        query = sa.select(self.writing_ctes.next_id(table)).select_from(each)
        ids = connection.scalars(query).all()
        _insert_numbered(connection, table, columns, rows, ids)
        return ids

    def bulk_insert(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: _Rows
    ) -> None:
        """Insert many rows by COPY."""
        statement = f"COPY {_target(connection, table, columns)} FROM STDIN"
        driver: Any = connection.connection.driver_connection
        try:
            with driver.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        except connection.dialect.loaded_dbapi.Error as error:
            raise sa.exc.OperationalError(statement, {}, error) from error

    def is_full(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the disk of the server is full."""
        return getattr(error.orig, "sqlstate", None) == "53100"

    def rows_of_json(
        self, json: sa.BindParameter[str], types: _Types
    ) -> sa.TableValuedAlias | None:
        """Return the table that a JSON array of objects stands for in a statement."""
        columns = (sa.column(name, type_) for name, type_ in types.items())
        table = sa.func.json_to_recordset(sa.cast(json, sa.JSON())).table_valued(*columns)
        return table.render_derived("given", with_types=True)

    def texts_of_json(self, json: sa.BindParameter[str]) -> sa.TableValuedAlias:
        """Return the table, with a column `value`, that a JSON array of texts stands for."""
        texts = sa.func.json_array_elements_text(sa.cast(json, sa.JSON()))
        return texts.table_valued("value", name="given")

    def insert_unless_used(self, column: sa.Column[Any], values: Mapping[str, Any]) -> sa.Insert:
        """Return what inserts a row, unless another one has its value of a unique column."""
        row = postgresql.insert(column.table).values(values)
        return row.on_conflict_do_nothing(index_elements=[column])

    def in_autocommit(self, connection: sa.Connection) -> bool:
        """Return whether each statement of an application's connection is a transaction."""
        # Every driver has it, or SQLAlchemy's adapter of an asynchronous one.
        return bool(getattr(connection.connection.dbapi_connection, "autocommit", False))

    def is_deadlock(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the server has rolled a transaction back for another one's sake."""
        return getattr(error.orig, "sqlstate", None) in ("40P01", "40001")


class MySQL(Dialect):
    """A MySQL or MariaDB server.

    A server that cannot be reached, or that says nothing before a connection is complete, is given
    up after ten seconds; a connection whose other end is gone, after half a minute; and a server
    whose process is suspended, on a machine that runs, after an hour (`_SILENCE_TIMEOUT`). By a
    Unix socket, that hour is the only limit.
    """

    name, schemes = "mysql", ("mysql", "mariadb")
    driver, extra = "pymysql", "campaign-mysql"
    _OLDEST_MARIADB, _OLDEST_MYSQL = (10, 6), (8, 0, 17)
    # An account without a right does not change by waiting.
    _LASTING = frozenset({1030, 1044, 1045, 1049, 1142, 1143, 1227})
    _FULL = frozenset({3, 1021, 1114})
    _DEADLOCKS = frozenset({1020, 1213})
    # The table, column, key or constraint is there, or is gone, already.
    _DONE_ALREADY = frozenset({1050, 1060, 1061, 1091, 1826})
    _STATEMENT_SIZE = 500_000
    """Bytes of one statement, about: a server may allow 1 MiB."""
    _host_option = "unix_socket"
    _own_options = frozenset(
        {
            *("autocommit", "charset", "connect_timeout", "conv", "init_command"),
            *("isolation_level", "read_timeout", "sql_mode", "use_unicode", "write_timeout"),
        }
    )
    _KNOWN_OPTIONS = frozenset(
        {
            *("read_default_file", "read_default_group", "unix_socket"),
            *("ssl_ca", "ssl_capath", "ssl_cert", "ssl_cipher", "ssl_key"),
        }
    )

    def _query_of(self, options: Mapping[str, Any]) -> dict[str, str]:
        given = {name: value for name, value in options.items() if name != "ssl"}
        given |= {f"ssl_{name}": value for name, value in options.get("ssl", {}).items()}
        for name in given.keys() - self._own_options - self._KNOWN_OPTIONS:
            # The names of the drivers differ, and it may be about TLS: it must not be left out.
            given[name] = None
        return super()._query_of(given)

    def full_address(self, address: sa.URL) -> sa.URL:
        """Return an address as SQLAlchemy needs it.

        Raises:
            LedgerError: it names no database.
        """
        if not address.database:
            raise LedgerError("The ledger's address must name a database: mysql://host/database.")
        return super().full_address(address)

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of `sqlalchemy.create_engine`."""
        settings = {
            # Too long a text is an error, and never truncated. No other mode matters here.
            "sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
            # The server's clock has no gaps and no hour that comes twice.
            "time_zone": "'+00:00'",
            "innodb_lock_wait_timeout": str(LOCK_TIMEOUT),
            "foreign_key_checks": "1",
            "unique_checks": "1",
            # Many rows that are read as one text.
            "group_concat_max_len": str(1 << 22),
            # Rows that are streamed to a slow reader.
            "net_write_timeout": str(_SILENCE_TIMEOUT),
        }
        connect_args = {
            "charset": "utf8mb4",
            "connect_timeout": _CONNECT_TIMEOUT,
            "read_timeout": _SILENCE_TIMEOUT,
            "write_timeout": _SILENCE_TIMEOUT,
            "init_command": "SET " + ", ".join(f"{name} = {settings[name]}" for name in settings),
        }
        return {**super().engine_options(), "connect_args": connect_args}

    def set_up(self, engine: sa.Engine, namespace: str | None) -> None:
        """Register how a new connection of an engine is made."""
        _check_connections(engine)
        sa.event.listen(engine, "do_connect", self._connect)
        sa.event.listen(engine, "connect", self._set_up)

        def restore_timeout(connection: Any, record: Any) -> None:
            if record.info.pop(_LIFTED, False) and connection is not None:
                with _closing_if_lost(engine, connection):
                    self._set_up(connection, record)

        sa.event.listen(engine, "checkin", restore_timeout)

    @staticmethod
    def _set_up(connection: Any, _record: object) -> None:
        if "mariadb" in connection.get_server_info().lower():  # MySQL has no such timeout
            with connection.cursor() as cursor:
                cursor.execute(f"SET SESSION idle_transaction_timeout = {IDLE_TIMEOUT}")

    def lift_timeouts(self, connection: sa.Connection) -> None:
        """Let the connection idle in a transaction until it goes back to the pool."""
        if _is_mariadb(connection.dialect):
            connection.info[_LIFTED] = True
            connection.execute(sa.text("SET SESSION idle_transaction_timeout = 0"))

    def _connect(self, dialect: sa.Dialect, _record: object, _args: object, options: Any) -> Any:
        driver: Any = dialect.loaded_dbapi
        address = options.get("host") or "localhost", options.get("port") or 3306
        try:
            if options.get("unix_socket"):
                return driver.connect(**options)
            connection = driver.connect(**options, defer_connect=True)
            stream = self._open_stream(address)
        except OSError as error:
            reason = f"Can't connect to the server {address[0]}:{address[1]} ({error})"
            raise driver.OperationalError(2003, reason) from None
        with _shut_down_after(stream, _CONNECT_TIMEOUT) as was_shut_down:
            try:
                connection.connect(stream)
            except driver.Error:
                if not was_shut_down.is_set():
                    raise
        if was_shut_down.is_set():
            reason = f"Can't connect to the server {address[0]}:{address[1]} (timed out)"
            raise driver.OperationalError(2003, reason)
        return connection

    @staticmethod
    def _open_stream(address: tuple[str, int]) -> socket.socket:
        """Connect to a server that answers, so that the driver waits for no other."""
        stream = socket.create_connection(address, _CONNECT_TIMEOUT)
        try:
            # The server speaks first. A proxy accepts a connection also if its server is gone.
            stream.recv(1, socket.MSG_PEEK)
        except OSError:
            stream.close()
            raise
        stream.settimeout(None)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", _KEEPALIVE_IDLE),
            ("TCP_KEEPINTVL", _KEEPALIVE_INTERVAL),
            ("TCP_KEEPCNT", _KEEPALIVE_COUNT),
            ("TCP_USER_TIMEOUT", _TCP_USER_TIMEOUT),
        ):
            if hasattr(socket, name):  # not on every system
                stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return stream

    def check_server(self, connection: sa.Connection) -> str:
        """Return why the server cannot hold a ledger; empty if it can."""
        is_mariadb = _is_mariadb(connection.dialect)
        name, oldest = (
            ("MariaDB", self._OLDEST_MARIADB) if is_mariadb else ("MySQL", self._OLDEST_MYSQL)
        )
        found = connection.dialect.server_version_info or ()
        if tuple(found) >= oldest:
            self._warn_of_lost_commits(connection)
            return ""
        return (
            f"it is {name} {'.'.join(map(str, found))}, and a ledger needs {name}"
            f" {'.'.join(map(str, oldest))} or newer"
        )

    @staticmethod
    def _warn_of_lost_commits(connection: sa.Connection) -> None:
        """Warn if a power cut may lose commits; no session can change that."""
        flush, has_log, sync = connection.execute(
            sa.text("SELECT @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog")
        ).one()
        wrong = [f"innodb_flush_log_at_trx_commit = {flush}"] if flush != 1 else []
        wrong += [f"sync_binlog = {sync}"] if has_log and sync != 1 else []
        if wrong:
            _log.warning(
                "If the ledger's server loses its power, it may forget its last commits, and"
                " submissions may be sent a second time, since it has %s: set it to 1.",
                " and ".join(wrong),
            )

    @contextlib.contextmanager
    def creating(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """Give a connection on which no other process creates or migrates the same ledger.

        The server commits each statement that changes a table, so a transaction locks nothing.
        """
        with engine.begin() as connection:
            database = connection.scalar(sa.select(sa.func.database()))
            name = f"yunxin/{hashlib.sha256(str(database).encode()).hexdigest()[:32]}"
            got = connection.scalar(sa.select(sa.func.get_lock(name, LOCK_TIMEOUT)))
            if got != 1:
                waited = TimeoutError(f"another process has been creating it for {LOCK_TIMEOUT} s")
                raise sa.exc.OperationalError("GET_LOCK", {}, waited)
            # The lock is the connection's, which must not go back to the pool with it.
            connection.detach()
            yield connection

    def ledger_time(self, connection: sa.Connection) -> float:
        """Return the time by the server's clock."""
        return float(connection.execute(_MYSQL_TIME).scalar_one())

    def set_lock_timeout(self, connection: sa.Connection, seconds: int) -> None:
        """Change the lock timeout until the connection is closed, together with the transaction."""
        connection.detach()
        connection.execute(sa.text(f"SET SESSION innodb_lock_wait_timeout = {seconds:d}"))

    def advisory_lock(self, connection: sa.Connection, key: int) -> None:
        """Lock all keys until the transaction ends: there is one row to lock."""
        connection.execute(sa.text("SELECT version FROM yunxin_ledger FOR UPDATE"))

    def insert_with_ids(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: _Rows
    ) -> Sequence[int]:
        """Insert many rows, and return their new ids.

        The server gives the rows of one INSERT … VALUES ids in a row, and reports the first.
        """
        ids: list[int] = []
        step = connection.scalar(sa.text("SELECT @@SESSION.auto_increment_increment")) or 1
        one = f"({', '.join(['%s'] * len(columns))})"
        insert = f"{_insert_into(connection, table, columns)} VALUES "
        for part in _parts(rows, self._STATEMENT_SIZE):
            values = tuple(value for row in part for value in row)
            result = connection.exec_driver_sql(insert + ", ".join([one] * len(part)), values)
            ids += range(result.lastrowid, result.lastrowid + step * len(part), step)
        return ids

    def bulk_insert(
        self, connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: _Rows
    ) -> None:
        """Insert many rows, as many as fit into each statement: the driver joins them."""
        marks = ", ".join(["%s"] * len(columns))
        connection.exec_driver_sql(
            f"{_insert_into(connection, table, columns)} VALUES ({marks})", list(rows)
        )

    def rows_of_json(
        self, json: sa.BindParameter[str], types: _Types
    ) -> sa.TableValuedAlias | None:
        """Return the table that a JSON array of objects stands for in a statement."""
        dialect = mysql.dialect()
        text = mysql.LONGTEXT(charset="utf8mb4")  # whatever the database's default is
        columns = ", ".join(
            f"{name} {(text if isinstance(type_, sa.Text) else type_).compile(dialect)}"
            f" PATH '$.{name}'"
            for name, type_ in types.items()
        )
        table = sa.func.json_table(json, sa.literal_column(f"'$[*]' COLUMNS ({columns})"))
        return table.table_valued(*types, name="given")

    def texts_of_json(self, json: sa.BindParameter[str]) -> sa.TableValuedAlias:
        """Return the table, with a column `value`, that a JSON array of texts stands for."""
        # A type that an index is searched by, whatever the database's default is.
        columns = "value VARCHAR(255) CHARACTER SET utf8mb4 PATH '$'"
        table = sa.func.json_table(json, sa.literal_column(f"'$[*]' COLUMNS ({columns})"))
        return table.table_valued("value", name="given")

    def insert_unless_used(self, column: sa.Column[Any], values: Mapping[str, Any]) -> sa.Insert:
        """Return what inserts a row, unless another one has its value of a unique column."""
        # INSERT IGNORE would also cut what is too long, and take null for 0.
        row = mysql.insert(column.table).values(values)
        return row.on_duplicate_key_update({column.name: column})

    def in_autocommit(self, connection: sa.Connection) -> bool:
        """Return whether each statement of an application's connection is a transaction."""
        driver: Any = connection.connection.dbapi_connection
        autocommit = getattr(driver, "get_autocommit", None)
        return bool(driver.autocommit if autocommit is None else autocommit())

    def is_transient(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the server is down, busy or restarting, or ended a deadlock."""
        if self.is_full(error):
            return True
        return error.connection_invalidated or (
            isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
            and _error_number(error) not in self._LASTING
        )

    def is_full(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the disk of the server is full."""
        return _error_number(error) in self._FULL

    def is_deadlock(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the server has rolled a transaction back for another one's sake."""
        return _error_number(error) in self._DEADLOCKS

    def is_done_already(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether a migration failed because an interrupted one did the same before."""
        return _error_number(error) in self._DONE_ALREADY


_FULL = "database or disk is full"
_LIFTED, _IDLE_SINCE = "yunxin_timeouts_lifted", "yunxin_idle_since"
_MYSQL_TIME = sa.text("SELECT UNIX_TIMESTAMP(SYSDATE(6))")
_DIALECTS: dict[str, Dialect] = {each.name: each for each in (SQLite(), PostgreSQL(), MySQL())}
_BY_DRIVER = {each.driver: each for each in _DIALECTS.values()}
_BY_SCHEME = {scheme: each for each in _DIALECTS.values() for scheme in each.schemes}
_CREATE_LOCK = 20261123
"""The key of the advisory lock for creating or migrating a ledger."""


def id_type() -> sa.types.TypeEngine[int]:
    """Return the type of an id that a table numbers: SQLite numbers only one kind of integers."""
    return sa.BigInteger().with_variant(sa.Integer(), SQLite.name)


def indexed_text(length: int) -> sa.types.TypeEngine[str]:
    """Return the type of a text in an index: MySQL indexes only texts of a limited length.

    Args:
        length: the most characters that such a text has.
    """
    return sa.Text().with_variant(sa.String(length), MySQL.name)


def address_of_file(path: str) -> sa.URL:
    """Return the address of a ledger in a file.

    Raises:
        LedgerError: it names no file.
    """
    return _DIALECTS[SQLite.name].full_address(sa.URL.create(SQLite.name, database=path))


def dialect_of_scheme(scheme: str) -> Dialect:
    """Return what the database of an address needs.

    Raises:
        LedgerError: it is no database that can hold a ledger.
    """
    if scheme not in _BY_SCHEME:
        raise LedgerError(
            Sentence(
                "A ledger can only be an SQLite file, or a PostgreSQL, MySQL or MariaDB "
                "database, not {scheme}: name one of these.",
                scheme=repr(scheme),
            )
        )
    return _BY_SCHEME[scheme]


def dialect_of(where: sa.Engine | sa.Connection | sa.URL | sa.Dialect) -> Dialect:
    """Return what a database needs."""
    if isinstance(where, sa.URL):
        return _DIALECTS[where.get_backend_name()]
    # An application's own engine may be called "mariadb".
    return _BY_SCHEME[where.name if isinstance(where, sa.Dialect) else where.dialect.name]


def truncate_wal(engine: sa.Engine) -> str:
    """Remove deleted data from an SQLite file and its log; a server does that by its vacuum.

    Returns:
        What prevents it, such as another process that reads the file; empty if nothing does.
    """
    return dialect_of(engine).truncate_wal(engine)


def read_consistently(connection: sa.Connection) -> None:
    """Let everything that a connection reads be of one moment."""
    dialect_of(connection).read_consistently(connection)


def ledger_time(connection: sa.Connection) -> float:
    """Return the time by the ledger's clock, in seconds since 1970, UTC.

    It is the server's clock, or this machine's for a file. Every stored time comes from it, so
    that the clocks of the runners' machines do not matter.
    """
    return dialect_of(connection).ledger_time(connection)


def is_local(connection: sa.Connection) -> bool:
    """Return whether every runner of a ledger is on this machine, as with a file."""
    return dialect_of(connection).is_local


def lift_timeouts(connection: sa.Connection) -> None:
    """Let a transaction of a server last, and idle, for as long as it needs."""
    dialect_of(connection).lift_timeouts(connection)


def set_lock_timeout(connection: sa.Connection, seconds: int) -> None:
    """Change a server's lock timeout until the transaction ends; SQLite has `BUSY_TIMEOUT`."""
    dialect_of(connection).set_lock_timeout(connection, seconds)


def advisory_lock(connection: sa.Connection, key: int) -> None:
    """Lock a key until the transaction ends; SQLite has only one writer anyway."""
    dialect_of(connection).advisory_lock(connection, key)


def insert_with_ids(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: _Rows
) -> Sequence[int]:
    """Insert many rows into a table that numbers them.

    Returns:
        The new ids, in the order of the rows.
    """
    return dialect_of(connection).insert_with_ids(connection, table, columns, rows) if rows else ()


def bulk_insert(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: _Rows
) -> None:
    """Insert many rows, by the fastest way that the database has."""
    if rows:
        dialect_of(connection).bulk_insert(connection, table, columns, rows)


def make_room(engine: sa.Engine) -> bool | None:
    """Give the ledger's reserve back to a full disk.

    Returns:
        Whether there was a reserve; None if the disk is a server's.
    """
    return dialect_of(engine).release_reserve(engine)


def is_transient(error: sa.exc.DBAPIError) -> bool:
    """Return whether waiting may help: another writer holds the file, or the server is down."""
    return _dialect_of_error(error).is_transient(error)


def is_deadlock(error: sa.exc.DBAPIError) -> bool:
    """Return whether a server has rolled a transaction back for another one's sake."""
    return _dialect_of_error(error).is_deadlock(error)


def is_full(error: sa.exc.DBAPIError) -> bool:
    """Return whether a database failed since its disk is full."""
    return _dialect_of_error(error).is_full(error)


def driver_message(error: BaseException) -> str:
    """Return the driver's message in one line, without the statement and its values.

    It is a `Sentence` where a dialect has said more than the driver.
    """
    original = getattr(error, "orig", None) or error
    text = text_of(original)
    if isinstance(text, Sentence):
        return text
    if len(original.args) == 2 and isinstance(original.args[0], int):  # PyMySQL's number
        text = str(original.args[1])
    return (text.strip().splitlines() or [type(original).__name__])[0]


def _dialect_of_error(error: sa.exc.DBAPIError) -> Dialect:
    driver = type(error.orig).__module__.partition(".")[0]
    return _BY_DRIVER.get(driver, _DIALECTS[PostgreSQL.name])  # which has the general rules


@contextlib.contextmanager
def is_repeated() -> Iterator[None]:
    """Take a busy connection without a look whether it was lost, which costs a round trip.

    For a block that is repeated if it fails so.
    """
    token = _is_repeated.set(True)
    try:
        yield
    finally:
        _is_repeated.reset(token)


@contextlib.contextmanager
def _closing_if_lost(engine: sa.Engine, connection: Any) -> Iterator[None]:
    """Close a connection that fails on its way back to the pool; who takes it next, replaces it.

    SQLAlchemy would let the driver's own error pass, after everything has been read.
    """
    try:
        yield
    except engine.dialect.loaded_dbapi.Error:
        with contextlib.suppress(engine.dialect.loaded_dbapi.Error):  # it is closed already
            connection.close()


def _check_connections(engine: sa.Engine) -> None:
    """Replace a connection that was lost while it was idle, before it is used."""
    reset_isolation_level = engine.dialect.reset_isolation_level

    def reset(connection: Any) -> None:
        with _closing_if_lost(engine, connection):
            reset_isolation_level(connection)

    def check_in(_connection: object, record: Any) -> None:
        record.info[_IDLE_SINCE] = time.monotonic()

    def check_out(connection: Any, record: Any, _proxy: object) -> None:
        idle_since = record.info.pop(_IDLE_SINCE, math.inf)  # a new one was never checked in
        needed = idle_since + _PING_AFTER if _is_repeated.get() else idle_since
        if time.monotonic() < needed:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise sa.exc.InvalidatePoolError from error

    sa.event.listen(engine, "checkin", check_in)
    sa.event.listen(engine, "checkout", check_out)
    engine.dialect.reset_isolation_level = reset  # type: ignore[assignment]


@contextlib.contextmanager
def _shut_down_after(stream: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """Shut a connection down if the block takes longer, so that a read in it ends.

    Yields:
        An event that is set once it is shut down.
    """
    was_shut_down = threading.Event()
    # TLS takes the socket itself over.
    with stream.dup() as same:

        def shut_down() -> None:
            was_shut_down.set()
            with contextlib.suppress(OSError):  # the other end has closed it
                same.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, shut_down)
        timer.daemon = True
        timer.start()
        try:
            yield was_shut_down
        finally:
            timer.cancel()
            timer.join()


def _error_number(error: sa.exc.DBAPIError) -> int | None:
    """Return the number of a MySQL server's or client's error."""
    arguments = error.orig.args if error.orig is not None else ()
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def _target(connection: sa.Connection, table: sa.Table, columns: Sequence[str]) -> str:
    quote = connection.dialect.identifier_preparer.quote
    return f"{quote(table.name)} ({', '.join(quote(each) for each in columns)})"


def _insert_into(connection: sa.Connection, table: sa.Table, columns: Sequence[str]) -> str:
    return f"INSERT INTO {_target(connection, table, columns)}"


def _insert_numbered(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: _Rows,
    ids: Sequence[int],
) -> None:
    numbered = [(each, *row) for each, row in zip(ids, rows, strict=True)]
    bulk_insert(connection, table, ("id", *columns), numbered)


def _parts(rows: _Rows, size: int) -> Iterator[_Rows]:
    """Yield the rows in parts of so many bytes at most; a larger row is a part of its own."""
    start = total = 0
    for index, row in enumerate(rows):
        length = sum(len(value.encode()) if isinstance(value, str) else 20 for value in row)
        if total + length > size and index > start:
            yield rows[start:index]
            start, total = index, 0
        total += length
    yield rows[start:]


def _is_mariadb(dialect: sa.Dialect) -> bool:
    return bool(getattr(dialect, "is_mariadb", False))


@compiles(CreateTable, MySQL.name)
def _create_mysql_table(element: CreateTable, compiler: Any, **options: Any) -> str:
    # Whatever the database's defaults are. Equal texts have the same bytes: no other case, no
    # other width, no spaces at their end.
    collation = "utf8mb4_nopad_bin" if _is_mariadb(compiler.dialect) else "utf8mb4_0900_bin"
    statement: str = compiler.visit_create_table(element, **options)
    return f"{statement.rstrip()} ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE={collation}"


@compiles(sa.Text, MySQL.name)
def _mysql_text(_element: sa.Text, _compiler: Any, **_options: Any) -> str:
    return "LONGTEXT"  # TEXT ends at 64 KiB
