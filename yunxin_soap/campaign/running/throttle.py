"""How much, and at which hours, a runner sends. Pure: the time is an argument."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from yunxin_soap.campaign.timezones import DEFAULT_TIMEZONE, parse_timezone
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence

_DAY = timedelta(days=1)
_WEEKS = 12 * 52
"""Weeks that show all offsets of a time zone, also those that begin with the moon's calendar."""


@dataclass(frozen=True)
class SendingHours:
    """The daily hours in which submissions may be sent, such as 08:00 to 21:00.

    They run past midnight if the end is earlier than the start. 00:00 to 00:00 is always.
    """

    start: time
    end: time
    timezone: ZoneInfo

    @classmethod
    def parse(cls, text: str, timezone: str = DEFAULT_TIMEZONE) -> SendingHours:
        """Parse ``08:00-21:00``; ``24:00`` is the end of a day.

        Raises:
            ConfigurationError: the text has another form, or there is no such time zone.
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
                Sentence(
                    "sending_hours={text} must be two different times of day, as in 08:00-21:00.",
                    text=repr(text),
                )
            ) from None
        return cls(start, end, parse_timezone(timezone))

    def __str__(self) -> str:
        """Show them, as in ``08:00-21:00 Asia/Shanghai``."""
        return f"{self.start:%H:%M}-{self.end:%H:%M} {self.timezone.key}"

    def is_within(self, opens: time, closes: time, offset: timedelta) -> bool:
        """Return whether nothing is sent outside of other hours, which do not run past midnight.

        Args:
            opens: when these begin.
            closes: when they end.
            offset: how far their clock is ahead of UTC, in summer and in winter.
        """
        start, end, first, last = map(_since_midnight, (self.start, self.end, opens, closes))
        lasts = (end - start) % _DAY or _DAY
        begins = {(start + offset - each) % _DAY for each in self._offsets()}
        return all(first <= each and each + lasts <= last for each in begins)

    def _offsets(self) -> set[timedelta]:
        """Return how far the clock of the time zone is ahead of UTC in any week of some years."""
        noon = datetime(2026, 1, 1, 12, tzinfo=self.timezone)
        weeks = (noon + timedelta(weeks=number) for number in range(_WEEKS))
        return {each.utcoffset() or timedelta() for each in weeks}

    def wait(self, now: float) -> float:
        """Return the seconds until submissions may be sent; 0 if they may be now.

        Args:
            now: seconds since 1970, UTC.
        """
        local = datetime.fromtimestamp(now, self.timezone)
        clock = local.time().replace(tzinfo=None)
        if self.start < self.end:
            is_open = self.start <= clock < self.end
        else:
            is_open = clock >= self.start or clock < self.end
        if is_open:
            return 0.0
        opens = datetime.combine(local.date(), self.start, self.timezone)
        if clock >= self.start:
            opens = datetime.combine(local.date() + timedelta(days=1), self.start, self.timezone)
        # The difference of the wall clock's times is wrong in a night in which the clock changes.
        if opens.timestamp() <= now:  # that hour comes a second time
            opens = opens.replace(fold=1)
        return opens.timestamp() - now


def _since_midnight(clock: time) -> timedelta:
    return timedelta(hours=clock.hour, minutes=clock.minute)


class ConcurrencyWindow:
    """Limits submissions in flight: few at first and after a failure, more with each success.

    A success counts for five seconds, or for twice the time that its response took if that is
    longer. So a gateway that begins to hang costs at most ``limit`` submissions, and no more than
    two beyond what it answered in the last seconds before: a campaign that is slowed down by a rate
    limit, or has just begun, loses few. A gateway that is slow and healthy still gets ``limit``.

    Args:
        limit: submissions in flight at most.
    """

    _FIRST = 2
    _COUNTS_FOR = 5.0
    """Seconds for which a success counts at least."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._without_success = min(self._FIRST, limit)
        # More successes than that change nothing.
        self._count_until: deque[float] = deque(maxlen=limit)

    def size(self, now: float) -> int:
        """Return how many submissions may be in flight now.

        Args:
            now: seconds, by a clock that only goes forward.
        """
        counting = sum(until > now for until in self._count_until)
        return min(self._limit, self._without_success + counting)

    def succeeded(self, took: float, now: float) -> None:
        """Allow one more for a while.

        Args:
            took: seconds from its start to its response.
            now: seconds, by the same clock.
        """
        self._count_until.append(now + max(self._COUNTS_FOR, 2 * took))

    def failed(self) -> None:
        """Allow only one."""
        self._count_until.clear()
        self._without_success = 1
