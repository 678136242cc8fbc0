"""Reads numbers from CSV files, and finds quoted fields that swallow the rows behind them."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, TYPE_CHECKING, NamedTuple, cast, overload

from yunxin_soap.campaign.lists import BATCH_SIZE, Batch, Source, UnbalancedQuote
from yunxin_soap.campaign.lists.columns import (
    find_heading,
    has_mistyped_number,
    is_number,
    missing_column,
)
from yunxin_soap.campaign.lists.encoding import open_text
from yunxin_soap.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Self

_CHUNK_ROWS = 200
"""Rows held at once. The garbage collector inspects every one of them, so more would be slower."""
_BLOCK = 1 << 20
"""Bytes read at once."""
_MAX_FIELD = 1 << 20
"""Characters in a field, at most. A spreadsheet may have long cells; a longer one is no list."""
_POSITION = re.compile("[0-9]{1,9}")


class Csv(Source):
    """A CSV file as a spreadsheet saves it: with commas, semicolons or tabs between the fields.

    Args:
        file: a path, or an open binary file such as ``sys.stdin.buffer``.
        column: the column with the numbers: its heading, or its position from 1. By default the
            column with a usual heading (such as ``phone``), or the first one that holds a number.
        encoding: the file's encoding. By default it is detected: UTF-8, GBK, or UTF-16 with a
            byte order mark.
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | IO[bytes],
        column: str | int | None = None,
        encoding: str | None = None,
    ) -> None:
        self._file, self._column, self._encoding = file, column, encoding

    def batches(self, *, columns: bool = True) -> Iterator[Batch]:
        """Read the file to its end and skip empty rows.

        Args:
            columns: whether the caller needs `Batch.rows`; without them reading is faster.

        Yields:
            The rows in their order. The heading is not one of them.

        Raises:
            ConfigurationError: the file cannot be read or is no CSV, or no column has the numbers.
        """
        with open_text(self._file, self._encoding) as text:
            csv.field_size_limit(_MAX_FIELD)
            reader = _RecordReader(text, _delimiter(text))
            try:
                yield from self._read(reader, columns=columns)
            except csv.Error as error:
                raise ConfigurationError(
                    f"The CSV cannot be read beyond line {reader.line} ({error})."
                ) from None

    def _read(self, reader: _RecordReader, *, columns: bool) -> Iterator[Batch]:
        first = reader.first()
        headings, index = self._find_column(first)
        unread: list[list[str]] = [] if headings or not first else [first]
        lines: list[int] = []
        values: list[str] = []
        for starts, rows, unbalanced in reader.chunks(index, unread):
            if unbalanced:
                yield Batch([], [], unbalanced=unbalanced)
            try:
                cells = [row[index] for row in rows]
            except IndexError:
                kept = [(line, row) for line, row in zip(starts, rows, strict=True) if row]
                starts, rows = [line for line, _ in kept], [row for _, row in kept]
                cells = [row[index] if len(row) > index else "" for row in rows]
            if columns and headings:
                yield Batch(starts, cells, _NamedRows(headings, rows))
                continue
            lines += starts
            values += cells
            if len(values) >= BATCH_SIZE:
                yield Batch(lines, values)
                lines, values = [], []
        if values:
            yield Batch(lines, values)

    def _find_column(self, first: list[str]) -> tuple[dict[str, int], int]:
        """Return the index of each heading, and the index of the column with the numbers.

        There are no headings if the first row is a row of numbers.

        Args:
            first: the first row of the file.
        """
        cells = [cell.strip() for cell in first]
        # A heading that is there twice cannot be used: nobody knows which column it means.
        headings = {cell: at for at, cell in enumerate(cells) if cell and cells.count(cell) == 1}
        wanted = self._column
        numbers = [at for at, cell in enumerate(cells) if is_number(cell)]
        if isinstance(wanted, int) or (wanted is not None and _POSITION.fullmatch(wanted)):
            index = int(wanted) - 1
            if not 0 <= index < max(1, len(cells)):
                raise ConfigurationError(
                    f"There is no column {wanted}: the first row has {len(cells)} column"
                    f"{'s' * (len(cells) != 1)}."
                )
            is_data = numbers or has_mistyped_number(cells[index : index + 1])
            return ({} if is_data else headings), index
        folded = [cell.lower() for cell in cells]
        repeated = [cell for cell in cells if cell and folded.count(cell.lower()) > 1]
        ambiguous = find_heading(repeated) if wanted is None else wanted
        if ambiguous is not None and (wanted is None or cells.count(wanted) > 1) and not numbers:
            raise ConfigurationError(
                f"Several columns are called {ambiguous!r}: name one by its position, from 1."
            )
        if wanted is not None:
            if wanted not in headings:
                raise missing_column(wanted, headings)
            return headings, headings[wanted]
        if numbers:  # the first row is data
            return {}, numbers[0]
        found = find_heading(headings)
        if found is None:
            if len(cells) > 1:
                raise missing_column(None, headings)
            # With one column there is no choice. If it is the wrong one, each line says why.
            return ({} if has_mistyped_number(cells) else headings), 0
        return headings, headings[found]


class _NamedRows(Sequence[Mapping[str, str]]):
    """Rows with their headings. Most rows are never accessed, so a row is made when it is."""

    def __init__(self, headings: dict[str, int], rows: list[list[str]]) -> None:
        self._headings, self._rows = headings, rows

    @overload
    def __getitem__(self, index: int) -> Mapping[str, str]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, str]]: ...

    def __getitem__(self, index: int | slice) -> Mapping[str, str] | Sequence[Mapping[str, str]]:
        if isinstance(index, slice):
            return _NamedRows(self._headings, self._rows[index])
        return _NamedRow(self._headings, self._rows[index])

    def __len__(self) -> int:
        return len(self._rows)


class _NamedRow(Mapping[str, str]):
    """A row by its headings. It shares them with the others and needs no dictionary of its own."""

    __slots__ = ("_cells", "_headings")

    def __init__(self, headings: dict[str, int], cells: list[str]) -> None:
        self._headings, self._cells = headings, cells

    def __getitem__(self, name: str) -> str:
        index = self._headings[name]
        return self._cells[index] if index < len(self._cells) else ""

    def __iter__(self) -> Iterator[str]:
        return iter(self._headings)

    def __len__(self) -> int:
        return len(self._headings)


class _Chunk(NamedTuple):
    """Some consecutive records of a file."""

    lines: Sequence[int]
    """The line on which each record starts, counted from 1."""
    rows: list[list[str]]
    unbalanced: list[UnbalancedQuote]


class _RecordReader:
    """Reads the records of a CSV file.

    A quote that is never closed extends its field to the next quote, which may be many lines
    later, and the rows between would be lost without an error. So a record of several lines
    counts only if it follows the CSV rules strictly, has no more fields than a record of one
    line, and contains no line that looks like a row.

    Args:
        text: the file, at its start.
        delimiter: the character between the fields.
    """

    def __init__(self, text: io.TextIOWrapper, delimiter: str) -> None:
        self._delimiter = delimiter
        # Without quotes each line is a record, and no line need be remembered.
        self._lines = _LineRecorder(text) if _has_quotes(text) else None
        self._reader = csv.reader(text if self._lines is None else self._lines, delimiter=delimiter)
        self._width = 0
        """Fields of the widest record of one line."""

    @property
    def line(self) -> int:
        """The last line that was read, counted from 1."""
        return self._reader.line_num

    def first(self) -> list[str]:
        """Return the first record; an empty one if the file is empty.

        Raises:
            ConfigurationError: a quote in the first line is not closed there.
        """
        row = next(self._reader, [])
        self._width = len(row)
        if self._lines is not None and self.line > 1:
            inside = (
                cell for line in _continuation_lines(row) for cell in line.split(self._delimiter)
            )
            if not self._is_strict(self._lines.recorded) or any(map(_contains_number, inside)):
                raise ConfigurationError(
                    "A quote that opens in the first line is not closed before other rows: close"
                    " it where the field ends."
                )
        return row

    def chunks(self, index: int, unread: list[list[str]]) -> Iterator[_Chunk]:
        """Read the other records.

        Args:
            index: the index of the number in a row.
            unread: the first record if it is data, to be part of the first chunk.
        """
        before = 0 if unread else self.line
        if self._lines is not None and not unread:
            self._lines.take()
        while rows := unread + list(islice(self._reader, _CHUNK_ROWS)):
            unread, unbalanced = [], list[UnbalancedQuote]()
            lines: Sequence[int] = range(before + 1, before + 1 + len(rows))
            if self._lines is not None:
                recorded = self._lines.take()
                if len(recorded) != len(rows):
                    lines, rows, unbalanced = self._remove_unbalanced(recorded, before + 1, index)
                else:
                    self._width = max(self._width, *map(len, rows))
            before = self.line
            yield _Chunk(lines, rows, unbalanced)

    def _remove_unbalanced(self, lines: list[str], start: int, index: int) -> _Chunk:
        """Parse some lines again, one record at a time, and take out the unbalanced quotes.

        Args:
            lines: complete records, at least one of them of several lines.
            start: the place of the first line in the file.
            index: the index of the number in a row.
        """
        starts, rows, unbalanced, before = [], [], list[UnbalancedQuote](), 0
        reader = csv.reader(lines, delimiter=self._delimiter)
        for row in reader:
            own = lines[before : reader.line_num]
            if len(own) > 1 and (
                not self._is_strict(own)
                or (self._width and any(row[self._width :]))
                or any(self._looks_like_row(line, index) for line in _continuation_lines(row))
            ):
                unbalanced += [
                    UnbalancedQuote(place, line.rstrip("\r\n"))
                    for place, line in enumerate(own, start + before)
                ]
            else:
                starts.append(start + before)
                rows.append(row)
                if len(own) == 1:
                    self._width = max(self._width, len(row))
            before = reader.line_num
        return _Chunk(starts, rows, unbalanced)

    def _is_strict(self, lines: list[str]) -> bool:
        """Return whether each quote of a record opens and closes at the edge of a field."""
        try:
            return len(list(csv.reader(lines, delimiter=self._delimiter, strict=True))) == 1
        except csv.Error:
            return False

    def _looks_like_row(self, line: str, index: int) -> bool:
        """Return whether a line inside of a field has a number where a row would have it."""
        cells = line.split(self._delimiter)
        # If rows have several columns, a line without a delimiter is text of the field.
        return len(cells) > max(index, 1 if self._width > 1 else 0) and _contains_number(
            cells[index]
        )


class _LineRecorder:
    """An iterator over a text that remembers the lines it gave until they are taken."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.recorded: list[str] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self.recorded.append(line)
        return line

    def take(self) -> list[str]:
        """Return the lines given since the last call, and forget them."""
        lines, self.recorded = self.recorded, []
        return lines


def _contains_number(cell: str) -> bool:
    return is_number(cell.strip(' \t\r"'))


def _continuation_lines(row: list[str]) -> list[str]:
    """Return the lines of a record that start inside of a field."""
    return [line for cell in row for line in cell.splitlines()[1:]]


def _has_quotes(text: io.TextIOWrapper) -> bool:
    """Return whether a text contains a quote. The text is at its start again afterwards."""
    binary = cast("IO[bytes]", text.buffer)
    binary.seek(0)
    try:
        while block := binary.read(_BLOCK):
            if b'"' in block:
                return True
        return False
    finally:
        text.seek(0)


def _delimiter(text: io.TextIOWrapper) -> str:
    """Return the delimiter that the first line has most of. The text is at its start again."""
    first = text.readline(_MAX_FIELD)
    text.seek(0)
    counts = {each: first.count(each) for each in ",;\t"}
    return max(counts, key=lambda each: counts[each])
