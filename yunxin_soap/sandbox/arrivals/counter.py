"""How often each number was accepted, in memory that is bounded."""

from __future__ import annotations

import sqlite3
import weakref
from collections import Counter
from collections.abc import Iterable
from itertools import islice

IN_MEMORY = 2_000_000
"""Numbers counted in memory; beyond, they go to a file that vanishes with the process."""
_ASIDE = 50_000
"""Numbers that go there together: everybody waits meanwhile."""


class Tally:
    """Counts mobile numbers; for one thread at a time."""

    def __init__(self) -> None:
        self._recent: Counter[int] = Counter()
        self._rest: sqlite3.Connection | None = None

    def add(self, numbers: Iterable[str]) -> None:
        """Count each once more."""
        self._recent.update(map(int, numbers))
        while len(self._recent) > IN_MEMORY:
            self._set_aside()

    def times(self, number: str) -> int:
        """Return how often a number was counted."""
        if len(number) > 18 or not number.isdecimal() or str(int(number)) != number:
            return 0
        aside = 0
        if self._rest is not None:
            row = self._rest.execute("SELECT times FROM t WHERE n = ?", (int(number),)).fetchone()
            aside = row[0] if row else 0
        return self._recent[int(number)] + aside

    def accepted(self) -> dict[str, int]:
        """Return every number with its count."""
        every = Counter(self._recent)
        if self._rest is not None:
            every.update(dict(self._rest.execute("SELECT n, times FROM t")))
        return {str(number): times for number, times in every.items()}

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
            rest.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, times INTEGER)")
            self._rest = rest
        oldest = list(islice(self._recent, _ASIDE))
        self._rest.execute("BEGIN")
        self._rest.executemany(
            "INSERT INTO t VALUES (?, ?)"
            " ON CONFLICT (n) DO UPDATE SET times = times + excluded.times",
            # In order, so that they go into few pages of the tree.
            sorted((number, self._recent.pop(number)) for number in oldest),
        )
        self._rest.execute("COMMIT")
