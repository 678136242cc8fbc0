"""The store of arrivals in memory: its counts and its limits."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.support.arrivals import add_arrival
from yunxin_soap.sandbox.arrivals.counter import NumberCounter
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sandbox.arrivals.store import ArrivalStore, StoreLimits


def test_store_counts_accepted_numbers() -> None:
    """Only accepted numbers are counted; `clear` resets the counts but not the ids."""
    store = ArrivalStore()
    add_arrival(store, batch_no="1", recipients=("13900000000", "13900000001"))
    add_arrival(store, batch_no="2", recipients=("13900000000",))
    add_arrival(store, outcome=Outcome.REJECTED, recipients=("13900000001",))
    assert store.accepted_numbers == {"13900000000": 2, "13900000001": 1}
    assert store.times_accepted("13900000009") == 0
    assert [arrival.id for arrival in store.arrivals] == [1, 2, 3]
    store.clear()
    assert (store.arrivals, store.accepted_numbers) == ((), {})


def test_store_drops_the_oldest_beyond_max_arrivals() -> None:
    """The oldest arrivals are dropped and counted; the counts of numbers stay."""
    store = ArrivalStore(limits=StoreLimits(max_arrivals=3))
    for index in range(5):
        add_arrival(store, batch_no=str(index), recipients=("13900000000",))
    assert [arrival.id for arrival in store.arrivals] == [3, 4, 5]
    assert store.dropped == 2
    assert store.times_accepted("13900000000") == 5


def test_store_drops_the_oldest_beyond_max_bytes() -> None:
    """Long texts are dropped although the arrivals are few."""
    store = ArrivalStore(limits=StoreLimits(max_bytes=10_000))
    for _ in range(5):
        add_arrival(store, message="x" * 4000)
    assert len(store.arrivals) == 2
    assert store.dropped == 3


def test_store_arrival_is_found_by_id() -> None:
    """An arrival is found by its id until it is dropped."""
    store = ArrivalStore(limits=StoreLimits(max_arrivals=2))
    assert store.arrival(1) is None
    added = [add_arrival(store, batch_no=str(at)) for at in range(4)]
    assert [store.arrival(number) for number in range(6)] == [None, None, None, *added[2:], None]


def test_store_every_text_counts_towards_max_bytes() -> None:
    """Account, channel, extension and recipients count too."""
    store = ArrivalStore(limits=StoreLimits(max_bytes=10_000))
    for field in ("user_code", "channel", "extension"):
        add_arrival(store, **{field: "x" * 9000})
    add_arrival(store, recipients=("x" * 9000,))
    assert store.dropped == 3


def test_number_counter_beyond_memory_uses_a_file() -> None:
    """Counts are right whether they are in memory or in the temporary file."""
    counted, expected = NumberCounter(10, batch_size=3), Counter[str]()
    for start in (0, 5, 8, 0):
        numbers = [str(13900000000 + at) for at in range(start, start + 9)]
        counted.add(numbers)
        expected.update(numbers)
        assert counted.counts() == expected
        assert all(counted.times(number) == expected[number] for number in numbers)
    for none in ("13900000099", "0013900000000", "", "x", "9" * 30):
        assert counted.times(none) == 0
    counted.clear()
    assert (counted.counts(), counted.times("13900000000")) == ({}, 0)


def test_store_default_limits_bound_memory() -> None:
    """By default, memory has 10,000 arrivals and 64 MiB of text."""
    store = ArrivalStore()
    for number in range(20):
        add_arrival(
            store, outcome=Outcome.REJECTED, result="-5", message=str(number) + "字" * (1 << 20)
        )
    assert (store.limits.max_arrivals, store.limits.max_bytes) == (10_000, 64 << 20)
    assert store.kept < 20
    assert store.kept + store.dropped == 20


def test_store_accepted_has_only_accepted_arrivals() -> None:
    """`accepted` leaves rejected, failed and malformed arrivals out."""
    store = ArrivalStore()
    for outcome in Outcome:
        add_arrival(store, outcome=outcome)
    assert [each.outcome for each in store.accepted] == [Outcome.ACCEPTED]
    assert [each.outcome for each in store.arrivals] == [*Outcome]


def test_store_listeners_get_each_arrival_and_none_after_clear() -> None:
    """A listener is called until it unsubscribes."""
    store = ArrivalStore()
    seen: list[Arrival | None] = []
    unsubscribe = store.subscribe(seen.append)
    added = add_arrival(store)
    store.clear()
    unsubscribe()
    add_arrival(store)
    assert seen == [added, None]


@pytest.mark.parametrize(
    ("values", "summary"),
    [
        (
            {
                "batch_no": "7",
                "result": "7",
                "protocol": "soap",
                "recipients": ("1", "2", "3", "4"),
            },
            "accepted 7: to 1,2,3,… over soap: ''",
        ),
        (
            {"outcome": Outcome.FAILED, "result": "", "protocol": "soap", "fault": "error"},
            "failed: to nobody over soap: '', triggered the fault 'error'",
        ),
        ({"outcome": Outcome.MALFORMED, "result": "HTTP 400"}, "malformed: HTTP 400"),
    ],
)
def test_arrival_summary_is_one_readable_line(values: dict[str, Any], summary: str) -> None:
    """The summary has the outcome, the first three numbers, the protocol and the fault."""
    assert add_arrival(ArrivalStore(), **values).summary == summary
