"""Reads numbers from a Python iterable: strings, tuples, mappings or rows of a database query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from numbers import Number
from typing import Any

from yunxin_soap.campaign.lists import BATCH_SIZE, Batch, Source
from yunxin_soap.campaign.lists.columns import (
    SAMPLE_ROWS,
    choose_column,
    missing_column,
    named_column,
)
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.message import as_text, is_missing, number_as_text
from yunxin_soap.sentences import Sentence


class Rows(Source):
    """An iterable of numbers, or of rows: mappings, tuples or the rows of a database driver.

    Args:
        items: the numbers or the rows, not mixed.
        column: the column with the numbers: its name, or its position from 1 in a tuple. By
            default the one column with a usual name (such as ``phone``) in which nearly all values
            are numbers, or the one with numbers if no name is a usual one.
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
                yield Batch(lines, list(map(number_as_text, items)))
            elif all(map(_is_tuple, items)):
                index = self._index(items)
                yield Batch(
                    lines,
                    [number_as_text(row[index]) if index < len(row) else "" for row in items],
                )
            else:
                # All items must be mappings. If some are numbers, the error names the first item
                # that is not one.
                rest = [each for each in zip(items, lines, strict=True) if not _is_cell(each[0])]
                rows = [_as_mapping(*each) for each in rest]
                if len(rest) < len(items):
                    raise _unsupported(*rest[0])
                name = self._name(rows)
                yield Batch(lines, [number_as_text(row.get(name)) for row in rows], rows)

    def _index(self, rows: Sequence[Sequence[Any]]) -> int:
        """Return the index of the numbers in a tuple."""
        if self._column is None:
            self._column = choose_column((), _sample(rows)) + 1
        first = rows[0]
        if not isinstance(self._column, int) or not 1 <= self._column <= len(first):
            raise missing_column(self._column, map(str, range(1, len(first) + 1)))
        return self._column - 1

    def _name(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return the name of the column with the numbers."""
        names = list(rows[0])
        if self._column is None:
            self._column = names[
                choose_column(names, _sample([[row.get(name) for name in names] for row in rows]))
            ]
        if not isinstance(self._column, str):
            raise missing_column(self._column, names)
        if self._column not in names:
            self._column = names[named_column(self._column, names)]
        return self._column


def _sample(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    return [[number_as_text(value) for value in row] for row in rows[:SAMPLE_ROWS]]


def as_source(recipients: Source | str | int | Iterable[Any]) -> Source:
    """Return the recipients argument of `Ledger.plan` as a source."""
    if isinstance(recipients, Source):
        return recipients
    if hasattr(recipients, "itertuples"):  # iterating over a DataFrame yields its headings
        return Rows(_frame_rows(recipients))
    if isinstance(recipients, (str, Number)):
        return Rows([recipients])
    given: Any = recipients
    try:
        if isinstance(given, (bytes, bytearray, memoryview)):
            raise TypeError
        return Rows(given)
    except TypeError:  # also for an array without dimensions
        raise ConfigurationError(
            Sentence(
                "The recipients are of type {kind}: give a source, a string or an iterable of "
                "numbers or rows.",
                kind=type(recipients).__name__,
            )
        ) from None


def _frame_rows(frame: Any) -> Iterator[dict[str, Any]]:
    names = [as_text(name) for name in frame.columns]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ConfigurationError(
            Sentence(
                "Several columns are called {repeated}: rename them.", repeated=repr(repeated[0])
            )
        )
    for values in frame.itertuples(index=False, name=None):
        yield dict(zip(names, values, strict=True))


def _is_cell(item: Any) -> bool:
    return isinstance(item, (str, Number)) or is_missing(item)


def _is_tuple(item: Any) -> bool:
    is_array = getattr(item, "ndim", 0) == 1  # a row of a NumPy array with two dimensions
    return is_array or (isinstance(item, (tuple, list)) and not hasattr(item, "_asdict"))


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
        Sentence(
            "Item {line} of the recipients is a {kind}: give numbers (str or int) or rows "
            "(mappings or tuples), not both.",
            line=line,
            kind=type(item).__name__,
        )
    )
