"""Reads numbers from CSV files."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import IO, NamedTuple

from yunxin_soap.campaign.lists import BATCH_SIZE, Batch, Source
from yunxin_soap.campaign.lists.columns import (
    MAX_COLUMNS,
    SAMPLE_ROWS,
    find_table,
    is_blank,
    is_number,
    too_many_columns,
)
from yunxin_soap.campaign.lists.named_rows import NamedRows
from yunxin_soap.campaign.lists.text import note_encoding
from yunxin_soap.campaign.models import SkippedLine
from yunxin_soap.encoding import open_text
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence

_CHUNK_ROWS = 400
"""Rows held at once. The garbage collector inspects every one of them, so more would be slower."""
_LEAST_ROWS = 4
"""Rows looked at in one go behind an unbalanced line."""
_MOST_FIELDS = 100
"""Fields of a line that are looked at to find the delimiter, at most."""
_MAX_RECORD = 1 << 20
"""Characters of a record of several lines, at most."""
_DELIMITERS = ",;\t|"
_WIDE_DELIMITERS = "，；、"
"""What input methods write. Several numbers of one cell may be joined by them, too."""
_TAB_IN_FRONT = re.compile('(?:^|[,;|])"?\t')
"""A tab that keeps a spreadsheet from changing the field behind it."""
_DELIMITER_LINE = re.compile('"?sep=([^A-Za-z0-9"])"?[\r\n]*', re.IGNORECASE)
_LINE_END = re.compile("\r\n|\r|\n")
_END = "end"
"""A line behind the others. If a quoted field takes it in, a line before does not close it."""
_NAMES = {";": "semicolons", "\t": "tabs", "，": "full-width commas"}
_MAX_CELL = 32_767
"""Characters of a spreadsheet's cell, at most. No quoted field of several lines is longer."""
UNBALANCED_QUOTE_REASON = Sentence(
    'this line has an unbalanced quote ("), or is between two lines that have: fix the quotes, or'
    " read a list with fields of several lines with --multiline (the argument multiline of Csv)"
)
WIDE_ROW_REASON = (
    "this line has {fields} fields, but the list has {headings} headings: put quotes around a field"
    " that has the separator in it, or add a heading"
)
BROKEN_LINE_REASON = Sentence(
    "a carriage return breaks this line or the one before: remove it, or put its field in quotes"
)


class Csv(Source):
    """A CSV file as a spreadsheet saves it: with commas, semicolons or tabs between the fields.

    ``|`` and full-width commas are found, too.

    Blank lines, a first line such as ``sep=;`` and a title above the headings are left out.

    Args:
        file: a path, or an open binary file such as ``sys.stdin.buffer``.
        column: the column with the numbers: its heading, or its position from 1. By default the
            one column with a usual heading (such as ``phone``) in which nearly all values are
            numbers, or the one with numbers if no heading is a usual one.
        encoding: the file's encoding. By default it is detected: UTF-8, GBK or UTF-16.
        multiline: whether a quoted field may have several lines. By default a line with a quote
            that it does not close is skipped, since such a quote may swallow the lines behind it.
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | IO[bytes],
        column: str | int | None = None,
        encoding: str | None = None,
        *,
        multiline: bool = False,
    ) -> None:
        self._file, self._column, self._encoding = file, column, encoding
        self._multiline = multiline

    def batches(self, *, columns: bool = True) -> Iterator[Batch]:
        """Read the file to its end and skip blank rows.

        Args:
            columns: whether the caller needs `Batch.rows`; without them reading is faster.

        Yields:
            The rows in their order. The headings are not one of them.

        Raises:
            ConfigurationError: the file cannot be read or is no CSV, no column has the numbers, or
                several could have them.
        """
        with open_text(self._file, self._encoding) as text:
            head = list(islice(text, SAMPLE_ROWS))
            text.seek(0)
            for delimiter in _DELIMITERS:
                _check_width(head, delimiter)
            notes = [note_encoding(text.encoding, head)]
            declared = _DELIMITER_LINE.fullmatch(head[0]) if head else None
            if declared:
                text.readline()
            delimiter = declared[1] if declared else _find_delimiter(head)
            if delimiter != ",":
                kind = _NAMES.get(delimiter, f"{delimiter!r}")
                notes.append(Sentence("The fields are separated by {kind}.", kind=kind))
            before = 1 if declared else 0
            # A carriage return alone ends a line only where nothing else does.
            has_newlines = any(line.endswith("\n") for line in head)
            read = _read_records if self._multiline else _read_lines
            chunks = read(text, delimiter, before, has_newlines=has_newlines)
            first = _join(chunks, SAMPLE_ROWS)
            table = find_table(first.rows, first.lines, self._column)
            self.notes = (*notes, *table.notes)
            data = _Chunk(first.lines[table.first :], first.rows[table.first :], first.skipped)
            headings = table.headings if columns else {}
            parts: Iterable[_Chunk] = itertools.chain([data], chunks)
            if headings:
                width = len(first.rows[table.first - 1])
                parts = (_without_wide_rows(part, width, table.index) for part in parts)
            yield from _batches(parts, table.index, headings)


class _Chunk(NamedTuple):
    """Some consecutive records of a file."""

    lines: Sequence[int]
    """The line on which each record starts, counted from 1."""
    rows: list[list[str]]
    skipped: list[SkippedLine]


def _join(chunks: Iterable[_Chunk], rows: int) -> _Chunk:
    """Return the first chunks as one, until they have so many rows."""
    lines: list[int] = []
    joined = _Chunk(lines, [], [])
    for chunk in chunks:
        lines += chunk.lines
        joined.rows.extend(chunk.rows)
        joined.skipped.extend(chunk.skipped)
        if len(joined.rows) >= rows:
            break
    return joined


def _without_wide_rows(chunk: _Chunk, width: int, index: int) -> _Chunk:
    """Skip the records that have more fields than there are headings.

    A delimiter without quotes, as in ``1,234.00``, moves the fields behind it to other columns.
    Blank fields at the end are harmless.

    Args:
        chunk: the records.
        width: the count of the headings.
        index: the index of the number in a record.
    """
    if max(map(len, chunk.rows), default=0) <= width:
        return chunk
    kept: list[tuple[int, list[str]]] = []
    skipped = list(chunk.skipped)
    for line, row in zip(chunk.lines, chunk.rows, strict=True):
        if is_blank(row[width:]):
            kept.append((line, row))
        else:
            reason = Sentence(WIDE_ROW_REASON, fields=len(row), headings=width)
            skipped.append(SkippedLine(line, row[index] if index < len(row) else "", reason))
    return _Chunk([line for line, _ in kept], [row for _, row in kept], skipped)


def _batches(chunks: Iterable[_Chunk], index: int, headings: dict[str, int]) -> Iterator[Batch]:
    """Make batches of records.

    Args:
        chunks: the records, without the headings.
        index: the index of the number in a record.
        headings: the index of each heading; empty if the caller does not need them.
    """
    lines: list[int] = []
    values: list[str] = []
    for starts, rows, skipped in chunks:
        if skipped:
            yield Batch([], [], skipped=skipped)
        try:
            cells = [row[index] for row in rows]
        except IndexError:
            cells = [""]
        if not all(cells):
            kept = [pair for pair in zip(starts, rows, strict=True) if not is_blank(pair[1])]
            starts, rows = [line for line, _ in kept], [row for _, row in kept]
            cells = [row[index] if len(row) > index else "" for row in rows]
        if headings:
            yield Batch(starts, cells, NamedRows(headings, rows))
        else:
            lines += starts
            values += cells
            if len(values) >= BATCH_SIZE:
                yield Batch(lines, values)
                lines, values = [], []
    if values:
        yield Batch(lines, values)


def _read_lines(
    text: io.TextIOWrapper, delimiter: str, before: int, *, has_newlines: bool
) -> Iterator[_Chunk]:
    """Read a file in which each line is a record.

    A field of several lines makes two lines unbalanced, the first one and the last one. What is
    between them may be rows of the list or lines of the field, so no number of it may be used.

    Args:
        text: the file.
        delimiter: the character between the fields.
        before: the lines that were read already.
        has_newlines: whether lines end in a line feed, so that a carriage return alone breaks one.
    """
    waiting: list[str] = []
    """Lines that were read in search of the other unbalanced line."""
    size = _CHUNK_ROWS
    while lines := waiting[:size] or list(islice(text, size)):
        del waiting[: len(lines)]
        # Where one line is unbalanced, the next ones often are. Each of them is parsed once.
        size = min(2 * size, _CHUNK_ROWS)
        if has_newlines and lines[-1].endswith("\r"):
            lines += [waiting.pop(0)] if waiting else islice(text, 1)
        rows = _parse_lines(lines, delimiter, before, has_newlines)
        skipped: list[SkippedLine] = []
        good = range(before + 1, before + 1 + len(rows))
        before += len(rows)
        if len(rows) < len(lines):
            size = _LEAST_ROWS
            waiting = lines[len(rows) :] + waiting
            is_broken = has_newlines and _is_broken(waiting, 0)
            if is_broken:
                end = _find_broken_end(waiting, text)
            else:
                end = _find_other_end(waiting, text, delimiter)
            covered = waiting[:end]
            del waiting[: len(covered)]
            reason = BROKEN_LINE_REASON if is_broken else UNBALANCED_QUOTE_REASON
            skipped = [
                SkippedLine(number, line.rstrip("\r\n"), reason)
                for number, line in enumerate(covered, before + 1)
            ]
            before += len(covered)
        yield _Chunk(good, rows, skipped)


def _parse_lines(
    lines: list[str], delimiter: str, before: int, has_newlines: bool
) -> list[list[str]]:
    """Return the records of the lines before the first one that is unbalanced or broken."""
    joined = "".join(lines)
    if len(joined) > MAX_COLUMNS:  # else no line has so many delimiters
        _check_width(lines, delimiter)
    are_whole = not has_newlines or "\r" not in joined or joined.count("\r") == joined.count("\r\n")
    has_quotes = '"' in joined
    if are_whole and not (has_quotes and any(line.count('"') & 1 for line in lines)):
        with contextlib.suppress(csv.Error):
            # One reader for all lines is several times as fast as one for each.
            rows = list(csv.reader([*lines, _END] if has_quotes else lines, delimiter=delimiter))
            if has_quotes:
                rows.pop()
            if len(rows) == len(lines):
                return rows
    rows = []
    for at, line in enumerate(lines):
        if _is_unbalanced(line, delimiter) or (has_newlines and _is_broken(lines, at)):
            break
        try:
            rows += csv.reader([line], delimiter=delimiter)
        except csv.Error as error:
            raise _unreadable(before + 1 + at, error) from None
    return rows


def _is_broken(lines: list[str], at: int) -> bool:
    """Return whether a carriage return alone ends a line, and the line goes on behind it.

    Where a blank line follows, a program has written the end of a line as ``\\r\\r\\n``.
    """
    return lines[at].endswith("\r") and lines[at + 1 : at + 2] not in ([], ["\r\n"], ["\n"])


def _is_unbalanced(line: str, delimiter: str) -> bool:
    """Return whether a quoted field begins in a line and does not end in it, or the reverse."""
    quotes = line.count('"')
    if quotes == 0 or quotes & 1:
        return quotes != 0
    with contextlib.suppress(csv.Error):
        return len(list(csv.reader([line, _END], delimiter=delimiter))) == 1
    return False


def _find_broken_end(waiting: list[str], text: io.TextIOWrapper) -> int:
    """Return how many lines a broken line has; the arguments are those of `_find_other_end`."""
    for at in range(_CHUNK_ROWS):
        if at == len(waiting):
            waiting += islice(text, 1)
        if at == len(waiting) or not waiting[at].endswith("\r"):
            return min(at + 1, len(waiting))
    return _CHUNK_ROWS


def _find_other_end(waiting: list[str], text: io.TextIOWrapper, delimiter: str) -> int:
    """Return how many lines a field may have; 1 if no line can be its last one.

    Args:
        waiting: an unbalanced line and what follows it. Lines are added to it.
        text: the rest of the file.
        delimiter: the character between the fields.
    """
    size = 0
    for at in itertools.count(1):
        if at == len(waiting):
            waiting += islice(text, 1)
        if at == len(waiting) or size > _MAX_CELL:
            return 1
        if _is_unbalanced(waiting[at], delimiter):
            return at + 1
        size += len(waiting[at])
    raise AssertionError  # count() has no end


def _read_records(
    text: io.TextIOWrapper, delimiter: str, before: int, *, has_newlines: bool
) -> Iterator[_Chunk]:
    """Read a file with fields of several lines; the arguments are those of `_read_lines`."""
    record_size = 0
    last_line = ""

    def bounded_lines() -> Iterator[str]:
        nonlocal record_size, last_line
        for line in text:
            last_line = line
            record_size += len(line)
            if record_size > _MAX_RECORD:
                raise csv.Error(f"a record has more than {_MAX_RECORD} characters")
            yield line

    # In strict mode, a quote of another line that closes a field is an error where text follows.
    reader = csv.reader(bounded_lines(), delimiter=delimiter, strict=True)
    lines: list[int] = []
    rows: list[list[str]] = []
    previous: list[str] = []
    start = before + 1
    may_be_broken = False
    try:
        for row in reader:
            if may_be_broken and row:
                raise csv.Error("a carriage return is in the middle of a line")
            may_be_broken = has_newlines and last_line.endswith("\r")
            _check_record(row, previous, start, before + reader.line_num, delimiter)
            previous = row
            lines.append(start)
            rows.append(row)
            start = before + reader.line_num + 1
            record_size = 0
            if len(rows) == _CHUNK_ROWS:
                yield _Chunk(lines, rows, [])
                lines, rows = [], []
    except csv.Error as error:
        raise _unreadable(start, error) from None
    if rows:
        yield _Chunk(lines, rows, [])


def _check_record(
    row: list[str], previous: list[str], start: int, end: int, delimiter: str
) -> None:
    """Check that a record has not too many columns, and has no other rows of the list in it.

    A quote that is not closed takes in the rows behind it, up to one that closes it by chance.

    Args:
        row: the record.
        previous: the record before.
        start: the record's first line.
        end: its last one.
        delimiter: the character between the fields.

    Raises:
        ConfigurationError: it has too many columns.
        csv.Error: a line in it looks like a row of the list.
    """
    if len(row) > MAX_COLUMNS:
        raise too_many_columns()
    if start == end:
        return
    places = {at for at, cell in enumerate(previous) if is_number(cell)}
    width = max(len(previous), 2)
    line = start
    for index, cell in enumerate(row):
        inner = _LINE_END.split(cell)[1:]
        for at, text in enumerate(inner, 1):
            line += 1
            cells = next(csv.reader([text], delimiter=delimiter), [])
            # The quote that closes the field cuts its last line.
            is_whole = len(cells) == width or (at == len(inner) and len(cells) == index + 1 > 1)
            numbers = {place for place, each in enumerate(cells) if is_number(each)}
            if is_whole and numbers & (places or numbers):
                raise csv.Error(
                    f"a quoted field takes in line {line}, which looks like a row of the list: fix"
                    " its quotes"
                )


def _check_width(lines: Sequence[str], delimiter: str) -> None:
    if any(line.count(delimiter) >= MAX_COLUMNS for line in lines):
        raise too_many_columns()


def _unreadable(line: int, error: csv.Error) -> ConfigurationError:
    return ConfigurationError(
        Sentence(
            "The CSV cannot be read beyond line {line} ({error}): fix that line.",
            line=line,
            error=error,
        )
    )


def _find_delimiter(head: Sequence[str]) -> str:
    """Return the delimiter with which most lines have a number, and as many fields as the others.

    Args:
        head: the first lines of the file.
    """
    lines = [line for line in head if line.strip()]
    without_tabs = [
        line.replace("\t", "")
        if len(_TAB_IN_FRONT.findall(line)) == line.count("\t") and not {*",;|"}.isdisjoint(line)
        else line
        for line in lines
    ]

    def agreement(delimiter: str) -> tuple[int, int, int]:
        try:
            rows = list(
                csv.reader(without_tabs if delimiter == "\t" else lines, delimiter=delimiter)
            )
        except csv.Error:
            return (0, 0, 0)
        numbers = sum(any(map(is_number, row[:_MOST_FIELDS])) for row in rows)
        widths = Counter(len(row) for row in rows if len(row) > 1)
        width, count = max(widths.items(), key=lambda item: item[::-1], default=(0, 0))
        return (numbers, count, width)

    usual = max(_DELIMITERS, key=agreement)
    wide = max(_WIDE_DELIMITERS, key=agreement)
    numbers, count, _ = agreement(usual)
    return wide if agreement(wide)[0] > numbers and 2 * count < len(lines) else usual
