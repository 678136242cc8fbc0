"""Python iterables as lists of numbers: strings, tuples, mappings, rows of a database."""

from __future__ import annotations

import enum
import sqlite3
from collections import namedtuple
from contextlib import closing

import pytest
import sqlalchemy as sa

from tests.support.lists import TEXT, numbers, planned
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign import Rows

A, B, C = numbers(3)


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
        ([{"who": A}], None, "No column with numbers was found. Name it with column=, one of: who"),
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


def test_rows_of_tuples_use_the_first_number() -> None:
    """The first column that holds a number in the first row is used for all rows."""
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
    ("items", "error"),
    [
        ([A, 13900000000.0], "Item 2 of the recipients is a float"),
        ([{"phone": A}, 1.5], "Item 2 of the recipients is a float"),
        ([A, {"phone": B}], "Item 2 of the recipients is a dict"),
        ([{"phone": B}, A], "Item 1 of the recipients is a dict"),
        ([b"13900000000"], "Item 1 of the recipients is a bytes"),
    ],
)
def test_rows_of_an_unsupported_type_are_an_error(items: list[object], error: str) -> None:
    """The error names the first item that does not fit."""
    with pytest.raises(ConfigurationError, match=error):
        planned(items)
