"""Opens a ledger's database: an SQLite file, or a server by its URL."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sqlite3
import uuid
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa

from yunxin_soap.campaign.storage import schema
from yunxin_soap.campaign.storage.dialects import (
    READ_ONLY,
    Dialect,
    address_of_file,
    dialect_of,
    dialect_of_scheme,
    driver_message,
    is_deadlock,
    is_full,
)
from yunxin_soap.errors import LedgerError
from yunxin_soap.extras import missing_extra
from yunxin_soap.files import file_id, make_private
from yunxin_soap.sentences import Sentence

PURGE_LOCK = 20261124
"""The key of the advisory lock for a purge, and for a retry of what a purge could remove."""
# Text that looks like a URL is never taken for a path: it may hold a password.
_SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]+(:[a-z0-9+.-]+)*:/", re.IGNORECASE)
# SQLAlchemy drops an empty option, and the ledger would be in another schema.
_EMPTY_SCHEMA = re.compile(r"[?&]schema=\s*(&|$)")
# As `yunxin-soap sandbox --record` makes them.
_SANDBOX_TABLES = frozenset({"arrivals", "cleared", "accepted"})
_SQLITE = b"SQLite format 3\0"
"""How each SQLite file begins, once it is not empty."""
_SMALLEST_PAGE = 512
_UNKNOWN_OPTION = re.compile(r".*unexpected keyword argument '(\w+)'.*")
"""What a driver says of an option in an address that it does not know."""
_P = ParamSpec("_P")
_T = TypeVar("_T")
_DEADLOCKS = 20
"""Deadlocks after which a transaction is repeated."""
OUTAGE_TIMEOUT = 120.0
"""Seconds to wait for a ledger that is not reachable, once something was sent."""
FREE_SOME_SPACE = Sentence(" Free some space on its disk.")
"""What ends the message of an error or a warning about a full disk."""


def open_engine(url: str | os.PathLike[str], *, create: bool = True) -> sa.Engine:
    """Open a ledger.

    Args:
        url: the path of an SQLite file, or a URL, ``sqlite:///…``, ``postgresql://…``,
            ``mysql://…`` or ``mariadb://…``. PostgreSQL takes the name of a schema:
            ``?schema=sms``.
        create: whether to create the ledger if it does not exist.

    Raises:
        ConfigurationError: the driver of the database is not installed.
        LedgerError: the ledger cannot be opened or written, is corrupt or newer than this package,
            or the database is not a ledger.
    """
    given = _parse(url)
    dialect = dialect_of(given)
    address, namespace = dialect.split_schema(given)
    shown = _as_typed(url, address, namespace)
    file = dialect.file_of(address)
    if not create and file is not None and file_id(file) is None:
        raise _no_ledger(shown)
    try:
        if file is not None:
            _check_path(file, shown)
            make_private(file)
        engine = sa.create_engine(address, **dialect.engine_options())
        _ENGINES.add(engine)
        dialect.set_up(engine, namespace)
        try:
            _prepare(engine, dialect, namespace, shown, create=create)
            if file is not None:
                check = _file_check(file)
                for event in ("begin", "do_connect"):  # connecting would create an empty file
                    sa.event.listen(engine, event, check, insert=True)
        except BaseException:
            engine.dispose()
            raise
    except ModuleNotFoundError as error:
        raise missing_extra(
            Sentence("The ledger {shown} needs {library}", shown=shown, library=error.name),
            dialect.extra,
        ) from error
    except (sa.exc.SQLAlchemyError, sqlite3.Error, ValueError, TypeError) as error:
        # The last two come from options in the URL.
        why = driver_message(error)
        if unknown := _UNKNOWN_OPTION.fullmatch(why):
            why = Sentence("there is no option {option}", option=unknown[1])
        raise LedgerError(
            Sentence(
                "The ledger {shown} cannot be used ({why}): check its address, its "
                "permissions and its server.",
                shown=shown,
                why=why,
            )
        ) from None
    return engine


def _as_typed(url: str | os.PathLike[str], address: sa.URL, namespace: str | None) -> str:
    """Return a ledger's path or URL as the user typed it, without its passwords."""
    path = os.fspath(url)
    if not _SCHEME.match(path):
        if "@" in path or "password=" in path.lower():
            return "(its address is not shown: it may hold a password)"
        return path
    # A query may hold a password, too.
    shown = address.set(
        drivername=path.strip().partition(":")[0],
        query={} if namespace is None else {"schema": namespace},
    )
    return shown.render_as_string(hide_password=True)


def _check_path(file: str, shown: str) -> None:
    """Check that SQLite would not overwrite a file that is none of its own.

    It takes a file of less than a page for an empty one.

    Raises:
        LedgerError: it would, the file's folder does not exist, or it is no regular file.
    """
    path, start = Path(file), b""
    with contextlib.suppress(OSError):  # SQLite says why it cannot be read
        if not path.parent.is_dir():
            raise LedgerError(
                Sentence(
                    "The ledger {shown} cannot be used: its folder does not exist. "
                    "Create it, or name another file.",
                    shown=shown,
                )
            )
        if path.exists() and not path.is_file():  # to read it may never end
            raise LedgerError(
                Sentence(
                    "The ledger {shown} cannot be used: it is no regular file. Name another file.",
                    shown=shown,
                )
            )
        start = path.read_bytes()[: len(_SQLITE)] if path.stat().st_size < _SMALLEST_PAGE else b""
    if start and start != _SQLITE and not Path(f"{file}-journal").exists():
        raise LedgerError(
            Sentence(
                "The ledger {shown} cannot be used (file is not a database): name another file.",
                shown=shown,
            )
        )


def _no_ledger(shown: str) -> LedgerError:
    return LedgerError(
        Sentence(
            'There is no ledger {shown}: "campaign plan" creates one, and so does a program that '
            "opens it.",
            shown=shown,
        )
    )


def file_of(url: str | os.PathLike[str]) -> str | None:
    """Return the path of a ledger's file; None if the ledger is on a server.

    Raises:
        LedgerError: the address is not valid for a ledger.
    """
    address = _parse(url)
    return dialect_of(address).file_of(address)


def _file_check(file: str) -> Callable[..., None]:
    """Return a check that fails once the ledger file was moved, deleted or replaced."""
    opened = file_id(file)

    def check(*_: Any) -> None:
        if file_id(file) != opened:
            lost = sqlite3.OperationalError("its file was moved, deleted or replaced")
            raise sa.exc.OperationalError("BEGIN", {}, lost)

    return check


class _Deadlock(LedgerError):
    """A server rolled a transaction back for another one's sake."""


@contextlib.contextmanager
def as_ledger_errors() -> Iterator[None]:
    """Turn a database's errors into a `LedgerError`."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        failure = LedgerError(
            Sentence(
                "The ledger cannot be used ({error}).{hint}",
                error=driver_message(error),
                hint=FREE_SOME_SPACE if is_full(error) else "",
            )
        )
        raise (_Deadlock(*failure.args) if is_deadlock(error) else failure) from None


def repeat_after_deadlock(call: Callable[_P, _T]) -> Callable[_P, _T]:
    """Repeat a function that is safe to repeat if a server ended it to resolve a deadlock.

    A deadlock is no failure: MySQL locks more rows than a statement names.
    """

    @functools.wraps(call)
    def repeated(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for _ in range(_DEADLOCKS):
            try:
                return call(*args, **kwargs)
            except _Deadlock:  # noqa: PERF203 - it is repeated
                continue
            except sa.exc.DBAPIError as error:
                if not is_deadlock(error):
                    raise
        return call(*args, **kwargs)

    return repeated


def _parse(url: str | os.PathLike[str]) -> sa.URL:
    text = os.fspath(url)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return address_of_file(text)
    try:
        address = sa.make_url(scheme[0].lower().strip() + text[scheme.end() :])
    except (sa.exc.ArgumentError, ValueError):  # ValueError: for its TCP port
        raise LedgerError("The ledger's address is not a URL: give a path or a URL.") from None
    dialect = dialect_of_scheme(address.get_backend_name())
    if not dialect.is_local:
        if text.count("@") > 1:
            raise LedgerError(
                "The ledger's address has more than one @: write an @ in the password as %40."
            )
        if _EMPTY_SCHEMA.search(text):
            raise LedgerError("?schema= in the ledger's address must name one schema.")
    return dialect.full_address(address)


_ENGINES: weakref.WeakSet[sa.Engine] = weakref.WeakSet()


def _drop_inherited_connections() -> None:
    """Give a forked child its own connections; those of its parent stay open."""
    for engine in _ENGINES:
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_drop_inherited_connections)


def _prepare(
    engine: sa.Engine, dialect: Dialect, namespace: str | None, shown: str, *, create: bool
) -> None:
    """Create the tables, or migrate them; only check the version if that is all it needs."""
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        if obstacle := dialect.check_server(connection):
            raise LedgerError(
                Sentence(
                    "The ledger {shown} cannot be used: {obstacle}.", shown=shown, obstacle=obstacle
                )
            )
        # Readers take no write lock and need no write permission.
        if _version(connection) == schema.VERSION:
            return
    if create:
        dialect.enable_wal(engine)
    # Two processes that create the same ledger at once would collide.
    with dialect.creating(engine) as connection:
        found = _version(connection)
        if found is None:
            _create(connection, namespace, shown, create=create)
            return
        if found < 1:
            raise LedgerError(
                Sentence(
                    "The ledger {shown} is damaged: it has version {found}. Restore "
                    "it from a backup, and ask the vendor what was sent since.",
                    shown=shown,
                    found=found,
                )
            )
        if found > schema.VERSION:
            raise LedgerError(
                Sentence(
                    "The ledger {shown} has version {found}, and this package supports versions up "
                    "to {version}: use a newer yunxin-soap.",
                    shown=shown,
                    found=found,
                    version=schema.VERSION,
                )
            )
        for version in range(found + 1, schema.VERSION + 1):
            for statement in schema.MIGRATIONS[version]:
                _migrate(connection, dialect, statement)
            # Some servers commit each statement: what is done is not begun again.
            connection.execute(schema.ledger.update().values(version=version))


def _create(connection: sa.Connection, namespace: str | None, shown: str, *, create: bool) -> None:
    """Create the tables that are not there, and the version as the last.

    A server that commits each statement may have been interrupted between two of them.
    """
    tables = set(sa.inspect(connection).get_table_names())
    ours = [table for table in schema.TABLES.sorted_tables if table.name in tables]
    if any(connection.execute(sa.select(table).limit(1)).first() for table in ours):
        raise LedgerError(
            Sentence(
                "The ledger {shown} is damaged: it has no version in the table "
                "{ledger}. Restore it from a backup, and ask the vendor what was sent "
                "since.",
                shown=shown,
                ledger=schema.ledger.name,
            )
        )
    if tables >= _SANDBOX_TABLES and not ours:
        raise LedgerError(
            Sentence("{shown} is the record of a sandbox: name another file.", shown=shown)
        )
    if not create:
        raise _no_ledger(shown)
    if namespace is not None and not sa.inspect(connection).has_schema(namespace):
        connection.execute(sa.schema.CreateSchema(namespace))
    schema.TABLES.create_all(connection)
    connection.execute(schema.suppression_state.insert().values(generation=0))
    values = {"version": schema.VERSION, "id": uuid.uuid4().hex}
    connection.execute(schema.ledger.insert().values(values))


def create_tables(connection: sa.Connection) -> None:
    """Create the tables in a migration of an application, unless the ledger is there already.

    Raises:
        LedgerError: some of them are there, with rows, or the server cannot hold a ledger.
    """
    shown = "in this database"
    if obstacle := dialect_of(connection).check_server(connection):
        raise LedgerError(
            Sentence(
                "The ledger {shown} cannot be used: {obstacle}.", shown=shown, obstacle=obstacle
            )
        )
    if _version(connection) is None:
        _create(connection, None, shown, create=True)


def drop_tables(connection: sa.Connection) -> None:
    """Drop the tables in a migration of an application, unless they record a submission.

    Raises:
        LedgerError: they do.
    """
    if connection.execute(sa.select(schema.submission.c.id).limit(1)).first():
        raise LedgerError(
            "The ledger keeps what was sent, so that nothing is sent twice: its tables were not"
            " dropped. Drop the tables yunxin_* by hand if that does not matter."
        )
    schema.TABLES.drop_all(connection)


def _migrate(connection: sa.Connection, dialect: Dialect, statement: str) -> None:
    try:
        connection.execute(sa.text(statement))
    except sa.exc.DBAPIError as error:
        if not dialect.is_done_already(error):
            raise


def _version(connection: sa.Connection) -> int | None:
    """Return the version of the tables; None if the ledger was not created completely."""
    if not sa.inspect(connection).has_table(schema.ledger.name):
        return None
    return connection.scalar(sa.select(schema.ledger.c.version))
