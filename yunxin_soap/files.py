"""Helpers for files that contain phone numbers."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable
from typing import IO, Any

# A reader that takes another character for the delimiter, or a quote for text, makes a cell of what
# follows one of these.
_SPLITS = r"[,;|\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]"
_FORMULA = re.compile(
    rf"""(?:\A|{_SPLITS})(?=(?:(?!{_SPLITS})[\s"])*[=+\-@＝＋－＠])|\A(?=[\t\n\r])"""
)


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


def open_private(path: str, *, encoding: str, buffering: int = -1) -> IO[str]:
    """Open a file to write text to, without translated line breaks.

    Only its owner may read it, also if it existed and others could read it before. Only a file that
    belongs to another user keeps its permissions.

    Raises:
        OSError: it cannot be opened.
    """
    return open(path, "w", buffering, encoding=encoding, newline="", opener=_open_private)


def _open_private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, 0o600)
    mode = os.fstat(descriptor).st_mode
    if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o077:
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, stat.S_IMODE(mode) & ~0o077)
    return descriptor


def spreadsheet_row(values: Iterable[Any]) -> list[Any]:
    """Return the cells of a CSV row for people: texts are escaped, numbers stay as they are."""
    return [each if isinstance(each, int) else escape_spreadsheet_formula(each) for each in values]


def escape_spreadsheet_formula(value: Any) -> str:
    """Return a cell that a spreadsheet neither runs as a formula nor rounds as a number.

    A text that starts like a formula, and a batch number, get an apostrophe in front. So does what
    would start like a formula if the spreadsheet split the cell at ``,``, ``;``, ``|``, a tab or a
    line break.
    """
    text = "" if value is None else str(value)
    if text.isalnum():  # most cells
        return f"'{text}" if text.isdigit() and len(text) > 15 else text
    return _FORMULA.sub(lambda found: f"{found[0]}'", text)
