"""How fast, and at what hours: pure, with the time passed in."""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from yunxin_soap.errors import ConfigurationError

DEFAULT_ZONE = "Asia/Shanghai"


@dataclass(frozen=True)
class Hours:
    """When submits may be sent, as in 08:00 to 21:00; past midnight if the end is the earlier.

    From 00:00 to 00:00 is always.
    """

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str = DEFAULT_ZONE) -> Hours:
        """Read ``08:00-21:00``; ``24:00`` is the end of a day.

        Raises:
            ConfigurationError: it is not of that form, or there is no such zone.
        """
        found = re.fullmatch(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", text.strip())
        try:
            if found is None:
                raise ValueError
            start = time(int(found[1]), int(found[2]))
            to_midnight = (found[3], found[4]) == ("24", "00")
            end = time() if to_midnight else time(int(found[3]), int(found[4]))
            if start == end and not to_midnight:
                raise ValueError
        except ValueError:
            raise ConfigurationError(
                f"Allowed hours {text!r} must be two different times of day, as in 08:00-21:00."
            ) from None
        try:
            return cls(start, end, ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigurationError(
                f"There is no time zone {zone!r}: name one such as {DEFAULT_ZONE}."
            ) from None

    def __str__(self) -> str:
        """Show them, as in ``08:00-21:00 Asia/Shanghai``."""
        return f"{self.start:%H:%M}-{self.end:%H:%M} {self.zone.key}"

    def wait(self, now: float) -> float:
        """Return the seconds until submits may be sent; 0 if they may be now.

        Args:
            now: seconds since 1970, in UTC.
        """
        local = datetime.fromtimestamp(now, self.zone)
        clock = local.time().replace(tzinfo=None)
        if self.start < self.end:
            is_open = self.start <= clock < self.end
        else:
            is_open = clock >= self.start or clock < self.end
        if is_open:
            return 0.0
        opens = datetime.combine(local.date(), self.start, self.zone)
        if clock >= self.start:
            opens = datetime.combine(local.date() + timedelta(days=1), self.start, self.zone)
        # Not by the clocks' difference: a night may be longer or shorter than they say.
        if opens.timestamp() <= now:  # that hour comes a second time
            opens = opens.replace(fold=1)
        return opens.timestamp() - now


class Rate:
    """At most so many in any second, of submits or of numbers: those of the last one are known.

    Where less than one a second may go, or a submit has more numbers than may go in one, that takes
    as many seconds as it must.

    Args:
        per_second: how many.
    """

    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._most = math.ceil(per_second)
        self._gone: deque[tuple[float, int]] = deque()
        """Until when each counts that has gone, and for how many."""
        self._counted = 0
        self._size = 1
        """Of the last that has gone; the next will have about as many."""

    def allowed(self, now: float) -> int:
        """Return how many submits may go now.

        Args:
            now: seconds, of any clock that only goes forward.
        """
        while self._gone and self._gone[0][0] <= now:
            self._counted -= self._gone.popleft()[1]
        free = max(0, (self._most - self._counted) // self._size)
        return free if self._gone else max(1, free)

    def spend(self, amount: int, now: float) -> None:
        """Count a submit that goes."""
        self._counted += amount
        # Beyond what may go in one, where it was larger than the last, it counts for longer.
        counts_for = max(amount, self._most, self._counted) / self._rate
        self._gone.append((now + counts_for, amount))
        self._size = amount

    def wait(self, now: float) -> float:
        """Return the seconds until one more may go."""
        if self.allowed(now):
            return 0.0
        counted = self._counted
        for until, amount in self._gone:
            counted -= amount
            if self._most - counted >= self._size:
                return until - now
        return self._gone[-1][0] - now


class Window:
    """How many submits may be in flight: few at first and after a failure, more with each success.

    So a sick gateway costs a handful of unknown outcomes.

    Args:
        most: in flight at the most.
    """

    _FIRST = 2

    def __init__(self, most: int) -> None:
        self._most = most
        self.size = min(self._FIRST, most)

    def succeeded(self) -> None:
        """Open it by one more."""
        self.size = min(self._most, self.size + 1)

    def failed(self) -> None:
        """Close it down to one."""
        self.size = 1
