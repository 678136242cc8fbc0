"""Which cells are numbers, which are headings, and which column has the numbers."""

from __future__ import annotations

import pytest

from tests.support.lists import numbers
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign.lists.columns import (
    choose_column,
    find_table,
    has_mistyped_number,
    is_number,
    is_usual_heading,
    strip_heading,
)

A, B, C, D = numbers(4)
LANDLINES = ["010-12345678", "021-87654321", "0755-1234567"]


@pytest.mark.parametrize(
    "cell",
    [
        *("13900000000", "+86 139-0000-0000", "008613900000000", "'139 00000000"),
        *("1.39E+10", " 1.39e10 ", "1E+10", "'1.39E+10'", "8.6139E+12", "9E+12", "1.390000000E+10"),
    ],
)
def test_is_number_accepts_any_notation(cell: str) -> None:
    """A number may have a country code, blanks and hyphens; or be cut by a spreadsheet."""
    assert is_number(cell)


@pytest.mark.parametrize(
    "cell",
    ["", " ", ",", "phone", "1390000000", "139000000001", "x13900000000", "13900000000," * 20],
)
def test_is_number_rejects_everything_else(cell: str) -> None:
    """A cell that cannot be normalised is no number, and raises nothing; nor is a long text."""
    assert not is_number(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "1",
        "+86 139-0000",
        "139000000O1",
        "1234567x",  # seven digits are enough
        "123456789ab",  # more than four digits to each other character
        "13900000001(张三)",  # a number with a remark
        "张三13900000001",
        "139****0001",
    ],
)
def test_has_mistyped_number_finds_mostly_digits(cell: str) -> None:
    """A cell of digits, or of seven or more digits and few other characters."""
    assert has_mistyped_number([cell])
    assert has_mistyped_number(["name", cell])


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "phone",
        "123456x",
        "12345678ab",
        "客户2026",
        "phone_20240115",
        "订单139000000010客户的名单",
    ],
)
def test_has_mistyped_number_accepts_headings_with_digits(cell: str) -> None:
    """A heading may contain a year or a date."""
    assert not has_mistyped_number([cell])


@pytest.mark.parametrize(
    "heading",
    [
        *("phone", " Mobile ", "TEL", "DesNo", "msisdn", "Phone Number", "Mobile Phone"),
        *("mobile_phone", "mobilePhone", "Mobile No.", "Cell Phone #", "cellphone", "Telephone"),
        *("Customer Phone", "contact_number", "Phone (required)", "PHONE*", "ｐｈｏｎｅ", "phones"),
        *("手机", "手机号", "手机号码", "手机号（必填）", "*手机号", "必填 手机号", "手机号(11位)"),
        *(
            "联系手机",
            "客户手机",
            "客户手机号码",
            "联系电话",
            "联系人手机",
            "会员手机号",
            "移动电话",
        ),
        *(
            "收货人电话",
            "电话 号码",
            "电话号码",
            "手机号码\n（必填）",
            "【手机】",
            "[手机]",
            "手机：",
        ),
        *("\ufeff手机号", "\t手机号\u00a0", "\u200b手机", "注册手机号", "联系方式"),
    ],
)
def test_is_usual_heading_accepts_headings_as_they_are_used(heading: str) -> None:
    """Case, blanks, underscores, brackets, asterisks and remarks make no difference."""
    assert is_usual_heading(heading)


@pytest.mark.parametrize(
    "heading",
    [
        *("", "name", "姓名", "金额", "phone 2", "手机2", "我的老板手机", "13900000000", "()", "*"),
        *(
            "紧急联系人手机",
            "推荐人手机",
            "业务员电话",
            "固定电话",
            "家庭电话",
            "办公电话",
            "备用手机",
        ),
        *("Fax", "Work Phone", "Home Phone", "Emergency Contact Phone", "Phone type", "手机型号"),
    ],
)
def test_is_usual_heading_rejects_another_persons_number_and_anything_else(heading: str) -> None:
    """A number of somebody else, a landline, or no number at all."""
    assert not is_usual_heading(heading)


def test_strip_heading_removes_invisible_marks_only_around_it() -> None:
    """A tab, a no-break space or a byte order mark beside a heading is no part of it."""
    assert strip_heading("\ufeff\t 姓 名\u00a0\u200b\n") == "姓 名"
    assert strip_heading(" \u200b") == ""


@pytest.mark.parametrize(
    ("names", "rows", "index"),
    [
        # The heading decides where several columns have numbers.
        (["紧急联系人", "手机号"], [[A, B], [C, D]], 1),
        (["phone 2", "phone"], [[A, B], [C, D]], 1),
        # The content decides where several headings fit.
        (["联系电话", "手机"], [[LANDLINES[0], A], [LANDLINES[1], B]], 1),
        (["手机", "电话"], [[A, ""], [B, ""]], 0),
        (["number", "mobile"], [["1", A], ["2", B]], 1),
        (["电话", "手机"], [["", "x"], ["", A]], 1),
        # The content decides where no heading fits.
        (["姓名", "联系"], [["甲", A], ["乙", B]], 1),
        (["a", "b"], [["x", A]] * 9 + [["x", "bad"]], 1),
        ([], [["甲", A], ["乙", B]], 1),
        # A fitting heading stands where no column has numbers, and with few of them.
        (["name", "phone"], [["甲", "x"], ["乙", "y"]], 1),
        (["name", "phone"], [["甲", A], ["乙", "x"], ["丙", "y"]], 1),
        (["手机", "备用号"], [["1.39E+10", A], ["1.39E+10", B]], 0),
        (["name", "phone"], [], 1),
        # A remark with a number in it is no column of numbers.
        (["name", "phone", "备注"], [["甲", A, "x"], ["乙", B, C]], 1),
        (["phone", "备注"], [["x", ""], ["y", ""], ["z", A]], 0),
        # One column is no choice.
        (["x"], [["y"]], 0),
        ([], [], 0),
    ],
)
def test_choose_column_by_heading_and_content(
    names: list[str], rows: list[list[str]], index: int
) -> None:
    """Both together leave one column."""
    assert choose_column(names, rows) == index


@pytest.mark.parametrize(
    ("names", "rows", "columns"),
    [
        (["联系电话", "手机"], [[A, B], [C, D]], "1 ('联系电话') and 2 ('手机')"),
        (["phone", "name", "phone"], [[A, "x", B]], "1 ('phone') and 3 ('phone')"),
        (["a", "b"], [[A, B], [C, D]], "1 ('a') and 2 ('b')"),
        ([], [[A, B], [C, D]], "1 and 2"),
        ([], [["x", A, B]], "2 and 3"),
        # The heading says one, the content another.
        (["新手机号", "手机号"], [[A, B], [C, D]], "1 ('新手机号') and 2 ('手机号')"),
        # A cut or a mistyped number says that the column has numbers, too.
        (
            ["姓名", "联系电话", "手机"],
            [["x", f"{A}.0", B], ["y", "(+86)13900000002", C], ["z", "1.39E+10", D]],
            "2 ('联系电话') and 3 ('手机')",
        ),
        (["电话", "手机"], [["1390000001", A], ["139000000012", B]], "1 ('电话') and 2 ('手机')"),
        (["a", "b"], [["1.39E+10", A], ["1.38E+10", B]], "1 ('a') and 2 ('b')"),
        (["手机", "经办人"], [["x", A], ["y", B]], "1 ('手机') and 2 ('经办人')"),
        (["phone", "mobile"], [["x", "y"]], "1 ('phone') and 2 ('mobile')"),
        (["", "x"], [[A, B]], "1 and 2 ('x')"),
    ],
)
def test_choose_column_between_two_asks(
    names: list[str], rows: list[list[str]], columns: str
) -> None:
    """The error names the columns and how to answer."""
    with pytest.raises(ConfigurationError) as caught:
        choose_column(names, rows)
    assert str(caught.value) == (
        f"The numbers could be in column {columns}: name the one to write to with column=, by its"
        " heading or by its position."
    )


@pytest.mark.parametrize(
    ("rows", "wanted", "expected"),
    [
        # headings, index of the numbers, first row of data
        ([["name", "phone"], ["甲", A]], None, ({"name": 0, "phone": 1}, 1, 1)),
        ([["甲", A], ["乙", B]], None, ({}, 1, 0)),
        ([[""], ["", " "], ["name", "phone"], ["甲", A]], None, ({"name": 0, "phone": 1}, 1, 3)),
        ([["客户名单"], ["name", "phone"], ["甲", A]], None, ({"name": 0, "phone": 1}, 1, 2)),
        ([["客户名单", ""], ["客户", "联系"], ["甲", A]], None, ({"客户": 0, "联系": 1}, 1, 2)),
        (
            [["日期", "2026-11-30"], [], ["a", "b", "手机"], ["甲", "乙", A]],
            None,
            ({"a": 0, "b": 1, "手机": 2}, 2, 3),
        ),
        ([["名单"], ["who", "b"], [A, B]], "who", ({"who": 0, "b": 1}, 0, 2)),
        ([["名单"], ["who", "b"], [A, B]], 2, ({"who": 0, "b": 1}, 1, 2)),
        # A row of data as wide as the headings is no heading, whatever it says.
        ([["客户", "备注"], ["甲", "手机"], ["乙", A]], 2, ({"客户": 0, "备注": 1}, 1, 1)),
        ([["*Phone ", "name"], [A, "甲"]], "phone", ({"*Phone": 0, "name": 1}, 0, 1)),
        ([["phone", "Phone"], [A, B]], "Phone", ({"phone": 0, "Phone": 1}, 1, 1)),
        # A mistyped number is data.
        ([["1390000000"], [A]], None, ({}, 0, 0)),
        ([["139000000O1", "ann"], [A, "bob"]], 1, ({}, 0, 0)),
        ([["1.39E+10"], [A]], None, ({}, 0, 0)),
        ([[f"{A} 甲"], [f"{B} 乙"]], None, ({}, 0, 0)),
        # What is there twice names nothing.
        ([["phone", "x", "x"], [A, "", ""]], None, ({"phone": 0}, 0, 1)),
        ([], None, ({}, 0, 0)),
        ([["", ""], []], 1, ({}, 0, 2)),
    ],
)
def test_find_table_finds_headings_and_data(
    rows: list[list[str]], wanted: str | int | None, expected: tuple[dict[str, int], int, int]
) -> None:
    """Beneath blank rows and titles, or none at all."""
    table = find_table(rows, range(1, len(rows) + 1), wanted)
    assert (table.headings, table.index, table.first) == expected


def test_find_table_tells_what_it_found() -> None:
    """A title is quoted, and the headings and the column are named."""
    rows = [["客户名单", "", ""], [], ["姓名", " 手机号 "], ["甲", A]]
    assert find_table(rows, [1, 2, 3, 4], None).notes == (
        "Line 1 is a title and was left out: '客户名单'.",
        "The headings are in line 3.",
        "The numbers are in column 2, '手机号'.",
    )
    assert find_table([["甲", A]], [1], None).notes == (
        "The numbers are in column 2; the list has no headings.",
    )
    assert find_table([["甲", ""], ["乙", A]], [1, 2], 2).notes == (
        "The numbers are in column 2, which has no heading.",
    )


def test_find_table_number_above_the_headings_is_an_error() -> None:
    """A title with the seller's own number must not get an SMS."""
    rows = [["客服", A], ["姓名", "手机号"], *([name, B] for name in "甲乙丙丁戊")]
    with pytest.raises(
        ConfigurationError, match="Line 2 looks like the headings, but a line above"
    ):
        find_table(rows, range(1, 8), None)


@pytest.mark.parametrize(
    ("rows", "wanted", "error"),
    [
        ([["a", "b"], ["1", "2"]], None, "No column with numbers was found. Name it with column="),
        (
            [["a", "b"], ["1", "2"]],
            "c",
            "There is no column 'c': the columns are a, b. Name one with column=.",
        ),
        (
            [["a", "b"], [A, B]],
            3,
            "There is no column 3: the first row has 2 columns. Name one with column=.",
        ),
        (
            [["a"], [A]],
            0,
            "There is no column 0: the first row has 1 column. Name one with column=.",
        ),
        ([["x y", "X_Y"], [A, B]], "xy", "Several columns are called 'xy': name one with column="),
    ],
)
def test_find_table_without_the_column_is_an_error(
    rows: list[list[str]], wanted: str | int | None, error: str
) -> None:
    """The error lists the headings that there are."""
    with pytest.raises(ConfigurationError) as caught:
        find_table(rows, range(1, len(rows) + 1), wanted)
    assert str(caught.value).startswith(error)
