"""Files with numbers: private, and without a cell that a spreadsheet runs as a formula."""

from __future__ import annotations

import csv
import io
import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yunxin_soap.files import escape_spreadsheet_formula, open_private, spreadsheet_row

FORMULA = tuple("=+-@＝＋－＠")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("", ""),
        ("您好", "您好"),
        ("a-b, c=d; e+f", "a-b, c=d; e+f"),
        ("=cmd()", "'=cmd()"),
        ("＝cmd()", "'＝cmd()"),
        ("-14", "'-14"),
        (" =cmd()", "' =cmd()"),
        ('"=cmd()"', '\'"=cmd()"'),
        ("\tx", "'\tx"),
        ("a;=cmd()", "a;'=cmd()"),
        ("a,+1,@b", "a,'+1,'@b"),
        ("a\t-1", "a\t'-1"),
        ("a|=b", "a|'=b"),
        ("a\n=b\r\n=c", "a\n'=b\r\n'=c"),
        ('a; "=b"', 'a;\' "=b"'),
        ("a\u2028=b", "a\u2028'=b"),
        (";;=a", ";;'=a"),
        ("2114355899380234221", "'2114355899380234221"),
        ("13900000000", "13900000000"),
    ],
)
def test_cell_that_could_become_a_formula_is_escaped(text: str, cell: str) -> None:
    """An apostrophe stands before each place at which a spreadsheet could begin a formula."""
    assert escape_spreadsheet_formula(text) == cell


def test_row_keeps_numbers_and_empty_cells() -> None:
    """An integer is no formula, although -5 starts like one."""
    assert spreadsheet_row((-5, None, "-5")) == [-5, "", "'-5"]


_cells = st.lists(
    st.lists(st.text(st.sampled_from(list("=+-@＝a1 ,;|\t\n\r\"'\u2028")), max_size=8), min_size=1),
    min_size=1,
    max_size=4,
)


@given(_cells)
@example([["a;=b"], ["a;", "=b"], ['a;"', "=b"], ['"', ";=b"], ["\n", "=b"]])
def test_file_has_no_formula_whatever_the_delimiter(rows: list[list[str]]) -> None:
    """A reader that splits at another delimiter, or does not know quotes, makes no formula."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerows(map(spreadsheet_row, rows))
    content = file.getvalue()
    expected = [[escape_spreadsheet_formula(cell) for cell in row] for row in rows]
    assert list(csv.reader(io.StringIO(content, newline=""))) == expected
    for delimiter in ",;|\t":
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            for lines in (io.StringIO(content, newline=""), content.splitlines(keepends=True)):
                for row in csv.reader(lines, delimiter=delimiter, quoting=quoting):
                    for cell in row:
                        assert not cell.lstrip(' "').startswith(FORMULA), (delimiter, cell)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
@pytest.mark.parametrize("before", [None, 0o644, 0o666, 0o600, 0o440 | stat.S_IWUSR])
def test_private_file_is_readable_by_its_owner_alone(tmp_path: Path, before: int | None) -> None:
    """A new file and one that others could read are private before anything is in them."""
    path = tmp_path / "export.csv"
    if before is not None:
        path.write_text("old")
        path.chmod(before)
    umask = os.umask(0)
    try:
        with open_private(str(path), encoding="utf-8") as file:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert path.read_text() == ""
            file.write("您好\r\n")
    finally:
        os.umask(umask)
    assert path.read_bytes() == "您好\r\n".encode()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="there is no /dev/null")
def test_private_file_leaves_a_device_as_it_is() -> None:
    """Only a regular file is made private."""
    before = Path("/dev/null").stat().st_mode
    with open_private("/dev/null", encoding="utf-8") as file:
        file.write("x")
    assert Path("/dev/null").stat().st_mode == before
