"""What is asked of the files that numbers are kept in or written to."""

from __future__ import annotations

import contextlib
import os
from typing import Any

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


def make_private(name: str) -> None:
    """Make a file that its owner alone can read, if it is not there: it is to hold numbers."""
    with contextlib.suppress(OSError):  # it is there, or who opens it says what is wrong
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def file_id(name: str | int) -> tuple[int, int] | None:
    """Tell a file from another that has its name later; None if there is none.

    Args:
        name: its path, or its number if it is open.
    """
    try:
        found = os.stat(name)  # noqa: PTH116 - it may be a number
    except OSError:
        return None
    return found.st_dev, found.st_ino


def escape_spreadsheet_formula(value: Any) -> str:
    """Keep a spreadsheet from running a text as a formula, or rounding a batch number."""
    text = "" if value is None else str(value)
    if text[:1] in _FORMULA or (text.isdigit() and len(text) > 15):
        return f"'{text}"
    return text
