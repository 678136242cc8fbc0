"""Reads numbers from a Python iterable: strings, tuples, mappings or rows of a database query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from yunxin_soap.campaign.lists import BATCH_SIZE, Batch, Source
from yunxin_soap.campaign.lists.columns import find_heading, is_number, missing_column
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.message import as_text


class Rows(Source):
    """An iterable of numbers, or of rows: mappings, tuples or the rows of a database driver.

    Args:
        items: the numbers or the rows, not mixed.
        column: the column with the numbers: its name, or its position from 1 in a tuple. By
            default the column with a usual name (such as ``phone``), or in tuples the first one
            that holds a number.
    """

    def __init__(self, items: Iterable[Any], column: str | int | None = None) -> None:
        self._items, self._column = iter(items), column

    def batches(self, *, columns: bool = True) -> Iterator[Batch]:
        """Read the iterable to its end. The line of an item is its position, from 1.

        Args:
            columns: ignored: a mapping has its columns anyway.

        Yields:
            The items in their order.

        Raises:
            ConfigurationError: an item has an unsupported type, or no column has the numbers.
        """
        start = 1
        while items := list(islice(self._items, BATCH_SIZE)):
            lines = range(start, start + len(items))
            start += len(items)
            if all(map(_is_cell, items)):
                yield Batch(lines, list(map(_as_text, items)))
            elif all(map(_is_tuple, items)):
                index = self._index(items[0])
                yield Batch(
                    lines, [_as_text(row[index]) if index < len(row) else "" for row in items]
                )
            else:
                # All items must be mappings. If some are numbers, the error names the first item
                # that is not one.
                rest = [each for each in zip(items, lines, strict=True) if not _is_cell(each[0])]
                rows = [_as_mapping(*each) for each in rest]
                if len(rest) < len(items):
                    raise _unsupported(*rest[0])
                column = self._column = self._column or find_heading(rows[0])
                if not isinstance(column, str) or column not in rows[0]:
                    raise missing_column(column, rows[0])
                yield Batch(lines, [_as_text(row.get(column)) for row in rows], rows)

    def _index(self, first: Sequence[Any]) -> int:
        """Return the index of the numbers in a tuple."""
        if self._column is None:
            positions = (at for at, cell in enumerate(first, 1) if is_number(_as_text(cell)))
            self._column = next(positions, 1 if len(first) == 1 else None)
        if not isinstance(self._column, int) or not 1 <= self._column <= len(first):
            raise missing_column(self._column, map(str, range(1, len(first) + 1)))
        return self._column - 1


def as_source(recipients: Source | str | int | Iterable[Any]) -> Source:
    """Return the recipients argument of `Ledger.plan` as a source."""
    if isinstance(recipients, Source):
        return recipients
    return Rows([recipients] if isinstance(recipients, (str, int)) else recipients)


def _is_cell(item: Any) -> bool:
    return item is None or isinstance(item, (str, int))


def _as_text(item: Any) -> str:
    return "" if item is None else as_text(item)


def _is_tuple(item: Any) -> bool:
    return isinstance(item, (tuple, list)) and not hasattr(item, "_asdict")


def _as_mapping(item: Any, line: int) -> Mapping[str, Any]:
    found = getattr(item, "_mapping", item)  # a row of SQLAlchemy
    if isinstance(found, Mapping):
        return {as_text(name): value for name, value in found.items()}
    if hasattr(item, "keys"):  # sqlite3.Row
        names = item.keys()  # iterating over the row itself yields its values
        return _as_mapping({name: item[name] for name in names}, line)
    if hasattr(item, "_asdict"):
        return _as_mapping(item._asdict(), line)
    raise _unsupported(item, line)


def _unsupported(item: Any, line: int) -> ConfigurationError:
    return ConfigurationError(
        f"Item {line} of the recipients is a {type(item).__name__}: give numbers (str or int) or"
        " rows (mappings or tuples), not both."
    )
