"""What a terminal shows, as an SVG picture that loads no font from the network."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable

import rich._export_format
from rich.cells import cell_len
from rich.console import Console

_FORMAT = re.sub(
    r"\s*@font-face \{\{.*?\}\}", "", rich._export_format.CONSOLE_SVG_FORMAT, flags=re.DOTALL
)
_TEXT = re.compile(r'(<text [^>]*)textLength="([\d.]+)"([^>]*)>([^<]+)</text>')


def draw(show: Callable[[Console], None], columns: int, title: str) -> str:
    """Return a picture of a terminal.

    Args:
        show: prints to the terminal.
        columns: how wide the terminal is.
        title: what the picture has as its window's title.
    """
    console = Console(record=True, width=columns, file=io.StringIO())
    show(console)
    picture = console.export_svg(title=title, code_format=_FORMAT, unique_id="terminal")
    return _TEXT.sub(_widened, picture)


def _widened(text: re.Match[str]) -> str:
    """Give a text with wide characters its true width: rich counts each as one column."""
    start, length, attributes, shown = text.groups()
    plain = html.unescape(shown)
    true_length = float(length) * cell_len(plain) / len(plain)
    return f'{start}textLength="{true_length:g}"{attributes}>{shown}</text>'
