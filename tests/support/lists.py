"""Lists of numbers for tests, and what a planner makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from yunxin_soap.campaign.lists.rows import as_source
from yunxin_soap.campaign.models import SkippedLine
from yunxin_soap.campaign.planning import Planner

TEXT = "您好【签名】"


class Planned(NamedTuple):
    """The content of a plan."""

    texts: dict[str, list[str]]
    """The numbers of each text, in the order of the submissions."""
    skipped: list[SkippedLine]


class Suppressed:
    """A do-not-send list that a test holds.

    Args:
        reasons: the reason of each number.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._reasons = reasons

    def reasons(self, numbers: Sequence[str]) -> Mapping[str, str]:
        """Return those of some numbers that are on the list."""
        return {each: self._reasons[each] for each in numbers if each in self._reasons}


def numbers(count: int, start: int = 13910000000) -> list[str]:
    """Return different mobile numbers."""
    return [str(start + index) for index in range(count)]


def planned(source: Any, message: str = TEXT, **options: Any) -> Planned:
    """Read a source with a planner and return what it made of it."""
    planner = Planner(message, channel=37, **options)
    try:
        planner.read(as_source(source))
        texts: dict[str, list[str]] = {}
        for text, joined, size in planner.submissions():
            assert len(joined.split(",")) == size
            texts.setdefault(text, []).extend(joined.split(","))
        return Planned(texts, list(planner.skipped_lines()))
    finally:
        planner.close()
