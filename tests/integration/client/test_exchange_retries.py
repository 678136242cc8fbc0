"""No connection is *not sent*; another is tried only then, and only while time is left."""

from __future__ import annotations

import pytest

from tests.support.scripted_server import (
    Caller,
    FakeTime,
    Server,
    answer,
    replying,
)
from yunxin_soap import NotSent
from yunxin_soap.settings import Settings
from yunxin_soap.transport.retry import RetrySchedule


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_refused_connection_is_not_sent(protocol: str, retries: int) -> None:
    time = FakeTime()
    with (
        Server(replying(b""), listening=False) as server,
        Caller(server, protocol, time=time, retries=retries) as caller,
    ):
        error = caller.fails(NotSent)
    assert "refused" in str(error)
    assert f"127.0.0.1:{server.port}" in str(error)
    assert len(time.pauses) == retries


def test_an_unknown_host_name_is_not_sent(protocol: str) -> None:
    with Caller("http://nothing.invalid/api/MsgSend.asmx", protocol, retries=0) as caller:
        error = caller.fails(NotSent)
    assert "nothing.invalid" in str(error)
    assert "resolved" in str(error)


def test_a_connection_that_succeeds_later_submits_once(protocol: str) -> None:
    server = Server(replying(answer(protocol)), listening=False)
    time = FakeTime(on_sleep=lambda: server.listen() if len(time.pauses) == 1 else None)
    with server, Caller(server, protocol, time=time) as caller:
        caller.accepted()
    assert len(time.pauses) == 2
    assert (server.connections, len(server.requests)) == (1, 1)


def test_no_retry_begins_that_the_deadline_may_cut_short() -> None:
    time = FakeTime(extra=6.0)
    with (
        Server(replying(b""), listening=False) as server,
        Caller(
            server, time=time, retries=9, timeout=10.0, connect_timeout=5.0, total_timeout=25.0
        ) as caller,
    ):
        caller.fails(NotSent)
    # 25 - 10 - 5 leaves ten seconds to begin in, and each pause takes six and a little.
    assert len(time.pauses) == 2


def settings(retries: int, total_timeout: float) -> Settings:
    return Settings(
        "u", "p", retries=retries, timeout=10, connect_timeout=5, total_timeout=total_timeout
    )


def test_pauses_double_and_end() -> None:
    attempts = RetrySchedule(settings(3, 60), clock=lambda: 0.0, jitter=lambda: 1.0)
    assert [attempts.next_delay() for _ in range(5)] == [0.2, 0.4, 0.8, None, None]


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 0.1), (0.5, 0.15), (1.0, 0.2)])
def test_pauses_are_spread(jitter: float, pause: float) -> None:
    attempts = RetrySchedule(settings(1, 60), clock=lambda: 0.0, jitter=lambda: jitter)
    assert attempts.next_delay() == pytest.approx(pause)


def test_the_default_jitter_keeps_its_bounds() -> None:
    pauses = [RetrySchedule(settings(1, 60)).next_delay() for _ in range(20)]
    assert all(pause is not None and 0.1 <= pause <= 0.2 for pause in pauses)
    assert len(set(pauses)) > 1


@pytest.mark.parametrize(("now", "expected"), [(4.8, 0.2), (4.81, None), (1e6, None)])
def test_an_attempt_begins_only_if_it_fits_whole(now: float, expected: float | None) -> None:
    time = FakeTime()
    attempts = RetrySchedule(settings(5, 20), clock=time.clock, jitter=lambda: 1.0)
    time.now += now
    assert attempts.next_delay() == expected
