"""Rows of a table with the names of its columns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload


class NamedRows(Sequence[Mapping[str, Any]]):
    """Rows with their headings. Most rows are never accessed, so a row is made when it is.

    Args:
        headings: the index of each heading.
        rows: the cells of each row.
        value_of: returns the value of a cell; None if a cell is its value.
    """

    def __init__(
        self,
        headings: dict[str, int],
        rows: Sequence[Sequence[Any]],
        value_of: Callable[[Any], Any] | None = None,
    ) -> None:
        self._headings, self._rows, self._value_of = headings, rows, value_of

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Any]]: ...

    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        if isinstance(index, slice):
            return NamedRows(self._headings, self._rows[index], self._value_of)
        return _NamedRow(self._headings, self._rows[index], self._value_of)

    def __len__(self) -> int:
        return len(self._rows)

    def column(self, name: str) -> list[Any]:
        """Return what each row has for a heading; None for all without such a heading."""
        index = self._headings.get(name)
        if index is None:
            return [None] * len(self._rows)
        cells = [row[index] if index < len(row) else "" for row in self._rows]
        return cells if self._value_of is None else list(map(self._value_of, cells))


class _NamedRow(Mapping[str, Any]):
    """A row by its headings. It shares them with the others and needs no dictionary of its own."""

    __slots__ = ("_cells", "_headings", "_value_of")

    def __init__(
        self,
        headings: dict[str, int],
        cells: Sequence[Any],
        value_of: Callable[[Any], Any] | None,
    ) -> None:
        self._headings, self._cells, self._value_of = headings, cells, value_of

    def __getitem__(self, name: str) -> Any:
        index, cells = self._headings[name], self._cells
        if index >= len(cells):
            return ""
        return cells[index] if self._value_of is None else self._value_of(cells[index])

    def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or the default without such a heading."""
        # The inherited method takes three times as long, and a text asks for each of its values.
        return self[name] if name in self._headings else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._headings)

    def __len__(self) -> int:
        return len(self._headings)
