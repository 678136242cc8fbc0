"""Excel workbooks as lists: sheets, hidden rows, values as they are shown, and damaged files."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.chart import BarChart, Reference
from openpyxl.worksheet.worksheet import Worksheet

from tests.support.lists import TEXT, numbers, planned
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign import Excel
from yunxin_soap.extras import install_command

A, B, C = numbers(3)
NAMED = "您好{姓名}【签名】"


def moment(*parts: int) -> datetime:
    """Return a time as Excel has it, without a zone."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def workbook(*rows: Any, change: Callable[[Worksheet], None] = lambda _sheet: None) -> bytes:
    """Return a workbook with one sheet."""
    return sheets({"Sheet": rows}, change)


def sheets(
    content: dict[str, Any], change: Callable[[Worksheet], None] = lambda _sheet: None
) -> bytes:
    """Return a workbook with some sheets; the change is made to the last one."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in content.items():
        sheet: Worksheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    change(sheet)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def excel(content: bytes, *arguments: Any, **options: Any) -> Excel:
    """Return a source that reads a workbook."""
    return Excel(io.BytesIO(content), *arguments, **options)


def changed(content: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """Return a workbook with other parts; None removes a part."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", 8) as new:
        for part in old.infolist():
            found = change(part.filename, old.read(part))
            if found is not None:
                new.writestr(part.filename, found)
    return file.getvalue()


def with_sheet(content: bytes, old: bytes, new: bytes) -> bytes:
    """Return a workbook in whose sheet some XML is replaced."""

    def change(name: str, part: bytes) -> bytes:
        if name != "xl/worksheets/sheet1.xml":
            return part
        assert old in part
        return part.replace(old, new, 1)

    return changed(content, change)


@pytest.mark.parametrize(
    "rows",
    [
        [["姓名", "手机号"], ["甲", int(A)], ["乙", B]],
        [["姓名", "手机号（必填）"], ["甲", float(A)], ["乙", f"'{B}"]],
        [["客户名单"], [], ["姓名", "Mobile Phone"], ["甲", A], [None, None], ["乙", f"+86 {B}"]],
        [["姓名", "联系"], ["甲", A], ["乙", f"{B}.0"]],
    ],
)
def test_excel_numbers_in_any_notation_are_found(rows: list[list[Any]]) -> None:
    """As a CSV file of the same."""
    texts, skipped = planned(excel(workbook(*rows)), NAMED)
    assert texts == {"您好甲【签名】": [A], "您好乙【签名】": [B]}
    assert skipped == []
    assert planned(excel(workbook(*rows))) == ({TEXT: [A, B]}, [])


def test_excel_shared_strings_are_texts() -> None:
    """Excel writes each text once, in a part of its own."""
    assert planned(excel(GOOD), NAMED).texts == {"您好甲【签名】": [A], "您好乙【签名】": [B]}


def test_excel_path_and_position_are_read(tmp_path: Any) -> None:
    """A file may be named, and its column by the position; a list may have no headings."""
    path = tmp_path / "list.xlsx"
    path.write_bytes(workbook(["甲", A, B], ["乙", B, C]))
    assert planned(Excel(path, 3)).texts == {TEXT: [B, C]}
    with pytest.raises(ConfigurationError, match="could be in column 2 and 3"):
        planned(Excel(path))


def test_excel_lines_are_the_rows_of_the_sheet() -> None:
    """Blank rows count, and skipped ones are named as the sheet numbers them."""
    rows = [["名单"], [], ["手机"], [A], [], ["12"], [None], [B], [A]]
    texts, skipped = planned(excel(workbook(*rows)))
    assert texts == {TEXT: [A, B]}
    assert [(each.line, each.value) for each in skipped] == [(6, "12"), (9, A)]


def test_excel_many_rows_leave_no_seams() -> None:
    """Rows are read some hundreds at a time, and given in batches."""
    listed = numbers(20_500)
    content = workbook(["手机", "姓名"], *([number, "x"] for number in listed), [A, "x"])
    texts, skipped = planned(excel(content))
    assert texts == {TEXT: listed}
    assert [each.line for each in skipped] == [20_502]
    assert planned(excel(content), NAMED).texts == {"您好x【签名】": listed}


def test_excel_notes_say_how_it_was_read() -> None:
    """The sheet, a title, the headings and the column."""
    content = sheets({"说明": [["x"]], "名单": [["标题"], ["姓名", "手机"], ["甲", A]]})
    source = excel(content)
    assert planned(source).texts == {TEXT: [A]}
    assert source.notes == [
        "The sheet is '名单'.",
        "Row 1 is a title and was left out: '标题'.",
        "The headings are in row 2.",
        "The numbers are in column 2, '手机'.",
    ]


def _hide(sheet: Worksheet) -> None:
    sheet.sheet_state = "hidden"


def test_excel_sheet_is_named_or_found() -> None:
    """The one visible sheet with numbers; several, or none, are a question."""
    both = {"a": [["手机"], [A]], "b": [["手机"], [B]]}
    with pytest.raises(ConfigurationError, match=r"Several sheets have numbers: 'a', 'b'\."):
        planned(excel(sheets(both)))
    assert planned(excel(sheets(both), sheet="b")).texts == {TEXT: [B]}
    assert planned(excel(sheets(both, _hide))).texts == {TEXT: [A]}
    assert planned(excel(sheets(both, _hide), sheet="b")).texts == {TEXT: [B]}
    with pytest.raises(ConfigurationError, match="There is no sheet 'c': the sheets are 'a', 'b'"):
        planned(excel(sheets(both), sheet="c"))
    with pytest.raises(ConfigurationError, match="No sheet has numbers: name one with sheet=, of"):
        planned(excel(sheets({"a": [["x"]], "b": []})))


HIDDEN = [["手机", "姓名"], [A, "甲"], [B, "乙"], ["", ""], [C, "丙"]]


@pytest.mark.parametrize("attribute", [b'hidden="1"', b'hidden="true"', b'ht="0"'])
def test_excel_hidden_rows_are_asked_about(attribute: bytes) -> None:
    """A filter hides rows, and a person does; a blank row and the headings hide nothing."""
    content = workbook(*HIDDEN)
    for row in (b"1", b"3", b"4"):
        old = b'<row r="%s"' % row
        content = with_sheet(content, old, b"%s %s" % (old, attribute))
    with pytest.raises(ConfigurationError, match=r"has hidden rows, by a filter or by hand \(3\):"):
        planned(excel(content))
    left_out = excel(content, hidden_rows="skip")
    assert planned(left_out) == ({TEXT: [A, C]}, [])
    assert left_out.notes[-1] == "1 hidden row left out, as asked."
    sent = excel(content, hidden_rows="send")
    assert planned(sent) == ({TEXT: [A, B, C]}, [])
    assert sent.notes[-1] == "1 hidden row of the list will be sent to, as asked."


def test_excel_many_hidden_rows_are_counted() -> None:
    """The error names the first ones."""

    def hide(sheet: Worksheet) -> None:
        for row in range(3, 11):
            sheet.row_dimensions[row].hidden = True

    content = workbook(["手机"], *([number] for number in numbers(9)), change=hide)
    with pytest.raises(ConfigurationError, match=r"by hand \(3, 4, 5, 6, 7 and 3 more\)"):
        planned(excel(content))
    assert planned(excel(content, hidden_rows="skip")).texts == {TEXT: [A]}


def test_excel_hidden_rows_other_than_skip_or_send_is_an_error() -> None:
    """The argument has two values."""
    with pytest.raises(ConfigurationError, match="hidden_rows='no' must be 'skip' or 'send'"):
        Excel("x", hidden_rows="no")  # type: ignore[arg-type]


def _hide_column(letter: str) -> Callable[[Worksheet], None]:
    def hide(sheet: Worksheet) -> None:
        sheet.column_dimensions[letter].hidden = True

    return hide


def test_excel_hidden_column_is_noted() -> None:
    """What nobody sees may be in a text, and what is beyond the values hides nothing."""
    rows = [["手机", "姓名", "备注"], [A, "甲", "x"]]
    for letter in "BC":
        source = excel(workbook(*rows, change=_hide_column(letter)))
        assert planned(source, NAMED).texts == {"您好甲【签名】": [A]}
        assert source.notes[-1] == f"The column {letter} is hidden, and can be used like any other."
    source = excel(workbook(*rows, change=_hide_column("D")))
    assert planned(source).texts == {TEXT: [A]}
    assert not any("hidden" in note for note in source.notes)


@pytest.mark.parametrize("attribute", ['hidden="1"', 'hidden="true"', 'width="0"'])
def test_excel_hidden_columns_are_counted(attribute: str) -> None:
    """Many columns may be described by one tag."""
    content = workbook(["手机", *"abcdefgh"], [A, *"12345678"])
    cols = f'<cols><col min="2" max="16384" {attribute}/></cols><sheetData>'
    source = excel(with_sheet(content, b"<sheetData>", cols.encode()))
    assert planned(source).texts == {TEXT: [A]}
    assert source.notes[-1] == (
        "The columns B, C, D, E, F and 3 more are hidden, and can be used like any other."
    )


def test_excel_hidden_column_with_the_numbers_is_asked_about() -> None:
    """Who sees another column may mean that one; the advice works."""
    content = workbook(["姓名", "手机"], ["甲", A], change=_hide_column("B"))
    with pytest.raises(
        ConfigurationError, match=r"with the numbers, B, is hidden: .* with column='2'\."
    ):
        planned(excel(content))
    assert planned(excel(content, "2")).texts == {TEXT: [A]}
    assert planned(excel(content, "手机")).texts == {TEXT: [A]}


def test_excel_hidden_sheet_is_noted() -> None:
    """Whether it was left out, or asked for."""
    both = sheets({"a": [["手机"], [A]], "b": [["手机"], [B]]}, _hide)
    source = excel(both)
    assert planned(source).texts == {TEXT: [A]}
    assert source.notes[:2] == ["The sheet is 'a'.", "Hidden sheets were left out: 'b'."]
    source = excel(both, sheet="b")
    assert planned(source).texts == {TEXT: [B]}
    assert source.notes[0] == "The sheet 'b' is hidden."


@pytest.mark.parametrize("has_chart", [True, False])
def test_excel_chart_sheet_is_left_out(has_chart: bool) -> None:
    """Be it an empty one."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["手机"], [A]):
        sheet.append(row)
    charts = book.create_chartsheet("图", 0)
    if has_chart:
        chart = BarChart()
        chart.add_data(Reference(sheet, min_col=1, min_row=1, max_row=2))
        charts.add_chart(chart)
    file = io.BytesIO()
    book.save(file)
    assert planned(excel(file.getvalue())).texts == {TEXT: [A]}


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (1234.5, "General", 1234.5),
        (1234.5, "0.00", "1234.50"),
        (1234.5, "#,##0.00", "1,234.50"),
        (1234567, "#,##0", "1,234,567"),
        (-1234.5, "#,##0.00", "-1,234.50"),
        (99.9, "0.00_ ", "99.90"),
        (1.005, "0.00", "1.01"),  # as Excel rounds it, by its decimal digits
        (0.15, "0%", "15%"),
        (0.1234, "0.0%", "12.3%"),
        (7, "00000", "00007"),
        (-7, "000", "-007"),
        (7, "000.0", "007.0"),
        (5, "0", "5"),
        (5, "@", 5),
        (-5, "0;(0)", -5),
        (1.5, '"¥"0.00', 1.5),
        (6.22202e18, "0", 6.22202e18),  # Excel keeps 15 digits
        (13900000000, "000-0000-0000", 13900000000),
        (moment(2026, 11, 30), "yyyy-mm-dd", date(2026, 11, 30)),
        (moment(2026, 11, 30), 'yyyy"年"m"月"d"日"', date(2026, 11, 30)),
        (moment(2026, 11, 30, 9, 5), "yyyy/m/d", date(2026, 11, 30)),
        (moment(2026, 11, 30, 9, 5), "yyyy/m/d h:mm", moment(2026, 11, 30, 9, 5)),
        (moment(2026, 11, 30, 9, 5), "h:mm", time(9, 5)),
        # As pandas formats its dates: the letters of a format are of either case.
        (moment(2026, 11, 30), "YYYY-MM-DD HH:MM:SS", moment(2026, 11, 30)),
        (moment(2026, 11, 30, 9, 5), "YYYY-MM-DD HH:MM:SS", moment(2026, 11, 30, 9, 5)),
        (moment(2026, 11, 30), "YYYY-MM-DD", date(2026, 11, 30)),
        (moment(2026, 11, 30, 9, 5), "HH:MM", time(9, 5)),
        (moment(2026, 11, 30), "[$-409]mmmm d, yyyy", date(2026, 11, 30)),
        (moment(2026, 11, 30, 9, 5), '"today "h:mm', time(9, 5)),
        (moment(2026, 11, 30), "[$-804]m\\月", moment(2026, 11, 30)),
        (time(9, 5), "h:mm", time(9, 5)),
        ("#N/A", "General", "#N/A"),
        ("2026-11-30", "@", "2026-11-30"),
        (True, "General", True),
        ("a\nb", "General", "a\nb"),
        ("a_x000D_\nb", "General", "a\r\nb"),
        ("a_x4E00_b", "General", "a_x4E00_b"),
    ],
)
def test_excel_value_is_as_the_sheet_shows_it(
    value: Any, number_format: str, shown: object
) -> None:
    """Dates without a time that nobody sees, and numbers with the decimals that the format has."""

    def style(sheet: Worksheet) -> None:
        sheet["B2"].number_format = number_format

    content = workbook(["手机", "值"], [A, value], change=style)
    (batch,) = excel(content).batches()
    assert batch.rows is not None
    found = batch.rows[0]["值"]
    assert (type(found), found) == (type(shown), shown)


def test_excel_formula_counts_by_its_stored_value() -> None:
    """Without one it is empty, and a note says so."""
    content = workbook(["手机", "值"], [A, "=1+1"], [B, "=2+2"], ["=C1", "x"])
    stored = with_sheet(content, b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>")
    source = excel(stored)
    (batch,) = source.batches()
    assert batch.rows is not None
    assert [row["值"] for row in batch.rows] == [2, None, "x"]
    assert batch.values == [A, B, ""]
    assert source.notes[-1] == (
        "2 formulas have no stored value, and count as empty (B3, A4): open the workbook in Excel"
        " and save it."
    )
    source = excel(workbook(["手机", "值"], [A, "=1+1"]))
    assert planned(source).texts == {TEXT: [A]}
    assert "1 formula has no stored value, and counts as empty (B2):" in source.notes[-1]


def test_excel_without_openpyxl_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the command that installs it."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ConfigurationError, match=re.escape(install_command("excel"))):
        planned(excel(b""))


def with_shared_strings(content: bytes) -> bytes:
    """Return a workbook with its texts in a part of their own, as Excel writes it."""
    texts: list[bytes] = []

    def share(found: re.Match[bytes]) -> bytes:
        texts.append(found[2])
        return b'%s t="s"><v>%d</v></c>' % (found[1], len(texts) - 1)

    def change(name: str, part: bytes) -> bytes:
        if name.endswith("sheet1.xml"):
            return re.sub(rb'(<c r="\w+") t="inlineStr"><is>(.*?)</is></c>', share, part)
        if name == "[Content_Types].xml":
            kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
            entry = b'<Override PartName="/xl/sharedStrings.xml" ContentType="%s"/></Types>' % kind
            return part.replace(b"</Types>", entry)
        return part

    file = io.BytesIO(changed(content, change))
    if texts:  # not every version of openpyxl writes them so by itself
        namespace = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        items = b"".join(b"<si>%s</si>" % text for text in texts)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(
                "xl/sharedStrings.xml",
                b'<?xml version="1.0"?><sst xmlns="%s">%s</sst>' % (namespace, items),
            )
        return file.getvalue()
    return content


GOOD = with_shared_strings(workbook(["手机", "姓名"], [A, "甲"], [B, "乙"]))
LAUGHS = b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;">]>'


def _insert_doctype(name: str) -> bytes:
    def change(part: str, content: bytes) -> bytes:
        if part != name:
            return content
        start = content.index(b"?>") + 2 if content.startswith(b"<?") else 0
        return content[:start] + LAUGHS + content[start:]

    return changed(GOOD, change)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "is no Excel workbook"),
        (b"phone\n13900000000\n", "is no Excel workbook .* read it as CSV"),
        (b"<html><table>", "is an HTML page, as some systems export it under the name .xls: open"),
        (b'<?xml version="1.0"?><Workbook>', "is an XML file, .* save it as .xlsx, or as CSV"),
        (b"%PDF-1.7\n", "is a PDF file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "save it as .xlsx"),
        (b"PK\x03\x04" + bytes(600), r"cannot be read \(BadZipFile"),
        (GOOD[:-200], r"cannot be read \(BadZipFile"),
        (changed(GOOD, lambda n, c: None if n == "[Content_Types].xml" else c), "is no .xlsx"),
        (changed(GOOD, lambda n, c: None if n == "xl/workbook.xml" else c), "cannot be read"),
        (changed(GOOD, lambda n, c: None if n.endswith("sheet1.xml") else c), "No sheet|cannot be"),
        (changed(GOOD, lambda n, c: c[:-30] if n.endswith("sheet1.xml") else c), "cannot be read"),
        (changed(GOOD, lambda n, c: c[:-30] if "shared" in n else c), "cannot be read"),
        (with_sheet(GOOD, b"<v>0</v>", b"<v>99</v>"), r"cannot be read \(IndexError"),
        (_insert_doctype("xl/worksheets/sheet1.xml"), "has a document type declaration"),
        (_insert_doctype("xl/sharedStrings.xml"), "has a document type declaration"),
        (_insert_doctype("xl/workbook.xml"), "has a document type declaration"),
        (_insert_doctype("xl/styles.xml"), "has a document type declaration"),
        (_insert_doctype("docProps/core.xml"), "has a document type declaration"),
        (
            with_sheet(GOOD, b'<row r="2"', b'<row r="99999999999"'),
            "has the row 99999999999 behind",
        ),
        (with_sheet(GOOD, b'<row r="2"', b'<row r="1"'), "has the row 1 behind row 1"),
        (with_sheet(GOOD, b'r="A2"', b'r="XFE2"'), "more than 16384 columns"),
        (with_sheet(GOOD, b'r="A2"', b'r="ZZZZZZZZ2"'), "more than 16384 columns"),
        (with_sheet(GOOD, b'r="A2"', b'r="A2"' + b" " * (2 << 20)), "is too long"),
        (with_sheet(GOOD, b"<v>0</v>", b"<v>" + b"1" * (2 << 20) + b"</v>"), "is too long"),
        (
            with_sheet(
                GOOD, b'<row r="2"', b'<row r="2">' + b"<c/>" * 17_000 + b'</row><row r="3"'
            ),
            "more than 16384 columns",
        ),
    ],
)
def test_excel_damaged_or_strange_workbook_is_one_clear_error(content: bytes, error: str) -> None:
    """Nothing of it is planned, no entity is expanded, and no traceback is shown."""
    with pytest.raises(ConfigurationError, match=error) as caught:
        planned(excel(content))
    assert "\n" not in str(caught.value)


def test_excel_bomb_is_refused_before_it_is_unpacked() -> None:
    """A few kilobytes may claim to be many gigabytes."""

    def change(name: str, content: bytes) -> bytes:
        return content + b" " * (257 << 20) if name == "xl/sharedStrings.xml" else content

    with pytest.raises(ConfigurationError, match="is too large when it is unpacked: split it"):
        planned(excel(changed(GOOD, change)))


_CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


@given(st.lists(_CELLS, max_size=8), st.sampled_from([str, int, float]))
def test_excel_of_openpyxl_is_read_back(names: list[str], kind: Callable[[str], Any]) -> None:
    """Any text and any kind of number comes back as it was."""
    listed = numbers(len(names))
    rows = [[kind(number), "x", name] for number, name in zip(listed, names, strict=True)]
    content = workbook(["手机", "x", "姓名"], *rows)
    found = [
        (value, row["姓名"])
        for batch in excel(content).batches()
        if batch.rows
        for value, row in zip(batch.values, batch.rows, strict=True)
    ]
    # A text that starts with "=" is a formula for openpyxl.
    expected = ["" if name.startswith("=") and len(name) > 1 else name for name in names]
    assert [(number, name or "") for number, name in found] == list(
        zip(listed, expected, strict=True)
    )
