"""Finds the column that holds the numbers, by its heading or by its first cell. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from yunxin_soap.errors import ConfigurationError, InvalidRequest
from yunxin_soap.message import normalise_recipients

_DIGIT = re.compile("[0-9]")
_DIGITS_ONLY = re.compile("[0-9+ -]+")
_HEADINGS = frozenset(
    {"phone", "mobile", "tel", "telephone", "number", "msisdn", "recipient", "desno"}
    | {"手机", "手机号", "手机号码", "号码", "电话", "电话号码", "联系电话", "移动电话"}
)
_MAX_NAMED = 20
"""Columns that an error message lists, at most."""


def is_number(cell: str) -> bool:
    """Return whether a cell holds a mobile number, in any notation that can be normalised."""
    try:
        return bool(normalise_recipients(cell))
    except InvalidRequest:
        return False


def has_mistyped_number(cells: Sequence[str]) -> bool:
    """Return whether a cell is more likely a number with a typing error than a heading."""
    digits = [len(_DIGIT.findall(cell)) for cell in cells]
    return any(
        _DIGITS_ONLY.fullmatch(cell) or (count >= 7 and count > 4 * (len(cell) - count))
        for cell, count in zip(cells, digits, strict=True)
    )


def find_heading(names: Iterable[str]) -> str | None:
    """Return the first name that is a usual heading of numbers, such as ``phone`` or ``手机号``."""
    return next((name for name in names if name.strip().lower() in _HEADINGS), None)


def missing_column(wanted: str | int | None, names: Iterable[str]) -> ConfigurationError:
    """Return the error for a column that was not found.

    Args:
        wanted: the column that the caller asked for; None if it was to be found.
        names: the columns that there are.
    """
    known = ", ".join(list(names)[:_MAX_NAMED]) or "none"
    if wanted is None:
        return ConfigurationError(
            f"No column with numbers was found. Name it with column=, one of: {known}."
        )
    return ConfigurationError(f"There is no column {wanted!r}: the columns are {known}.")
