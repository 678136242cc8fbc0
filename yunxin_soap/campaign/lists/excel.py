"""Reads numbers from Excel workbooks.

openpyxl reads the cells. What it does not say, or would read without a bound, is looked at before:
which rows are hidden, and how large everything is.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Literal
from xml.parsers import expat

from yunxin_soap.campaign.lists import BATCH_SIZE, Batch, Source
from yunxin_soap.campaign.lists.columns import (
    MAX_COLUMNS,
    SAMPLE_ROWS,
    find_table,
    is_number,
    too_many_columns,
)
from yunxin_soap.campaign.lists.named_rows import NamedRows
from yunxin_soap.encoding import (
    OLD_WORKBOOK,
    OLD_WORKBOOK_MARK,
    WORKBOOK_MARK,
    check_format,
    open_binary,
)
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.extras import missing_extra
from yunxin_soap.message import number_as_text
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from lxml import etree
    from openpyxl.reader.excel import ExcelReader
    from openpyxl.workbook import Workbook

_CHUNK_ROWS = 200
_MAX_ROWS = 1_048_576
"""Rows of a sheet, at most: as many as Excel has."""
_MAX_PARTS = 10_000
_MAX_SHEET = 2 << 30
"""Bytes of a sheet's XML, at most. It is read as a stream."""
_MAX_PART = 256 << 20
"""Bytes of any other part, at most. It may be held in memory."""
_MAX_SMALL_PART = 8 << 20
_MAX_TOKEN = 1 << 20
"""Bytes of one tag, or of a cell's text, at most."""
_BLOCK = 1 << 16
_HEAD = 1 << 10
_MAX_NAMED = 5
_MAX_WHOLE = 10**15
"""From here on a spreadsheet does not keep each digit of a number."""
_ESCAPE = re.compile("_x(00[01][0-9A-Fa-f])_")
"""A control character as Excel stores it in XML."""
# A number with a fixed count of decimals, perhaps with separators, leading zeros or a percentage.
_NUMBER_FORMAT = re.compile(
    r"(?P<group>#,##)?(?P<whole>0+)(?:\.(?P<part>0+))?(?P<percent>%)?(?:_.| )*"
)
_NO_LETTERS = re.compile(r'"[^"]*"|\[[^\]]*\]|[_\\].')
"""What a format has beside the letters that stand for a part of a date: texts and colours."""
_AS_ROWS = {"Line": "Row", "The headings are in line": "The headings are in row"}
HiddenRows = Literal["skip", "send"]


class Excel(Source):
    """A sheet of an Excel workbook (``.xlsx``); formulas count by their stored values.

    It needs the extra ``excel``.

    Args:
        file: a path, or an open binary file such as ``sys.stdin.buffer``.
        column: the column with the numbers; see `Csv`.
        sheet: the sheet's name. By default the one visible sheet that has numbers.
        hidden_rows: whether to leave out the rows that are hidden, by a filter or by hand
            (``skip``), or to send to their numbers as well (``send``). By default such a row is an
            error.
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | IO[bytes],
        column: str | int | None = None,
        sheet: str | None = None,
        *,
        hidden_rows: HiddenRows | None = None,
    ) -> None:
        if hidden_rows not in (None, "skip", "send"):
            raise ConfigurationError(
                Sentence(
                    "hidden_rows={hidden_rows} must be 'skip' or 'send'.",
                    hidden_rows=repr(hidden_rows),
                )
            )
        self._file, self._column, self._sheet = file, column, sheet
        self._hidden_rows = hidden_rows

    def batches(self, *, columns: bool = True) -> Iterator[Batch]:
        """Read the sheet to its end and skip blank rows. The line of a row is its number.

        Args:
            columns: whether the caller needs `Batch.rows`; without them reading needs less memory.

        Yields:
            The rows in their order. The headings are not one of them.

        Raises:
            ConfigurationError: the file is no workbook or cannot be read, openpyxl is not
                installed, several sheets or columns could have the numbers, or none has, or rows
                or the column that was found are hidden.
        """
        with open_binary(self._file, is_text=False) as binary, _opened(binary) as workbook:
            name, notes = workbook.choose_sheet(self._sheet)
            layout = workbook.scan(name)
            rows = workbook.rows(name)
            chunk = _take(rows, SAMPLE_ROWS)
            sample = [[_text(cell) for cell in row] for row in chunk]
            table = find_table(sample, range(1, len(sample) + 1), self._column)
            if self._column is None and layout.is_hidden_column(table.index + 1):
                raise ConfigurationError(
                    Sentence(
                        "The column with the numbers, {column}, is hidden: if it is the "
                        "one to write "
                        "to, name it with column='{position}'.",
                        column=_column_name(table.index + 1),
                        position=table.index + 1,
                    )
                )
            hidden = [row for row in layout.hidden if row > table.first]
            if hidden and self._hidden_rows is None:
                raise _hidden_error(hidden)
            self.notes = [
                *notes,
                *(_name_rows(note) for note in table.notes),
                *layout.notes(max(map(len, chunk), default=0)),
                *self._note_hidden(hidden),
            ]
            left_out = frozenset(hidden if self._hidden_rows == "skip" else ())
            headings = table.headings if columns else {}
            lines: list[int] = []
            values: list[str] = []
            kept: list[Sequence[Any]] = []
            chunk, start = chunk[table.first :], table.first + 1
            while chunk:
                for line, row in enumerate(chunk, start):
                    if line not in left_out and any(cell.value is not None for cell in row):
                        lines.append(line)
                        values.append(_text(row[table.index]) if len(row) > table.index else "")
                        kept.append(row)
                start += len(chunk)
                if headings and lines:
                    yield Batch(lines, values, NamedRows(headings, kept, _shown))
                elif len(lines) >= BATCH_SIZE:
                    yield Batch(lines, values)
                if headings or len(lines) >= BATCH_SIZE:
                    lines, values = [], []
                kept = []
                chunk = _take(rows, _CHUNK_ROWS)
            if lines:
                yield Batch(lines, values)

    def _note_hidden(self, hidden: Sequence[int]) -> list[str]:
        if not hidden:
            return []
        count = f"{len(hidden)} hidden row{'s' * (len(hidden) != 1)}"
        if self._hidden_rows == "skip":
            return [f"{count} left out, as asked."]
        return [f"{count} of the list will be sent to, as asked."]


def _hidden_error(rows: Sequence[int]) -> ConfigurationError:
    named = ", ".join(map(str, rows[:_MAX_NAMED]))
    more = f" and {len(rows) - _MAX_NAMED} more" if len(rows) > _MAX_NAMED else ""
    return ConfigurationError(
        Sentence(
            "The sheet has hidden rows, by a filter or by hand ({named}{more}): leave them "
            "out with hidden_rows='skip', or send to them, too, with hidden_rows='send'.",
            named=named,
            more=more,
        )
    )


def _name_rows(note: str) -> str:
    if not note.startswith(tuple(_AS_ROWS)):
        return note  # a sentence stays one
    return re.sub(r"^(Line|The headings are in line)\b", lambda found: _AS_ROWS[found[0]], note)


@dataclass
class _Layout:
    """What openpyxl does not say about a sheet."""

    hidden: list[int] = field(default_factory=list)
    """The hidden rows that have a value."""
    without_value: list[str] = field(default_factory=list)
    """The first cells with a formula that has no stored value."""
    without_value_count: int = 0
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    """The first and the last of some columns that are hidden, from 1."""

    def is_hidden_column(self, column: int) -> bool:
        return any(first <= column <= last for first, last in self.hidden_columns)

    def notes(self, width: int) -> list[str]:
        """Return what a person should know; `width` is the count of the columns with a value."""
        notes = []
        hidden = [
            _column_name(column) for column in range(1, width + 1) if self.is_hidden_column(column)
        ]
        if hidden:
            named = ", ".join(hidden[:_MAX_NAMED])
            more = f" and {len(hidden) - _MAX_NAMED} more" if len(hidden) > _MAX_NAMED else ""
            is_one = len(hidden) == 1
            notes.append(
                f"The {'column' if is_one else 'columns'} {named}{more} {'is' if is_one else 'are'}"
                " hidden, and can be used like any other."
            )
        if count := self.without_value_count:
            named = ", ".join(self.without_value)
            what = "1 formula has" if count == 1 else f"{count} formulas have"
            notes.append(
                f"{what} no stored value, and {'counts' if count == 1 else 'count'} as empty"
                f" ({named}): open the workbook in Excel and save it."
            )
        return notes


class _Book:
    """An open workbook.

    Args:
        book: the workbook as openpyxl reads it.
        archive: its zip file.
    """

    def __init__(self, book: Workbook, archive: zipfile.ZipFile) -> None:
        self._book, self._archive = book, archive
        self._paths = _sheet_paths(archive)
        self._layouts: dict[str, _Layout] = {}

    def choose_sheet(self, wanted: str | None) -> tuple[str, list[str]]:
        """Return the name of the sheet with the numbers, and what a person should know about it."""
        sheets = self._book.worksheets
        names = [sheet.title for sheet in sheets]
        shown = ", ".join(map(repr, names))
        if wanted is not None:
            if wanted not in names:
                raise ConfigurationError(
                    Sentence(
                        "There is no sheet {wanted}: the sheets are {shown}. Name one with sheet=.",
                        wanted=repr(wanted),
                        shown=shown,
                    )
                )
            state = next(sheet.sheet_state for sheet in sheets if sheet.title == wanted)
            return wanted, [] if state == "visible" else [f"The sheet {wanted!r} is hidden."]
        visible = [sheet.title for sheet in sheets if sheet.sheet_state == "visible"]
        hidden = [name for name in names if name not in visible]
        found = [name for name in visible if len(visible) == 1 or self._has_numbers(name)]
        if len(found) == 1:
            notes: list[str] = (
                [Sentence("The sheet is {sheet}.", sheet=repr(found[0]))] if len(names) > 1 else []
            )
            if hidden:
                named = ", ".join(map(repr, hidden[:_MAX_NAMED]))
                more = f" and {len(hidden) - _MAX_NAMED} more" if len(hidden) > _MAX_NAMED else ""
                notes.append(
                    Sentence("Hidden sheets were left out: {named}{more}.", named=named, more=more)
                )
            return found[0], notes
        if not found:
            raise ConfigurationError(
                Sentence("No sheet has numbers: name one with sheet=, of {shown}.", shown=shown)
            )
        raise ConfigurationError(
            Sentence(
                "Several sheets have numbers: {found}. Name one with sheet=.",
                found=", ".join(map(repr, found)),
            )
        )

    def _has_numbers(self, name: str) -> bool:
        self.scan(name)
        rows = _take(self.rows(name), SAMPLE_ROWS)
        return any(is_number(_text(cell)) for row in rows for cell in row)

    def rows(self, name: str) -> Iterator[Sequence[Any]]:
        """Yield the cells of each row from the first one; a row without cells is empty."""
        sheet = next(sheet for sheet in self._book.worksheets if sheet.title == name)
        # What the file says of its size may be wrong, or be that of a whole empty sheet.
        sheet.reset_dimensions()
        yield from sheet.iter_rows()

    def scan(self, name: str) -> _Layout:
        """Read a sheet's XML once, and check that openpyxl can read it within bounds."""
        if name not in self._layouts:
            self._layouts[name] = _Scan().read(self._archive, self._paths[name])
        return self._layouts[name]


class _Scan:
    """Reads the XML of a sheet as a stream, for its hidden rows and for its bounds."""

    def __init__(self) -> None:
        self._layout = _Layout()
        self._row = self._cells = self._text = 0
        self._cell = ""
        self._is_hidden = self._has_value = self._has_formula = self._is_value = False
        self._cell_has_value = False

    def read(self, archive: zipfile.ZipFile, path: str) -> _Layout:
        """Read a sheet.

        Raises:
            ConfigurationError: it has more rows, columns or text than a sheet may have.
        """
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = _refuse_doctype
        with archive.open(path) as file:
            position = since = 0
            while block := file.read(_BLOCK):
                parser.Parse(block, False)
                position += len(block)
                if parser.CurrentByteIndex > since:
                    since = parser.CurrentByteIndex
                elif position - since > _MAX_TOKEN:
                    raise _unusual("a tag or a cell that is too long")
        parser.Parse(b"", True)
        return self._layout

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "col":
            # Columns are described before the first row, the last of them often to the edge.
            if len(self._layout.hidden_columns) >= MAX_COLUMNS:
                raise too_many_columns()
            if _is_set(attributes.get("hidden")) or _is_zero(attributes.get("width", "1")):
                first, last = int(attributes["min"]), int(attributes["max"])
                self._layout.hidden_columns.append((first, last))
        elif tag == "row":
            before, self._row = self._row, int(attributes.get("r", self._row + 1))
            if not before < self._row <= _MAX_ROWS:
                raise _unusual(f"the row {self._row} behind row {before}")
            is_flat = _is_zero(attributes.get("ht", "1"))
            self._is_hidden = is_flat or _is_set(attributes.get("hidden"))
            self._has_value, self._cells = False, 0
        elif tag == "c":
            self._cell = attributes.get("r", "")
            self._cells += 1
            if self._cells > MAX_COLUMNS or _column(self._cell) > MAX_COLUMNS:
                raise too_many_columns()
            self._has_formula = self._cell_has_value = False
        elif tag == "f":
            self._has_formula = True
        elif tag in ("v", "t"):
            self._is_value = True
        self._text = 0

    def _characters(self, text: str) -> None:
        self._text += len(text)
        if self._text > _MAX_TOKEN:
            raise _unusual("a tag or a cell that is too long")
        if self._is_value:
            self._has_value = self._cell_has_value = True

    def _end(self, name: str) -> None:
        tag = name.rpartition(" ")[2]
        if tag in ("v", "t"):
            self._is_value = False
        elif tag == "c" and self._has_formula and not self._cell_has_value:
            self._layout.without_value_count += 1
            if len(self._layout.without_value) < _MAX_NAMED:
                self._layout.without_value.append(self._cell)
        elif tag == "row" and self._is_hidden and self._has_value:
            self._layout.hidden.append(self._row)


def _is_set(flag: str | None) -> bool:
    return flag in ("1", "true")


def _is_zero(size: str) -> bool:
    try:
        return float(size) == 0
    except ValueError:
        return False


def _column(reference: str) -> int:
    """Return the column of a cell such as ``AB12``, from 1; 0 without a reference."""
    column = 0
    for letter in reference[:8]:
        if not letter.isalpha():
            break
        column = column * 26 + ord(letter.upper()) - 64
    return column


def _column_name(column: int) -> str:
    """Return the letters of a column, which is counted from 1."""
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _refuse_doctype(*_declaration: object) -> None:
    raise _unusual("a document type declaration")


def _unusual(what: str) -> ConfigurationError:
    return ConfigurationError(
        Sentence("The workbook has {what}: no spreadsheet writes that.", what=what)
    )


@contextlib.contextmanager
def _opened(binary: IO[bytes]) -> Iterator[_Book]:
    """Open a workbook, and translate the errors of a damaged one."""
    try:
        reader = _reader()
    except ModuleNotFoundError:
        raise missing_extra(Sentence("Excel workbooks need openpyxl"), "excel") from None
    mark = binary.read(_HEAD)
    binary.seek(0)
    if mark.startswith(OLD_WORKBOOK_MARK):
        raise ConfigurationError(Sentence("The list {old_workbook}.", old_workbook=OLD_WORKBOOK))
    if not mark.startswith(WORKBOOK_MARK):
        check_format(mark)
        raise ConfigurationError(
            "The list is no Excel workbook (.xlsx): read it as CSV (Csv, --csv) if it is one."
        )
    try:
        with zipfile.ZipFile(binary) as archive:
            _check_parts(archive)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # openpyxl tells what it would not write again
                opened = reader(binary, read_only=True, data_only=True, keep_links=False)
                opened.read()
                book = opened.wb
            try:
                yield _Book(book, archive)
            finally:
                book.close()
    except (ConfigurationError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - openpyxl raises many kinds for a damaged file
        raise ConfigurationError(
            Sentence(
                "The workbook cannot be read ({kind}: {error}): open it in Excel and save it "
                "as a new .xlsx file, or as CSV.",
                kind=type(error).__name__,
                error=str(error)[:200],
            )
        ) from None


def _reader() -> type[ExcelReader]:
    """Return openpyxl's reader without its reading of charts, which fails for an empty one.

    Raises:
        ModuleNotFoundError: openpyxl is not installed.
    """
    from openpyxl import chartsheet
    from openpyxl.reader.excel import ExcelReader

    class Reader(ExcelReader):
        def read_chartsheet(self, sheet: Any, rel: Any) -> None:
            # It keeps its place: the names of a workbook count the sheets.
            book: Any = self.wb
            book._sheets.append(chartsheet.Chartsheet(parent=book))

    return Reader


def _check_parts(archive: zipfile.ZipFile) -> None:
    """Check that a zip file is a workbook, that its parts are bounded, and that none has a DTD."""
    parts = archive.infolist()
    names = {part.filename for part in parts}
    if "xl/workbook.bin" in names or "[Content_Types].xml" not in names:
        raise ConfigurationError(
            "The list is no .xlsx workbook: open it in Excel and save it as .xlsx."
        )
    if len(parts) > _MAX_PARTS:
        raise _unusual(f"more than {_MAX_PARTS} parts")
    for part in parts:
        _check_prolog(archive, part)
    # A sheet is read as a stream. Anything else may be held in memory.
    types = _parse_part(archive, "[Content_Types].xml").iter("{*}Override")
    sheets = {
        str(each.get("PartName")).lstrip("/")
        for each in types
        if str(each.get("ContentType")).endswith(".worksheet+xml")
    }
    for part in parts:
        if part.file_size > (_MAX_SHEET if part.filename in sheets else _MAX_PART):
            raise ConfigurationError("The workbook is too large when it is unpacked: split it.")


def _check_prolog(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Check that an XML part has no document type declaration, which must be at its start."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = _stop
    with archive.open(part) as file:
        start = file.read(_BLOCK)
    # Other errors than this one are openpyxl's: the part may be no XML, and never be read.
    with contextlib.suppress(_FirstElement, expat.ExpatError):
        parser.Parse(start, False)
        if len(start) == _BLOCK:
            raise _unusual("an endless start of a part")


class _FirstElement(Exception):
    """The first element of a document was reached."""


def _stop(*_element: object) -> None:
    raise _FirstElement


def _sheet_paths(archive: zipfile.ZipFile) -> dict[str, str]:
    """Return the part of each sheet by the sheet's name."""
    book = next(
        target
        for kind, _, target in _relationships(archive, "")
        if kind.endswith("/officeDocument")
    )
    targets = {name: target for _, name, target in _relationships(archive, book)}
    paths = {}
    for sheet in _parse_part(archive, book).iter("{*}sheet"):
        found = [value for key, value in sheet.items() if key.endswith("}id")]
        if found and found[0] in targets:
            paths[str(sheet.get("name"))] = targets[found[0]]
    return paths


def _relationships(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[str, str, str]]:
    """Yield the kind, the name and the target of each relationship of a part."""
    folder, name = posixpath.split(part)
    root = _parse_part(archive, posixpath.join(folder, "_rels", f"{name}.rels"))
    for found in root.iter("{*}Relationship"):
        target = posixpath.normpath(posixpath.join("/", folder, str(found.get("Target"))))
        yield str(found.get("Type")), str(found.get("Id")), target.lstrip("/")


def _parse_part(archive: zipfile.ZipFile, name: str) -> etree._Element:
    from lxml import etree  # not for those who read no workbook

    with archive.open(name) as file:
        content = file.read(_MAX_SMALL_PART)
    return etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))


def _take(rows: Iterator[Sequence[Any]], count: int) -> list[Sequence[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a date that is none counts as #VALUE!
        return list(islice(rows, count))


def _text(cell: Any) -> str:
    """Return a cell's value as text, to find out what it is."""
    value = cell.value
    return _unescape(value) if isinstance(value, str) else number_as_text(value)


def _unescape(text: str) -> str:
    """Replace ``_x000D_`` by the character that it stands for."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _shown(cell: Any) -> Any:
    """Return a cell's value as the sheet shows it."""
    value = cell.value
    if isinstance(value, str):
        return _unescape(value)
    if isinstance(value, datetime):
        return _shown_date(value, cell.number_format)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _shown_number(value, cell.number_format)
    return value


def _shown_date(value: datetime, number_format: str) -> Any:
    # pandas writes the letters in upper case, which Excel reads like the others.
    letters = set(_NO_LETTERS.sub("", number_format.partition(";")[0]).lower())
    has_date, has_time = not letters.isdisjoint("dy"), not letters.isdisjoint("hs")
    if has_date == has_time:
        return value
    return value.date() if has_date else value.time()


def _shown_number(value: float, number_format: str) -> Any:
    section, *others = number_format.split(";")
    found = _NUMBER_FORMAT.fullmatch(section)
    if found is None or abs(value) >= _MAX_WHOLE or (others and value < 0):
        return value
    decimals = len(found["part"] or "")
    exact = Decimal(repr(value)) * (100 if found["percent"] else 1)
    rounded = exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    width = len(found["whole"]) + (decimals + 1 if decimals else 0) + (rounded < 0)
    text = f"{rounded:,f}" if found["group"] else f"{rounded:f}".zfill(width)
    return f"{text}{found['percent'] or ''}"
