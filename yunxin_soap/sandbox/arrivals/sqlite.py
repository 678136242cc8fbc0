"""The record on disk, in SQLite: it survives the sandbox, also one that was killed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.files import file_id, make_private
from yunxin_soap.sandbox.arrivals.store import Arrival, NotKept, Outcome
from yunxin_soap.wsdl import ProtocolName

_VERSION = 2
_SCHEMA = """
CREATE TABLE arrivals (
    number INTEGER PRIMARY KEY, received_at TEXT NOT NULL, outcome TEXT NOT NULL,
    answer TEXT NOT NULL, status INTEGER NOT NULL, remote TEXT NOT NULL, port TEXT,
    user_code TEXT NOT NULL, recipients TEXT NOT NULL, message TEXT NOT NULL,
    channel TEXT NOT NULL, extension TEXT NOT NULL, batch_no TEXT UNIQUE, fault TEXT,
    request TEXT NOT NULL, response TEXT NOT NULL
);
CREATE TABLE cleared (last INTEGER NOT NULL);
INSERT INTO cleared VALUES (0);
CREATE TABLE accepted (recipient TEXT PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID;
"""
_PATIENCE = 1.0
"""Seconds for which a file that somebody else is writing is waited for."""
_COLUMNS = tuple(each.name for each in fields(Arrival))
_INSERT = (
    f"INSERT INTO arrivals ({', '.join(_COLUMNS)})"  # noqa: S608 - no input
    f" VALUES ({', '.join('?' * len(_COLUMNS))})"
)
_LATEST = (
    f"SELECT {', '.join(_COLUMNS)} FROM arrivals"  # noqa: S608 - no input
    " WHERE number > (SELECT max(number) FROM arrivals) - ? ORDER BY number"
)


class Journal:
    """Appends arrivals to a file, each durable against the end of the process once appended.

    Args:
        path: the file; it is made if it is not there.

    Raises:
        ConfigurationError: the file cannot be used, is no record of a sandbox, or another sandbox
            keeps its record there.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if not os.fspath(path):
            raise ConfigurationError("The record has no name: name a file.")
        # One file has one lock, by whichever symbolic link it is reached.
        name = self._name = os.path.realpath(path)
        self._lock = _locked(name)
        try:
            make_private(name)
            # Only somebody who writes by hand is waited for, and everybody waits meanwhile.
            self._db = sqlite3.connect(
                name, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                self._open(name)
                self._file = file_id(name)
            except BaseException:
                self._db.close()
                self._lock.close()
                raise
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"The record {name} cannot be opened ({error}): name another file."
            ) from error

    def _open(self, name: str) -> None:
        if Path(name).stat().st_nlink > 1:
            raise ConfigurationError(
                f"{name} has other names (hard links), by which another sandbox may keep its"
                " record there: name another file."
            )
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version != _VERSION and (version or tables):
            raise ConfigurationError(
                f"{name} is no record of this sandbox (version {version}): name another file."
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        # A killed process loses nothing that was committed; a power cut may.
        self._db.execute("PRAGMA synchronous = NORMAL")
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT")

    def append(self, arrival: Arrival) -> None:
        """Keep one arrival; it is committed when this returns.

        Raises:
            NotKept: the file cannot be written, as on a full disk, or is not there any more.
        """
        if file_id(self._name) != self._file:
            raise NotKept(f"The record {self._name} was moved or removed: restart the sandbox.")
        values = arrival.as_dict()
        values["recipients"] = ",".join(arrival.recipients)
        try:
            self._append(arrival, values)
        except sqlite3.Error as error:
            raise NotKept(f"The record {self._name} cannot be written ({error}).") from None

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
    def readable(self) -> Iterator[None]:
        """Close the file where it cannot be read, and say so.

        Raises:
            ConfigurationError: the file is damaged.
        """
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            self.close()
            raise ConfigurationError(
                f"The record {self._name} cannot be read ({error}): name another file."
            ) from None

    def latest(self, limit: int) -> Iterator[Arrival]:
        """Give the last so many, oldest first."""
        for row in self._db.execute(_LATEST, (limit,)):
            values: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
            values["received_at"] = datetime.fromisoformat(values["received_at"])
            values["outcome"] = Outcome(values["outcome"])
            values["port"] = cast("ProtocolName | None", values["port"])
            values["recipients"] = tuple(filter(None, values["recipients"].split(",")))
            yield Arrival(**values)

    def last_number(self) -> int:
        """Return the number of the last arrival, cleared ones included; 0 if there is none."""
        (last,) = self._db.execute(
            "SELECT coalesce((SELECT max(number) FROM arrivals), last) FROM cleared"
        ).fetchone()
        return int(last)

    def count(self) -> int:
        """Return how many arrivals there are."""
        return int(self._db.execute("SELECT count(*) FROM arrivals").fetchone()[0])

    def times(self, number: str) -> int:
        """Return how often a number was accepted."""
        found = self._db.execute(
            "SELECT times FROM accepted WHERE recipient = ?", (number,)
        ).fetchone()
        return int(found[0]) if found else 0

    def accepted(self) -> dict[str, int]:
        """Return how often each number was accepted."""
        return dict(self._db.execute("SELECT recipient, times FROM accepted"))

    def clear(self) -> None:
        """Forget everything.

        Raises:
            NotKept: the file cannot be written.
        """
        try:
            self._clear()
        except sqlite3.Error as error:
            raise NotKept(f"The record {self._name} cannot be cleared ({error}).") from None

    def _clear(self) -> None:
        with self._db:
            self._db.execute("BEGIN")
            # Numbers go on, so that "after this one" still means what it meant.
            self._db.execute("UPDATE cleared SET last = ?", (self.last_number(),))
            self._db.execute("DELETE FROM arrivals")
            self._db.execute("DELETE FROM accepted")

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        self._lock.close()


def _locked(name: str) -> sqlite3.Connection:
    """Hold a lock beside the file, which ends with this process however it ends."""
    try:
        lock = sqlite3.connect(f"{name}-lock", timeout=0, check_same_thread=False)
        try:
            lock.execute("PRAGMA journal_mode = MEMORY")  # or there would be a third file
            lock.execute("BEGIN EXCLUSIVE")
        except BaseException:
            lock.close()
            raise
    except sqlite3.Error as error:
        why = (
            "another sandbox keeps its record there: stop that one, or name another file"
            if "locked" in str(error)
            else f"{error}: name another file"
        )
        raise ConfigurationError(f"The record {name} cannot be opened; {why}.") from None
    return lock
