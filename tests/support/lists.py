"""Lists of numbers for tests, and what a planner makes of them."""

from __future__ import annotations

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
