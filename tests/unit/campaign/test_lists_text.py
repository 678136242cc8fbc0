"""Plain text as a list of numbers."""

from __future__ import annotations

import io

from tests.support.lists import TEXT, numbers, planned
from yunxin_soap.campaign import Text

A, B, C = numbers(3)


def test_text_has_one_number_a_line_or_several() -> None:
    """Numbers may be joined by commas; blank lines are skipped."""
    content = f"{A}\n\n \t\n{B},{C}\r\n".encode()
    assert planned(Text(io.BytesIO(content))) == ({TEXT: [A, B, C]}, [])


def test_text_blank_lines_count_as_lines() -> None:
    """A skipped line is named as an editor numbers it."""
    _, skipped = planned(Text(io.BytesIO(f"\n\nx\n{A}\n\n y".encode())))
    assert [(each.line, each.value) for each in skipped] == [(3, "x"), (6, " y")]


def test_text_line_with_many_numbers_is_split_into_submissions() -> None:
    """One line may have more numbers than a submission can."""
    many = numbers(2500)
    assert planned(Text(io.BytesIO(", ".join(many).encode()))).texts == {TEXT: many}
