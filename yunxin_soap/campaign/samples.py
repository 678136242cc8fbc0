"""Chooses the texts of a campaign that a person should see before they are sent. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from yunxin_soap.campaign.models import Sample, SampleName
from yunxin_soap.message import SINGLE_SEGMENT, count_segments, utf16_length


class Samples:
    """Sees every text, and keeps the first, the longest, the shortest and one of each size."""

    def __init__(self) -> None:
        self.numbers_by_segments: Counter[int] = Counter()
        """How many numbers get a text of each count of segments."""
        self._extremes: dict[SampleName, tuple[int, Sample]] = {}
        """The samples with a name, each with its length in UTF-16 units."""
        self._by_segments: dict[int, Sample] = {}
        """The first text of each count of segments."""

    @property
    def first(self) -> str:
        """The first text; empty if there was none."""
        return self._extremes["first"][1].message if self._extremes else ""

    def add(self, message: str, count: int, sample: Callable[[str, int], Sample]) -> None:
        """See a text.

        Args:
            message: the text.
            count: how many numbers get it.
            sample: makes a sample of the text and the count of its segments. It is called only for
                a text that is kept.
        """
        segments, length = count_segments(message), utf16_length(message)
        self.numbers_by_segments[segments] += count
        shortest, longest = self._extremes.get("shortest"), self._extremes.get("longest")
        if shortest is None or longest is None:
            made = sample(message, segments)
            self._extremes = dict.fromkeys(("first", "longest", "shortest"), (length, made))
        elif length > longest[0]:
            self._extremes["longest"] = (length, sample(message, segments))
        elif length < shortest[0]:
            self._extremes["shortest"] = (length, sample(message, segments))
        if segments not in self._by_segments:
            self._by_segments[segments] = sample(message, segments)

    def add_usual(self, messages: Sequence[str]) -> bool:
        """See many texts at once, if each has one segment and none is to be kept.

        Args:
            messages: the text of each number.

        Returns:
            Whether that is so; if not, nothing was seen.
        """
        shortest, longest = self._extremes.get("shortest"), self._extremes.get("longest")
        if shortest is None or longest is None or 1 not in self._by_segments or not messages:
            return False
        if utf16_length("".join(messages)) != sum(map(len, messages)):
            return False  # a character takes two units
        most = max(map(len, messages))
        if most > longest[0] or min(map(len, messages)) < shortest[0] or most > SINGLE_SEGMENT:
            return False
        self.numbers_by_segments[1] += len(messages)
        return True

    def chosen(self) -> tuple[Sample, ...]:
        """Return the samples, each text once, those with a name first."""
        return tuple(self._chosen())

    def _chosen(self) -> Iterator[Sample]:
        named: dict[str, Sample] = {}
        for name, (_, sample) in self._extremes.items():
            known = named.get(sample.message, sample)
            named[sample.message] = replace(known, names=(*known.names, name))
        yield from named.values()
        shown = {each.segments for each in named.values()}
        for segments, sample in sorted(self._by_segments.items()):
            if segments not in shown:
                yield sample
