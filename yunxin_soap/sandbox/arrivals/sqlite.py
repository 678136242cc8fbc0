"""The record file: arrivals in SQLite, which survive a sandbox that is killed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.files import file_id, make_private
from yunxin_soap.operation import ProtocolName
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome, StorageError
from yunxin_soap.sentences import Sentence

_VERSION = 3
_SCHEMA = """
CREATE TABLE arrivals (
    id INTEGER PRIMARY KEY, received_at TEXT NOT NULL, outcome TEXT NOT NULL,
    result TEXT NOT NULL, http_status INTEGER NOT NULL, remote TEXT NOT NULL, protocol TEXT,
    user_code TEXT NOT NULL, recipients TEXT NOT NULL, message TEXT NOT NULL,
    channel TEXT NOT NULL, extension TEXT NOT NULL, batch_no TEXT UNIQUE, fault TEXT,
    request TEXT NOT NULL, response TEXT NOT NULL
);
CREATE TABLE cleared (last_id INTEGER NOT NULL);
INSERT INTO cleared VALUES (0);
CREATE TABLE accepted (recipient TEXT PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID;
"""
_COLUMNS = tuple(each.name for each in fields(Arrival))
_INSERT = (
    f"INSERT INTO arrivals ({', '.join(_COLUMNS)})"  # noqa: S608 - no input
    f" VALUES ({', '.join('?' * len(_COLUMNS))})"
)
_LATEST = (
    f"SELECT {', '.join(_COLUMNS)} FROM arrivals"  # noqa: S608 - no input
    " WHERE id > (SELECT max(id) FROM arrivals) - ? ORDER BY id"
)


class SqliteArrivals:
    """Appends arrivals to a file; each is committed before `append` returns.

    Args:
        path: the file; it is created if it does not exist.
        busy_timeout: seconds to wait for another SQLite writer. All requests wait meanwhile.

    Raises:
        ConfigurationError: the file cannot be opened, is no record file of a sandbox, or another
            sandbox uses it.
    """

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout: float = 1.0) -> None:
        if not os.fspath(path):
            raise ConfigurationError("The record has no name: name a file.")
        # All symbolic links to one file must lead to one lock.
        name = self._name = os.path.realpath(path)
        self._lock = _acquire_lock(name)
        try:
            make_private(name)
            self._db = sqlite3.connect(
                name, timeout=busy_timeout, isolation_level=None, check_same_thread=False
            )
            try:
                self._open(name)
                self._file_id = file_id(name)
            except BaseException:
                self._db.close()
                raise
        except BaseException as error:
            self._lock.release()
            if not isinstance(error, sqlite3.Error):
                raise
            raise ConfigurationError(
                Sentence(
                    "The record {name} cannot be opened ({problem}): name another file.",
                    name=name,
                    problem=error,
                )
            ) from error

    def _open(self, name: str) -> None:
        if Path(name).stat().st_nlink > 1:
            raise ConfigurationError(
                Sentence(
                    "{name} has other names (hard links), through which another sandbox could use"
                    " it: name another file.",
                    name=name,
                )
            )
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version != _VERSION and (version or tables):
            raise ConfigurationError(
                Sentence(
                    "{name} is no record of this sandbox (version {version}): name another file.",
                    name=name,
                    version=version,
                )
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing that was committed; a power failure can.
        self._db.execute("PRAGMA synchronous = NORMAL")
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT")

    def append(self, arrival: Arrival) -> None:
        """Commit one arrival.

        Raises:
            StorageError: the file was moved or removed, or cannot be written (a full disk, say).
        """
        if file_id(self._name) != self._file_id:
            raise StorageError(
                Sentence(
                    "The record {name} was moved or removed: restart the sandbox.", name=self._name
                )
            )
        values = arrival.as_dict()
        values["recipients"] = ",".join(arrival.recipients)
        try:
            self._append(arrival, values)
        except sqlite3.Error as error:
            raise StorageError(
                Sentence(
                    "The record {name} cannot be written ({problem}).",
                    name=self._name,
                    problem=error,
                )
            ) from None

    def _append(self, arrival: Arrival, values: dict[str, Any]) -> None:
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute(_INSERT, [values[name] for name in _COLUMNS])
            if arrival.batch_no is not None:
                self._db.executemany(
                    "INSERT INTO accepted VALUES (?, 1)"
                    " ON CONFLICT (recipient) DO UPDATE SET times = times + 1",
                    [(each,) for each in arrival.recipients],
                )

    @contextmanager
    def close_if_damaged(self) -> Iterator[None]:
        """Close the file if the block cannot read it.

        Raises:
            ConfigurationError: the file is damaged.
        """
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            self.close()
            raise ConfigurationError(
                Sentence(
                    "The record {name} cannot be read ({problem}): name another file.",
                    name=self._name,
                    problem=error,
                )
            ) from None

    def latest(self, limit: int) -> Iterator[Arrival]:
        """Yield the last arrivals, oldest first."""
        for row in self._db.execute(_LATEST, (limit,)):
            values: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
            values["received_at"] = datetime.fromisoformat(values["received_at"])
            values["outcome"] = Outcome(values["outcome"])
            values["protocol"] = cast("ProtocolName | None", values["protocol"])
            values["recipients"] = tuple(filter(None, values["recipients"].split(",")))
            yield Arrival(**values)

    def last_id(self) -> int:
        """Return the id of the last arrival, cleared ones included; 0 before the first."""
        (last,) = self._db.execute(
            "SELECT coalesce((SELECT max(id) FROM arrivals), last_id) FROM cleared"
        ).fetchone()
        return int(last)

    def count(self) -> int:
        """Return the number of arrivals."""
        return int(self._db.execute("SELECT count(*) FROM arrivals").fetchone()[0])

    def times(self, number: str) -> int:
        """Return how often a number was accepted."""
        found = self._db.execute(
            "SELECT times FROM accepted WHERE recipient = ?", (number,)
        ).fetchone()
        return int(found[0]) if found else 0

    def counts(self) -> dict[str, int]:
        """Return how often each number was accepted."""
        return dict(self._db.execute("SELECT recipient, times FROM accepted"))

    def clear(self) -> None:
        """Delete all arrivals and counts.

        Raises:
            StorageError: the file cannot be written.
        """
        try:
            self._clear()
        except sqlite3.Error as error:
            raise StorageError(
                Sentence(
                    "The record {name} cannot be cleared ({problem}).",
                    name=self._name,
                    problem=error,
                )
            ) from None

    def _clear(self) -> None:
        with self._db:
            self._db.execute("BEGIN")
            # The ids go on, so that "after this id" keeps its meaning for a client.
            self._db.execute("UPDATE cleared SET last_id = ?", (self.last_id(),))
            self._db.execute("DELETE FROM arrivals")
            self._db.execute("DELETE FROM accepted")

    def close(self) -> None:
        """Close the file and release its lock."""
        self._db.close()
        self._lock.release()


def _acquire_lock(name: str) -> FileLock:
    """Lock a record file; the lock ends with this process, however the process ends."""
    if not Path(name).parent.is_dir():  # FileLock would create it
        raise ConfigurationError(
            Sentence(
                "The record {name} cannot be opened (its folder does not exist): name another"
                " file.",
                name=name,
            )
        )
    lock = FileLock(f"{name}-lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigurationError(
            Sentence(
                "The record {name} cannot be opened: another sandbox uses it. Stop that sandbox,"
                " or name another file.",
                name=name,
            )
        ) from None
    except OSError as error:
        raise ConfigurationError(
            Sentence(
                "The record {name} cannot be opened ({problem}): name another file.",
                name=name,
                problem=error.strerror,
            )
        ) from None
    return lock
