"""Queues single sends for a worker, in a transaction of its own or of the application."""

from __future__ import annotations

import functools
import sys
import weakref
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import State
from yunxin_soap.campaign.storage import transitions
from yunxin_soap.campaign.storage.dialects import (
    READ_ONLY,
    dialect_of,
    dialect_of_scheme,
    ledger_time,
)
from yunxin_soap.campaign.storage.engine import as_ledger_errors, repeat_after_deadlock
from yunxin_soap.campaign.storage.paces import pace_id
from yunxin_soap.campaign.storage.schema import ledger, submission
from yunxin_soap.campaign.storage.singles import check_content, digest_of
from yunxin_soap.campaign.storage.suppression import list_state, refuse_suppressed
from yunxin_soap.errors import ConfigurationError, LedgerError
from yunxin_soap.message import Submission
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session

    Transaction = sa.Connection | Session | scoped_session[Any]
    """What an application's transaction is given as."""
    AsyncTransaction = AsyncConnection | AsyncSession | async_scoped_session[Any]
    """The same with asyncio."""


_UNSENT = frozenset({State.PENDING, State.SUBMITTING})
"""The states of a single send that may still have to be sent."""


class Outbox:
    """Queues single sends.

    Args:
        engine: the ledger's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._has_tables: weakref.WeakSet[sa.Engine] = weakref.WeakSet()
        """The applications' engines that lead to a ledger."""

    @functools.cached_property
    def ledger_id(self) -> str:
        """What tells this ledger from others."""
        with (
            as_ledger_errors(),
            self._engine.connect().execution_options(**{READ_ONLY: True}) as connection,
        ):
            return str(connection.execute(sa.select(ledger.c.id)).scalar_one())

    def add(self, key: str, given: Submission, *, expires_in: float, pace: str | None) -> bool:
        """Queue a send in a transaction of its own; see `add_within`."""
        with as_ledger_errors():
            return self._add_alone(key, given, expires_in, pace)

    @repeat_after_deadlock
    def _add_alone(self, key: str, given: Submission, expires_in: float, pace: str | None) -> bool:
        with self._engine.begin() as connection:
            return self._add(connection, key, given, expires_in, pace)

    def add_within(
        self,
        connection: sa.Connection,
        key: str,
        given: Submission,
        *,
        expires_in: float,
        pace: str | None,
    ) -> bool:
        """Queue a send in an application's transaction.

        Errors of the database are raised as they are: the application repeats its own transaction,
        as after a deadlock.

        Args:
            connection: the application's.
            key: the key.
            given: the content, checked.
            expires_in: seconds from now on in which it may be sent.
            pace: the pace that it is sent at, if any.

        Returns:
            Whether it is queued now. False: the key was used for the same content.

        Raises:
            ConfigurationError: the connection is in autocommit mode, or does not lead to this
                ledger.
            ContentConflict: the key was used for other content.
            RecipientsSuppressed: a number is on the do-not-send list.
        """
        self._check_place(connection)
        return self._add(connection, key, given, expires_in, pace)

    @staticmethod
    def _add(
        connection: sa.Connection, key: str, given: Submission, expires_in: float, pace: str | None
    ) -> bool:
        if pace is not None:
            pace_id(connection, pace)
        digest = digest_of(given)
        existing = sa.select(submission).where(submission.c.key == key)
        found = connection.execute(existing).one_or_none()
        if found is None:
            # The list is not locked: the claim looks at it again.
            refuse_suppressed(connection, given.recipients, list_state(connection))
            now = ledger_time(connection)
            if transitions.insert_queued_single(
                connection, key, digest, given, now=now, expires_at=now + expires_in, pace=pace
            ):
                return True
            # The lock shows what was committed since the snapshot of the transaction.
            found = connection.execute(existing.with_for_update()).one()
        check_content(key, found, digest)
        if State(found.state) not in _UNSENT or found.expires_at is not None:
            return False
        # `once.send` has tried it, or is about to, and nobody else would try it again.
        now = ledger_time(connection)
        expires_at = now + expires_in
        return transitions.queue(connection, found.id, now=now, expires_at=expires_at, pace=pace)

    def _check_place(self, connection: sa.Connection) -> None:
        """Check that an application's connection leads to this ledger, in a transaction."""
        try:
            dialect_of_scheme(connection.dialect.name)
        except LedgerError as error:
            raise ConfigurationError(
                Sentence("connection= does not lead to this ledger: {error}", error=error)
            ) from None
        if dialect_of(connection).in_autocommit(connection):
            raise ConfigurationError(
                "connection= is in autocommit mode, so that nothing would be rolled back together:"
                " begin a transaction. Nothing was queued."
            )
        # To look for a table that is not there would end a transaction on PostgreSQL.
        if connection.engine not in self._has_tables:
            if not sa.inspect(connection).has_table(ledger.name):
                raise ConfigurationError(
                    Sentence(
                        "connection= has no table {ledger}: the ledger must be in the "
                        "database of the "
                        "application, in a schema that its connection searches. "
                        "Nothing was queued.",
                        ledger=ledger.name,
                    )
                )
            self._has_tables.add(connection.engine)
        if connection.scalar(sa.select(ledger.c.id)) != self.ledger_id:
            raise ConfigurationError(
                "connection= leads to another ledger than this one: open the ledger in the database"
                " of the application. Nothing was queued."
            )


def connection_of(given: Transaction) -> sa.Connection:
    """Return the connection of what an application gives as its transaction.

    Raises:
        TypeError: it is none of SQLAlchemy's, or an asynchronous one.
    """
    if isinstance(given, sa.Connection):
        return given
    # Who has a session has imported the module.
    orm: Any = sys.modules.get("sqlalchemy.orm")
    if orm is not None and isinstance(given, (orm.Session, orm.scoped_session)):
        connection: sa.Connection = given.connection()
        return connection
    raise TypeError(
        f"connection= must be a Connection or a Session of SQLAlchemy, got {type(given).__name__}."
    )


async def async_connection_of(given: AsyncTransaction) -> AsyncConnection:
    """Return the connection of what an application with asyncio gives as its transaction.

    Raises:
        TypeError: it is none of SQLAlchemy's, or a synchronous one.
    """
    module: Any = sys.modules.get("sqlalchemy.ext.asyncio")
    if module is not None:
        if isinstance(given, module.AsyncConnection):
            own: AsyncConnection = given
            return own
        if isinstance(given, (module.AsyncSession, module.async_scoped_session)):
            connection: AsyncConnection = await given.connection()
            return connection
    raise TypeError(
        "connection= must be an AsyncConnection or an AsyncSession of SQLAlchemy, got"
        f" {type(given).__name__}."
    )
