"""How the value of a cell is written into a text, and which values leave a hole in it."""

from __future__ import annotations

import enum
import subprocess
import sys
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap import InvalidRequest
from yunxin_soap.campaign.values import are_plain, as_written, check_spec

CHINA = timezone(timedelta(hours=8))


def at(*parts: int) -> datetime:
    """Return a time without a zone, as spreadsheets have them."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


class Level(str, enum.Enum):
    """Strings that print their names."""

    GOLD = "金卡"


class Count(int, enum.Enum):
    """Integers that print their names."""

    TWO = 2


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("王五", "王五"),
        (" \t王 五\u3000\xa0\n", "王 五"),
        (np.str_("王"), "王"),
        (Level.GOLD, "金卡"),
        ("0", "0"),
        ("-5", "-5"),
        ("+5", "+5"),
        ("-", "-"),
        ("0012", "0012"),
        ("1.50", "1.50"),
        ("2026113012345678", "2026113012345678"),
        ("#1001", "#1001"),
        ("3#楼", "3#楼"),
        ("C#", "C#"),
        ("#双11#", "#双11#"),
        ("Nancy", "Nancy"),
        ("Nanny", "Nanny"),
        ("Nonesuch", "Nonesuch"),
        ("Infinity Plaza", "Infinity Plaza"),
        ("nano", "nano"),
        ("2E5", "2E5"),
        ("E+", "E+"),
        ("(甲)", "(甲)"),
        ("[微笑]", "[微笑]"),
        ("“王五”", "“王五”"),
        ("b'x", "b'x"),
        ("50%", "50%"),
        ("$5", "$5"),
        ("http://a.cn/?a=1#top", "http://a.cn/?a=1#top"),
        (5, "5"),
        (0, "0"),
        (-5, "-5"),
        (10**29, "1" + "0" * 29),
        (np.int64(5), "5"),
        (np.uint8(5), "5"),
        (Count.TWO, "2"),
        (1.5, "1.5"),
        (3.0, "3"),
        (-3.0, "-3"),
        (0.0, "0"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (1.1 * 3, "3.3"),
        (-(0.1 + 0.2), "-0.3"),
        (sum([0.1] * 1000), "100"),
        (19.99 * 100, "1999"),
        (0.00001, "0.00001"),
        (99.9, "99.9"),
        (123456789.12, "123456789.12"),
        (999999999999999.0, "999999999999999"),
        (np.float64(0.1) + np.float64(0.2), "0.3"),
        (np.float32(0.1), "0.1"),
        (np.float32(0.1) + np.float32(0.2), "0.3"),
        (np.float32(123456.79), "123456.79"),
        (np.float32(3), "3"),
        (np.float16(0.1), "0.1"),
        (np.longdouble("0.1"), "0.1"),
        (Decimal("1.5"), "1.5"),
        (Decimal("12.50"), "12.50"),
        (Decimal("12.00"), "12.00"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-3"), "0.001"),
        (Decimal("-0.00"), "0.00"),
        (Decimal(float(1) / 10), "0.1"),
        (Decimal("12.500000000000000000"), "12.5"),
        (Decimal("12345678901234567890.12"), "12345678901234567890.12"),
        (Decimal("12345678901234567890123.5" + "0" * 20), "12345678901234567890123.5"),
        (date(2026, 11, 30), "2026-11-30"),
        (at(2026, 11, 30), "2026-11-30"),
        (at(2026, 11, 30, 9, 30), "2026-11-30 09:30"),
        (at(2026, 11, 30, 9, 30, 5), "2026-11-30 09:30:05"),
        (at(2026, 11, 30, 9, 30, 0, 999), "2026-11-30 09:30"),
        (datetime(2026, 11, 30, 9, 30, tzinfo=CHINA), "2026-11-30 09:30"),
        (time(9, 30), "09:30"),
        (time(0, 0), "00:00"),
        (time(9, 30, 5), "09:30:05"),
        (pd.Timestamp("2026-11-30"), "2026-11-30"),
        (pd.Timestamp("2026-11-30 09:30", tz="Asia/Shanghai"), "2026-11-30 09:30"),
        (np.datetime64("2026-11-30"), "2026-11-30"),
        (np.datetime64("2026-11-30T09:30"), "2026-11-30 09:30"),
        (np.datetime64("2026-11-30T09:30:00.000000000"), "2026-11-30 09:30"),
    ],
)
def test_as_written_value_is_written_as_a_person_would(value: Any, written: str) -> None:
    """No exponent, no binary noise, no time of a mere date; a text stays as it is."""
    found = as_written(value)
    assert (found, type(found)) == (written, str)


HOLES = [
    *("nan", "NaN", "NAN", "-nan", "NaT", "None", "none", "NULL", "null", "Null", "nil", "\\N"),
    *("N/A", "n/a", "NA", "n.a.", "<NA>", "<null>", "(null)", "(NULL)", "[NULL]", "undefined"),
    *("#N/A", "#n/a", "#N/A!", "#REF!", "#DIV/0!", "#NAME?", "#VALUE!", "#NULL!", "#NUM!"),
    *(
        "#SPILL!",
        "#CALC!",
        "#GETTING_DATA",
        "#WERT!",
        "#¡REF!",
        "#ДЕЛ/0!",
        "#NV",
        "#Deleted",
        "#ERROR!",
        "Err:502",
    ),
    *("错误:508", "Loading...", "##", "###", "########", "#" * 100, "inf", "-inf", "Infinity"),
    *(
        "1.#IND",
        "-1.#QNAN",
        '"NULL"',
        "'nan'",
        "“NULL”",
        '""',
        "[object Object]",
        "(空白)",
        "&nbsp;",
    ),
    *(" NULL ", "\tnan\n", "\u3000#N/A\xa0", "\u200bNULL", "NULL\ufeff", "N / A", "# N / A"),
    *("ＮＵＬＬ", "＃Ｎ／Ａ", "＃ＲＥＦ！", "ｎａｎ", "＼Ｎ", "＃＃＃＃", "Ｎａｎ"),
    *("?", "??", " ??? ", "？？"),  # a database without the characters has these in their place
    *("${name}", "{{name}}", "#name#", "%name%", "{name}", "【变量】", "｛name｝", "#{name}"),
]


@pytest.mark.parametrize("value", HOLES)
def test_as_written_text_for_nothing_is_a_hole(value: str) -> None:
    """What programs and spreadsheets write for nothing is a hole, and so is a placeholder."""
    with pytest.raises(InvalidRequest, match=r"\AThe column is empty: it holds "):
        as_written(value, name="The column")


@pytest.mark.parametrize("value", ["", " ", "\t\n", "\u200b", "\u200b \ufeff", "\u3000", None])
def test_as_written_nothing_is_a_hole(value: Any) -> None:
    """Blanks and characters without width fill no hole."""
    with pytest.raises(InvalidRequest, match=r"\AThe column is empty\.\Z"):
        as_written(value, name="The column")


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        np.float64("nan"),
        np.float32("nan"),
        np.float32("inf"),
        np.datetime64("NaT", "s"),
        np.timedelta64("NaT", "s"),
        np.ma.masked,
        pd.NA,
        pd.NaT,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
    ],
    ids=repr,
)
def test_as_written_missing_value_is_a_hole(value: Any) -> None:
    """The values for "nothing" of Python, NumPy and pandas are holes."""
    with pytest.raises(InvalidRequest, match="is empty: it holds "):
        as_written(value)


@pytest.mark.parametrize("dash", ["-", " - ", "--", "－", "—", "——", "–", "−"])
def test_as_written_dash_is_a_hole_only_if_asked(dash: str) -> None:
    """A lone dash may be a text of its own."""
    assert as_written(dash) == dash.strip()
    with pytest.raises(InvalidRequest, match="is empty: it holds"):
        as_written(dash, dash_is_empty=True)
    assert as_written("-5", dash_is_empty=True) == "-5"
    assert as_written("a-b", dash_is_empty=True) == "a-b"


@pytest.mark.parametrize(
    "text",
    [
        *("199.0", "13900000000.0", "0.0", "100.00", "TRUE公司", "Truer", "True Corp", "真"),
        *(
            "Nan先生",
            "Nancy",
            "Hainan",
            "Hainan省",
            "Yunnan,Hainan",
            "Nulla",
            "Nones",
            "楠Nan",
        ),
        *(
            "NaNa",
            "Li Nan",
            "No.1号",
            "nanako様",
            "A&B",
            "R&D;x",
            "AT&T;",
            "a&b=1&copy=2",
            "&",
            "&;",
        ),
        *("&x;", "&#;", "M&M's", "nano元", "Banana元", "None of 三"),
    ],
)
def test_as_written_text_that_only_resembles_a_hole_is_kept(text: str) -> None:
    """Names, companies, amounts as pandas writes them, and addresses of pages."""
    assert as_written(text) == text
    assert not are_plain([text]) or as_written(text) == text


@pytest.mark.parametrize("text", ["TRUE", "false", "nan元", "None天", "余额null元", "NULL先生"])
def test_are_plain_no_text_with_what_a_program_left(text: str) -> None:
    """Many values are looked at in one go, and none of these passes."""
    assert are_plain(["张三", "李四", "Hainan"])
    assert not are_plain(["张三", text, "Hainan"])


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (True, "is of type bool"),
        (np.bool_(False), "is of type bool"),
        (b"x", "is of type bytes"),
        (bytearray(b"x"), "is of type bytearray"),
        (np.bytes_(b"x"), "is of type bytes_"),
        (memoryview(b"x"), "is of type memoryview"),
        ("b'\\xe7\\x8e\\x8b'", "is printed bytes: decode it"),
        (1j, "is of type complex"),
        (Fraction(1, 3), "is of type Fraction"),
        (timedelta(hours=1), "is of type timedelta"),
        (np.timedelta64(1, "h"), "is of type timedelta64"),
        (["a"], "is of type list"),
        ({"a": 1}, "is of type dict"),
        (np.array([1, 2]), "is of type ndarray"),
        (pd.Series([1, 2]), "is of type Series"),
        (object(), "is of type object"),
        (uuid.UUID(int=1), "is of type UUID"),
        (1e15, "does not keep so many digits"),
        (1e21, "does not keep so many digits"),
        (np.float32(2**24), "does not keep so many digits"),
        (np.datetime64("10000-01-01"), "outside of the years 1 to 9999"),
        (10**30, "more than 30 digits"),
        pytest.param(10**5000, "more than 30 digits", id="10**5000"),
        (Decimal("1E+400"), "more than 30 digits"),
        (1 / 3, "more than 8 decimals, which nobody writes: round it"),
        (1e-9, "more than 8 decimals"),
        (12345.123456789, "more than 8 decimals"),
        (Decimal(1) / 3, "more than 8 decimals"),
        ("0.30000000000000004", "more than 8 decimals"),
        ("1.39E+10", "a number that a spreadsheet has cut"),
        ("1.23457E+15", "a number that a spreadsheet has cut"),
        ("1E+05", "a number that a spreadsheet has cut"),
        ("1.5e-05", "a number that a spreadsheet has cut"),
        *(
            (each, "as a program writes yes or no")
            for each in ("TRUE", "FALSE", "True", "ＴＲＵＥ")
        ),
        *(
            (each, "which stands for nothing: fill it")
            for each in (
                *("nan元", "NaN%", "¥nan", "None天", "NULL先生", "余额nan元", "#N/A元", "\\N元"),
                *("到期：NaT", "undefined您好", "张三,nan", "共null，None"),
                # pandas joins two columns with a blank.
                *("王 nan", "nan 王", "王\u3000None", "余额： null"),
            )
        ),
        ("&#29579;五", r"holds &#29579;, which a phone shows so: write '王'"),
        ("&#x738B;五", r"holds &#x738B;, which a phone shows so: write '王'"),
        ("\\u738b五", r"holds \\u738b, which a phone shows so: write '王'"),
        ("A&amp;B", r"holds &amp;, which a phone shows so: write '&'"),
        ("张&nbsp;三", "holds &nbsp;"),
        ("１.３９Ｅ＋１０", "a number that a spreadsheet has cut"),
        ("王\ufffd五", r"cannot decode \(U\+FFFD\)"),
        ("王\ue000五", "contains a private-use character"),
        ("王五".encode().decode("latin-1"), r"contains a control character \(U\+008E\)"),
        (datetime(2026, 11, 30, 1, 30, tzinfo=timezone.utc), "another time zone than China's"),
        (pd.Timestamp("2026-11-30 01:30", tz="UTC"), "another time zone than China's"),
    ],
)
def test_as_written_value_that_nobody_writes_is_invalid(value: Any, error: str) -> None:
    """The error names what to do; nothing is guessed."""
    with pytest.raises(InvalidRequest, match=rf"\AThe column.* {error}"):
        as_written(value, name="The column")


@pytest.mark.parametrize(
    ("value", "spec", "written"),
    [
        (date(2026, 11, 3), "%m月%d日", "11月03日"),
        (date(2026, 1, 3), "%-m月%-d日", "1月3日"),
        (date(2026, 1, 3), "%Y年%m月%d日", "2026年01月03日"),
        (date(2026, 1, 3), "%y%%", "26%"),
        (at(2026, 11, 3, 21, 5, 7), "%d日%H:%M:%S", "03日21:05:07"),
        (at(2026, 11, 3, 21, 5), "%-I点%-M分", "9点5分"),
        (at(2026, 11, 3, 0, 5), "%I %-H", "12 0"),
        (time(9, 30), "%H时%M分", "09时30分"),
        (pd.Timestamp("2026-11-03"), "%m月%d日", "11月03日"),
        (np.datetime64("2026-11-03"), "%m月%d日", "11月03日"),
        ("2026-11-03", "%m月%d日", "11月03日"),
        (" 2026-11-3 ", "%m月%d日", "11月03日"),
        ("2026/11/3", "%m月%d日", "11月03日"),
        ("2026.11.03", "%m月%d日", "11月03日"),
        ("2026年11月3日", "%m月%d日", "11月03日"),
        ("20261103", "%m月%d日", "11月03日"),
        ("２０２６－１１－０３", "%m月%d日", "11月03日"),
        ("2026-11-03 09:30", "%m月%d日%H:%M", "11月03日09:30"),
        ("2026-11-03T09:30:15.25", "%d日%S秒", "03日15秒"),
        ("2026/11/3 9:30:15", "%d日%H时", "03日09时"),
        ("2026-11-03 09:30:00+08:00", "%H:%M", "09:30"),
        ("2026-11-03T09:30+0800", "%H:%M", "09:30"),
    ],
)
def test_as_written_date_follows_its_format(value: Any, spec: str, written: str) -> None:
    """A date, or a text that can only be one, is written as the message asks for."""
    check_spec(spec)
    assert as_written(value, spec) == written


@pytest.mark.parametrize(
    ("value", "spec", "error"),
    [
        ("11/03/2026", "%m月", "'11/03/2026', is no date such as 2026-11-30"),
        ("2026-13-01", "%m月", "is no date"),
        ("2026-02-30", "%m月", "is no date"),
        ("2026-11/03", "%m月", "is no date"),
        ("2026-11-03 25:00", "%m月", "is no date"),
        ("明天", "%m月", "is no date"),
        ("45991", "%m月", "is no date"),
        (45991, "%m月", "is no date, but the message writes it as '%m月'"),
        (Decimal(1), "%m月", "is no date"),
        ("", "%m月", "is empty"),
        (None, "%m月", "is empty"),
        ("#N/A", "%m月", "is empty"),
        (pd.NaT, "%m月", "is empty"),
        (date(2026, 11, 3), "%H时", "2026-11-03, has no time, but"),
        ("2026-11-03", "%H时", "2026-11-03, has no time, but"),
        (time(9, 30), "%m月", "09:30:00, has no date, but"),
        ("2026-11-03T09:30Z", "%H时", "another time zone than China's"),
    ],
)
def test_as_written_no_date_for_a_format_is_invalid(value: Any, spec: str, error: str) -> None:
    """A line whose value does not fit the format is skipped, with a reason."""
    with pytest.raises(InvalidRequest, match=error):
        as_written(value, spec)


@pytest.mark.parametrize("spec", ["%B", "%", "%m%", "%-", "%-%", "%a日", "%c", "%5d", "%年"])
def test_check_spec_unknown_directive_is_invalid(spec: str) -> None:
    """Names of months and days depend on the language of the machine."""
    with pytest.raises(InvalidRequest, match=r"a date may use %Y, %y, %m, %d"):
        check_spec(spec)


_ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.sampled_from(HOLES),
    st.binary(),
    st.integers(),
    st.floats(),
    st.floats(width=32).map(np.float32),
    st.decimals(),
    st.fractions(),
    st.complex_numbers(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.datetimes(min_value=at(1700, 1, 1), max_value=at(2200, 1, 1)).map(pd.Timestamp),
    st.sampled_from([pd.NA, pd.NaT, np.datetime64("NaT", "s"), np.ma.masked, np.bool_(True)]),
)


@given(_ANYTHING)
def test_as_written_any_value_is_written_without_a_hole_or_invalid(value: Any) -> None:
    """Whatever a cell holds, no text says "nan" or the like, and no number has an exponent."""
    try:
        written = as_written(value)
    except InvalidRequest as error:
        assert str(error).startswith("The value")
        return
    assert written.strip()
    assert written.lower() not in {"nan", "nat", "none", "<na>", "#n/a", "null", "true", "false"}
    if isinstance(value, str):
        assert written == value.strip()
    elif isinstance(value, (int, float, Decimal)):
        assert not set(written) - set("-0123456789.")
        assert Decimal(written) == pytest.approx(Decimal(str(value)), rel=Decimal("1e-12"))


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_as_written_amount_is_the_same_as_float_and_decimal(amount: Decimal) -> None:
    """Two decimals stay two decimals, whichever type the list has, and whatever noise is on it."""
    as_decimal, as_float = as_written(amount), as_written(float(amount))
    assert Decimal(as_decimal) == Decimal(as_float) == amount
    noisy = float(amount) * (1 + 2**-52)
    assert Decimal(as_written(noisy)) == amount


def test_as_written_imports_neither_pandas_nor_numpy() -> None:
    """Both are recognised by their names: a campaign does not need them."""
    code = (
        "import sys\n"
        "from yunxin_soap.campaign.values import as_written\n"
        "assert as_written(0.1 + 0.2) == '0.3'\n"
        "assert not {'numpy', 'pandas'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
