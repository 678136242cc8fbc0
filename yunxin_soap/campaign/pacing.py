"""When submissions may be sent under limits that hold for many runners. Pure.

A limit has a row of slots, one every ``1 / rate`` seconds, and the time of its first free slot is
all that is kept of it (the generic cell rate algorithm). Who claims submissions takes the next
slots for them, and sends each in its slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

LOOK_AHEAD = 0.2
"""Seconds from now on in which slots may be taken: to claim a submission takes some time."""
REFILL = 0.1
"""Seconds before the first free slot at which a runner looks for slots again."""
_CATCH_UP = 0.05
"""Seconds of slots that nobody took in time, and that may still be taken."""
_LARGEST = 1000
"""The most numbers of a submission."""


@dataclass
class Limit:
    """A limit of submissions, or of numbers, and its first free slot."""

    rate: float
    """Submissions, or numbers, a second."""
    next_at: float
    """The time of the first free slot, in seconds by the ledger's clock."""
    counts_numbers: bool = False

    def first(self, now: float) -> float:
        """Return the first slot that may be taken.

        One that is further away than it can be shows that the clock was set.
        """
        largest = _LARGEST if self.counts_numbers else 1
        latest = now + LOOK_AHEAD + largest / self.rate
        return min(max(self.next_at, now - _CATCH_UP), latest)

    def slots_for(self, submissions: int, numbers: int) -> int:
        """Return how many slots some submissions with so many numbers take."""
        return numbers if self.counts_numbers else submissions

    def change_rate(self, rate: float, now: float) -> None:
        """Let the time until the first free slot be as long as it would be with another rate."""
        self.next_at = now + max(0.0, self.first(now) - now) * self.rate / rate
        self.rate = rate


class Slots:
    """The slots of several limits that hold together.

    A submission takes a slot of each limit, and is sent in the last of them. A large one takes as
    many slots of numbers as it has, and is sent in the first of these: it delays the next.

    Args:
        limits: the limits; to take slots changes them.
        now: the time, by the ledger's clock.
    """

    def __init__(self, limits: Sequence[Limit], now: float) -> None:
        self._limits, self._until = limits, now + LOOK_AHEAD
        for each in limits:
            each.next_at = each.first(now)
        self.counts_numbers = any(each.counts_numbers for each in limits)

    def room(self) -> int:
        """Return for how many submissions there are slots, if each has one number."""
        return min(self._room_of(each) for each in self._limits)

    def _room_of(self, limit: Limit) -> int:
        last = self._last_of(limit)
        return 0 if last < 0 else int(last) + 1

    def _last_of(self, limit: Limit) -> float:
        """Return how many slots behind the first free one the last is that may be taken."""
        return (self._until - limit.next_at) * limit.rate

    def fit(self, sizes: Sequence[int]) -> int:
        """Return for how many of some submissions there are slots, from the first one on.

        Args:
            sizes: the count of the numbers of each.
        """
        numbers = 0
        for count, size in enumerate(sizes):
            if any(each.slots_for(count, numbers) > self._last_of(each) for each in self._limits):
                return count
            numbers += size
        return len(sizes)

    def take(self, sizes: Sequence[int]) -> list[float]:
        """Return when each of some submissions is to be sent, by the ledger's clock.

        Args:
            sizes: the count of the numbers of each.
        """
        numbers = list(accumulate(sizes, initial=0))

        # From the first slot, not from the one before: rounding must not add up.
        def slot_behind(limit: Limit, count: int) -> float:
            return limit.next_at + limit.slots_for(count, numbers[count]) / limit.rate

        taken = [
            max(slot_behind(each, count) for each in self._limits) for count in range(len(sizes))
        ]
        for each in self._limits:
            each.next_at = slot_behind(each, len(sizes))
        return taken

    def look_at(self) -> float:
        """Return when to look for slots again, by the ledger's clock."""
        return max(each.next_at for each in self._limits) - REFILL
