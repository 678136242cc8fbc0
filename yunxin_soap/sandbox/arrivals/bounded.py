"""A list that drops its oldest items, bounded in number and in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

_T = TypeVar("_T")


class BoundedList(Generic[_T]):
    """Keeps the newest items.

    Args:
        size_of: returns about how many bytes an item takes.
        max_items: how many items to keep.
        max_bytes: how many bytes all items may take together.
    """

    def __init__(self, size_of: Callable[[_T], int], *, max_items: int, max_bytes: int) -> None:
        self._size_of = size_of
        self._max_items, self._max_bytes = max_items, max_bytes
        self._items: deque[_T] = deque()
        self._bytes = 0
        self.dropped = 0
        """How many items were dropped since the last `clear`."""

    def append(self, item: _T) -> None:
        """Add an item, and drop the oldest ones beyond the limits."""
        self._items.append(item)
        self._bytes += self._size_of(item)
        while len(self._items) > self._max_items or self._bytes > self._max_bytes:
            self._bytes -= self._size_of(self._items.popleft())
            self.dropped += 1

    def clear(self) -> None:
        """Remove all items, and start counting the dropped ones anew."""
        self._items.clear()
        self._bytes = self.dropped = 0

    def __iter__(self) -> Iterator[_T]:
        """Yield the items, the oldest first."""
        return iter(self._items)

    def __getitem__(self, index: int) -> _T:
        """Return one item; the oldest has index 0."""
        return self._items[index]

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._items)


def text_size(*texts: str | None) -> int:
    """Return about how many bytes texts take: Python needs up to four per character."""
    return sum(100 + len(text) * (1 if text.isascii() else 4) for text in texts if text)
