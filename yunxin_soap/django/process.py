"""The client and the ledger of this process, made when they are first needed."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.conf import settings
from django.db import connections

from yunxin_soap.client import Client
from yunxin_soap.django import configuration
from yunxin_soap.django.ledger import DjangoLedger
from yunxin_soap.django.testing import OutboxTransport, in_tests, outbox

if TYPE_CHECKING:
    from celery import Celery


_T = TypeVar("_T", bound=Client | DjangoLedger)


def get_client() -> Client:
    """Return the client of this process, with the account and the settings of ``YUNXIN``.

    What ``YUNXIN`` does not have is that of the environment, as in `Client.from_env`. Threads share
    it, and a forked process may use it. In tests, what it sends is kept in the outbox.

    Raises:
        ImproperlyConfigured: ``YUNXIN`` is wrong.
        ConfigurationError: a setting is missing or wrong.
    """
    return _client.get()


def get_ledger() -> DjangoLedger:
    """Return the ledger of this process, in the database of ``YUNXIN['database']``.

    Threads share it, and a forked process may use it.

    Raises:
        ImproperlyConfigured: ``YUNXIN`` is wrong.
        ConfigurationError: the ledger cannot be in that database, or its tables are not there.
        LedgerError: the ledger cannot be opened.
    """
    return _ledger.get()


def setup_celery(app: Celery) -> None:
    """Let a Celery application's workers send what is queued; see `yunxin_soap.celery.setup`.

    The account, the ledger, ``slice_seconds`` and ``sweep_interval`` are those of ``YUNXIN``.

    Args:
        app: the application.

    Raises:
        ConfigurationError: Celery is not installed.
        ImproperlyConfigured: ``YUNXIN`` is wrong.
    """
    from yunxin_soap import celery

    found = configuration.read()
    celery.setup(
        app,
        ledger=open_ledger,
        client=open_client,
        slice_seconds=found.slice_seconds or celery.SLICE_SECONDS,
        sweep_interval=found.sweep_interval or celery.SWEEP_INTERVAL,
    )


def open_client() -> Client:
    """Return a new client, as `get_client` makes it."""
    if keeps_outbox():
        transport = OutboxTransport(outbox)
        return Client.from_settings(
            configuration.client_settings(needs_account=False), transport=transport
        )
    return Client.from_settings(configuration.client_settings())


def open_ledger() -> DjangoLedger:
    """Return a new ledger, as `get_ledger` makes it."""
    found, is_kept = configuration.read(), keeps_outbox()

    def queued(key: str) -> None:
        if is_kept:
            outbox.add_queued(key, found.database)

    return DjangoLedger(
        found.database,
        None if borrows(found) else configuration.ledger_url(found),
        configuration.client_settings(needs_account=False),
        heartbeat_timeout=found.heartbeat_timeout,
        on_queued=queued,
    )


def keeps_outbox() -> bool:
    """Return whether nothing is sent, since a test runs."""
    return in_tests() and configuration.read().outbox


def borrows(found: configuration.Configuration) -> bool:
    """Return whether all of the ledger uses Django's connection, since a test runs.

    Another connection would not see what the transaction of a ``TestCase`` has changed, nor a
    database in memory.
    """
    if not in_tests():
        return False
    connection: Any = connections[found.database]
    is_in_memory = getattr(connection, "is_in_memory_db", lambda: False)
    return found.outbox or connection.in_atomic_block or bool(is_in_memory())


class _MadeBy:
    """The settings of this moment; its ``repr`` shows none, as they have a password."""

    def __init__(self) -> None:
        self._setting = dict(configuration.raw_setting())
        # A test's database has another name.
        databases = settings.DATABASES.values() if in_tests() else ()
        self._names = [each.get("NAME") for each in databases]
        self._borrows = borrows(configuration.read())

    def __eq__(self, other: object) -> bool:
        """Compare the settings."""
        return isinstance(other, _MadeBy) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class _Kept(Generic[_T]):
    """What this process has made, and the settings that it was made by.

    Args:
        make: makes it.
    """

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self._made: tuple[_MadeBy, _T] | None = None

    def get(self) -> _T:
        """Return it; a new one if the settings have changed, as in tests."""
        key = _MadeBy()
        with self._lock:
            if self._made is None or self._made[0] != key:
                made = self._make()
                self.close()
                self._made = key, made
            return self._made[1]

    def close(self) -> None:
        """Close it; the next call makes a new one."""
        with self._lock:
            if self._made is not None:
                self._made[1].close()
                self._made = None

    def after_fork(self) -> None:
        """Replace a lock that another thread of the parent may have held."""
        self._lock = threading.RLock()


def close() -> None:
    """Close the client and the ledger of this process; the end of the process does so, too."""
    _client.close()
    _ledger.close()


_client, _ledger = _Kept(open_client), _Kept(open_ledger)
atexit.register(close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_client.after_fork)
    os.register_at_fork(after_in_child=_ledger.after_fork)
