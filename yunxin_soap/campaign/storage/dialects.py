"""Everything that differs between SQLite in a file and PostgreSQL on a server."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

LOCK_TIMEOUT = 60
"""Seconds to wait for a lock on a server: its holder may be suspended."""
BUSY_TIMEOUT = 30.0
"""Seconds to wait for another SQLite writer."""
READ_ONLY = "yunxin_read_only"
"""The execution option of a connection that only reads, and so takes no write lock."""
_CONNECT_POSTGRESQL = {
    "connect_timeout": 10,
    # A server that vanishes silently is noticed within half a minute instead of hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
# The end of a send must be recorded, however many threads want a connection.
_UNBOUNDED_POOL = {"max_overflow": -1}


def engine_options(url: sa.URL) -> dict[str, Any]:
    """Return the arguments of `sqlalchemy.create_engine` for this kind of database."""
    if is_sqlite(url.get_dialect()):
        # A connection serves one thread at a time, but not always the same one.
        connect_args = {"timeout": BUSY_TIMEOUT, "check_same_thread": False}
        return {**_UNBOUNDED_POOL, "connect_args": connect_args}
    return {
        **_UNBOUNDED_POOL,
        "pool_pre_ping": True,
        "connect_args": _CONNECT_POSTGRESQL,
        # Whatever the server's default is: after waiting for a lock, a transaction must see what
        # was committed meanwhile.
        "isolation_level": "READ COMMITTED",
    }


def is_sqlite(dialect: sa.Dialect | type[sa.Dialect]) -> bool:
    """Return whether the database is SQLite; else it is PostgreSQL."""
    return dialect.name == "sqlite"


def set_up(engine: sa.Engine) -> None:
    """Register the settings that each new connection of an engine needs."""
    if is_sqlite(engine.dialect):
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    else:
        sa.event.listen(engine, "connect", _set_up_postgresql)


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy begins transactions (below). The driver would begin them at the first write, which
    # is too late.
    connection.isolation_level = None
    cursor = connection.cursor()
    # With NORMAL, a power cut may lose a commit, and a submission would be sent again.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # Overwrite what is purged; do not only unlink it.
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer locks at once: what it has read in its transaction still holds when it writes.
    reads = connection.get_execution_options().get(READ_ONLY)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _set_up_postgresql(connection: Any, _record: object) -> None:
    # A server may be configured to lose its last commits in a crash, and a submission would be
    # sent again.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}s'")
    connection.commit()


def enable_wal(engine: sa.Engine) -> None:
    """Switch an empty SQLite file to write-ahead logging, for good; a server has its own log."""
    if not is_sqlite(engine.dialect):
        return
    with contextlib.closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        if not cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            cursor.execute("PRAGMA journal_mode = WAL")


def truncate_wal(engine: sa.Engine) -> str:
    """Remove deleted data from an SQLite file and its log; a server does that by its vacuum.

    Returns:
        What prevents it, such as another process that reads the file; empty if nothing does.
    """
    if not is_sqlite(engine.dialect):
        return ""
    with contextlib.closing(engine.raw_connection()) as connection:
        try:
            busy, _, _ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            return str(error)
    return "another connection reads it" if busy else ""


def read_consistently(connection: sa.Connection) -> None:
    """Let everything that a connection reads be of one moment; in SQLite it always is."""
    if not is_sqlite(connection.dialect):
        connection.execution_options(isolation_level="REPEATABLE READ")


def ledger_time(connection: sa.Connection) -> float:
    """Return the time by the ledger's clock, in seconds since 1970, UTC.

    It is the server's clock, or this machine's for a file. Every stored time comes from it, so
    that the clocks of the runners' machines do not matter.
    """
    if is_sqlite(connection.dialect):
        return time.time()
    clock = sa.func.extract("epoch", sa.func.clock_timestamp())
    return float(connection.execute(sa.select(clock)).scalar_one())


def set_lock_timeout(connection: sa.Connection, seconds: int) -> None:
    """Change a server's lock timeout until the transaction ends; SQLite has `BUSY_TIMEOUT`."""
    if not is_sqlite(connection.dialect):
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{seconds}s'"))


def advisory_lock(connection: sa.Connection, key: int) -> None:
    """Lock a key until the transaction ends; SQLite has only one writer anyway."""
    if not is_sqlite(connection.dialect):
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


def reserve_ids(connection: sa.Connection, table: sa.Table, count: int) -> Sequence[int]:
    """Reserve the ids of new rows of a table, in a transaction that writes."""
    if is_sqlite(connection.dialect):  # this transaction is the only writer
        last = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
        return range(last + 1, last + 1 + count)
    sequence = sa.func.pg_get_serial_sequence(table.name, "id")
    each = sa.func.generate_series(1, count).table_valued("n")
    return connection.scalars(sa.select(sa.func.nextval(sequence)).select_from(each)).all()


def bulk_insert(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Insert many rows, by the fastest way that the database has."""
    if not rows:
        return
    names = ", ".join(columns)
    if is_sqlite(connection.dialect):
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) VALUES ({marks})",  # noqa: S608 - our own names
            list(rows),
        )
        return
    statement = f"COPY {table.name} ({names}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        raise sa.exc.OperationalError(statement, {}, error) from error


def is_transient(error: sa.exc.DBAPIError) -> bool:
    """Return whether waiting may help: another writer holds the file, or the server is down."""
    text = driver_message(error).lower()
    if isinstance(error.orig, sqlite3.Error):
        return "locked" in text or "busy" in text
    return error.connection_invalidated or (
        isinstance(error, sa.exc.OperationalError) and "no space" not in text
    )


def driver_message(error: BaseException) -> str:
    """Return the driver's message in one line, without the statement and its values."""
    original = getattr(error, "orig", None) or error
    return (str(original).strip().splitlines() or [type(original).__name__])[0]
