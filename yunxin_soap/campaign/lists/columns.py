"""Finds the headings of a table, and the column that holds the numbers. Pure.

The column is found by its heading *and* by its content. Where two columns could be it, the caller
is asked: an SMS to the wrong one of two numbers cannot be unsent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from yunxin_soap.errors import ConfigurationError, InvalidRequest
from yunxin_soap.message import normalise_recipients
from yunxin_soap.redact import truncate_printable
from yunxin_soap.sentences import Sentence

SAMPLE_ROWS = 300
"""Rows at the start of a table by which its columns are judged."""
MAX_COLUMNS = 16_384
"""Columns of a table, at most: as many as a spreadsheet has."""

_SAMPLE_CELLS = 30_000
_MAX_CELL = 200
"""Characters of a cell that may be a number. A longer one is a text."""
_TITLE_ROWS = 10
"""Rows above the headings, at most."""
_NEARLY_ALL = 0.8
_HALF = 0.5
_DIGIT = re.compile("[0-9]")
_SEVEN_DIGITS = re.compile("(?:[0-9０-９].*?){7}", re.DOTALL)
_DIGITS_ONLY = re.compile("[0-9+ -]+")
_CUT_NUMBER = re.compile(
    r"\s*['\"=]*(?:[12](?:\.[0-9]+)?E\+?0?10|(?:9|8\.6[0-9]*)E\+?0?12"
    r"|(?:86)?1[3-9][0-9]{4}00000\.0+)['\"]?\s*",
    re.IGNORECASE,
)
"""What a spreadsheet leaves of a mobile number, such as ``1.39E+10``, or pandas of that."""
_MISTYPED_MOBILE = re.compile(r"\W*1[3-9][0-9]{8,10}\W*")
"""A mobile number, perhaps with a digit too few or too many."""
_PART_OF_CELL = re.compile(r"(?<![0-9])1[3-9][0-9](?:[0-9]{4}|[*xX]{4})[0-9]{4}(?![0-9])")
"""A mobile number within a cell, perhaps masked: ``139****0001``."""
_POSITION = re.compile("[0-9]{1,9}")
_REMARK = re.compile(r"[\[(【〔<{].*?[\])】〕>}]")
_CHINESE_HEADING = re.compile(
    "(?:客户|顾客|用户|会员|联系|联系人|收件人|收货人|接收人|接收|本人|个人|家长|学生|学员|员工|患者|业主"
    "|注册|绑定|登录|预留|新|最新|现|现用|当前)*"
    "(?:的)?(?:移动电话|移动号码|手机|手机号|手机号码|手机电话|电话|电话号码|号码|联系方式|联系号码)"
)
_ENGLISH_HEADING = re.compile(
    "(?:your|my|the|customer|client|contact|user|member|recipient|receiver|buyer|primary|main"
    "|personal)?"
    "(?:(?:cell|mobile|tele|smart)?phones?|mobiles?|cells?|cellular|tel|msisdn|desno|recipients?"
    "|(?:mobile)?tel|handphone|mobilephone|cellphone|phonemobile|mobilecell)"
    "(?:numbers?|num|nos?|nr)?"
    "|numbers?|recipients?|contactno|contactnumber"
)
_MAX_NAMED = 20
"""Columns that an error message lists, at most."""


@dataclass(frozen=True)
class Table:
    """How a table is to be read."""

    headings: dict[str, int]
    """The index of each heading that only one column has; empty without a row of headings."""
    index: int
    """The index of the column with the numbers."""
    first: int
    """The index of the first row of data."""
    notes: tuple[str, ...]
    """What a person should know about it."""


def is_number(cell: str) -> bool:
    """Return whether a cell holds a mobile number, in any notation, or what is left of one.

    A number that a spreadsheet has cut cannot be sent to, but says what its column holds.
    """
    if len(cell) > _MAX_CELL:
        return False
    if not _SEVEN_DIGITS.search(cell):
        return bool(_CUT_NUMBER.fullmatch(cell))
    try:
        return bool(normalise_recipients(cell))
    except InvalidRequest:
        return bool(_CUT_NUMBER.fullmatch(cell))


def has_mistyped_number(cells: Sequence[str]) -> bool:
    """Return whether a cell is more likely a number with a typing error than a heading."""
    digits = [len(_DIGIT.findall(cell)) for cell in cells]
    return any(
        _DIGITS_ONLY.fullmatch(cell)
        or (count >= 7 and count > 4 * (len(cell) - count))
        or _PART_OF_CELL.search(cell)
        for cell, count in zip(cells, digits, strict=True)
    )


def is_usual_heading(name: str) -> bool:
    """Return whether a heading is a usual one of mobile numbers, such as ``手机号（必填）``."""
    bare = _fold(name)
    return bool(_CHINESE_HEADING.fullmatch(bare) or _ENGLISH_HEADING.fullmatch(bare))


def _fold(name: str) -> str:
    """Return a heading without remarks, case, and what is neither a letter nor a digit."""
    text = unicodedata.normalize("NFKC", name[:_MAX_CELL]).casefold()
    without_remarks = _REMARK.sub("", text)
    letters = "".join(filter(str.isalnum, without_remarks)).removeprefix("必填")
    return letters.removesuffix("必填") or "".join(filter(str.isalnum, text))


def strip_heading(cell: str) -> str:
    """Return a heading without the white space and the invisible marks around it."""
    start, end = 0, len(cell)
    while start < end and _is_invisible(cell[start]):
        start += 1
    while end > start and _is_invisible(cell[end - 1]):
        end -= 1
    return cell[start:end]


def _is_invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) == "Cf"


def find_table(
    rows: Sequence[Sequence[str]], lines: Sequence[int], wanted: str | int | None
) -> Table:
    """Find the headings of a table, and the column with its numbers.

    A row of headings has no number. Above it there may be blank rows, and titles that fill fewer
    cells.

    Args:
        rows: the first rows of the table, up to `SAMPLE_ROWS` or more.
        lines: the line of each row.
        wanted: the column that the caller asks for, by its heading or by its position from 1; None
            to find it.

    Raises:
        ConfigurationError: there is no such column, no column has numbers, or several could be it.
    """
    filled = [at for at, row in enumerate(rows) if not is_blank(row)]
    if not filled:
        return Table({}, 0, len(rows), ())
    position = _position(wanted)
    at = _find_heading_row(rows, filled, None if position is not None else wanted)
    names = [strip_heading(cell) for cell in rows[at]] if at is not None else []
    data = _sample(rows, at)
    if position is not None:
        width = max(len(names), len(rows[filled[0]]), 1)
        if not 1 <= position <= width:
            raise ConfigurationError(
                Sentence(
                    "There is no column {position}: the first row has {width} column{s}. Name "
                    "one with column=.",
                    position=position,
                    width=width,
                    s="s" * (width != 1),
                )
            )
        index = position - 1
    elif isinstance(wanted, str):
        index = named_column(wanted, names or [strip_heading(cell) for cell in rows[filled[0]]])
    else:
        index = choose_column(names, data)
    if at is None:
        _check_no_heading_beneath(rows, filled, lines, index)
    elif wanted is None or position is not None:
        cell = names[index] if index < len(names) else ""
        if has_mistyped_number([cell]):
            at, names = None, []
    # A heading that is there twice cannot be used: nobody knows which column it means.
    headings = {name: at for at, name in enumerate(names) if name and names.count(name) == 1}
    first = filled[0] if at is None else at + 1
    return Table(headings, index, first, _notes(rows, lines, at, filled, index))


def is_blank(row: Sequence[str]) -> bool:
    """Return whether every cell of a row is empty."""
    return not any(cell and not cell.isspace() for cell in row)


def _notes(
    rows: Sequence[Sequence[str]],
    lines: Sequence[int],
    heading: int | None,
    filled: Sequence[int],
    index: int,
) -> tuple[str, ...]:
    notes: list[str] = []
    if heading is None:
        name = "; the list has no headings"
    else:
        titles = [at for at in filled if at < heading]
        for at in titles:
            text = " ".join(cell.strip() for cell in rows[at] if cell.strip())
            notes.append(
                Sentence(
                    "Line {line} is a title and was left out: {text}.",
                    line=lines[at],
                    text=repr(_shorten(text)),
                )
            )
        if titles:
            notes.append(Sentence("The headings are in line {line}.", line=lines[heading]))
        cells = rows[heading]
        cell = strip_heading(cells[index]) if index < len(cells) else ""
        name = f", {_shorten(cell)!r}" if cell else ", which has no heading"
    notes.append(Sentence("The numbers are in column {column}{name}.", column=index + 1, name=name))
    return tuple(notes)


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def _position(wanted: str | int | None) -> int | None:
    if isinstance(wanted, int):
        return wanted
    return int(wanted) if wanted is not None and _POSITION.fullmatch(wanted) else None


def _find_heading_row(
    rows: Sequence[Sequence[str]], filled: Sequence[int], wanted: str | int | None
) -> int | None:
    """Return the index of the row of headings; None if the first row is data."""
    candidates: list[int] = []
    for at in filled[: _TITLE_ROWS + 1]:
        if any(map(is_number, rows[at])):
            break
        candidates.append(at)
    if not candidates:
        return None
    # A title fills fewer cells than the headings beneath it.
    widest = 0
    possible: list[int] = []
    for at in candidates:
        width = sum(1 for cell in rows[at] if cell.strip())
        if width > widest or width == 1:
            possible.append(at)
            widest = width
    for at in possible:
        if wanted is None:
            if any(map(is_usual_heading, rows[at])):
                return at
        elif _fold(str(wanted)) in map(_fold, rows[at]):
            return at
    first = possible[0]
    single = sum(1 for cell in rows[first] if cell.strip()) == 1
    return possible[1] if single and len(possible) > 1 else first


def _check_no_heading_beneath(
    rows: Sequence[Sequence[str]], filled: Sequence[int], lines: Sequence[int], index: int
) -> None:
    """Check that a first row with a number is no title above the headings."""
    for at in filled[1 : _TITLE_ROWS + 1]:
        if len(rows[at]) > index and is_usual_heading(rows[at][index]):
            raise ConfigurationError(
                Sentence(
                    "Line {lines} looks like the headings, but a line above it has a number: "
                    "remove the lines above the headings.",
                    lines=lines[at],
                )
            )


def _sample(rows: Sequence[Sequence[str]], heading: int | None) -> list[Sequence[str]]:
    """Return the first rows of data that are not blank, fewer if they are wide."""
    start = 0 if heading is None else heading + 1
    data = [row for row in rows[start : start + SAMPLE_ROWS] if not is_blank(row)]
    widest = max(map(len, data), default=1)
    return data[: max(20, _SAMPLE_CELLS // widest)]


def named_column(wanted: str, names: Sequence[str]) -> int:
    """Return the index of the column with a heading, in any case and with or without remarks.

    Raises:
        ConfigurationError: no column has it, or several have.
    """
    exact = [at for at, name in enumerate(names) if name == strip_heading(wanted)]
    found = exact or [at for at, name in enumerate(names) if name and _fold(name) == _fold(wanted)]
    if len(found) > 1:
        raise ConfigurationError(
            Sentence(
                "Several columns are called {wanted}: name one with column=, by its position "
                "from 1.",
                wanted=repr(wanted),
            )
        )
    if not found:
        raise missing_column(wanted, filter(None, names))
    return found[0]


def choose_column(names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return the index of the column with the numbers.

    Args:
        names: the headings, one for each column; empty if there are none.
        rows: some rows of data.

    Raises:
        ConfigurationError: no column has numbers, or several could be it.
    """
    width = max(len(names), max(map(len, rows), default=0))
    if width <= 1:
        return 0  # There is no choice. If it is the wrong one, each line says why.
    usual = [at for at, name in enumerate(names) if is_usual_heading(name)]
    numbers = [0] * width
    values = [0] * width
    for row in rows:
        for at, cell in enumerate(row):
            if cell and not cell.isspace():
                values[at] += 1
                # Typing errors in a column that should have numbers do not make it another one.
                numbers[at] += is_number(cell) or (
                    at in usual and bool(_MISTYPED_MOBILE.fullmatch(cell[:_MAX_CELL]))
                )
    full = [
        at for at in range(width) if numbers[at] > 0 and numbers[at] >= _NEARLY_ALL * values[at]
    ]
    both = [at for at in usual if at in full]
    # Without a heading, a column that is mostly empty is a remark rather than the list's numbers.
    others = [at for at in full if at not in usual and numbers[at] >= _HALF * len(rows)]
    found = both or usual + others
    if not both and len(usual) > 1 and not others:
        found = [at for at in usual if numbers[at]] or usual
    if len(found) == 1:
        return found[0]
    if not found:
        known = [name for name in names if name] or map(str, range(1, width + 1))
        raise missing_column(None, known)
    shown = " and ".join(
        f"{at + 1} ({names[at]!r})" if at < len(names) and names[at] else str(at + 1)
        for at in found[:_MAX_NAMED]
    )
    raise ConfigurationError(
        Sentence(
            "The numbers could be in column {shown}: name the one to write to with "
            "column=, by its heading or by its position.",
            shown=shown,
        )
    )


def too_many_columns() -> ConfigurationError:
    """Return the error for a table with more than `MAX_COLUMNS` columns."""
    return ConfigurationError(
        Sentence(
            "The list has a line of more than {max_columns} columns: check its "
            "separators and its quotes.",
            max_columns=MAX_COLUMNS,
        )
    )


def missing_column(wanted: str | int | None, names: Iterable[str]) -> ConfigurationError:
    """Return the error for a column that was not found.

    Args:
        wanted: the column that the caller asked for; None if it was to be found.
        names: the columns that there are.
    """
    known = ", ".join(truncate_printable(name) for name in islice(names, _MAX_NAMED)) or "none"
    if wanted is None:
        return ConfigurationError(
            Sentence(
                "No column with numbers was found. Name it with column=, one of: {known}.",
                known=known,
            )
        )
    return ConfigurationError(
        Sentence(
            "There is no column {wanted}: the columns are {known}. Name one with column=.",
            wanted=repr(wanted),
            known=known,
        )
    )
