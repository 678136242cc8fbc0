"""A failure to connect is *not sent*, and only that is retried, while time is left."""

from __future__ import annotations

import pytest

from tests.support.checked_client import CheckedClient
from tests.support.clock import FakeClock
from tests.support.scripted_server import ScriptedServer, reply_with
from tests.support.wire_samples import result_response
from yunxin_soap import NotSent
from yunxin_soap.settings import Settings
from yunxin_soap.transport.retry import RetrySchedule


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_connect_refused_is_not_sent_after_all_retries(protocol: str, retries: int) -> None:
    """A refused connection is not sent, after as many retries as configured."""
    clock = FakeClock()
    with (
        ScriptedServer(reply_with(b""), listening=False) as server,
        CheckedClient(server, protocol, clock=clock, retries=retries) as checked,
    ):
        error = checked.assert_fails(NotSent)
    assert "refused" in str(error)
    assert f"127.0.0.1:{server.port}" in str(error)
    assert len(clock.sleeps) == retries


def test_connect_with_unresolved_host_name_is_not_sent(protocol: str) -> None:
    """A host name that cannot be resolved is not sent."""
    with CheckedClient("http://nothing.invalid/api/MsgSend.asmx", protocol, retries=0) as checked:
        error = checked.assert_fails(NotSent)
    assert "nothing.invalid" in str(error)
    assert "resolved" in str(error)


def test_retry_that_connects_sends_once(protocol: str) -> None:
    """A retry that connects sends the request once."""
    server = ScriptedServer(reply_with(result_response(protocol)), listening=False)
    clock = FakeClock(on_sleep=lambda: server.listen() if len(clock.sleeps) == 1 else None)
    with server, CheckedClient(server, protocol, clock=clock) as checked:
        checked.assert_accepted()
    assert len(clock.sleeps) == 2
    assert (server.connections, len(server.requests)) == (1, 1)


def test_retry_that_may_exceed_the_total_timeout_is_not_started() -> None:
    """A retry starts only if all of it fits into the total timeout."""
    clock = FakeClock(sleeps_longer_by=6.0)
    with (
        ScriptedServer(reply_with(b""), listening=False) as server,
        CheckedClient(
            server, clock=clock, retries=9, timeout=10.0, connect_timeout=5.0, total_timeout=25.0
        ) as checked,
    ):
        checked.assert_fails(NotSent)
    # A retry may start within 25 - 10 - 5 = 10 seconds, and each sleep takes a bit more than 6.
    assert len(clock.sleeps) == 2


def settings(retries: int, total_timeout: float) -> Settings:
    return Settings(
        "u", "p", retries=retries, timeout=10, connect_timeout=5, total_timeout=total_timeout
    )


def test_retry_schedule_delays_double_and_end() -> None:
    """Each delay is twice as long, and their number is limited."""
    schedule = RetrySchedule(settings(3, 60), clock=lambda: 0.0, jitter=lambda: 1.0)
    assert [schedule.next_delay() for _ in range(5)] == [0.2, 0.4, 0.8, None, None]


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 0.1), (0.5, 0.15), (1.0, 0.2)])
def test_retry_schedule_jitter_shortens_a_delay(jitter: float, pause: float) -> None:
    """The jitter shortens a delay by up to a half."""
    schedule = RetrySchedule(settings(1, 60), clock=lambda: 0.0, jitter=lambda: jitter)
    assert schedule.next_delay() == pytest.approx(pause)


def test_retry_schedule_default_jitter_varies_within_bounds() -> None:
    """The default jitter varies, within its bounds."""
    pauses = [RetrySchedule(settings(1, 60)).next_delay() for _ in range(20)]
    assert all(pause is not None and 0.1 <= pause <= 0.2 for pause in pauses)
    assert len(set(pauses)) > 1


@pytest.mark.parametrize(("now", "expected"), [(4.8, 0.2), (4.81, None), (1e6, None)])
def test_retry_schedule_ends_when_time_is_too_short(now: float, expected: float | None) -> None:
    """The schedule ends once a full attempt no longer fits into the total timeout."""
    clock = FakeClock()
    schedule = RetrySchedule(settings(5, 20), clock=clock.time, jitter=lambda: 1.0)
    clock.advance(now)
    assert schedule.next_delay() == expected
