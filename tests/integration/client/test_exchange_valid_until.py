"""``valid_until``: once it has passed, no first byte leaves, whatever was waited for until then."""

from __future__ import annotations

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import BOTH_CLIENTS
from tests.support.clock import FakeClock
from tests.support.scripted_server import TIMEOUT_SECONDS, Connection, ScriptedServer, reply_with
from tests.support.wire_samples import BATCH_NO, result_response
from yunxin_soap import NotSent
from yunxin_soap.clock import lease_clock


def assert_expires(checked: CheckedClient, valid_until: float) -> None:
    """Check that a submission ends as not sent, and why."""
    error = checked.assert_fails(NotSent, lambda: checked.submit(valid_until=valid_until))
    assert "valid_until" in str(error)
    assert (error.safe_to_resend, error.retryable) == (True, True)


def test_valid_until_in_the_future_sends_as_usual(protocol: str) -> None:
    """A request that is still valid is sent, and its connection used again."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        for _ in range(2):
            assert checked.submit(valid_until=lease_clock() + 60).batch_no == BATCH_NO
    assert [request.connection for request in server.requests] == [1, 1]


def test_valid_until_that_has_passed_sends_nothing(protocol: str) -> None:
    """Not one byte leaves, on a new connection or an open one, and the client stays usable."""
    received: list[bytes] = []

    def script(connection: Connection) -> None:
        received.append(connection.sock.recv(1, socket.MSG_PEEK))
        reply_with(result_response(protocol))(connection)

    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        assert_expires(checked, lease_clock())
        server.wait_for_ended(1)
        checked.assert_accepted()
        assert_expires(checked, lease_clock() - 1)
        server.wait_for_ended(2)
    assert received[0] == b""
    assert len(server.requests) == 1


def test_valid_until_that_passes_while_a_retry_waits_sends_nothing(protocol: str) -> None:
    """It is looked at after the last wait before a connection, not only at first."""
    server = ScriptedServer(reply_with(result_response(protocol)), listening=False)
    clock = FakeClock(on_sleep=server.listen, sleeps_longer_by=10.0)
    with server, CheckedClient(server, protocol, clock=clock) as checked:
        assert_expires(checked, clock.now + 5)
    assert (server.connections, server.requests, len(clock.sleeps)) == (1, [], 1)


def test_valid_until_that_passes_while_all_connections_are_in_use_sends_nothing(
    protocol: str,
) -> None:
    """It is looked at after the wait for a connection of the pool."""
    go_on = threading.Event()
    clock = FakeClock()

    def script(connection: Connection) -> None:
        while connection.read() is not None:
            assert go_on.wait(TIMEOUT_SECONDS)
            clock.advance(1)
            connection.send(result_response(protocol))

    with (
        ScriptedServer(script) as server,
        CheckedClient(server, protocol, clock=clock, max_connections=1) as checked,
        ThreadPoolExecutor(2) as threads,
    ):
        first = threads.submit(checked.send)
        server.wait_for_requests(1)
        second = threads.submit(assert_expires, checked, clock.now + 1)
        go_on.set()
        assert first.result().batch_no == BATCH_NO
        second.result()
    assert len(server.requests) == 1


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_valid_until_that_passes_during_the_handshake_sends_nothing(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """It is looked at after TLS has started, before the first encrypted byte of the request."""
    clock = FakeClock()

    def script(connection: Connection) -> None:
        clock.advance(10)
        connection.start_tls(tls)
        reply_with(result_response(protocol))(connection)

    with ScriptedServer(script) as server:
        url = server.url.replace("http:", "https:")
        with CheckedClient(url, protocol, clock=clock, verify=authority_file) as checked:
            assert_expires(checked, clock.now + 5)
            assert checked.submit(valid_until=clock.now + 15).batch_no == BATCH_NO
            assert_expires(checked, clock.now)
    assert len(server.requests) == 1
