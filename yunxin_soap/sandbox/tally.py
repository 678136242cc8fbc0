"""How often each number was accepted, in memory that is bounded."""

from __future__ import annotations

import sqlite3
import weakref
from collections import Counter
from collections.abc import Iterable

IN_MEMORY = 200_000
"""Numbers counted in memory; beyond, they go to a file that vanishes with the process."""


class Tally:
    """Counts; for one thread at a time."""

    def __init__(self) -> None:
        self._recent: Counter[str] = Counter()
        self._rest: sqlite3.Connection | None = None

    def add(self, numbers: Iterable[str]) -> None:
        """Count each once more."""
        self._recent.update(numbers)
        if len(self._recent) > IN_MEMORY:
            self._set_aside()

    def times(self, number: str) -> int:
        """Return how often a number was counted."""
        aside = 0
        if self._rest is not None:
            found = self._rest.execute("SELECT times FROM t WHERE n = ?", (number,)).fetchone()
            aside = found[0] if found else 0
        return self._recent[number] + aside

    def accepted(self) -> Counter[str]:
        """Return every number with its count."""
        every = Counter(self._recent)
        if self._rest is not None:
            every.update(dict(self._rest.execute("SELECT n, times FROM t")))
        return every

    def clear(self) -> None:
        """Forget everything."""
        self._recent.clear()
        if self._rest is not None:
            self._rest.execute("DELETE FROM t")

    def _set_aside(self) -> None:
        if self._rest is None:
            # "" is a file that nobody else sees.
            rest = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            weakref.finalize(self, rest.close)
            rest.execute("PRAGMA journal_mode = OFF")
            rest.execute("CREATE TABLE t (n TEXT PRIMARY KEY, times INTEGER) WITHOUT ROWID")
            self._rest = rest
        self._rest.execute("BEGIN")
        self._rest.executemany(
            "INSERT INTO t VALUES (?, ?)"
            " ON CONFLICT (n) DO UPDATE SET times = times + excluded.times",
            sorted(self._recent.items()),
        )
        self._rest.execute("COMMIT")
        self._recent.clear()
