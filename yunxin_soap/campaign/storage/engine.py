"""How a ledger's database is opened and spoken to: SQLite in a file, or PostgreSQL by URL."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.storage import schema
from yunxin_soap.errors import ConfigurationError, LedgerError
from yunxin_soap.files import file_id, make_private

_PATIENCE = {
    "connect_timeout": 10,
    # A server that vanished without a word is noticed after half a minute, and not after hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
LOCK_TIMEOUT = 60
"""Seconds for which a server's lock is waited for: who holds it may stand still."""
BUSY_TIMEOUT = 30.0
"""Seconds for which who writes a file is waited for."""
# How a send ended is recorded, however many threads are at it.
_POOL = {"max_overflow": -1}
_MAKING = 20261123
"""What `alone` is told for making a ledger."""
REVIVING = 20261124
"""What `alone` is told for purging, and for making pending again what could be purged."""
OUTAGE = 120.0
"""Seconds for which a ledger that cannot be reached is waited for, once something was sent."""
READS = "yunxin_reads"
"""The execution option of a connection that only reads, and so waits for no writer."""


def open_engine(where: str | os.PathLike[str], *, create: bool = True) -> sa.Engine:
    """Open a ledger.

    Args:
        where: the path of an SQLite file, or a URL, ``sqlite:///…`` or ``postgresql://…``.
        create: whether it is made if it is not there.

    Raises:
        ConfigurationError: its database's driver is not installed.
        LedgerError: it cannot be opened or written, is corrupt, no ledger, or a newer one.
    """
    url = _url(where)
    # A query may hold a password, too.
    shown = url.set(query={}).render_as_string(hide_password=True)
    file = file_of(where)
    if not create and file is not None and file_id(file) is None:
        raise _no_ledger(shown)
    try:
        if file is not None:
            make_private(file)
        engine = sa.create_engine(url, **_options(url))
        _ENGINES.add(engine)
        if url.get_backend_name() == "sqlite":
            sa.event.listen(engine, "connect", _set_up_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        else:
            sa.event.listen(engine, "connect", _set_up_postgresql)
        try:
            _prepare(engine, shown, create=create)
            if file is not None:
                check = _watch(file)
                for event in ("begin", "do_connect"):  # to connect would make an empty one
                    sa.event.listen(engine, event, check, insert=True)
        except BaseException:
            engine.dispose()
            raise
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'The ledger {shown} needs {error.name}: pip install "yunxin-soap[campaign]"'
        ) from error
    except (sa.exc.SQLAlchemyError, sqlite3.Error, ValueError, TypeError) as error:
        # The last two are of options in the URL.
        raise LedgerError(f"The ledger {shown} cannot be used ({why(error)}).") from None
    return engine


def _no_ledger(shown: str) -> LedgerError:
    return LedgerError(f'There is no ledger {shown}: "campaign plan" makes one.')


def file_of(where: str | os.PathLike[str]) -> str | None:
    """Return the path of the file that a ledger is kept in; None if it is on a server.

    Raises:
        LedgerError: the address is none of a ledger.
    """
    url = _url(where)
    return url.database if url.get_backend_name() == "sqlite" else None


def _watch(file: str) -> Callable[..., None]:
    """Let nothing begin once a ledger's file is not there any more, or is another one."""
    opened = file_id(file)

    def check(*_: Any) -> None:
        if file_id(file) != opened:
            lost = sqlite3.OperationalError("its file was moved, removed or replaced")
            raise sa.exc.OperationalError("BEGIN", {}, lost)

    return check


def why(error: BaseException) -> str:
    """Say in one line what a database complained of, without the statement and its values."""
    original = getattr(error, "orig", None) or error
    return (str(original).strip().splitlines() or [type(original).__name__])[0]


def forget(engine: sa.Engine) -> str:
    """Take what was deleted out of an SQLite file and its log; a server does so by itself.

    Returns:
        What is in the way, such as somebody who reads the file; empty if nothing is.
    """
    if engine.dialect.name != "sqlite":
        return ""
    with contextlib.closing(engine.raw_connection()) as connection:
        try:
            busy, _, _ = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            return str(error)
    return "somebody else reads it" if busy else ""


def may_pass(error: sa.exc.DBAPIError) -> bool:
    """Whether to wait may help: a server that is not there, or a file that others are writing."""
    text = why(error).lower()
    if isinstance(error.orig, sqlite3.Error):
        return "locked" in text or "busy" in text
    return error.connection_invalidated or (
        isinstance(error, sa.exc.OperationalError) and "no space" not in text
    )


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn what a database complains of into a `LedgerError`."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise LedgerError(f"The ledger cannot be used ({why(error)}).") from None


def _url(where: str | os.PathLike[str]) -> sa.URL:
    text = os.fspath(where)
    # Whatever looks like a URL is none of a path's: it may hold a password.
    scheme = re.match(r"\s*[a-z][a-z0-9+.-]+(:[a-z0-9+.-]+)*:/", text, re.IGNORECASE)
    if scheme is None:
        return _on_disk(sa.URL.create("sqlite", database=text))
    try:
        url = sa.make_url(scheme[0].lower().strip() + text[scheme.end() :])
    except (sa.exc.ArgumentError, ValueError):  # the latter for its port
        raise LedgerError("The ledger's address is not a URL: give a path or a URL.") from None
    kind = url.get_backend_name()
    if kind == "sqlite":
        return _on_disk(url.set(drivername="sqlite"))
    if kind in ("postgresql", "postgres"):
        if text.count("@") > 1:
            raise LedgerError(
                "The ledger's address has an @ too many: write that of a password as %40."
            )
        return url.set(drivername="postgresql+psycopg")
    raise LedgerError(f"A ledger is in SQLite or PostgreSQL, not in {kind!r}.")


def _on_disk(url: sa.URL) -> sa.URL:
    name = url.database or ""
    if not name or ":memory:" in name:
        raise LedgerError("A ledger must survive the process: name a file.")
    if "uri" in url.query:
        raise LedgerError("A ledger in SQLite is named by its path, not by a URI of its own.")
    # A process may change its directory, and opens the file again and again.
    return url.set(database=str(Path(name).resolve()))


def _options(url: sa.URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        # One a thread at a time, whichever thread it is.
        return {**_POOL, "connect_args": {"timeout": BUSY_TIMEOUT, "check_same_thread": False}}
    return {
        **_POOL,
        "pool_pre_ping": True,
        "connect_args": _PATIENCE,
        # Whatever the server's is: who waits for a lock sees what was committed meanwhile.
        "isolation_level": "READ COMMITTED",
    }


_ENGINES: weakref.WeakSet[sa.Engine] = weakref.WeakSet()


def _leave_to_the_parent() -> None:
    """Have a process that was forked open its own connections."""
    for engine in _ENGINES:
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_leave_to_the_parent)


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy begins transactions itself (below), not the driver, which would begin too late.
    connection.isolation_level = None
    cursor = connection.cursor()
    # NORMAL may lose a commit at a power cut, and a submit would be sent again.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # What is purged is overwritten, not only let go of.
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _set_up_postgresql(connection: Any, _record: object) -> None:
    # A server may be set to lose its last commits in a crash, and a submit would be sent again.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}s'")
    connection.commit()


def _begin_sqlite(connection: sa.Connection) -> None:
    # At once for writing: what was read in a transaction still holds when it writes.
    reads = connection.get_execution_options().get(READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare(engine: sa.Engine, shown: str, *, create: bool) -> None:
    with engine.connect().execution_options(**{READS: True}) as connection:
        # Who only looks waits for no writer, and needs no right to write.
        if _version(connection) == schema.VERSION:
            return
    if create and engine.dialect.name == "sqlite":
        _log_ahead(engine)
    with engine.begin() as connection:
        # Two that make the same ledger at once would meet halfway.
        alone(connection, _MAKING)
        tables = set(sa.inspect(connection).get_table_names())
        if "ledger" not in tables:
            if tables & set(schema.TABLES.tables) or (tables and engine.dialect.name == "sqlite"):
                raise LedgerError(f"{shown} is a database of something else: name another.")
            if not create:
                raise _no_ledger(shown)
            schema.TABLES.create_all(connection)
            connection.execute(schema.ledger.insert().values(version=schema.VERSION))
            return
        found = _version(connection)
        assert found is not None
        if found < 1:
            raise LedgerError(f"The ledger {shown} is damaged: it has version {found}.")
        if found > schema.VERSION:
            raise LedgerError(
                f"The ledger {shown} has version {found}, and this package knows up to"
                f" {schema.VERSION}: use a newer yunxin-soap."
            )
        for version in range(found + 1, schema.VERSION + 1):
            for statement in schema.MIGRATIONS[version]:
                connection.execute(sa.text(statement))
        connection.execute(schema.ledger.update().values(version=schema.VERSION))


def _log_ahead(engine: sa.Engine) -> None:
    """Have an SQLite file that is empty be written ahead, from now on and for good."""
    with contextlib.closing(engine.raw_connection()) as connection:
        cursor = connection.cursor()
        if not cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            cursor.execute("PRAGMA journal_mode = WAL")


def _version(connection: sa.Connection) -> int | None:
    if not sa.inspect(connection).has_table(schema.ledger.name):
        return None
    found: int = connection.execute(sa.select(schema.ledger.c.version)).scalar_one()
    return found


def alone(connection: sa.Connection, what: int) -> None:
    """Let no other transaction do the same until this one ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(what)))


def new_ids(connection: sa.Connection, table: sa.Table, count: int) -> Sequence[int]:
    """Return the numbers that so many new rows of a table may have, in a transaction."""
    if connection.dialect.name == "sqlite":  # where nobody else writes meanwhile
        last = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
        return range(last + 1, last + 1 + count)
    sequence = sa.func.pg_get_serial_sequence(table.name, "id")
    each = sa.func.generate_series(1, count).table_valued("n")
    return connection.scalars(sa.select(sa.func.nextval(sequence)).select_from(each)).all()


def pour(
    connection: sa.Connection,
    table: sa.Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Write many new rows, as fast as the database takes them."""
    if not rows:
        return
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
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
