"""The slots of limits that hold for many runners."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yunxin_soap.campaign.pacing import LOOK_AHEAD, REFILL, Limit, Slots

NOW = 1_800_000_000.0
_RATES = st.floats(0.5, 5000)


def most_in_a_second(slots: list[float]) -> int:
    """Return the most slots in any second."""
    most = start = 0
    for end, slot in enumerate(slots):
        while slots[start] <= slot - 1:
            start += 1
        most = max(most, end - start + 1)
    return most


@example(rate=68.0, steps=[(0.0, 18)])  # the last slot begins when the look ahead ends
@example(rate=24.0, steps=[(0.0, 7)])
@example(rate=196.0, steps=[(0.0, 50)])
@given(rate=_RATES, steps=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 500)), max_size=30))
def test_slots_hold_in_every_second(rate: float, steps: list[tuple[float, int]]) -> None:
    """However runners look for slots, none is taken twice, and no second has many more."""
    limit, now, taken = Limit(rate, 0.0), NOW, list[float]()
    for passed, asked in steps:
        now += passed
        slots = Slots([limit], now)
        count = min(asked, slots.room())
        assert slots.fit([1] * count) == count
        new = slots.take([1] * count)
        assert all(each <= now + LOOK_AHEAD + 1e-6 for each in new)
        taken += new
    gaps = [later - earlier for earlier, later in pairwise(taken)]
    assert all(each > 0.999 / rate - 1e-6 for each in gaps)
    assert most_in_a_second(taken) <= rate + 1


@given(rate=_RATES, size=st.integers(1, 1000))
def test_slots_lose_nothing_while_somebody_looks_in_time(rate: float, size: int) -> None:
    """Who looks again when it is told to gets every slot."""
    limit, now, taken = Limit(rate, 0.0, counts_numbers=True), NOW, list[float]()
    while len(taken) < 50:
        slots = Slots([limit], now)
        taken += slots.take([size] * slots.fit([size] * 200))
        now = max(now, slots.look_at())
    average = (taken[49] - taken[0]) / 49
    assert average == pytest.approx(size / rate, rel=1e-3)


def test_slots_begin_at_once_and_idle_time_gives_no_burst() -> None:
    """The first submission is not held up; after an hour of rest, slots are as far apart."""
    limit = Limit(10.0, NOW - 3600)
    for now in (NOW, NOW + 3600):
        first, second = Slots([limit], now).take([1, 1])
        assert now - 0.1 < first <= now
        assert second - first == pytest.approx(0.1)


def test_slots_are_taken_only_a_little_ahead() -> None:
    """There is room for what begins within 0.2 s; the next look is 0.1 s before the next slot."""
    limit = Limit(100.0, NOW + 0.1)
    slots = Slots([limit], NOW)
    assert slots.room() in (10, 11)
    slots.take([1] * slots.room())
    assert Slots([limit], NOW).room() == 0
    assert slots.look_at() == pytest.approx(NOW + LOOK_AHEAD + 0.01 - REFILL, abs=0.011)
    assert Slots([limit], slots.look_at()).room() in (10, 11)


def test_slots_of_two_limits_hold_together() -> None:
    """Each submission waits for both limits, and takes from each only what is its own."""
    few, many = Limit(10.0, NOW), Limit(1000.0, NOW)
    slots = Slots([few, many], NOW)
    assert slots.room() == 3
    assert slots.take([1, 1]) == pytest.approx([NOW, NOW + 0.1])
    assert few.next_at == pytest.approx(NOW + 0.2)
    assert many.next_at == pytest.approx(NOW + 0.002)


def test_large_submission_delays_the_next() -> None:
    """A limit of numbers lets a large submission go whole, and then waits."""
    limit = Limit(100.0, NOW, counts_numbers=True)
    slots = Slots([limit], NOW)
    assert slots.fit([500, 1]) == 1
    assert slots.take([500]) == [NOW]
    assert Slots([limit], NOW + 4.79).room() == 0
    assert Slots([limit], NOW + 4.81).room() > 0
    assert slots.look_at() == pytest.approx(NOW + 5 - REFILL)


@pytest.mark.parametrize("counts_numbers", [False, True])
def test_clock_that_was_set_back_stops_nobody(*, counts_numbers: bool) -> None:
    """A slot further away than any can be is moved to where it can be."""
    limit = Limit(50.0, NOW + 3600, counts_numbers=counts_numbers)
    slots = Slots([limit], NOW)
    assert slots.room() == 0
    assert slots.look_at() <= NOW + LOOK_AHEAD + (20.0 if counts_numbers else 0.02)


def test_changed_rate_changes_the_wait_at_once() -> None:
    """A long wait for a slot is as much shorter as the new rate is higher."""
    limit = Limit(0.1, NOW + 10)
    limit.change_rate(10.0, NOW)
    assert limit.rate == 10.0
    assert limit.next_at == pytest.approx(NOW + 0.1)
    limit.change_rate(0.1, NOW)
    assert limit.rate == 0.1
    assert limit.next_at == pytest.approx(NOW + 10, abs=0.1)
