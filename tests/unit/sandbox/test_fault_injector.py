"""Which submissions trigger a fault, how often, and what the listeners learn of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from yunxin_soap import ConfigurationError
from yunxin_soap.operation import PROTOCOLS
from yunxin_soap.sandbox.faults.injector import FaultInjector, TriggeredFault
from yunxin_soap.sandbox.faults.model import Fault, FaultKind


class FakeClock:
    """A monotonic clock that only moves when a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


def add(faults: FaultInjector, kind: FaultKind, times: int | None = None, **options: Any) -> int:
    """Activate a fault and return its id."""
    return faults.add(Fault.from_options(kind, times=times, **options))


def trigger(
    faults: FaultInjector, count: int = 1, fields: dict[str, str] | None = None
) -> list[TriggeredFault | None]:
    """Let that many submissions arrive; return what each of them triggers."""
    sent = {"DesNo": "13900000000", **(fields or {})}
    return [faults.trigger(sent, "soap") for _ in range(count)]


@pytest.mark.parametrize(
    ("options", "matching", "other"),
    [
        ({"numbers": ["13900000001"]}, {"DesNo": "13900000000,13900000001"}, {}),
        ({"user_code": "a"}, {"userCode": "a"}, {"userCode": "b"}),
        ({"text": "您"}, {"Msg": "您好"}, {"Msg": "好"}),
    ],
)
def test_injector_selection_hits_only_matching_submissions(
    options: dict[str, Any], matching: dict[str, str], other: dict[str, str]
) -> None:
    """A fault with a selection does not hit other submissions."""
    faults = FaultInjector()
    add(faults, "error", **options)
    assert trigger(faults, fields=other) == [None]
    assert trigger(faults, fields=matching) != [None]


def test_injector_protocol_hits_only_that_protocol() -> None:
    """A fault for one protocol does not hit the other three."""
    faults = FaultInjector()
    add(faults, "error", protocol="http-get")
    hit = [bool(faults.trigger({}, protocol)) for protocol in PROTOCOLS]
    assert hit == [False, False, True, False]


def test_injector_skip_and_times_count_matching_submissions() -> None:
    """`skip` submissions pass first, then `times` are hit, then the fault is exhausted."""
    faults = FaultInjector()
    fault_id = add(faults, "error", skip=2, times=3)
    assert [bool(each) for each in trigger(faults, 7)] == [False] * 2 + [True] * 3 + [False] * 2
    status = faults.statuses()[fault_id]
    assert (status.triggered, status.exhausted) == (3, True)


def test_injector_remove_returns_whether_the_fault_was_active() -> None:
    """Removing a fault twice is no error."""
    faults = FaultInjector()
    fault_id = add(faults, "error")
    assert faults.remove(fault_id)
    assert not faults.remove(fault_id)
    assert trigger(faults) == [None]


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.9])
def test_injector_probability_is_the_share_of_hits(probability: float) -> None:
    """Of many submissions, about that share is hit."""
    faults = FaultInjector()
    add(faults, "error", probability=probability, seed=3)
    share = sum(each is not None for each in trigger(faults, 10_000)) / 10_000
    assert abs(share - probability) < 0.02


@pytest.mark.parametrize("option", ["probability", "jitter"])
def test_injector_same_seed_repeats_the_run(option: str) -> None:
    """The same seed gives the same hits and delays, another seed others."""

    def run(seed: int) -> list[Any]:
        faults = FaultInjector()
        options: dict[str, Any] = {option: 0.5}
        add(faults, "trickle", seed=seed, **options)
        return [each and each.seconds for each in trigger(faults, 200)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    if option == "probability":
        assert 60 < sum(each is not None for each in run(1)) < 140
    else:
        assert all(0 <= each <= 0.5 for each in run(1))


def test_injector_jitter_may_go_beyond_the_limit_of_seconds() -> None:
    """The longest delay with jitter is a delay, not an error."""
    faults = FaultInjector()
    add(faults, "delay", seconds=86400, jitter=86400)
    (triggered,) = trigger(faults)
    assert triggered is not None
    assert 86400 < triggered.seconds < 2 * 86400


def test_injector_first_matching_fault_is_triggered() -> None:
    """A submission triggers the oldest fault that matches it, and only that one."""
    faults = FaultInjector()
    add(faults, "code", code="-7", times=1)
    add(faults, "error")
    assert [each.kind for each in trigger(faults, 2) if each] == ["code", "error"]
    faults.clear()
    assert trigger(faults) == [None]


def test_injector_balance_counts_accepted_numbers() -> None:
    """A balance is charged for accepted numbers only, and rejects what it cannot pay for."""
    faults = FaultInjector()
    add(faults, "balance", left=5)
    rejected = []
    for size in (2, 2, 2, 1, 1):
        fields = {"DesNo": ",".join(["13900000000"] * size)}
        rejected.append(faults.trigger(fields, "soap") is not None)
        if not rejected[-1]:
            faults.charge(fields, "soap")
    assert rejected == [False, False, True, False, True]


def test_injector_refund_restores_the_balance() -> None:
    """A submission that is rolled back costs nothing."""
    faults = FaultInjector()
    add(faults, "balance", left=1)
    fields = {"DesNo": "13900000000"}
    for _ in range(3):
        assert faults.trigger(fields, "soap") is None
        faults.charge(fields, "soap")
        faults.refund(fields, "soap")
    faults.charge(fields, "soap")
    assert faults.trigger(fields, "soap") is not None


def test_injector_unread_fault_is_only_for_unread_requests() -> None:
    """A fault with when=unread is not triggered by a submission, nor the other way round."""
    faults = FaultInjector()
    add(faults, "close", when="unread", times=1)
    add(faults, "error", times=1)
    (by_submission,) = trigger(faults)
    by_request = faults.trigger_unread()
    assert by_submission is not None
    assert by_request is not None
    assert (by_submission.kind, by_request.kind) == ("error", "close")
    assert faults.trigger_unread() is None


def test_injector_refuse_is_exhausted_after_its_seconds() -> None:
    """The port may open once the longest refusal has passed."""
    clock = FakeClock()
    faults = FaultInjector(clock=clock)
    short = add(faults, "refuse", seconds=2)
    long = add(faults, "refuse", seconds=5)
    assert faults.seconds_until_open() == 5
    clock.now += 3
    assert faults.seconds_until_open() == 2
    assert [faults.statuses()[each].exhausted for each in (short, long)] == [True, False]
    clock.now += 2
    assert faults.seconds_until_open() == 0
    assert faults.statuses()[long].exhausted


def test_injector_refuse_jitter_prolongs_it() -> None:
    """Jitter adds up to its seconds, and the same seed adds the same."""

    def seconds(seed: int) -> float:
        faults = FaultInjector(clock=FakeClock())
        add(faults, "refuse", seconds=2, jitter=3, seed=seed)
        return faults.seconds_until_open()

    assert 2 < seconds(1) < 5
    assert seconds(1) == seconds(1) != seconds(2)


def test_injector_exhausted_faults_make_place_for_new_ones() -> None:
    """At the limit, exhausted faults are dropped; active ones are an error."""
    faults = FaultInjector(max_faults=1)
    add(faults, "error", times=1)
    with pytest.raises(ConfigurationError, match="1 faults are active: remove some"):
        add(faults, "error")
    trigger(faults)
    fault_id = add(faults, "error")
    assert list(faults.statuses()) == [fault_id]


def test_injector_listeners_are_called_on_each_change() -> None:
    """Adding, triggering and removing a fault call a listener until it unsubscribes."""
    faults, seen = FaultInjector(), []
    unsubscribe = faults.subscribe(lambda: seen.append(len(faults.statuses())))
    fault_id = add(faults, "error", times=1)
    trigger(faults, 3)
    faults.remove(fault_id)
    faults.remove(fault_id)
    assert seen == [1, 1, 0]
    unsubscribe()
    add(faults, "error")
    assert seen == [1, 1, 0]


@pytest.fixture
def _frequent_thread_switches() -> Iterator[None]:
    """Switch threads as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_frequent_thread_switches")
def test_injector_faults_may_change_while_submissions_arrive() -> None:
    """Adding and removing faults in another thread does not disturb submissions."""
    faults = FaultInjector()
    for _ in range(200):  # so that a submission takes long to check them
        add(faults, "code", code=-14, numbers="13900000009")
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            faults.remove(add(faults, "close", numbers="13900000001"))

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        try:
            assert trigger(faults, 3_000) == [None] * 3_000
        finally:
            done.set()
        changing.result()
