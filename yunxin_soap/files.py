"""Helpers for files that contain phone numbers."""

from __future__ import annotations

import contextlib
import os
from typing import Any

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


def make_private(name: str) -> None:
    """Create a file that only its owner can read, unless it exists."""
    # If it cannot be created, opening it afterwards says why.
    with contextlib.suppress(OSError):
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def file_id(name: str | int) -> tuple[int, int] | None:
    """Return what identifies a file even after it was renamed or replaced.

    Args:
        name: the path, or the descriptor of an open file.

    Returns:
        Device and inode; None if there is no such file.
    """
    try:
        found = os.stat(name)  # noqa: PTH116 - it may be a descriptor
    except OSError:
        return None
    return found.st_dev, found.st_ino


def escape_spreadsheet_formula(value: Any) -> str:
    """Return a cell that a spreadsheet neither runs as a formula nor rounds as a number.

    A text that starts like a formula, and a batch number, get an apostrophe in front.
    """
    text = "" if value is None else str(value)
    if text[:1] in _FORMULA or (text.isdigit() and len(text) > 15):
        return f"'{text}"
    return text
