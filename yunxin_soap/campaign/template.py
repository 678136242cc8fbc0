"""A text with places for a row's columns, as in ``您好{name}，…【签名】``; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from yunxin_soap.campaign.lists.encoding import REPLACEMENT_CHARACTER
from yunxin_soap.errors import InvalidRequest
from yunxin_soap.message import rstrip_invisible

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Template:
    """A message; ``{name}`` is filled from the column of that name, ``{{`` is a brace.

    Raises:
        InvalidRequest: a brace stands alone.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise InvalidRequest(f"The message must be a string, not {type(text).__name__}.")
        self._parts: list[tuple[str, str | None]] = []
        """Literal text, and the name of the column behind it."""
        end, literal = 0, ""
        for found in _PART.finditer(text):
            literal += text[end : found.start()]
            end = found.end()
            if found[1] is not None:
                self._parts.append((literal, found[1].strip()))
                literal = ""
            elif len(found[0]) == 2:
                literal += found[0][0]
            else:
                raise InvalidRequest(
                    f"The message has a {found[0]!r} alone at character {found.start() + 1}:"
                    f" write {found[0] * 2!r} for the sign itself."
                )
        self._parts.append((literal + text[end:], None))

    @property
    def end(self) -> str:
        """The text behind the last column."""
        return self._parts[-1][0]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names that it asks for, in their order."""
        return tuple(name for _, name in self._parts if name is not None)

    def fill(self, row: Mapping[str, str]) -> str:
        """Return the text for a row.

        Raises:
            InvalidRequest: the row has no such column, or nothing in it that can be read.
        """
        return "".join(
            literal if name is None else literal + _filled(row, name)
            for literal, name in self._parts
        )


def _filled(row: Mapping[str, str], name: str) -> str:
    value = row.get(name, "").strip()
    # What has no width, as U+200B, fills nothing either.
    if not rstrip_invisible(value):
        # "您的余额是元" cannot be unsent.
        raise InvalidRequest(f"The column {name!r}, which the text asks for, is empty.")
    if REPLACEMENT_CHARACTER in value:
        raise InvalidRequest(
            f"The column {name!r}, which the text asks for, holds what is no text in the list's"
            " encoding (U+FFFD)."
        )
    return value
