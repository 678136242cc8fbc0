"""A message with placeholders for the columns of a row, as in ``您好{name}，…【签名】``. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from yunxin_soap.campaign.lists.encoding import REPLACEMENT_CHARACTER
from yunxin_soap.errors import invalid_request
from yunxin_soap.message import rstrip_invisible

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Template:
    """A message in which ``{name}`` stands for the row's column of that name.

    Blanks around the name are ignored. ``{{`` and ``}}`` stand for the braces themselves.

    Args:
        text: the message.

    Raises:
        InvalidRequest: a brace has no counterpart.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise invalid_request(f"The message must be a string, not {type(text).__name__}.")
        self._parts: list[tuple[str, str | None]] = []
        """Literal text and the name of the column that follows it; None behind the last text."""
        end, literal = 0, ""
        for token in _TOKEN.finditer(text):
            literal += text[end : token.start()]
            end = token.end()
            if token[1] is not None:
                self._parts.append((literal, token[1].strip()))
                literal = ""
            elif len(token[0]) == 2:
                literal += token[0][0]
            else:
                raise invalid_request(
                    f"The message has an unpaired {token[0]!r} at character {token.start() + 1}:"
                    f" write {token[0] * 2!r} for the brace itself."
                )
        self._parts.append((literal + text[end:], None))

    @property
    def end(self) -> str:
        """The literal text behind the last placeholder."""
        return self._parts[-1][0]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the placeholders, in their order."""
        return tuple(name for _, name in self._parts if name is not None)

    def fill(self, row: Mapping[str, str]) -> str:
        """Return the text for a row. Blanks around a value are removed.

        Args:
            row: the row's values by column.

        Raises:
            InvalidRequest: a column is missing, empty, invisible or was not decodable.
        """
        return "".join(
            literal if name is None else literal + _value(row, name)
            for literal, name in self._parts
        )


def _value(row: Mapping[str, str], name: str) -> str:
    value = row.get(name, "").strip()
    # Characters without width, such as U+200B, leave the same hole as an empty value.
    if not rstrip_invisible(value):
        # A text such as "您的余额是元" cannot be unsent.
        raise invalid_request(f"The column {name!r}, which the message uses, is empty.")
    if REPLACEMENT_CHARACTER in value:
        raise invalid_request(
            f"The column {name!r}, which the message uses, contains bytes that the list's encoding"
            " cannot decode (U+FFFD)."
        )
    return value
