"""The filter in front of a long do-not-send list: it never misses, and its memory is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.lists import numbers
from yunxin_soap.campaign.storage.value_filter import ValueFilter


@given(st.lists(st.text()), st.lists(st.text()), st.integers(0, 10**12))
def test_filter_misses_nothing(added: list[str], others: list[str], count: int) -> None:
    """What was added is hit, whatever it is, and whatever size was expected."""
    found = ValueFilter(min(count, 10**5))
    found.add(added)
    hits = found.hits([*added, *others])
    assert len(hits) == len(added) + len(others)
    assert all(hits[: len(added)])


def test_filter_leaves_little_to_look_up() -> None:
    """Of numbers that were not added, about one in a hundred is hit, or fewer."""
    listed, others = numbers(20_000), numbers(20_000, 13990000000)
    found = ValueFilter(len(listed))
    found.add(listed)
    assert all(found.hits(listed))
    assert sum(found.hits(others)) < len(others) // 20


def test_filter_has_bounded_memory() -> None:
    """A set of any size takes 16 MiB."""
    assert len(ValueFilter(10**9)._bits) == len(ValueFilter(10**6)._bits) == 16 << 20
