"""Count how often each number was accepted, within bounded memory."""

from __future__ import annotations

import sqlite3
import weakref
from collections import Counter
from collections.abc import Iterable
from itertools import islice


class NumberCounter:
    """Counts mobile numbers. Not thread-safe.

    Args:
        max_in_memory: how many numbers to count in memory. More numbers go to a temporary file
            that vanishes with the process.
        batch_size: how many numbers to move to that file at once; callers wait meanwhile.
    """

    def __init__(self, max_in_memory: int = 2_000_000, *, batch_size: int = 50_000) -> None:
        self._max_in_memory, self._batch_size = max_in_memory, batch_size
        self._recent: Counter[int] = Counter()
        self._file: sqlite3.Connection | None = None

    def add(self, numbers: Iterable[str]) -> None:
        """Count each number once more."""
        self._recent.update(map(int, numbers))
        while len(self._recent) > self._max_in_memory:
            self._move_to_file()

    def times(self, number: str) -> int:
        """Return how often a number was counted."""
        if len(number) > 18 or not number.isdecimal() or str(int(number)) != number:
            return 0
        in_file = 0
        if self._file is not None:
            row = self._file.execute("SELECT times FROM t WHERE n = ?", (int(number),)).fetchone()
            in_file = row[0] if row else 0
        return self._recent[int(number)] + in_file

    def counts(self) -> dict[str, int]:
        """Return every counted number with its count."""
        every = Counter(self._recent)
        if self._file is not None:
            every.update(dict(self._file.execute("SELECT n, times FROM t")))
        return {str(number): times for number, times in every.items()}

    def clear(self) -> None:
        """Set all counts to 0."""
        self._recent.clear()
        if self._file is not None:
            self._file.execute("DELETE FROM t")

    def _move_to_file(self) -> None:
        if self._file is None:
            # SQLite's name "" is a temporary file that nobody else sees.
            file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, file.close)
            file.execute("PRAGMA journal_mode = OFF")
            file.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, times INTEGER)")
            self._file = file
        oldest = list(islice(self._recent, self._batch_size))
        self._file.execute("BEGIN")
        self._file.executemany(
            "INSERT INTO t VALUES (?, ?)"
            " ON CONFLICT (n) DO UPDATE SET times = times + excluded.times",
            # Sorted, so that few pages of the tree change.
            sorted((number, self._recent.pop(number)) for number in oldest),
        )
        self._file.execute("COMMIT")
