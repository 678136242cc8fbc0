"""The ledger of a Django project, which queues in the transaction of its caller."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from django.db import connections, transaction

from yunxin_soap.campaign.ledger import Ledger
from yunxin_soap.campaign.models import DEFAULT_EXPIRES_IN
from yunxin_soap.campaign.running.once import OnceSends
from yunxin_soap.campaign.storage.borrowed import borrowing_engine
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.campaign.storage.schema import ledger as ledger_table
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from yunxin_soap.campaign.storage.outbox import Transaction
    from yunxin_soap.settings import Settings

OnQueued = Callable[[str, "str | int | Iterable[str | int]", str], None]
"""Is told of each queued send: its key, recipients and message."""


class DjangoOnceSends(OnceSends):
    """Single sends with a key, as `OnceSends`; `enqueue` needs no connection and no channel."""

    alias: str
    """The database, in ``DATABASES``."""
    borrowed: sa.Engine
    """Uses Django's own connection to it."""
    defaults: Settings
    """The settings of the client, for what a call does not give."""
    on_queued: Callable[[str], None]
    """Is told the key of each send that is queued."""

    def enqueue(
        self,
        key: str,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int | None = None,
        extension: str | int | None = None,
        signature: str | None = None,
        max_recipients: int | None = None,
        max_segments: int | None = None,
        recipient_pattern: str | re.Pattern[str] | None = None,
        literal: bool = False,
        expires_in: float | timedelta = DEFAULT_EXPIRES_IN,
        pace: str | None = None,
        connection: Transaction | None = None,
    ) -> bool:
        """Queue one submission in the transaction of the caller; a worker sends it at most once.

        It uses Django's connection to the ledger's database: in ``transaction.atomic()``, the order
        and its notice are committed together, or neither is. An error leaves that transaction
        usable. Outside of ``atomic``, it is a transaction of its own.

        Args:
            key: names what is sent, such as ``order-42-shipped``.
            recipients: as `Client.send`.
            message: the text.
            channel: the channel number. Default: that of ``YUNXIN``.
            extension: the extension number. Default: that of ``YUNXIN``.
            signature: appended to a message that has none. Default: that of ``YUNXIN``.
            max_recipients: the most numbers. Default: that of ``YUNXIN``.
            max_segments: the most segments of the text. Default: that of ``YUNXIN``.
            recipient_pattern: the pattern of a number. Default: that of ``YUNXIN``.
            literal: whether to send what looks like an unfilled placeholder as it is.
            expires_in: the time in which it may be sent, in seconds or as a `timedelta`.
                Default: a day.
            pace: the pace that it is sent at. Default: none.
            connection: a `Connection` or `Session` of SQLAlchemy, instead of Django's.

        Returns:
            Whether it is queued now. False: the key was used for the same content before, whatever
            became of it.

        Raises:
            ConfigurationError: the key is empty or not printable, ``expires_in`` is out of range,
                there is no such pace or no channel, or ``YUNXIN['ledger']`` is another database.
            ContentConflict: the key was used for other recipients, text, channel or extension.
            InvalidRequest: a rule is broken.
            RecipientsSuppressed: a number is on the do-not-send list.
            django.db.DatabaseError: the database failed, as for any other query.
        """
        defaults = self.defaults
        number = defaults.channel if channel is None else channel
        if number is None:
            raise ConfigurationError(
                "There is no channel: pass channel=, or set YUNXIN['channel']. Nothing was queued."
            )

        def queue(on: Transaction) -> bool:
            return super(DjangoOnceSends, self).enqueue(
                key,
                recipients,
                message,
                channel=number,
                extension=defaults.extension if extension is None else extension,
                signature=defaults.signature if signature is None else signature,
                max_recipients=max_recipients or defaults.max_recipients,
                max_segments=max_segments or defaults.max_segments,
                recipient_pattern=recipient_pattern or defaults.recipient_pattern,
                literal=literal,
                expires_in=expires_in,
                pace=pace,
                connection=on,
            )

        if connection is not None:
            return queue(connection)
        with connections[self.alias].wrap_database_errors:
            try:
                with self.borrowed.begin() as own:
                    is_queued = queue(own)
            except sa.exc.DBAPIError as error:
                raise (error.orig or error) from None
        if is_queued:
            self.on_queued(key)
        return is_queued


class DjangoLedger(Ledger):
    """The ledger in a database of ``DATABASES``; `yunxin_soap.django.get_ledger` returns it.

    All but ``once.enqueue`` uses connections of its own, because what was sent must stay recorded
    whatever becomes of the caller's transaction. In tests, all of it uses Django's.
    """

    once: DjangoOnceSends

    def __init__(
        self,
        alias: str,
        url: str | None,
        defaults: Settings,
        *,
        heartbeat_timeout: float,
        on_queued: Callable[[str], None],
    ) -> None:
        """Open the ledger.

        Args:
            alias: the database, in ``DATABASES``.
            url: the address of the same database, for connections of its own; None to use Django's
                for everything.
            defaults: the settings of the client.
            heartbeat_timeout: as `Ledger` takes it.
            on_queued: is told the key of each send that is queued.

        Raises:
            ConfigurationError: the tables are not there.
            LedgerError: the ledger cannot be opened.
        """
        connection = connections[alias]
        if ledger_table.name not in connection.introspection.table_names():
            again = "" if alias == "default" else f" --database {alias}"
            raise ConfigurationError(
                Sentence(
                    "The ledger's tables are not in DATABASES[{alias}]: run manage.py "
                    "migrate{again}. If that has nothing to do, the migration ran before "
                    "YUNXIN['database'] was set: run manage.py migrate yunxin zero{again} first.",
                    alias=repr(alias),
                    again=again,
                )
            )
        self._borrowed = borrow(alias)
        engine = self._borrowed if url is None else open_engine(url, create=False)
        self._compose(engine, heartbeat_timeout)
        self.once = DjangoOnceSends(engine, self._singles, self._reads, self._admin)
        self.once.alias, self.once.borrowed = alias, self._borrowed
        self.once.defaults, self.once.on_queued = defaults, on_queued


def borrow(alias: str) -> sa.Engine:
    """Return an engine that uses Django's connection to a database, in the thread that calls.

    A transaction of the engine is ``transaction.atomic()``, a savepoint in the caller's.
    """

    def connect() -> Any:
        connection = connections[alias]
        connection.ensure_connection()
        return connection.connection

    return borrowing_engine(
        connections[alias].vendor, connect, lambda: transaction.atomic(using=alias)
    )
