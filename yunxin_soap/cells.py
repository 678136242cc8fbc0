"""Texts by the cells that they take on a terminal, where a Chinese character takes two."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_NEVER_FIRST = "，。、；：？！）】》」』”’…·%"
"""What stays on the line of the character before it, as in any Chinese book."""
_NEVER_LAST = "（【《「『“‘[("
"""What stays on the line of the character after it."""
_PIECE = re.compile(r"\s+|[^\s\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]+|.", re.DOTALL)
"""White space, a word, or one Chinese character or mark: where a line may break."""


def cell_width(text: str) -> int:
    """Return how many cells a text takes."""
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def wrap_cells(text: str, width: int, *, indent: str = "", first_indent: str = "") -> list[str]:
    """Break a text into lines.

    Args:
        text: the text; each run of white space in it counts as one space.
        width: the most cells of a line. A longer word is broken.
        indent: what every line but the first begins with.
        first_indent: what the first line begins with.
    """
    lines: list[str] = []
    line, is_empty = first_indent, True
    for piece in _pieces(text, width - max(cell_width(indent), cell_width(first_indent))):
        if not is_empty and cell_width(line) + cell_width(piece.rstrip()) > width:
            lines.append(line.rstrip())
            line, is_empty = indent, True
        line += piece.lstrip() if is_empty else piece
        is_empty = is_empty and not piece.strip()
    return [*lines, line.rstrip()]


def _pieces(text: str, width: int) -> Iterator[str]:
    """Yield what stays on one line; a piece begins with the space before it."""
    whole = ""
    for found in _PIECE.findall(text.strip()):
        piece = " " if found.isspace() else found
        is_joined = piece[0] in _NEVER_FIRST or whole.strip()[-1:] in (*_NEVER_LAST, "")
        if whole and not (is_joined and piece != " "):
            yield from _split(whole, width)
            whole = ""
        whole += piece
    yield from _split(whole, width)


def _split(piece: str, width: int) -> Iterator[str]:
    """Break a piece that has no line of its own, such as a long address."""
    while cell_width(piece) > width:
        end = 1
        while cell_width(piece[: end + 1]) <= width:
            end += 1
        yield piece[:end]
        piece = piece[end:]
    yield piece
