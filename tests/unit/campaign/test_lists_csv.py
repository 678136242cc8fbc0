"""CSV files as lists of numbers: columns, headings, and quotes that are not closed."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lists import TEXT, numbers, planned
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign import Csv
from yunxin_soap.campaign.lists import csv as csv_lists
from yunxin_soap.campaign.lists.csv import BROKEN_LINE_REASON, UNBALANCED_QUOTE_REASON

A, B, C = numbers(3)
NAMED = "您好{name}【签名】"


def csv_of(content: str, column: str | int | None = None, encoding: str = "utf-8") -> Csv:
    """Return a CSV file with the given content."""
    return Csv(io.BytesIO(content.encode(encoding)), column)


@pytest.mark.parametrize(
    ("content", "column"),
    [
        (f"phone\n{A}\n{B}\n", None),
        (f"name,手机号\n甲,{A}\n乙,{B}\n", None),
        (f"name, PHONE \n甲,{A}\n乙,{B}\n", None),
        (f"name;mobile\r\n甲;{A}\r\n乙;{B}\r\n", None),
        (f"name\ttel\n甲\t{A}\n乙\t{B}", None),
        (f"甲,{A}\n乙,{B}\n", None),
        (f"{A}\n{B}\n", None),
        (f"\ufeffphone\n{A}\n\n{B}\n", None),
        (f'note,phone\n"a, b",{A}\nx,"{B}"\n', None),
        (f"a,b\n{C},{A}\n{C},{B}\n", "b"),
        (f"a,b\n{C},{A}\n{C},{B}\n", 2),
        (f"{C},{A}\n{C},{B}\n", "2"),
        (f"phone,x\n+86 {A[:3]}-{A[3:]},1\n{B},2\n", None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_csv_column_with_numbers_is_found(
    content: str, column: str | int | None, encoding: str
) -> None:
    """By a usual heading, by the first number, by its name or by its position."""
    assert planned(csv_of(content, column, encoding)) == ({TEXT: [A, B]}, [])


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (f"sep=;\r\nname;phone\r\na,b;{A}\r\nc,d;{B}\r\n", ["by semicolons"]),
        (f'"sep=\t"\nname\tphone\na\t{A}\nb\t{B}\n', ["by tabs"]),
        (f"SEP=|\nname|phone\na|{A}\nb|{B}\n", ["by '|'"]),
        (f"sep=,\nname,phone\na;b;c,{A}\nd;e;f,{B}\n", []),
        (f"name|phone\na|{A}\nb|{B}\n", ["by '|'"]),
        (f"name，phone\na，{A}\nb，{B}\n", ["by full-width commas"]),
        (f"\tname,\tphone\n\ta,\t{A}\n\tb,\t{B}\n", []),
        (f'"\tname","\tphone"\n"\ta","\t{A}"\n"\tb","\t{B}"\n', []),
        (f"\tname;\tphone\n\ta;\t{A}\n\tb;\t{B}\n", ["by semicolons"]),
        # More commas than semicolons in the first line, or in all of them.
        (f"a, b, c, name;phone\nx;{A}\ny;{B}\n", ["by semicolons"]),
        (f"name;phone;amount\na;{A};1,50\nb;{B};2,50\n", ["by semicolons"]),
        (f"name\tphone\ta,b,c,d\nx,y\t{A}\t\nz,x\t{B}\t1,2\n", ["by tabs"]),
        # Blank rows and titles above the headings.
        (f"\n,,\n\nname,phone,x\na,{A},\nb,{B},\n", []),
        (f"客户名单,,\n,,\nname,phone,x\na,{A},\nb,{B},\n", ["Line 1 is a title", "in line 3"]),
        (f"客户名单;2026,11,30\n\nname;phone;x\na;{A};\nb;{B};\n", ["by semicolons", "Line 1 is"]),
        (f"sep=;\n名单;\nname;phone;x\na;{A};\nb;{B};\n", ["by semi", "Line 2 is a title"]),
        # Blank rows at the end, as a spreadsheet leaves them.
        (f"name,phone\na,{A}\n,\nb,{B}\n , \n,\n", []),
    ],
)
@pytest.mark.parametrize("multiline", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "utf-16-le"])
def test_csv_as_programs_leave_it_is_read(
    content: str, notes: list[str], multiline: bool, encoding: str
) -> None:
    """A line with the delimiter, many lines that agree on one, and what is above the headings."""
    source = Csv(io.BytesIO(content.encode(encoding)), multiline=multiline)
    assert planned(source) == ({TEXT: [A, B]}, [])
    told = " ".join(source.notes)
    for note in notes:
        assert note in told
    assert "The numbers are in column 2, 'phone'." in told
    assert ("separated" in told) == any(note.startswith("by ") for note in notes)


def test_csv_lines_are_counted_behind_a_title_and_a_line_with_the_delimiter() -> None:
    """A skipped line has the number that an editor shows."""
    content = f"sep=;\n名单;\n\nname;phone\na;{A}\nb;12\nc;{B}\n"
    for multiline in (False, True):
        source = Csv(io.BytesIO(content.encode()), multiline=multiline)
        texts, skipped = planned(source, NAMED)
        assert texts == {"您好a【签名】": [A], "您好c【签名】": [B]}
        assert [(each.line, each.value) for each in skipped] == [(6, "12")]


@pytest.mark.parametrize("joint", ["，", "、", "；", "|", ","])
def test_csv_numbers_of_one_line_are_no_columns(joint: str) -> None:
    """Several numbers may be joined by the commas of input methods; by others it is asked."""
    content = f"{A}{joint}{B}\n"
    if joint in "，、":
        assert planned(csv_of(content)).texts == {TEXT: [A, B]}
    else:
        with pytest.raises(ConfigurationError, match="could be in column 1 and 2"):
            planned(csv_of(content))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("place", [0, 1, 400])
@pytest.mark.parametrize("count", [1, 100])
def test_csv_with_too_many_columns_is_an_error(delimiter: str, place: int, count: int) -> None:
    """A table of 40,000 columns is none, wherever its wide lines are."""
    wide = delimiter.join([A, *"1" * 39_999]) + "\n"
    content = f"name{delimiter}phone\n" + f"a{delimiter}{A}\n" * place + wide * count
    with pytest.raises(ConfigurationError, match="has a line of more than 16384 columns"):
        planned(csv_of(content))


def test_csv_record_with_too_many_columns_is_an_error() -> None:
    """In a list with fields of several lines, too."""
    content = f"name,phone\na,{A}\n" + ",".join(["1"] * 20_000) + "\n"
    with pytest.raises(ConfigurationError, match="has a line of more than 16384 columns"):
        planned(Csv(io.BytesIO(content.encode()), multiline=True))


@pytest.mark.parametrize(
    ("content", "column", "error"),
    [
        (
            "a,b\n1,2\n",
            None,
            "No column with numbers was found. Name it with column=, one of: a, b.",
        ),
        ("a,b\n1,2\n", "c", "There is no column 'c': the columns are a, b. Name one with column=."),
        (
            "a,b\n1,2\n",
            3,
            "There is no column 3: the first row has 2 columns. Name one with column=.",
        ),
        (
            "a,b\n1,2\n",
            0,
            "There is no column 0: the first row has 2 columns. Name one with column=.",
        ),
        (
            "a,b\n1,2\n",
            -1,
            "There is no column -1: the first row has 2 columns. Name one with column=.",
        ),
        (",\n1,2\n", None, "No column with numbers was found. Name it with column=, one of: 1, 2."),
        ("a,b\n1,2\n", "²", "There is no column '²': the columns are a, b. Name one with column=."),
    ],
)
def test_csv_missing_column_is_an_error(content: str, column: str | int | None, error: str) -> None:
    """The error lists the headings that there are."""
    with pytest.raises(ConfigurationError) as caught:
        planned(csv_of(content, column))
    assert str(caught.value) == error


@pytest.mark.parametrize("column", [None, 1])
def test_csv_empty_file_has_no_rows(column: int | None) -> None:
    """An empty file is an empty list, not a missing column."""
    assert planned(csv_of("", column)) == ({}, [])


@pytest.mark.parametrize(
    ("content", "column", "error"),
    [
        (f"phone,phone\n{A},{B}\n", None, r"could be in column 1 \('phone'\) and 2 \('phone'\):"),
        (f"姓名,Phone,phone\n甲,{A},{B}\n", None, r"could be in column 2 \('Phone'\) and 3"),
        (f"tel,x,x\n{A},1,{B}\n", "x", "Several columns are called 'x'"),
        (
            f"phone,name,name\n{A},甲,乙\n",
            None,
            r"uses \{name\}, .* exactly one column 'name'\. Usable columns: phone\.",
        ),
    ],
)
def test_csv_repeated_heading_is_an_error_where_it_matters(
    content: str, column: str | None, error: str
) -> None:
    """Nobody can know which of two columns a heading means."""
    with pytest.raises(ConfigurationError, match=error):
        planned(csv_of(content, column), NAMED)


def test_csv_repeated_heading_can_be_named_by_position() -> None:
    """The error's advice works."""
    assert planned(csv_of(f"phone,phone\n{A},{B}\n", 2)).texts == {TEXT: [B]}


def test_csv_headings_that_differ_in_case_can_be_named() -> None:
    """Spelled exactly, each of them is unique."""
    content = f"Phone,phone\n{A},{B}\n"
    assert planned(csv_of(content, "Phone")) == ({TEXT: [A]}, [])
    assert planned(csv_of(content, "phone")) == ({TEXT: [B]}, [])


def test_csv_repeated_word_in_a_row_with_a_number_is_no_heading() -> None:
    """A first row with a number is data, whatever else is in it."""
    assert planned(csv_of(f"phone,phone,{A}\nx,y,{B}\n")) == ({TEXT: [A, B]}, [])


def test_csv_repeated_heading_that_is_not_used_is_accepted() -> None:
    """Only the columns that the plan uses need be unique."""
    source = csv_of(f"phone,name,备注,备注\n{A},甲,1,2\n")
    assert planned(source, NAMED).texts == {"您好甲【签名】": [A]}


def test_csv_heading_of_two_lines_is_a_heading() -> None:
    """A spreadsheet's cell may contain a line break."""
    content = f'"手机\n号码",name\n{A},"Li"\n'
    source = Csv(io.BytesIO(content.encode()), multiline=True)
    assert planned(source, NAMED).texts == {"您好Li【签名】": [A]}


@pytest.mark.parametrize(
    ("content", "column"),
    [
        ("1390000000\n13900000001\n", None),
        ("139000000O1,ann\n13900000001,bob\n", 1),
        ("139000000O1,ann\n13900000001,bob\n", "1"),
    ],
)
def test_csv_first_line_with_a_mistyped_number_is_skipped_like_any_other(
    content: str, column: str | int | None
) -> None:
    """A number with a typing error is no heading, and is not dropped silently."""
    texts, skipped = planned(csv_of(content, column))
    assert texts == {TEXT: ["13900000001"]}
    assert [each.line for each in skipped] == [1]


@pytest.mark.parametrize("heading", ["客户2026", "客户20260115", "phone_20240115", "x1234567"])
def test_csv_single_column_may_have_any_heading(heading: str) -> None:
    """With one column there is no choice, and a heading with a date is no mistyped number."""
    texts, skipped = planned(csv_of(f"{heading}\n{A}\n"))
    assert texts == {TEXT: [A]}
    # Mostly digits: it may have been meant as a number, so it is named.
    assert len(skipped) == (heading == "x1234567")


def test_csv_empty_rows_are_skipped_and_counted() -> None:
    """Lines keep the numbers that an editor shows; a short row has empty cells."""
    content = f"name,phone\n\nx,12\n甲\n\n乙,{A}\n"
    texts, skipped = planned(csv_of(content))
    assert texts == {TEXT: [A]}
    assert [(each.line, each.value) for each in skipped] == [(3, "12"), (4, "")]


def test_csv_short_row_has_empty_columns() -> None:
    """A column that the row lacks is empty, as a spreadsheet shows it."""
    texts, skipped = planned(csv_of(f"phone,name\n{A}\n{B},乙\n"), NAMED)
    assert texts == {"您好乙【签名】": [B]}
    assert [each.line for each in skipped] == [2]


@pytest.mark.parametrize("multiline", [False, True])
def test_csv_row_with_more_fields_than_headings_is_skipped(multiline: bool) -> None:
    """A comma without quotes, as in 1,234.00, moves what is behind it to other columns."""
    content = f"phone,name,x\n{A},1,234.00,y\n{B},乙,z, ,\n{C},丙,\n"
    source = Csv(io.BytesIO(content.encode()), multiline=multiline)
    texts, skipped = planned(source, NAMED)
    assert texts == {"您好乙【签名】": [B], "您好丙【签名】": [C]}
    assert [(each.line, each.value) for each in skipped] == [(2, A)]
    assert skipped[0].reason == (
        "this line has 4 fields, but the list has 3 headings: put quotes around a field that has"
        " the separator in it, or add a heading"
    )
    # Without columns, nothing but the number is used.
    assert planned(csv_of(content)) == ({TEXT: [A, B, C]}, [])


def test_csv_records_of_several_lines_count_their_lines() -> None:
    """A skipped line is the first one of its record."""
    content = f'phone,name\n{A},a\n12345,b\n,c\n"{B}","d\ne"\n{A},f\n{B}x,g\n{C},h\n'
    texts, skipped = planned(Csv(io.BytesIO(content.encode()), multiline=True))
    assert texts == {TEXT: [A, B, C]}
    assert [(each.line, each.value) for each in skipped] == [
        (3, "12345"),
        (4, ""),
        (7, A),
        (8, f"{B}x"),
    ]


@pytest.mark.parametrize("multiline", [False, True])
def test_csv_field_beyond_the_limit_of_the_csv_module_is_an_error(multiline: bool) -> None:
    """No list has such a field; the process's limit is used, and left as it is."""
    limit = csv.field_size_limit()
    content = f"phone,name\n{A},x\n{B},{'x' * (limit + 1)}\n"
    with pytest.raises(ConfigurationError, match=r"cannot be read beyond line 3 \(field larger"):
        planned(Csv(io.BytesIO(content.encode()), multiline=multiline))
    assert csv.field_size_limit() == limit
    source = csv_of(f"phone,name\n{A},{'x' * limit}\n")
    assert planned(source).texts == {TEXT: [A]}


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r")),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
    )
)
def test_csv_any_file_is_read_as_the_csv_module_reads_it(rows: list[list[str]]) -> None:
    """What the standard library writes comes back as it was."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["phone", "note"])
    for at, row in enumerate(rows):
        writer.writerow([numbers(len(rows))[at], row[0] + row[1]])
    source = Csv(io.BytesIO(file.getvalue().encode()), encoding="utf-8", multiline=True)
    batches = list(source.batches())
    assert [value for batch in batches for value in batch.values] == numbers(len(rows))
    notes = [row["note"] for batch in batches if batch.rows for row in batch.rows]
    assert notes == [row[0] + row[1] for row in rows]


def test_csv_rows_are_mappings_of_their_headings() -> None:
    """A row has each unique heading, also where it is short."""
    (batch,) = csv_of(f"phone,a,b\n{A},1,2\n{B},3\n").batches()
    assert batch.rows is not None
    assert [dict(row) for row in batch.rows] == [
        {"phone": A, "a": "1", "b": "2"},
        {"phone": B, "a": "3", "b": ""},
    ]
    assert [len(row) for row in batch.rows] == [3, 3]
    assert [row["a"] for row in batch.rows[1:]] == ["3"]
    (batch,) = csv_of(f"phone,a\n{A},1\n").batches(columns=False)
    assert (batch.values, batch.rows) == ([A], None)


@pytest.mark.parametrize("text", [TEXT, NAMED])
def test_csv_unbalanced_quote_skips_what_a_field_could_cover(text: str) -> None:
    """A field of several lines has two unbalanced ones. No number between them is planned."""
    listed = numbers(9)
    content = (
        f"phone,name\n{listed[0]},a\n"
        f'{listed[1]},"two\n{listed[2]},b\nlines, {listed[3]}"\n'  # as a spreadsheet writes it
        f'{listed[4]},"c"\n'
        f'{listed[5]},"never closed\n{listed[6]},"d"\n{listed[7]},e\n'
    )
    texts, skipped = planned(csv_of(content), text)
    sent = sorted(each for some in texts.values() for each in some)
    assert sent == [listed[at] for at in (0, 4, 6, 7)]
    assert [(each.line, each.reason) for each in skipped] == [
        (line, UNBALANCED_QUOTE_REASON) for line in (3, 4, 5, 7)
    ]
    for each, at in zip(skipped, (1, 2, 3, 5), strict=True):
        assert listed[at] in each.value


@pytest.mark.parametrize(
    ("content", "good", "lines"),
    [
        (f'phone,name\n{A},"Li\n{B},"Wang"\n', [B], [2]),
        (f'phone,name\n{A},"Li\n{B},Wang\n{C},"Zhao\n', [], [2, 3, 4]),
        # Every field is quoted, and one is not closed.
        (f'"phone","name"\n"{A}","Li\n"{B}","Wang"\n"{C}","Zhao"\n', [B, C], [2]),
        # Lines that end in a carriage return, as in old spreadsheets.
        (f'phone,name\r{A},"Li\r{B},Wang"\r{C},Q\r', [C], [2, 3]),
        (f'phone,name\r\n{A},"two\r\nlines"\r\n{B},"never\r\n{C},x\r\n', [C], [2, 3, 4]),
        # A quote that is no mark of a field, and one that opens although the count is even.
        (f'phone,name\n{A},5" pipe\n{B},6" "pipe"\n{C},x\n', [C], [2, 3]),
        (f'phone,name,x\n{A},5"x,"open\n{B},,\n', [B], [2]),
        # Without its headings a list has only its numbers.
        (f'phone,"name\n{A},"Li"\n{B},"Wang"\n', [A, B], [1]),
        (f'"{A}\n"{B}"\n"{C}"\n', [B, C], [1]),
        # Nothing closes it within the length of a cell.
        (f'phone,name\n{A},"x\n{B},{"y" * 40_000}\n{C},z"\n', [B], [2, 4]),
    ],
)
def test_csv_unbalanced_quote_is_found_in_any_shape(
    content: str, good: list[str], lines: list[int]
) -> None:
    """Quoted fields, old line ends, and quotes that are no marks of a field."""
    texts, skipped = planned(csv_of(content))
    assert texts.get(TEXT, []) == good
    assert [(each.line, each.reason) for each in skipped] == [
        (line, UNBALANCED_QUOTE_REASON) for line in lines
    ]


@pytest.mark.parametrize("start", [1, 150, 199, 200, 201, 299, 300, 301, 450])
@pytest.mark.parametrize("length", [2, 3, 250])
def test_csv_unbalanced_quote_is_named_by_line_anywhere_in_the_file(
    start: int, length: int
) -> None:
    """Records are read some hundreds at a time; lines are counted across all of them."""
    listed = numbers(800)
    lines = ["phone,name", *(f"{number},x" for number in listed)]
    end = start + length - 1
    lines[start] = f'{listed[start - 1]},"open'
    lines[end] = f'{listed[end - 1]},close"'
    texts, skipped = planned(csv_of("\n".join(lines)))
    assert texts == {TEXT: [*listed[: start - 1], *listed[end:]]}
    assert [each.line for each in skipped] == list(range(start + 1, end + 2))


_TABLES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\0,;\t"), max_size=20), max_size=9
)


@given(_TABLES, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]))
def test_csv_of_the_csv_module_is_read_back_or_skipped(names: list[str], quoting: Any) -> None:
    """Quotes inside of fields are fine; a field of several lines costs its record, and no other."""
    listed = numbers(len(names))
    file = io.StringIO(newline="")
    csv.writer(file, quoting=quoting).writerows(
        [("phone", "name"), *zip(listed, names, strict=True)]
    )
    content = file.getvalue().encode()
    assert planned(Csv(io.BytesIO(content), encoding="utf-8", multiline=True)) == (
        {TEXT: listed} if names else {},
        [],
    )
    texts, skipped = planned(Csv(io.BytesIO(content), "phone", "utf-8"))
    sent = texts.get(TEXT, [])
    whole = [
        number
        for number, name in zip(listed, names, strict=True)
        if "\n" not in name and "\r" not in name
    ]
    assert set(whole) - set(sent) <= {
        each for each in whole if any(each in s.value for s in skipped)
    }
    assert set(sent) <= set(whole)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f'phone,name\n{A},"opens\n{B},"c"\n{C},d\n', 2),  # another row's quote closes it
        (f'phone,name\n{A},a\n{B},"never closed\n{C},d\n', 3),
        (f'phone,name\n{A},"Li" x\n{B},a\n', 2),
        (f'phone,name\n{A},"' + "x\n" * 600_000, 2),
    ],
)
def test_csv_unbalanced_quote_with_fields_of_several_lines_is_an_error(
    content: str, line: int
) -> None:
    """It may have swallowed rows: a quote must open and close at the edges of its field."""
    with pytest.raises(ConfigurationError, match=f"cannot be read beyond line {line} "):
        planned(Csv(io.BytesIO(content.encode()), multiline=True))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f'phone,name\n{A},"Li\n{B},Wang"\n{C},c\n', 3),
        (f'phone,name\n{A},a\n{B},"Li\n{C},Wang"\n', 4),
        (f'phone,name\r\n{A},"Li\r\n{B},x\r\n{C},Wang"\r\n', 3),
        (f'phone,name\r{A},"Li\r{B},Wang"\r', 3),
        (f'name,phone\n"Li,{A}\nWang,{B}\n"\n', 3),
        (f'phone,name,x\n{A},a,1\n{B},"Li,2\n{C},",3\n', 4),
        (f'name;phone\n甲;{A}\n"乙;{B}\n丙;{C}"\n', 4),
    ],
)
def test_csv_field_that_takes_in_rows_is_an_error(content: str, line: int) -> None:
    """A quote that another row closes by chance would swallow numbers, and send their names."""
    with pytest.raises(ConfigurationError, match=f"field takes in line {line}, which looks like a"):
        planned(Csv(io.BytesIO(content.encode()), multiline=True))


def test_csv_field_of_several_lines_may_have_a_number_in_it() -> None:
    """An address with a telephone number is no row of the list."""
    content = (
        f'name,phone,address\n甲,{C},x\n"乙\n丙",{A},"张三\n{B}\n建国路1号, 5楼"\n'
        f'丁,{B},"收件人, 李四,\n电话 {C}, 张三\n李四, {A}, 3楼, 5号\n"\n'
        f'戊,139,"建国路1号\n王五,{A}"\n'
    )
    source = Csv(io.BytesIO(content.encode()), multiline=True)
    texts, skipped = planned(source)
    assert texts == {TEXT: [C, A, B]}
    assert [(each.line, each.value) for each in skipped] == [(11, "139")]


@pytest.mark.parametrize("every", [1, 2, 10, 399])
def test_csv_many_unbalanced_quotes_cost_no_more_than_few(
    every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is looked at some times at most, and the skipped ones come in large batches."""
    looked_at = 0
    parse = csv_lists._parse_lines

    def counted(lines: list[str], *arguments: Any) -> list[list[str]]:
        nonlocal looked_at
        looked_at += len(lines)
        return parse(lines, *arguments)

    monkeypatch.setattr(csv_lists, "_parse_lines", counted)
    listed = numbers(4000)
    rows = [f"{each},{chr(34) * (at % every == 0)}x\n" for at, each in enumerate(listed)]
    batches = list(csv_of("phone,name\n" + "".join(rows)).batches())
    skipped = [each for batch in batches for each in batch.skipped]
    assert len(skipped) + sum(len(batch.values) for batch in batches) == len(listed)
    assert looked_at <= 6 * len(listed)


def test_csv_carriage_return_within_a_line_costs_that_line() -> None:
    """A program that ends lines in a line feed may leave one in a field without quotes."""
    content = f"name,phone\na,{A}\nb\rc,{B}\nd,{C}\n"
    texts, skipped = planned(csv_of(content), NAMED)
    assert texts == {"您好a【签名】": [A], "您好d【签名】": [C]}
    assert [(each.line, each.value, each.reason) for each in skipped] == [
        (3, "b", BROKEN_LINE_REASON),
        (4, f"c,{B}", BROKEN_LINE_REASON),
    ]
    with pytest.raises(ConfigurationError, match=r"beyond line 4 .a carriage return is in the"):
        planned(Csv(io.BytesIO(content.encode()), multiline=True))


@pytest.mark.parametrize("start", [0, 150, 197, 198, 199, 200, 450])
@pytest.mark.parametrize("returns", [1, 2, 250, 401])
def test_csv_line_with_carriage_returns_is_skipped_anywhere(start: int, returns: int) -> None:
    """Its last part has a number, too, and another name."""
    before, after = numbers(start), numbers(9, start=13920000000)
    lines = [f"x,{number}\n" for number in before]
    content = "".join(["name,phone\n", *lines, "b\r" * returns, f"c,{C}\n"])
    content += "".join(f"x,{number}\n" for number in after)
    texts, skipped = planned(csv_of(content))
    assert texts == {TEXT: [*before, *after]}
    assert [each.line for each in skipped] == list(range(start + 2, start + 3 + returns))


@pytest.mark.parametrize("multiline", [False, True])
@pytest.mark.parametrize("count", [2, 199, 200, 300, 450])
def test_csv_doubled_carriage_returns_are_line_ends(multiline: bool, count: int) -> None:
    """Text mode on Windows writes them where a program has ended the lines already."""
    listed = numbers(count)
    content = "name,phone\r\r\n" + "".join(f"x,{number}\r\r\n" for number in listed)
    source = Csv(io.BytesIO(content.encode()), multiline=multiline)
    assert planned(source) == ({TEXT: listed}, [])


@pytest.mark.parametrize("first", ["\n", ",,\n \t,,\n", f"{C},x\n"])
def test_csv_rows_may_be_wider_than_the_first(first: str) -> None:
    """The first line may be empty, or have fewer fields than the others."""
    content = f'{first}{A},x,z\n{B},y,"a, b"\n'
    expected = [C, A, B] if C in first else [A, B]
    assert planned(csv_of(content)) == ({TEXT: expected}, [])


def test_csv_quotes_within_a_field_are_kept_as_they_are() -> None:
    """The csv module joins what follows a quoted part."""
    assert planned(csv_of(f'"pho"ne,x\n{A},1\n')).texts == {TEXT: [A]}


def test_csv_blanks_around_a_heading_are_ignored() -> None:
    """The name of a column has none, for the caller and for the message."""
    source = csv_of(f"x, who , name \n1,{A},甲\n", "who")
    assert planned(source, NAMED).texts == {"您好甲【签名】": [A]}


def test_csv_column_without_a_heading_cannot_be_used() -> None:
    """An empty placeholder does not mean the column with an empty heading."""
    with pytest.raises(ConfigurationError, match=r"uses \{\}, .* Usable columns: phone\."):
        planned(csv_of(f"phone,\n{A},x\n"), "您好{}【签名】")


def test_csv_without_headings_has_no_named_columns() -> None:
    """A message with placeholders cannot be filled from it."""
    with pytest.raises(ConfigurationError, match=r"uses \{name\}, .* Usable columns: none\."):
        planned(csv_of(f"{A},x\n"), NAMED)


def test_csv_first_row_with_a_number_elsewhere_is_data() -> None:
    """Its cell in the chosen column is skipped with a reason, not taken for a heading."""
    texts, skipped = planned(csv_of(f"x,{B}\n{A},y\n", 1))
    assert texts == {TEXT: [A]}
    assert [(each.line, each.value) for each in skipped] == [(1, "x")]
