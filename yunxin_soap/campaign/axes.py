"""Buckets and axes of charts whose sizes are round for people. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

_DAY = 86400
_TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200),
)
"""Seconds, minutes and hours that divide a day."""
_MANTISSAS = (1, 2, 5)


def round_step(least: float) -> float:
    """Return the least of 1, 2, 5, 10, 20, 50 and so on, or 0.5, 0.2 …, that is no smaller.

    Args:
        least: a number above 0.
    """
    power = math.floor(math.log10(least))
    steps = [_scaled(mantissa, at) for at in (power, power + 1) for mantissa in _MANTISSAS]
    return next(each for each in steps if each >= least)


def round_ticks(largest: float, *, whole: bool, count: int = 4) -> list[float]:
    """Return the ticks of an axis from 0 on, whose last is no smaller than the largest value.

    Args:
        largest: the largest value.
        whole: whether the values are whole numbers, so that no tick may be between two.
        count: how many intervals are between the ticks at most.
    """
    step = round_step(max(largest, 1e-9) / count)
    if whole:
        step = max(1, step)
    return [at * step for at in range(max(1, math.ceil(largest / step)) + 1)]


def time_step(seconds: float, count: int) -> int:
    """Return the least round period, of at least a second, of which so many cover a time.

    Args:
        seconds: the time.
        count: how many periods at most.
    """
    least = seconds / count
    for step in _TIME_STEPS:
        if step >= least:
            return step
    return _DAY * max(1, math.ceil(round_step(least / _DAY)))


def floor_time(at: float, step: int, zone: ZoneInfo) -> float:
    """Return the last round time of a zone's clock before or at a time.

    Args:
        at: the time, in seconds since 1970.
        step: the period between round times, as of `time_step`.
        zone: the time zone.
    """
    offset = datetime.fromtimestamp(at, zone).utcoffset() or timedelta()
    return at - (at + offset.total_seconds()) % step


def time_ticks(start: float, end: float, zone: ZoneInfo, count: int = 6) -> list[float]:
    """Return the round times of a zone's clock from a time to another, both included.

    Args:
        start: the first time, in seconds since 1970.
        end: the last time.
        zone: the time zone.
        count: how many ticks at most.
    """
    # Between n + 1 ticks are n periods.
    step = time_step(max(end - start, 1), count - 1)
    # By the clock on the wall, so that a change to summer time leaves the ticks round.
    wall = datetime.fromtimestamp(floor_time(start, step, zone), zone).replace(tzinfo=None)
    clock = (wall + timedelta(seconds=step * at) for at in range(count + 2))
    ticks = {each.replace(tzinfo=zone).timestamp() for each in clock}
    return sorted(each for each in ticks if start <= each <= end)[:count]


def label_times(ticks: Sequence[float], zone: ZoneInfo) -> list[str]:
    """Return the labels of times: no finer, and no coarser, than they differ.

    Args:
        ticks: the times, in seconds since 1970.
        zone: the time zone.
    """
    times = [datetime.fromtimestamp(each, timezone.utc).astimezone(zone) for each in ticks]
    has_seconds = any(each.second for each in times)
    is_midnight = not any(each.hour or each.minute or each.second for each in times)
    clock = "%H:%M:%S" if has_seconds else "%H:%M"
    if len({each.date() for each in times}) == 1:
        return [f"{each:{clock}}" for each in times]
    return [f"{each:%m-%d}" if is_midnight else f"{each:%m-%d {clock}}" for each in times]


def _scaled(mantissa: int, power: int) -> float:
    # Division is exact where a product with 0.001 is not.
    return float(mantissa * 10**power) if power >= 0 else mantissa / float(10**-power)
