"""CSV files as lists of numbers: columns, headings, and quotes that are not closed."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lists import TEXT, numbers, planned
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign import Csv
from yunxin_soap.campaign.planning import UNBALANCED_QUOTE_REASON

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
        (f'note,phone\n"two\nlines",{A}\nx,"{B}"\n', None),
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
    ("content", "column", "error"),
    [
        (
            "a,b\n1,2\n",
            None,
            "No column with numbers was found. Name it with column=, one of: a, b.",
        ),
        ("a,b\n1,2\n", "c", "There is no column 'c': the columns are a, b."),
        ("a,b\n1,2\n", 3, "There is no column 3: the first row has 2 columns."),
        ("a,b\n1,2\n", 0, "There is no column 0: the first row has 2 columns."),
        ("a,b\n1,2\n", -1, "There is no column -1: the first row has 2 columns."),
        (",\n1,2\n", None, "No column with numbers was found. Name it with column=, one of: none."),
        ("a,b\n1,2\n", "²", "There is no column '²': the columns are a, b."),
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
        (f"phone,phone\n{A},{B}\n", None, "Several columns are called 'phone': name one by its"),
        (f"姓名,Phone,phone\n甲,{A},{B}\n", None, "Several columns are called 'Phone'"),
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
    source = csv_of(f'"手机\n号码",name\n{A},"Li"\n', 1)
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
    texts, skipped = planned(csv_of(f"phone,name\n{A}\n{B},乙,more\n"), NAMED)
    assert texts == {"您好乙【签名】": [B]}
    assert [each.line for each in skipped] == [2]


def test_csv_records_of_several_lines_count_their_lines() -> None:
    """A skipped line is the first one of its record."""
    content = f'phone,name\n{A},a\n12345,b\n,c\n"{B}","d\ne"\n{A},f\n{B}x,g\n{C},h\n'
    texts, skipped = planned(csv_of(content))
    assert texts == {TEXT: [A, B, C]}
    assert [(each.line, each.value) for each in skipped] == [
        (3, "12345"),
        (4, ""),
        (7, A),
        (8, f"{B}x"),
    ]


def test_csv_field_over_a_mebibyte_is_an_error() -> None:
    """No list of numbers has such a field; the error says how far the file was read."""
    content = f"phone,name\n{A},x\n{B},{'x' * ((1 << 20) + 1)}\n"
    with pytest.raises(ConfigurationError, match=r"cannot be read beyond line 3 \(field larger"):
        planned(csv_of(content))
    assert planned(csv_of(f"phone,name\n{A},{'x' * (1 << 20)}\n")).texts == {TEXT: [A]}


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
    batches = list(Csv(io.BytesIO(file.getvalue().encode()), encoding="utf-8").batches())
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
def test_csv_unbalanced_quote_skips_the_lines_that_it_covers(text: str) -> None:
    """Each swallowed line is named, and no number of them is planned."""
    listed = numbers(9)
    content = (
        f"phone,name\n{listed[0]},a\n"
        f'{listed[1]},"opens\n{listed[2]},b\n{listed[3]},"c"\n'  # another row's quote closes it
        f'{listed[4]},"two\nlines, {listed[5]}"\n'  # as a spreadsheet writes it
        f'{listed[6]},"never closed\n{listed[7]},d\n{listed[8]},e\n'
    )
    texts, skipped = planned(csv_of(content), text)
    assert sorted(each for some in texts.values() for each in some) == [listed[0], listed[4]]
    assert not any(each in text for text in texts for each in (listed[2], listed[3], listed[7]))
    assert [each.line for each in skipped[:3]] == [3, 4, 5]
    assert [each.line for each in skipped[3:6]] == [8, 9, 10]
    assert {each.reason for each in skipped} == {UNBALANCED_QUOTE_REASON}
    for at in (1, 2, 3, 6, 7, 8):
        assert any(listed[at] in each.value for each in skipped)


@pytest.mark.parametrize(
    ("content", "good", "lines"),
    [
        # Every field is quoted, and one is not closed.
        (f'"phone","name"\n"{A}","Li\n"{B}","Wang"\n"{C}","Zhao"\n', [C], [2, 3]),
        (f'"phone","x","name"\n"{A}","1","Li\n"{B}","2","W"\n"{C}","3","Z"\n', [C], [2, 3]),
        # Lines that end in a carriage return, as in old spreadsheets.
        (f'phone,name\r{A},"Li\r{B},Wang\r1,"Zhao"\r{C},Q\r', [C], [2, 3, 4]),
        (f'phone,name\r\n{A},"two\r\nlines"\r\n{B},"never\r\n{C},x\r\n', [A], [4, 5]),
        (f'name,phone\n"Li,{A}\nWang,{B}\n"Zhao",{C}\nx,{A}\n', [A], [2, 3, 4]),
        # It closes at the end of a field, by chance.
        (f'phone,name\n{A},"Li\n{B},"\n{C},Q\n', [C], [2, 3]),
    ],
)
def test_csv_unbalanced_quote_is_found_in_any_shape(
    content: str, good: list[str], lines: list[int]
) -> None:
    """Quoted fields, old line ends and quotes that close by chance."""
    texts, skipped = planned(csv_of(content), NAMED)
    assert [each for some in texts.values() for each in some] == good
    assert [(each.line, each.reason) for each in skipped] == [
        (line, UNBALANCED_QUOTE_REASON) for line in lines
    ]


@pytest.mark.parametrize("start", [150, 199, 200, 201, 450])
def test_csv_unbalanced_quote_is_named_by_line_anywhere_in_the_file(start: int) -> None:
    """Records are read some hundreds at a time; lines are counted across all of them."""
    listed = numbers(600)
    lines = ["phone,name", *(f"{number},x" for number in listed)]
    lines[start] = f'{listed[start - 1]},"open'
    lines[start + 2] = f'{listed[start + 1]},"c"'
    texts, skipped = planned(csv_of("\n".join(lines)))
    assert texts == {TEXT: [*listed[: start - 1], *listed[start + 2 :]]}
    assert [each.line for each in skipped] == [start + 1, start + 2, start + 3]


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0,;\t"), max_size=20), max_size=9
    )
)
def test_csv_written_by_the_csv_module_has_no_unbalanced_quote(names: list[str]) -> None:
    """Quotes and line breaks inside of fields are fine where they are balanced."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("phone", "name"), *zip(numbers(9), names, strict=False)])
    texts, skipped = planned(Csv(io.BytesIO(file.getvalue().encode())))
    assert texts == ({TEXT: numbers(len(names))} if names else {})
    assert skipped == []


def test_csv_unbalanced_quote_with_too_many_fields_is_found() -> None:
    """Numbers of another pattern are not recognised, so the width of their rows decides."""
    source = csv_of('phone,name\n1234561,"Li\n1234562,W\n1234563,"Z"\n1234564,Q\n')
    texts, skipped = planned(source, recipient_pattern=r"123456\d")
    assert texts == {TEXT: ["1234564"]}
    assert [each.line for each in skipped] == [2, 3, 4]


@pytest.mark.parametrize(
    "content",
    [
        f'phone,"name\n{A},"Li"\n{B},"Wang"\n',
        f'"{A}\n"{B}"\n"{C}"\n',
        f'"phone\n{A}\n{B}\n',
        f'phone,"name\nx,"Li"\n{A},y\n',  # no number is swallowed, but the rules are broken
        f'phone,"name\n{A},x"\n{B},y\n',  # the rules are kept, but a number is swallowed
    ],
)
def test_csv_unbalanced_quote_in_the_first_line_is_an_error(content: str) -> None:
    """Without its headings nothing of the file can be read."""
    with pytest.raises(ConfigurationError, match="A quote that opens in the first line is not"):
        planned(csv_of(content))


def test_csv_quote_closed_by_the_next_one_hides_no_number() -> None:
    """An additional delimiter at the end of a row does not count as a field."""
    content = f'name,phone\n"甲,{A}\n","乙",{B}\n"丙\n丙",{C},\n'
    texts, skipped = planned(csv_of(content))
    assert texts == {TEXT: [C]}
    assert [(each.line, each.reason) for each in skipped] == [
        (2, UNBALANCED_QUOTE_REASON),
        (3, UNBALANCED_QUOTE_REASON),
    ]


@pytest.mark.parametrize("first", ["\n", f"{C},x\n"])
def test_csv_rows_wider_than_the_first_are_no_unbalanced_quote(first: str) -> None:
    """The first line may be empty, or have fewer fields than the others."""
    content = f'{first}{A},x,z\n{B},y,"two\nlines"\n'
    source = csv_of(content, 1 if first != "\n" else None)
    assert planned(source) == ({TEXT: [A, B] if first == "\n" else [C, A, B]}, [])


def test_csv_quote_within_the_first_line_is_kept_as_it_is() -> None:
    """Only a record of several lines must follow the CSV rules strictly."""
    assert planned(csv_of(f'"pho"ne,x\n{A},1\n')).texts == {TEXT: [A]}
    assert planned(csv_of(f'"{A}","x\n"\n"{B}"\n')).texts == {TEXT: [A, B]}


def test_csv_record_of_several_lines_does_not_widen_the_others() -> None:
    """Empty fields at its end are accepted, but more fields than a row has are not."""
    texts, skipped = planned(csv_of(f'name,phone\n"x\ny",{A},,\n"a\nb",{B},c\n'))
    assert texts == {TEXT: [A]}
    assert [each.line for each in skipped] == [4, 5]


def test_csv_field_with_a_quoted_row_in_it_is_unbalanced() -> None:
    """Quotes around a number do not hide it."""
    content = f'phone,name\n{A},"open\n""{B}"",x"\n{C},y\n'
    texts, skipped = planned(csv_of(content))
    assert texts == {TEXT: [C]}
    assert [(each.line, each.reason) for each in skipped] == [
        (2, UNBALANCED_QUOTE_REASON),
        (3, UNBALANCED_QUOTE_REASON),
    ]


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
