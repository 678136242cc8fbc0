"""An engine over the connections of an application, whose transactions the application manages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.storage.dialects import dialect_of_scheme

Transaction = Callable[[], AbstractContextManager[Any]]
"""Begins a transaction of the application, or a savepoint in one; an error rolls it back."""


class BorrowedConnection:
    """A driver's connection that belongs to an application; a ledger ends only what it began.

    Args:
        driver: the driver's own connection.
        transaction: begins a transaction on it.
    """

    def __init__(self, driver: Any, transaction: Transaction) -> None:
        self._driver, self._transaction = driver, transaction
        self._block: AbstractContextManager[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        """Do everything else as the driver does."""
        return getattr(self._driver, name)

    def begin(self) -> None:
        """Begin a transaction, unless SQLAlchemy has asked for none, by this attribute."""
        if not self.__dict__.get("autocommit", False):
            self._block = self._transaction()
            self._block.__enter__()

    def commit(self) -> None:
        """Commit what `begin` began, or release its savepoint."""
        block, self._block = self._block, None
        if block is not None:
            block.__exit__(None, None, None)

    def rollback(self) -> None:
        """Roll back what `begin` began."""
        block, self._block = self._block, None
        if block is not None:
            error = _RolledBack()
            block.__exit__(_RolledBack, error, None)

    def close(self) -> None:
        """Do nothing: the application closes it."""


class _RolledBack(Exception):
    """Tells a transaction of the application that it is to be rolled back."""


def borrowing_engine(
    vendor: str, connect: Callable[[], Any], transaction: Transaction
) -> sa.Engine:
    """Return an engine that uses an application's connections, and changes no setting of them.

    Args:
        vendor: the kind of the database, such as a scheme of a ledger's address.
        connect: returns the driver's connection of this thread.
        transaction: begins a transaction on it.

    Raises:
        LedgerError: it is no database that can hold a ledger.
    """
    module = type(connect()).__module__.partition(".")[0]
    address = sa.URL.create(dialect_of_scheme(vendor).scheme_of_driver(module))
    # Not by `create_engine`, whose engine adds handlers and functions to each connection.
    kind: Any = address.get_dialect()
    dialect = kind(dbapi=kind.import_dbapi())
    dialect.use_native_hstore = False  # it would be registered on the connection
    pool = sa.NullPool(
        lambda: BorrowedConnection(connect(), transaction), reset_on_return=None, dialect=dialect
    )
    engine = sa.Engine(pool, dialect, address, hide_parameters=True)
    sa.event.listen(engine, "begin", _begin)
    sa.event.listen(engine, "set_connection_execution_options", _keep_isolation_level)
    with engine.connect() as connection:
        dialect.initialize(connection)
    return engine


def _begin(connection: sa.Connection) -> None:
    borrowed: Any = connection.connection.dbapi_connection
    borrowed.begin()


def _keep_isolation_level(_connection: sa.Connection, options: dict[str, Any]) -> None:
    """Leave the isolation level to the application: to change it would end its transaction."""
    if options.get("isolation_level") != "AUTOCOMMIT":
        options.pop("isolation_level", None)
