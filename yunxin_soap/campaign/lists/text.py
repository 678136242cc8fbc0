"""Reads numbers from plain text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO

from yunxin_soap.campaign.lists import BATCH_SIZE, Batch, Source
from yunxin_soap.campaign.lists.encoding import open_text


class Text(Source):
    """Plain text: one number a line, or several joined by commas.

    Args:
        file: a path, or an open binary file such as ``sys.stdin.buffer``.
        encoding: the file's encoding. By default it is detected: UTF-8, GBK, or UTF-16 with a
            byte order mark.
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
