"""A failure to connect is *not sent*, and only that is retried, while time is left."""

from __future__ import annotations

import pytest

from tests.support.checked_client import CheckedClient
from tests.support.clock import FakeClock
from tests.support.scripted_server import ScriptedServer, reply_with
from tests.support.wire_samples import result_response
from yunxin_soap import NotSent


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
