"""The client and the ledger of this process, made when they are first needed."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections

from yunxin_soap.client import Client
from yunxin_soap.django import configuration
from yunxin_soap.django.ledger import DjangoLedger
from yunxin_soap.django.testing import OutboxTransport, in_tests, outbox

if TYPE_CHECKING:
    from celery import Celery


def get_client() -> Client:
    """Return the client of this process, with the account and the settings of ``YUNXIN``.

    What ``YUNXIN`` does not have is that of the environment, as in `Client.from_env`. Threads share
    it, and a forked process may use it. In tests, what it sends is kept in the outbox.

    Raises:
        ImproperlyConfigured: ``YUNXIN`` is wrong.
        ConfigurationError: a setting is missing or wrong.
    """
    return _process.client()


def get_ledger() -> DjangoLedger:
    """Return the ledger of this process, in the database of ``YUNXIN['database']``.

    Threads share it, and a forked process may use it.

    Raises:
        ImproperlyConfigured: ``YUNXIN`` is wrong.
        ConfigurationError: the ledger cannot be in that database, or its tables are not there.
        LedgerError: the ledger cannot be opened.
    """
    return _process.ledger()


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


class _Process:
    """What this process has made, and the settings that it was made by."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._client: tuple[_MadeBy, Client] | None = None
        self._ledger: tuple[_MadeBy, DjangoLedger] | None = None

    def client(self) -> Client:
        """Return the client; a new one if the settings have changed, as in tests."""
        key = _MadeBy()
        with self._lock:
            if self._client is None or self._client[0] != key:
                made = open_client()
                self._close_client()
                self._client = key, made
            return self._client[1]

    def ledger(self) -> DjangoLedger:
        """Return the ledger; a new one if the settings have changed, as in tests."""
        key = _MadeBy()
        with self._lock:
            if self._ledger is None or self._ledger[0] != key:
                made = open_ledger()
                self._close_ledger()
                self._ledger = key, made
            return self._ledger[1]

    def _close_client(self) -> None:
        if self._client is not None:
            self._client[1].close()
            self._client = None

    def _close_ledger(self) -> None:
        if self._ledger is not None:
            self._ledger[1].close()
            self._ledger = None

    def close(self) -> None:
        """Close both; the next call makes new ones."""
        with self._lock:
            self._close_client()
            self._close_ledger()

    def after_fork(self) -> None:
        """Replace a lock that another thread of the parent may have held."""
        self._lock = threading.RLock()


def close() -> None:
    """Close the client and the ledger of this process; the end of the process does so, too."""
    _process.close()


_process = _Process()
atexit.register(close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_process.after_fork)
