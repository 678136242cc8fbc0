"""Where the numbers of a campaign come from.

A source is read in batches, so that memory use does not grow with the length of the list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yunxin_soap.campaign.models import SkippedLine

BATCH_SIZE = 20_000
"""Rows in a batch, at most."""


@dataclass(frozen=True)
class Batch:
    """Some consecutive rows of a source."""

    lines: Sequence[int]
    """The line on which each row starts, counted from 1."""
    values: list[str]
    """The unparsed cell with the number, for each row."""
    rows: Sequence[Mapping[str, Any]] | None = None
    """The columns of each row by name, as the source holds them, if it has named columns."""
    skipped: Sequence[SkippedLine] = ()
    """Lines that are in no row, because the source cannot tell what they say."""


class Source:
    """A list of numbers, with or without other columns. It can be read once."""

    notes: Sequence[str] = ()
    """What a person should know about how the source was read, one sentence each: its encoding, for
    example. It is complete after the last batch."""

    def batches(self, *, columns: bool = True) -> Iterator[Batch]:
        """Read the source to its end.

        Args:
            columns: whether the caller needs `Batch.rows`. A source without named columns
                ignores it.

        Yields:
            The rows in their order.

        Raises:
            ConfigurationError: the source cannot be read, or has no column with numbers.
        """
        raise NotImplementedError
