"""The retry schedule, without a network and without waiting."""

from __future__ import annotations

import time

import pytest

from tests.support.clock import FakeClock
from yunxin_soap.settings import Settings
from yunxin_soap.transport.retry import RetrySchedule


def settings(retries: int, total_timeout: float) -> Settings:
    return Settings(
        "u", "p", retries=retries, timeout=10, connect_timeout=5, total_timeout=total_timeout
    )


def test_retry_schedule_delays_double_and_end() -> None:
    """Each delay is twice as long, and their number is limited."""
    schedule = RetrySchedule(settings(3, 60), 0.0, clock=lambda: 0.0, jitter=lambda: 1.0)
    assert [schedule.next_delay() for _ in range(5)] == [0.2, 0.4, 0.8, None, None]


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 0.1), (0.5, 0.15), (1.0, 0.2)])
def test_retry_schedule_jitter_shortens_a_delay(jitter: float, pause: float) -> None:
    """The jitter shortens a delay by up to a half."""
    schedule = RetrySchedule(settings(1, 60), 0.0, clock=lambda: 0.0, jitter=lambda: jitter)
    assert schedule.next_delay() == pytest.approx(pause)


def test_retry_schedule_default_jitter_varies_within_bounds() -> None:
    """The default jitter varies, within its bounds."""
    pauses = [RetrySchedule(settings(1, 60), time.monotonic()).next_delay() for _ in range(20)]
    assert all(pause is not None and 0.1 <= pause <= 0.2 for pause in pauses)
    assert len(set(pauses)) > 1


@pytest.mark.parametrize(("now", "expected"), [(4.8, 0.2), (4.81, None), (1e6, None)])
def test_retry_schedule_ends_when_time_is_too_short(now: float, expected: float | None) -> None:
    """The schedule ends once a full attempt no longer fits into the total timeout."""
    clock = FakeClock()
    schedule = RetrySchedule(settings(5, 20), clock.time(), clock=clock.time, jitter=lambda: 1.0)
    clock.advance(now)
    assert schedule.next_delay() == expected
