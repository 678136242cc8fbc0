"""Connections that hang, break and expire: each request is sent at most once."""

from __future__ import annotations

import itertools
import threading

import pytest

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import BOTH_CLIENTS, ClientVariant, send_request
from tests.support.scripted_server import (
    Connection,
    Script,
    ScriptedServer,
    close_without_reading,
    read_then_close,
    read_then_hang,
    read_then_reset,
    reply_with,
    reset_without_reading,
)
from tests.support.wire_samples import BATCH_NO, http_response, result_response, result_xml
from yunxin_soap import BalanceRejected, NotSent, OutcomeUnknown
from yunxin_soap.errors import ConfigurationRejected
from yunxin_soap.settings import Settings
from yunxin_soap.transport.base import Request
from yunxin_soap.transport.http11 import Steps
from yunxin_soap.transport.limits import KEEPALIVE_EXPIRY
from yunxin_soap.transport.route import Route
from yunxin_soap.transport.tls import TlsLayer


def close_at_once(_connection: Connection) -> None:
    """Close before anything was sent."""


def speak_first(connection: Connection) -> None:
    """Send a greeting, as a mail server does, and never read."""
    connection.send(b"220 mail.example ESMTP\r\n")


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
@pytest.mark.parametrize("script", [close_at_once, speak_first])
def test_connection_that_is_of_no_use_before_the_request_is_not_sent(
    protocol: str, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the server closes or speaks before anything was sent, nothing is, and nobody waits."""
    with ScriptedServer(script) as server:
        establish = Route.establish
        connections = itertools.count(1)

        def slowly(route: Route) -> Steps[list[TlsLayer]]:
            server.wait_until_ended(next(connections))
            return establish(route)

        monkeypatch.setattr(Route, "establish", slowly)
        with CheckedClient(server, protocol, retries=1) as checked:
            error = checked.assert_fails(NotSent)
    assert "(Connection reset by peer)" in str(error)
    assert (server.connections, server.requests) == (2, [])


def hang_in_the_body(connection: Connection) -> None:
    connection.read()
    connection.send(http_response(result_xml("soap"), length=9999))
    connection.wait_until_closed()


def hang_in_an_error_page(connection: Connection) -> None:
    connection.read()
    connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n<ht")
    connection.wait_until_closed()


@pytest.mark.parametrize("script", [read_then_hang, hang_in_the_body, hang_in_an_error_page])
def test_response_not_complete_in_time_is_unknown(protocol: str, script: Script) -> None:
    """Without a complete response in time, the outcome is unknown."""
    with ScriptedServer(script) as server, CheckedClient(server, protocol, timeout=0.3) as checked:
        error = checked.assert_fails(OutcomeUnknown)
    assert "within 0.3 s" in str(error)
    assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_timeout_starts_anew_with_each_request(protocol: ClientVariant) -> None:
    """Each request on a kept connection has the full timeout."""

    def script(connection: Connection) -> None:
        while connection.read():
            connection.ended.wait(0.6)
            connection.send(result_response("soap"))

    with ScriptedServer(script) as server, CheckedClient(server, protocol, timeout=1.0) as checked:
        checked.assert_accepted()
        checked.assert_accepted()
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's advice
@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_timeout_covers_sending_and_the_response(protocol: ClientVariant) -> None:
    """Sending and the response share one timeout: a slow one leaves less for the other."""
    body = b"x" * (16 << 20)  # more than the buffers of the kernel

    def script(connection: Connection) -> None:
        connection.ended.wait(1.0)
        received = 0
        while received < len(body):
            received += len(connection.sock.recv(1 << 20)) or len(body)
        connection.ended.wait(1.0)
        connection.send(result_response(protocol))

    with ScriptedServer(script) as server:
        settings = Settings("user", "password", endpoint=server.url, timeout=1.6)
        with pytest.raises(OutcomeUnknown, match=r"within 1\.6 s"):
            send_request(protocol, settings, Request("POST", "/", {}, body=body))
    assert server.connections == 1


@pytest.mark.parametrize("script", [read_then_close, read_then_reset])
def test_connection_that_ends_before_the_response_is_unknown(protocol: str, script: Script) -> None:
    """A connection that ends before the response makes the outcome unknown."""
    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        error = checked.assert_fails(OutcomeUnknown)
    assert "closed before a response" in str(error) or "broke before the response" in str(error)
    assert (error.excerpt, error.http_status) == (None, None)
    assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("script", [close_without_reading, reset_without_reading])
def test_connection_that_ends_before_reading_is_unknown(protocol: str, script: Script) -> None:
    """A connection that ends before the server reads makes the outcome unknown."""
    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        checked.assert_fails(OutcomeUnknown)
    assert (server.connections, len(server.requests)) == (1, 0)


def test_connection_reset_in_the_response_is_unknown(protocol: str) -> None:
    """A reset in the middle of the response makes the outcome unknown."""
    reset = threading.Event()

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(http_response(result_xml(protocol), length=9999))
        connection.reset()
        reset.set()

    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        checked.assert_fails(OutcomeUnknown)
        assert reset.wait(5)
    assert (server.connections, len(server.requests)) == (1, 1)


# --- a kept connection


def reply_once_then(script: Script, protocol: str) -> Script:
    def reply_once(connection: Connection) -> None:
        connection.read()
        connection.send(result_response(protocol))
        script(connection)

    return reply_once


@pytest.mark.parametrize("script", [read_then_close, read_then_reset])
def test_kept_connection_that_breaks_is_unknown_and_not_retried(
    protocol: str, script: Script
) -> None:
    """A kept connection that breaks is unknown; the request is not sent again."""
    with (
        ScriptedServer(reply_once_then(script, protocol)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_accepted()
        checked.assert_fails(OutcomeUnknown)
    assert (server.connections, len(server.requests)) == (1, 2)


def test_kept_connection_closed_before_reading_is_not_retried(protocol: str) -> None:
    """The client cannot know that the server did not read the request."""
    with (
        ScriptedServer(reply_once_then(close_without_reading, protocol)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_accepted()
        checked.assert_fails(OutcomeUnknown)
    assert (server.connections, len(server.requests)) == (1, 1)


def test_kept_connection_that_hangs_is_closed(protocol: str) -> None:
    """After a timeout the next request goes over a new connection."""
    with (
        ScriptedServer(reply_once_then(read_then_hang, protocol)) as server,
        CheckedClient(server, protocol, timeout=0.3) as checked,
    ):
        checked.assert_accepted()
        checked.assert_fails(OutcomeUnknown)
        checked.assert_accepted()  # over a new connection, not behind the missing response
    assert [request.connection for request in server.requests] == [1, 1, 2]


def test_kept_connection_closed_by_the_server_is_replaced(protocol: str) -> None:
    """A connection that the server closed while idle is not used."""
    with (
        ScriptedServer(reply_with(result_response(protocol), then_close=True)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_accepted()
        server.wait_until_ended(1)
        checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 2]


def test_connection_close_header_is_honoured(protocol: str) -> None:
    """After a response with ``Connection: close`` the connection is not reused."""
    with (
        ScriptedServer(
            reply_with(result_response(protocol, BATCH_NO, "Connection: close"))
        ) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_accepted()
        checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 2]


def test_connection_after_a_complete_response_is_reused(protocol: str) -> None:
    """After a complete 200 with a body the connection is reused."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        for _ in range(3):
            checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 1, 1]


def test_connection_after_another_status_is_not_reused(protocol: str) -> None:
    """Only a 200 keeps its connection, whatever its result says."""
    for status, kind in (("404 Not Found", ConfigurationRejected), ("504 Late", OutcomeUnknown)):
        with (
            ScriptedServer(reply_with(http_response("Sorry", status))) as server,
            CheckedClient(server, protocol) as checked,
        ):
            checked.assert_fails(kind)
            checked.assert_fails(kind)
        # A proxy that gave up may still pass on the gateway's late response.
        assert [request.connection for request in server.requests] == [1, 2]

    with (
        ScriptedServer(
            reply_with(result_response(protocol, "-7"), result_response(protocol))
        ) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_fails(BalanceRejected)
        checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 1]


def test_connection_after_an_empty_200_is_not_reused(protocol: str) -> None:
    """An empty 200 may not be the final response: its connection is closed."""
    replies = (http_response(""), result_response(protocol))
    with (
        ScriptedServer(reply_with(*replies)) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_fails(OutcomeUnknown)
        server.wait_until_ended(1)
        checked.assert_fails(OutcomeUnknown)
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\nX-Pad: ", b"\r\n", None])
def test_connection_with_surplus_bytes_is_not_reused(protocol: str, surplus: bytes | None) -> None:
    """A connection with more than one response is closed."""
    if surplus is None:
        surplus = result_response(protocol, "666")

    def script(connection: Connection) -> None:
        while connection.read():
            connection.send(result_response(protocol) + surplus)

    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        checked.assert_accepted()
        checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 2]


def test_surplus_response_that_comes_later_is_ignored(protocol: str) -> None:
    """A surplus response is not read as the response to the next request."""
    accepted, sent = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(result_response(protocol))
        if connection.number == 1:
            accepted.wait(20)
            connection.send(result_response(protocol, "-7"))
            sent.set()
        while connection.read():
            connection.send(result_response(protocol))

    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        checked.assert_accepted()
        accepted.set()
        sent.wait(20)
        checked.assert_accepted()
    assert len(server.requests) == 2


def test_idle_connection_past_its_expiry_is_not_reused(protocol: str) -> None:
    """An idle connection past its expiry is closed, and nothing is sent over it."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol, keepalive_expiry=0.0) as checked,
    ):
        checked.assert_accepted()
        checked.assert_accepted()
    # A request over the old connection would be counted, or end as unknown.
    assert [request.connection for request in server.requests] == [1, 2]


def test_keepalive_expiry_default_is_below_five_seconds() -> None:
    """Servers close idle connections from five seconds on; the client is first."""
    assert 0 < KEEPALIVE_EXPIRY < 5


@pytest.mark.parametrize("early", ["103 Early Hints", "102 Processing", "100 Continue"])
def test_interim_responses_are_passed_over(protocol: str, early: str) -> None:
    """The response after any number of interim ones counts, and the connection is used again."""
    interim = f"HTTP/1.1 {early}\r\nLink: </a>\r\n\r\n".encode()

    def script(connection: Connection) -> None:
        while connection.read():
            connection.send(interim * 3)
            connection.send(interim + result_response(protocol))

    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        checked.assert_accepted()
        checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 1]


def test_final_response_after_a_204_is_not_misassigned(protocol: str) -> None:
    """What follows a 204 is never the next request's response."""

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        connection.wait_for_bytes()  # the second request, or the end
        connection.send(result_response(protocol))
        connection.wait_until_closed()

    with ScriptedServer(script) as server, CheckedClient(server, protocol) as checked:
        for _ in range(2):
            checked.assert_fails(OutcomeUnknown)
    assert [request.connection for request in server.requests] == [1, 2]
