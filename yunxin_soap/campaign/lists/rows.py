"""Where a campaign's numbers come from: CSV, plain text, standard input, or any iterable.

Everything is read in batches, so that a list of any length takes the same memory.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

from yunxin_soap.campaign.lists.csv import Records, is_number
from yunxin_soap.campaign.lists.encoding import opened
from yunxin_soap.errors import ConfigurationError

BATCH = 20_000
"""Rows looked at together."""
_PLACE = re.compile("[0-9]{1,9}")
_DIGIT = re.compile("[0-9]")
_NO_WORD = re.compile("[0-9+ -]+")
_HEADINGS = frozenset(
    {"phone", "mobile", "tel", "telephone", "number", "msisdn", "recipient", "desno"}
    | {"手机", "手机号", "手机号码", "号码", "电话", "电话号码", "联系电话", "移动电话"}
)
# A field of a spreadsheet may be long; more is no list of numbers.
_MAX_FIELD = 1 << 20


@dataclass(frozen=True)
class Batch:
    """Some rows of a source."""

    lines: Sequence[int]
    """Where each row begins, counted from 1."""
    values: list[str]
    """The number of each row, as it came."""
    rows: Sequence[Mapping[str, str]] | None = None
    """The columns of each row by name, if the source has any."""
    torn: Sequence[tuple[int, str]] = ()
    """Lines that are no rows, since a quote runs over them: where each is, and what it says."""


class Source:
    """A list of numbers, perhaps with other columns; it can be read once."""

    def batches(self, *, rows: bool = True) -> Iterator[Batch]:
        """Give all of it.

        Args:
            rows: whether the columns are asked for, if there are any.
        """
        raise NotImplementedError


class Rows(Source):
    """An iterable: of numbers, or of rows, each a mapping, a tuple or a database's row.

    Args:
        items: the numbers or rows.
        column: the column of a row that has the number: its name, or its place from 1 in a
            tuple. Found if it is left out: by a usual name, or as the first that holds a number.
    """

    def __init__(self, items: Iterable[Any], column: str | int | None = None) -> None:
        self._items, self._column = iter(items), column

    def batches(self, *, rows: bool = True) -> Iterator[Batch]:
        """Give all of it; an item's line is its place, from 1."""
        start = 1
        while items := list(islice(self._items, BATCH)):
            lines = range(start, start + len(items))
            start += len(items)
            if all(map(_is_cell, items)):
                yield Batch(lines, list(map(_as_text, items)))
            elif all(map(_is_tuple, items)):
                at = self._place(items[0])
                yield Batch(lines, [_as_text(row[at]) if at < len(row) else "" for row in items])
            else:
                # Nothing but rows: if there are numbers, the first that is none is named.
                rest = [each for each in zip(items, lines, strict=True) if not _is_cell(each[0])]
                made = [_as_mapping(*each) for each in rest]
                if len(rest) < len(items):
                    raise _strange(*rest[0])
                column = self._column = self._column or _heading(made[0])
                if not isinstance(column, str) or column not in made[0]:
                    raise _no_column(column, made[0])
                yield Batch(lines, [row.get(column, "") for row in made], made)

    def _place(self, first: Sequence[Any]) -> int:
        if self._column is None:
            numbers = (at for at, cell in enumerate(first, 1) if is_number(_as_text(cell)))
            self._column = next(numbers, 1 if len(first) == 1 else None)
        if not isinstance(self._column, int) or not 1 <= self._column <= len(first):
            raise _no_column(self._column, map(str, range(1, len(first) + 1)))
        return self._column - 1


def _is_cell(item: Any) -> bool:
    return item is None or isinstance(item, (str, int))


def _as_text(item: Any) -> str:
    return "" if item is None else str(item)


def _is_tuple(item: Any) -> bool:
    return isinstance(item, (tuple, list)) and not hasattr(item, "_asdict")


def _as_mapping(item: Any, line: int) -> Mapping[str, str]:
    found = getattr(item, "_mapping", item)  # SQLAlchemy's rows have one
    if isinstance(found, Mapping):
        return {str(name): _as_text(value) for name, value in found.items()}
    if hasattr(item, "keys"):  # sqlite3.Row
        return _as_mapping({name: item[name] for name in item.keys()}, line)  # noqa: SIM118
    if hasattr(item, "_asdict"):
        return _as_mapping(item._asdict(), line)
    raise _strange(item, line)


def _strange(item: Any, line: int) -> ConfigurationError:
    return ConfigurationError(
        f"Item {line} of the recipients is a {type(item).__name__}: give numbers alone, or rows"
        " alone."
    )


class Text(Source):
    """Plain text: a number on each line, or several joined by commas.

    Args:
        file: a path, or an open binary file such as ``sys.stdin.buffer``.
        encoding: found if it is left out: UTF-8, with or without its mark, or GBK.
    """

    def __init__(self, file: str | os.PathLike[str] | IO[bytes], encoding: str | None = None):
        self._file, self._encoding = file, encoding

    def batches(self, *, rows: bool = True) -> Iterator[Batch]:
        """Give all of it; blank lines are passed over."""
        with opened(self._file, self._encoding) as text:
            start = 1
            while lines := list(islice(text, BATCH)):
                values = [line.rstrip("\r\n") for line in lines]
                places: Sequence[int] = range(start, start + len(values))
                start += len(values)
                if not all(values):
                    kept = [
                        (at, value)
                        for at, value in zip(places, values, strict=True)
                        if value.strip()
                    ]
                    places, values = [at for at, _ in kept], [value for _, value in kept]
                yield Batch(places, values)


class Csv(Source):
    """CSV, as a spreadsheet saves it: with commas, semicolons or tabs between fields.

    Args:
        file: a path, or an open binary file such as ``sys.stdin.buffer``.
        column: the column that has the numbers: its heading, or its place from 1. Found if it is
            left out: by a usual heading, or as the first that holds a number.
        encoding: found if it is left out: UTF-8, with or without its mark, or GBK.
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | IO[bytes],
        column: str | int | None = None,
        encoding: str | None = None,
    ) -> None:
        self._file, self._column, self._encoding = file, column, encoding

    def batches(self, *, rows: bool = True) -> Iterator[Batch]:
        """Give all of it; empty rows are passed over."""
        with opened(self._file, self._encoding) as text:
            csv.field_size_limit(_MAX_FIELD)
            records = Records(text, _delimiter(text))
            try:
                yield from self._read(records, rows=rows)
            except csv.Error as error:
                raise ConfigurationError(
                    f"The CSV cannot be read beyond line {records.line} ({error})."
                ) from None

    def _read(self, records: Records, *, rows: bool) -> Iterator[Batch]:
        first = records.first()
        names, at = self._columns(first)
        begun: list[list[str]] = [] if names or not first else [first]
        lines: list[int] = []
        values: list[str] = []
        # Not more at once: the collector of cycles looks at every row that is held.
        for starts, part, torn in records.slices(at, begun):
            if torn:
                yield Batch([], [], torn=torn)
            try:
                found = [row[at] for row in part]
            except IndexError:
                kept = [(line, row) for line, row in zip(starts, part, strict=True) if row]
                starts, part = [line for line, _ in kept], [row for _, row in kept]
                found = [row[at] if len(row) > at else "" for row in part]
            if rows and names:
                yield Batch(starts, found, _Rows(names, part))
                continue
            lines += starts
            values += found
            if len(values) >= BATCH:
                yield Batch(lines, values)
                lines, values = [], []
        if values:
            yield Batch(lines, values)

    def _columns(self, first: list[str]) -> tuple[dict[str, int], int]:
        """Return the places of the headings, if the first row has them, and of the numbers."""
        cells = [cell.strip() for cell in first]
        # Which of two columns of one name is meant cannot be told.
        names = {cell: at for at, cell in enumerate(cells) if cell and cells.count(cell) == 1}
        wanted = self._column
        numbers = [at for at, cell in enumerate(cells) if is_number(cell)]
        if isinstance(wanted, int) or (wanted is not None and _PLACE.fullmatch(wanted)):
            at = int(wanted) - 1
            if not 0 <= at < max(1, len(cells)):
                raise ConfigurationError(
                    f"There is no column {wanted}: the first row has {len(cells)}."
                )
            return ({} if numbers or _like_a_number(cells[at : at + 1]) else names), at
        folded = [cell.lower() for cell in cells]
        several = [cell for cell in cells if cell and folded.count(cell.lower()) > 1]
        twice = _heading(several) if wanted is None else wanted
        if twice is not None and (wanted is None or cells.count(wanted) > 1) and not numbers:
            raise ConfigurationError(
                f"Several columns are called {twice!r}: name one by its place, from 1."
            )
        if wanted is not None:
            if wanted not in names:
                raise _no_column(wanted, names)
            return names, names[wanted]
        if numbers:  # there are no headings
            return {}, numbers[0]
        found = _heading(names)
        if found is None:
            if len(cells) > 1:
                raise _no_column(None, names)
            # One column: what is wrong with it, its lines will tell.
            return ({} if _like_a_number(cells) else names), 0
        return names, names[found]


class _Rows(Sequence[Mapping[str, str]]):
    """Rows of which most are never looked at by their headings."""

    def __init__(self, names: dict[str, int], rows: list[list[str]]) -> None:
        self._names, self._rows = names, rows

    def __getitem__(self, place: Any) -> Any:
        return _Row(self._names, self._rows[place])

    def __len__(self) -> int:
        return len(self._rows)


class _Row(Mapping[str, str]):
    """A row by its headings, without a dictionary for each."""

    __slots__ = ("_cells", "_names")

    def __init__(self, names: dict[str, int], cells: list[str]) -> None:
        self._names, self._cells = names, cells

    def __getitem__(self, name: str) -> str:
        at = self._names[name]
        return self._cells[at] if at < len(self._cells) else ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def source_of(recipients: Source | str | int | Iterable[Any]) -> Source:
    """Return what a caller gave as a source."""
    if isinstance(recipients, Source):
        return recipients
    return Rows([recipients] if isinstance(recipients, (str, int)) else recipients)


def _like_a_number(cells: list[str]) -> bool:
    """Whether one is a number with a mistake in it, and no heading."""
    digits = [len(_DIGIT.findall(cell)) for cell in cells]
    return any(
        _NO_WORD.fullmatch(cell) or (count >= 7 and count > 4 * (len(cell) - count))
        for cell, count in zip(cells, digits, strict=True)
    )


def _heading(names: Iterable[str]) -> str | None:
    return next((name for name in names if name.strip().lower() in _HEADINGS), None)


def _no_column(wanted: str | int | None, names: Iterable[str]) -> ConfigurationError:
    known = ", ".join(list(names)[:20]) or "none"
    if wanted is None:
        return ConfigurationError(f"Which column has the numbers? Name one of: {known}.")
    return ConfigurationError(f"There is no column {wanted!r}: the columns are {known}.")


def _delimiter(text: io.TextIOWrapper) -> str:
    first = text.readline(_MAX_FIELD)
    text.seek(0)
    counts = {each: first.count(each) for each in ",;\t"}
    return max(counts, key=lambda each: counts[each])
