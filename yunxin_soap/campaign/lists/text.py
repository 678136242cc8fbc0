"""Reads numbers from plain text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO

from yunxin_soap.campaign.lists import BATCH_SIZE, Batch, Source
from yunxin_soap.campaign.lists.columns import SAMPLE_ROWS
from yunxin_soap.encoding import open_text
from yunxin_soap.sentences import Sentence

_NAMES = {"utf-8-sig": "UTF-8", "gb18030": "GBK (GB18030)"}
_MAX_SHOWN = 60
"""Characters of the line that shows the encoding, at most."""


class Text(Source):
    """Plain text: one number a line, or several joined by commas.

    Args:
        file: a path, or an open binary file such as ``sys.stdin.buffer``.
        encoding: the file's encoding. By default it is detected: UTF-8, GBK or UTF-16.
    """

    def __init__(self, file: str | os.PathLike[str] | IO[bytes], encoding: str | None = None):
        self._file, self._encoding = file, encoding

    def batches(self, *, columns: bool = True) -> Iterator[Batch]:
        """Read the file to its end and skip blank lines.

        Args:
            columns: ignored: plain text has no columns.

        Yields:
            The lines in their order.

        Raises:
            ConfigurationError: the file cannot be read, or its encoding is unknown.
        """
        with open_text(self._file, self._encoding) as text:
            head = list(islice(text, SAMPLE_ROWS))
            text.seek(0)
            self.notes = [note_encoding(text.encoding, head)]
            start = 1
            while lines := list(islice(text, BATCH_SIZE)):
                values = [line.rstrip("\r\n") for line in lines]
                places: Sequence[int] = range(start, start + len(values))
                start += len(values)
                if not all(values):
                    kept = [
                        (line, value)
                        for line, value in zip(places, values, strict=True)
                        if value.strip()
                    ]
                    places, values = [line for line, _ in kept], [value for _, value in kept]
                yield Batch(places, values)


def note_encoding(encoding: str, head: Sequence[str]) -> str:
    """Return the note about an encoding, with a line by which a person can judge it.

    Args:
        encoding: the encoding's name, as Python has it.
        head: the first lines of the list.
    """
    name = _NAMES.get(encoding, encoding)
    lines = [(at, line.strip()) for at, line in enumerate(head, 1) if line.strip()]
    lines.sort(key=lambda line: line[1].isascii())  # the first that is not ASCII says most
    for at, line in lines:
        shown = line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]}…"
        return Sentence(
            "The list was read as {encoding}; line {line} is {text}.",
            encoding=name,
            line=at,
            text=repr(shown),
        )
    return Sentence("The list was read as {encoding}.", encoding=name)
