"""A list that forgets its oldest items, bounded in number and in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

_T = TypeVar("_T")

MAX_ITEMS = 10_000
"""Kept in memory; the oldest are dropped first, and counted."""
MAX_BYTES = 64 << 20
"""Bytes of text that they may hold together; beyond, the oldest are dropped too."""


class Bounded(Generic[_T]):
    """Holds the last items.

    Args:
        size_of: how many bytes an item takes, about.
    """

    def __init__(self, size_of: Callable[[_T], int]) -> None:
        self._size_of = size_of
        self._items: deque[_T] = deque()
        self._bytes = 0
        self.dropped = 0
        """How many were dropped since it was cleared."""

    def append(self, item: _T) -> None:
        """Add one, and drop the oldest that do not fit any more."""
        self._items.append(item)
        self._bytes += self._size_of(item)
        while len(self._items) > MAX_ITEMS or self._bytes > MAX_BYTES:
            self._bytes -= self._size_of(self._items.popleft())
            self.dropped += 1

    def pop(self) -> _T:
        """Take back the newest."""
        item = self._items.pop()
        self._bytes -= self._size_of(item)
        return item

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._bytes = self.dropped = 0

    def __iter__(self) -> Iterator[_T]:
        """Give the items, the oldest first."""
        return iter(self._items)

    def __getitem__(self, place: int) -> _T:
        """Return the item at a place, the oldest at 0."""
        return self._items[place]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._items)


def text_size(*texts: str | None) -> int:
    """Return about how many bytes texts take: Python holds up to four a character."""
    return sum(100 + len(text) * (1 if text.isascii() else 4) for text in texts if text)
