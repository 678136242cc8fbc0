"""Which cells are numbers, which are headings."""

from __future__ import annotations

import pytest

from yunxin_soap.campaign.lists.columns import find_heading, has_mistyped_number, is_number


@pytest.mark.parametrize("cell", ["13900000000", "+86 139-0000-0000", "008613900000000"])
def test_is_number_accepts_any_notation(cell: str) -> None:
    """A number may have a country code, blanks and hyphens."""
    assert is_number(cell)


@pytest.mark.parametrize(
    "cell", ["", " ", ",", "phone", "1390000000", "139000000001", "x13900000000"]
)
def test_is_number_rejects_everything_else(cell: str) -> None:
    """A cell that cannot be normalised is no number, and raises nothing."""
    assert not is_number(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "1",
        "+86 139-0000",
        "139000000O1",
        "1234567x",  # seven digits are enough
        "123456789ab",  # more than four digits to each other character
    ],
)
def test_has_mistyped_number_finds_mostly_digits(cell: str) -> None:
    """A cell of digits, or of seven or more digits and few other characters."""
    assert has_mistyped_number([cell])
    assert has_mistyped_number(["name", cell])


@pytest.mark.parametrize(
    "cell", ["", "phone", "123456x", "12345678ab", "客户2026", "phone_20240115"]
)
def test_has_mistyped_number_accepts_headings_with_digits(cell: str) -> None:
    """A heading may contain a year or a date."""
    assert not has_mistyped_number([cell])


@pytest.mark.parametrize("heading", ["phone", " Mobile ", "TEL", "手机号码", "DesNo"])
def test_find_heading_ignores_case_and_blanks(heading: str) -> None:
    """The heading is returned as it is written, since it is the name of the column."""
    assert find_heading(["name", heading, "phone"]) == heading


def test_find_heading_without_a_usual_name_is_none() -> None:
    """Names that only contain a usual one do not count."""
    assert find_heading(["name", "phone 2", "我的手机"]) is None
