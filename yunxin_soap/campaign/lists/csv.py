"""Reads the records of a CSV file, and finds quotes that run over rows of their own."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import islice
from typing import IO, TYPE_CHECKING, cast

from yunxin_soap.errors import ConfigurationError, InvalidRequest
from yunxin_soap.message import normalise_recipients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

_SLICE = 200
"""Rows held at once: the collector of cycles looks at every one."""
_BLOCK = 1 << 20

Torn = list[tuple[int, str]]
"""Lines that are no rows, since a quote runs over them: where each is, and what it says."""


class Records:
    """The records of a CSV file.

    A quote that nobody closes runs to the next one, lines or a whole list later, and what it runs
    over would be lost without a word. So a record of several lines must be as the rules of CSV
    want it, have no more fields than those of one line, and hold nothing that looks like a row.

    Args:
        text: the file, at its start.
        comma: what separates its fields.
    """

    def __init__(self, text: io.TextIOWrapper, comma: str) -> None:
        self._comma = comma
        # Without a quote, a line is a record: nothing has to be kept.
        self._lines = _Lines(text) if _has_quotes(text) else None
        self._reader = csv.reader(text if self._lines is None else self._lines, delimiter=comma)
        self._width = 0
        """Fields of the widest line that is a record."""

    @property
    def line(self) -> int:
        """The line that was read last, from 1."""
        return self._reader.line_num

    def first(self) -> list[str]:
        """Return the first record; an empty one if there is none.

        Raises:
            ConfigurationError: a quote in it runs over other rows.
        """
        row = next(self._reader, [])
        self._width = len(row)
        if self._lines is not None and self.line > 1:
            inside = (cell for line in _inside(row) for cell in line.split(self._comma))
            if not self._is_whole(self._lines.kept) or any(map(_looks_like_one, inside)):
                raise ConfigurationError(
                    "A quote that opens in the first line runs over others: close it where it ends."
                )
        return row

    def slices(
        self, at: int, begun: list[list[str]]
    ) -> Iterator[tuple[Sequence[int], list[list[str]], Torn]]:
        """Give the rest, some records at a time: where each begins, they, and what is torn.

        Args:
            at: the place of the number in a row.
            begun: the first record, if it is a row.
        """
        before = 0 if begun else self.line
        if self._lines is not None and not begun:
            self._lines.take()
        while rows := begun + list(islice(self._reader, _SLICE)):
            begun, torn = [], Torn()
            starts: Sequence[int] = range(before + 1, before + 1 + len(rows))
            if self._lines is not None:
                lines = self._lines.take()
                if len(lines) != len(rows):
                    starts, rows, torn = self._sift(lines, before + 1, at)
                else:
                    self._width = max(self._width, *map(len, rows))
            before = self.line
            yield starts, rows, torn

    def _sift(
        self, lines: list[str], start: int, at: int
    ) -> tuple[list[int], list[list[str]], Torn]:
        """Read some lines once more, one record at a time, and take out those that are torn."""
        starts, rows, torn, before = [], [], Torn(), 0
        reader = csv.reader(lines, delimiter=self._comma)
        for row in reader:
            own = lines[before : reader.line_num]
            if len(own) > 1 and (
                not self._is_whole(own)
                or (self._width and any(row[self._width :]))
                or any(self._is_row(each, at) for each in _inside(row))
            ):
                torn += enumerate((each.rstrip("\r\n") for each in own), start + before)
            else:
                starts.append(start + before)
                rows.append(row)
                if len(own) == 1:
                    self._width = max(self._width, len(row))
            before = reader.line_num
        return starts, rows, torn

    def _is_whole(self, lines: list[str]) -> bool:
        """Whether every quote of a record opens and closes where a field does."""
        try:
            return len(list(csv.reader(lines, delimiter=self._comma, strict=True))) == 1
        except csv.Error:
            return False

    def _is_row(self, line: str, at: int) -> bool:
        """Whether a line inside of a field has a number where a row would have it."""
        cells = line.split(self._comma)
        # With one column a line is a row; with several it has a separator, or is a field's text.
        return len(cells) > max(at, 1 if self._width > 1 else 0) and _looks_like_one(cells[at])


class _Lines:
    """The lines of a text, of which those that were read are kept until they are taken."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.kept: list[str] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = next(self._text)
        self.kept.append(line)
        return line

    def take(self) -> list[str]:
        """Return what was kept, and keep it no longer."""
        kept, self.kept = self.kept, []
        return kept


def is_number(cell: str) -> bool:
    """Whether a cell holds a number that an SMS can be sent to, in whatever form."""
    try:
        return bool(cell) and bool(normalise_recipients(cell))
    except InvalidRequest:
        return False


def _looks_like_one(cell: str) -> bool:
    return is_number(cell.strip(' \t\r"'))


def _inside(row: list[str]) -> list[str]:
    """Return the lines that begin inside of a field."""
    return [line for cell in row for line in cell.splitlines()[1:]]


def _has_quotes(text: io.TextIOWrapper) -> bool:
    """Whether there is a quote in a text; it stands at its start again."""
    binary = cast("IO[bytes]", text.buffer)
    binary.seek(0)
    try:
        while block := binary.read(_BLOCK):
            if b'"' in block:
                return True
        return False
    finally:
        text.seek(0)
