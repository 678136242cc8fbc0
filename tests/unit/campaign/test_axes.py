"""Buckets and axes: round, and they cover what they are for."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap.campaign.axes import (
    floor_time,
    label_times,
    round_step,
    round_ticks,
    time_step,
    time_ticks,
)

ZONES = [ZoneInfo(each) for each in ("Asia/Shanghai", "UTC", "Asia/Kathmandu")]
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc).timestamp()


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_round_step_is_the_least_of_1_2_5(least: float) -> None:
    """A step is 1, 2 or 5 times a power of ten, no smaller than asked, and less than 2.5 times."""
    step = round_step(least)
    assert least <= step < 2.5 * least * (1 + 1e-9)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - each) for each in (1, 2, 5)) < 1e-6


@given(st.floats(min_value=0, max_value=1e10), st.booleans(), st.integers(1, 8))
def test_round_ticks_cover_the_largest_value(largest: float, whole: bool, count: int) -> None:
    """The ticks start at 0, are evenly spaced, and end at the largest value or just above."""
    ticks = round_ticks(largest, whole=whole, count=count)
    assert ticks[0] == 0
    assert ticks[-1] >= largest * (1 - 1e-9)
    assert 2 <= len(ticks) <= count + 2
    assert not largest or ticks[-2] <= largest
    if whole:
        assert all(each == int(each) for each in ticks)


@pytest.mark.parametrize(
    ("largest", "whole", "ticks"),
    [
        (7, True, [0, 2, 4, 6, 8]),
        (1, True, [0, 1]),
        (0.3, False, [0, 0.1, 0.2, pytest.approx(0.3)]),
        (412, False, [0, 200, 400, 600]),
    ],
)
def test_round_ticks_examples(largest: float, whole: bool, ticks: list[float]) -> None:
    """The ticks are those that a person would choose."""
    assert round_ticks(largest, whole=whole) == ticks


@given(st.floats(min_value=0, max_value=1e9), st.integers(2, 100))
def test_time_step_is_a_second_at_least(seconds: float, count: int) -> None:
    """So many periods cover the time; a period divides a day, or is a round count of days."""
    step = time_step(seconds, count)
    assert step >= 1
    assert step * count >= seconds * (1 - 1e-9)
    assert 86400 % step == 0 if step < 86400 else step % 86400 == 0


@pytest.mark.parametrize(
    ("seconds", "step"), [(0.2, 1), (60, 1), (61, 2), (3600, 60), (86400, 1800), (864000, 21600)]
)
def test_time_step_examples(seconds: float, step: int) -> None:
    """A campaign has up to 60 buckets, each of a second at least."""
    assert time_step(seconds, 60) == step


@given(
    st.floats(min_value=1e9, max_value=4e9),
    st.floats(min_value=0, max_value=1e8),
    st.sampled_from(ZONES),
)
def test_time_ticks_are_within_and_round(start: float, seconds: float, zone: ZoneInfo) -> None:
    """The ticks are within the time, few, and at a round time of the zone's clock."""
    end = start + seconds
    ticks = time_ticks(start, end, zone)
    assert len(ticks) <= 6
    assert all(start <= each <= end for each in ticks)
    step = time_step(max(seconds, 1), 5)
    assert all(each - floor_time(each, step, zone) < 0.001 for each in ticks)
    assert len(ticks) >= min(2, seconds // step)
    assert len(label_times(ticks, zone)) == len(ticks)


@pytest.mark.parametrize(
    ("seconds", "zone", "labels"),
    [
        (10, "Asia/Shanghai", [f"11:04:{each:02}" for each in (6, 8, 10, 12, 14)]),
        (3600, "Asia/Shanghai", ["11:15", "11:30", "11:45", "12:00"]),
        (3600, "UTC", ["03:15", "03:30", "03:45", "04:00"]),
        (86400, "Asia/Shanghai", ["01-02 12:00", "01-02 18:00", "01-03 00:00", "01-03 06:00"]),
        (86400 * 4, "Asia/Shanghai", ["01-03", "01-04", "01-05", "01-06"]),
    ],
)
def test_time_ticks_examples(seconds: float, zone: str, labels: list[str]) -> None:
    """The labels are times of day in the zone; they have a date if there are several days."""
    ticks = time_ticks(START, START + seconds, ZoneInfo(zone))
    assert label_times(ticks, ZoneInfo(zone)) == labels


def test_time_ticks_are_round_after_a_change_to_summer_time() -> None:
    """Where the clock is put forward, the ticks stay at round hours."""
    zone = ZoneInfo("America/New_York")
    start = datetime(2026, 3, 7, 20, tzinfo=zone).timestamp()
    ticks = time_ticks(start, start + 86400, zone)
    assert label_times(ticks, zone) == ["00:00", "06:00", "12:00", "18:00"]
