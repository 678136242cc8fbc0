"""Python iterables as lists of numbers: strings, tuples, mappings, rows of a database."""

from __future__ import annotations

import enum
import io
import math
import sqlite3
from collections import namedtuple
from contextlib import closing
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from tests.support.lists import TEXT, numbers, planned
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign import Rows

A, B, C = numbers(3, 13910000001)


def test_rows_of_strings_and_integers_are_numbers() -> None:
    """An iterator of either or both is a list; so is a single number."""
    assert planned(iter([A, int(B)])) == ({TEXT: [A, B]}, [])
    assert planned(A).texts == {TEXT: [A]}
    assert planned(int(A)).texts == {TEXT: [A]}


def test_rows_without_a_value_are_skipped() -> None:
    """None is an empty cell."""
    texts, skipped = planned([A, None])
    assert texts == {TEXT: [A]}
    assert [(each.line, each.value) for each in skipped] == [(2, "")]


def test_rows_of_a_query_have_their_columns() -> None:
    """sqlite3.Row, SQLAlchemy's rows and named tuples are rows with named columns."""
    query = "SELECT ? AS phone, ? AS name"
    with closing(sqlite3.connect(":memory:")) as database:
        database.row_factory = sqlite3.Row
        found = planned(database.execute(query, (A, "甲")), "您好{name}【签名】")
    assert found.texts == {"您好甲【签名】": [A]}
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT :a AS phone, :b AS name"), {"a": A, "b": "甲"})
        assert planned(rows, "您好{name}【签名】") == found
    engine.dispose()
    person = namedtuple("person", ["phone", "name"])  # noqa: PYI024 - one without types
    assert planned([person(A, "甲")], "您好{name}【签名】") == found


def test_rows_enum_counts_by_its_value() -> None:
    """A member of an enumeration is the text that it equals: its name must not be sent."""

    class Words(str, enum.Enum):
        """Strings that print their names."""

        HEADING = "name"
        NAME = "甲"
        TEXT = "您好{name}【签名】"

    rows = [{"phone": A, Words.HEADING: Words.NAME}]
    assert planned(rows, Words.TEXT).texts == {"您好甲【签名】": [A]}


def test_rows_column_can_be_named() -> None:
    """A column with an unusual name is used if the caller names it."""
    assert planned(Rows([{"who": A, "phone": B}], column="who")).texts == {TEXT: [A]}


@pytest.mark.parametrize(
    ("rows", "column", "error"),
    [
        (
            [{"who": "x", "b": "y"}],
            None,
            "No column with numbers was found. Name it with column=, one of: who, b",
        ),
        ([{"who": A}], "x", "There is no column 'x': the columns are who"),
        ([{"who": A}], 1, "There is no column 1: the columns are who"),
        ([("x", "y")], 3, "There is no column 3: the columns are 1, 2"),
        ([("x", "y")], 0, "There is no column 0: the columns are 1, 2"),
        ([("x", "y")], "x", "There is no column 'x': the columns are 1, 2"),
        (
            [("x", "y")],
            None,
            "No column with numbers was found. Name it with column=, one of: 1, 2",
        ),
    ],
)
def test_rows_missing_column_is_an_error(
    rows: list[object], column: str | int | None, error: str
) -> None:
    """The error lists the columns that there are."""
    with pytest.raises(ConfigurationError, match=error):
        planned(Rows(rows, column))


def test_rows_error_lists_twenty_columns_at_most() -> None:
    """The error of a very wide table stays readable."""
    row = {f"c{at:02}": "x" for at in range(30)}
    with pytest.raises(ConfigurationError, match=r": c00, .*, c19\.$"):
        planned([row])


def test_rows_of_tuples_use_the_column_of_numbers() -> None:
    """The one column in which nearly all values are numbers."""
    with closing(sqlite3.connect(":memory:")) as database:
        query = "SELECT 1, ? UNION SELECT 2, ? UNION SELECT 3, NULL"
        texts, skipped = planned(database.execute(query, (A, B)))
    assert texts == {TEXT: [A, B]}
    assert [(each.line, each.value) for each in skipped] == [(3, "")]


def test_rows_of_tuples_of_one_need_no_number_in_the_first() -> None:
    """With one column there is no choice: a bad first row is skipped like any other."""
    texts, skipped = planned([("x",), (A,)])
    assert texts == {TEXT: [A]}
    assert [each.line for each in skipped] == [1]


def test_rows_of_tuples_column_is_a_position() -> None:
    """Positions are counted from 1; a row that is too short has an empty cell."""
    texts, skipped = planned(Rows([(A, B), (C,)], column=2))
    assert texts == {TEXT: [B]}
    assert [(each.line, each.value) for each in skipped] == [(2, "")]


def test_rows_of_tuples_have_no_named_columns() -> None:
    """A message with placeholders cannot be filled from them."""
    with pytest.raises(ConfigurationError, match=r"uses \{name\}, .* Usable columns: none\."):
        planned([(A,)], "您好{name}【签名】")


@pytest.mark.parametrize(
    "items",
    [
        [float(A), Decimal(B)],
        np.array([int(A), int(B)]),
        np.array([A, B]),
        np.array([float(A), float(B)]),
        pd.Series([int(A), int(B)]),
        pd.Series([A, B], dtype="string"),
        pd.DataFrame({"phone": [int(A), int(B)], "x": [1.5, None]}),
        pd.DataFrame({"Phone Number": [float(A), float(B)], "id": [1, 2]}),
        [{"phone": float(A)}, {"phone": f"{B}.0"}],
        [(1, np.int64(A)), (2, Decimal(B))],
        np.array([[1, int(A)], [2, int(B)]]),
        pd.DataFrame({"x": ["a", "b"], "phone": [A, B]}).to_numpy(),
    ],
)
def test_rows_of_numbers_of_any_exact_type_are_numbers(items: Any) -> None:
    """Arrays, Series and DataFrames, floats and Decimals: as a database or pandas gives them."""
    assert planned(items) == ({TEXT: [A, B]}, [])


@pytest.mark.parametrize("item", [int(A), float(A), np.int64(A), np.float64(A), Decimal(A)])
def test_rows_of_one_number_need_no_list(item: Any) -> None:
    """A number of any type, as a cell of an array or of a DataFrame is one."""
    assert planned(item) == ({TEXT: [A]}, [])


def test_rows_of_numbers_that_a_spreadsheet_has_cut_are_skipped() -> None:
    """pandas reads ``1.39E+10`` as 13900000000.0, which is somebody else's number."""
    frame = pd.read_csv(io.StringIO(f"手机\n1.39E+10\n{A}\n1.38001E+10\n"))
    texts, skipped = planned(frame)
    assert texts == {TEXT: [A]}
    assert [(each.line, each.value) for each in skipped] == [(1, "1.39E+10"), (3, "1.38001E+10")]
    assert all("was cut by a spreadsheet" in each.reason for each in skipped)


def test_rows_of_a_data_frame_have_its_columns() -> None:
    """A value that means "nothing" is no number; columns of the same name are an error."""
    frame = pd.DataFrame({"手机号": [float(A), None, float(B)], "姓名": ["甲", "丙", "乙"]})
    texts, skipped = planned(frame, "您好{姓名}【签名】")
    assert texts == {"您好甲【签名】": [A], "您好乙【签名】": [B]}
    assert [(each.line, each.value) for each in skipped] == [(2, "")]
    twice = pd.DataFrame([[A, B]], columns=["phone", "phone"])
    with pytest.raises(ConfigurationError, match="Several columns are called 'phone': rename"):
        planned(twice)


@pytest.mark.parametrize("value", [None, math.nan, pd.NA, pd.NaT, Decimal("NaN")])
def test_rows_missing_value_is_skipped_as_empty(value: Any) -> None:
    """It is not the number "nan"."""
    texts, skipped = planned([A, value, B])
    assert texts == {TEXT: [A, B]}
    assert [(each.line, each.value) for each in skipped] == [(2, "")]


@pytest.mark.parametrize(
    "value", [13900000000.5, -13900000000, np.float32(13900000000), True, Decimal("sNaN")]
)
def test_rows_number_that_is_none_is_skipped(value: Any) -> None:
    """A fraction, a negative or a rounded number is not guessed."""
    texts, skipped = planned([A, value])
    assert texts == {TEXT: [A]}
    assert [each.line for each in skipped] == [2]


def test_rows_with_two_columns_of_numbers_ask() -> None:
    """In mappings and in tuples; the name or the position answers."""
    mappings = [{"联系电话": A, "手机": B}]
    with pytest.raises(
        ConfigurationError, match=r"could be in column 1 \('联系电话'\) and 2 \('手"
    ):
        planned(mappings)
    assert planned(Rows(mappings, "手机")).texts == {TEXT: [B]}
    with pytest.raises(ConfigurationError, match="could be in column 1 and 2"):
        planned([(A, B)])
    assert planned(Rows([(A, B)], 2)).texts == {TEXT: [B]}
    assert planned(Rows([{"x": A, "Mobile Phone": B}], "mobile_phone")).texts == {TEXT: [B]}


@pytest.mark.parametrize(
    ("items", "error"),
    [
        ([A, object()], "Item 2 of the recipients is a object"),
        ([{"phone": A}, 1.5], "Item 1 of the recipients is a dict"),
        ([A, {"phone": B}], "Item 2 of the recipients is a dict"),
        ([{"phone": B}, A], "Item 1 of the recipients is a dict"),
        ([b"13900000000"], "Item 1 of the recipients is a bytes"),
        (b"13900000000", "The recipients are of type bytes"),
        (np.array(13900000001), "The recipients are of type ndarray"),
        (None, "The recipients are of type NoneType"),
    ],
)
def test_rows_of_an_unsupported_type_are_an_error(items: object, error: str) -> None:
    """The error names the first item that does not fit."""
    with pytest.raises(ConfigurationError, match=error):
        planned(items)
