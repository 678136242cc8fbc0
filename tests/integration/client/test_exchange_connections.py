"""Connections that hang, break and grow old: nothing is submitted more often than asked."""

from __future__ import annotations

import threading

import pytest

from tests.support.scripted_server import (
    BATCH_NO,
    WAYS,
    Caller,
    Connection,
    Script,
    Server,
    Way,
    answer,
    closing_unread,
    page,
    reading_and_closing,
    reading_and_hanging,
    replying,
    resetting_unread,
    xml,
)
from yunxin_soap import BalanceRejected, OutcomeUnknown
from yunxin_soap.errors import ConfigurationRejected
from yunxin_soap.transport.limits import KEEPALIVE_EXPIRY, Limits


def resetting(connection: Connection) -> None:
    connection.read()
    connection.reset()


def hanging_in_the_answer(connection: Connection) -> None:
    connection.read()
    connection.send(page(xml("soap"), length=9999))
    connection.wait_until_closed()


def hanging_in_a_refusal_without_end(connection: Connection) -> None:
    connection.read()
    connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n<ht")
    connection.wait_until_closed()


@pytest.mark.parametrize(
    "script", [reading_and_hanging, hanging_in_the_answer, hanging_in_a_refusal_without_end]
)
def test_no_answer_in_time_is_unknown(protocol: str, script: Script) -> None:
    with Server(script) as server, Caller(server, protocol, timeout=0.3) as caller:
        error = caller.fails(OutcomeUnknown)
    assert "within 0.3 s" in str(error)
    assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("protocol", WAYS[::4])  # `Client` and `AsyncClient`
def test_each_answer_has_the_whole_timeout(protocol: Way) -> None:
    def script(connection: Connection) -> None:
        while connection.read():
            connection.ended.wait(0.6)
            connection.send(answer("soap"))

    with Server(script) as server, Caller(server, protocol, timeout=1.0) as caller:
        caller.accepted()
        caller.accepted()
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.parametrize("script", [reading_and_closing, resetting])
def test_no_answer_before_the_end_is_unknown(protocol: str, script: Script) -> None:
    with Server(script) as server, Caller(server, protocol) as caller:
        error = caller.fails(OutcomeUnknown)
    assert "closed before a response" in str(error) or "broke before the response" in str(error)
    assert (error.excerpt, error.http_status) == (None, None)
    assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("script", [closing_unread, resetting_unread])
def test_a_connection_that_ends_unread_is_unknown(protocol: str, script: Script) -> None:
    with Server(script) as server, Caller(server, protocol) as caller:
        caller.fails(OutcomeUnknown)
    assert (server.connections, len(server.requests)) == (1, 0)


def test_a_reset_in_the_answer_is_unknown(protocol: str) -> None:
    reset = threading.Event()

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(page(xml(protocol), length=9999))
        connection.reset()
        reset.set()

    with Server(script) as server, Caller(server, protocol) as caller:
        caller.fails(OutcomeUnknown)
        assert reset.wait(5)
    assert (server.connections, len(server.requests)) == (1, 1)


# --- a connection that was good once


def good_once_then(script: Script, protocol: str) -> Script:
    def good_once(connection: Connection) -> None:
        connection.read()
        connection.send(answer(protocol))
        script(connection)

    return good_once


@pytest.mark.parametrize("script", [reading_and_closing, resetting])
def test_a_kept_connection_that_breaks_is_not_tried_again(protocol: str, script: Script) -> None:
    with (
        Server(good_once_then(script, protocol)) as server,
        Caller(server, protocol) as caller,
    ):
        caller.accepted()
        caller.fails(OutcomeUnknown)
    assert (server.connections, len(server.requests)) == (1, 2)


def test_a_kept_connection_closed_unread_is_not_tried_again(protocol: str) -> None:
    with (
        Server(good_once_then(closing_unread, protocol)) as server,
        Caller(server, protocol) as caller,
    ):
        caller.accepted()
        caller.fails(OutcomeUnknown)
    assert (server.connections, len(server.requests)) == (1, 1)


def test_a_kept_connection_that_hangs_is_closed(protocol: str) -> None:
    with (
        Server(good_once_then(reading_and_hanging, protocol)) as server,
        Caller(server, protocol, timeout=0.3) as caller,
    ):
        caller.accepted()
        caller.fails(OutcomeUnknown)
        caller.accepted()  # on a connection of its own, not behind the answer that is missing
    assert [request.connection for request in server.requests] == [1, 1, 2]


def test_a_kept_connection_that_was_closed_is_replaced(protocol: str) -> None:
    with (
        Server(replying(answer(protocol), hang_up=True)) as server,
        Caller(server, protocol) as caller,
    ):
        caller.accepted()
        server.wait_until_ended(1)
        caller.accepted()
    assert [request.connection for request in server.requests] == [1, 2]


def test_an_answer_that_says_close_is_obeyed(protocol: str) -> None:
    with (
        Server(replying(answer(protocol, BATCH_NO, "Connection: close"))) as server,
        Caller(server, protocol) as caller,
    ):
        caller.accepted()
        caller.accepted()
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_connection_is_used_again(protocol: str) -> None:
    with Server(replying(answer(protocol))) as server, Caller(server, protocol) as caller:
        for _ in range(3):
            caller.accepted()
    assert [request.connection for request in server.requests] == [1, 1, 1]


def test_only_an_answer_of_the_gateway_leaves_its_connection_in_use(protocol: str) -> None:
    for status, kind in (("404 Not Found", ConfigurationRejected), ("504 Late", OutcomeUnknown)):
        with Server(replying(page("Sorry", status))) as server, Caller(server, protocol) as caller:
            caller.fails(kind)
            caller.fails(kind)
        # A proxy that gave up may still hand the gateway's late answer on.
        assert [request.connection for request in server.requests] == [1, 2]

    with (
        Server(replying(answer(protocol, "-7"), answer(protocol))) as server,
        Caller(server, protocol) as caller,
    ):
        caller.fails(BalanceRejected)
        caller.accepted()
    assert [request.connection for request in server.requests] == [1, 1]


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\nX-Pad: ", b"\r\n", None])
def test_a_connection_with_more_than_one_answer_is_dropped(
    protocol: str, surplus: bytes | None
) -> None:
    if surplus is None:
        surplus = answer(protocol, "666")

    def script(connection: Connection) -> None:
        while connection.read():
            connection.send(answer(protocol) + surplus)

    with Server(script) as server, Caller(server, protocol) as caller:
        caller.accepted()
        caller.accepted()
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize(("line", "blank"), [(b"\r\n", b"\r\n"), (b"\n", b"\n"), (b"\r\n", b"\n")])
def test_an_answer_that_comes_late_is_nobodys(protocol: str, line: bytes, blank: bytes) -> None:
    accepted, sent = threading.Event(), threading.Event()

    def written(text: str) -> bytes:
        head, _, body = answer(protocol, text).partition(b"\r\n\r\n")
        return head.replace(b"\r\n", line) + line + blank + body

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(written(BATCH_NO))
        if connection.number == 1:
            accepted.wait(20)
            connection.send(written("-7"))
            sent.set()
        while connection.read():
            connection.send(written(BATCH_NO))

    with Server(script) as server, Caller(server, protocol) as caller:
        caller.accepted()
        accepted.set()
        sent.wait(20)
        caller.accepted()
    assert len(server.requests) == 2


def test_a_connection_idle_for_too_long_is_dropped(protocol: str) -> None:
    with (
        Server(replying(answer(protocol))) as server,
        Caller(server, protocol, limits=Limits(keepalive_expiry=0.0)) as caller,
    ):
        caller.accepted()
        caller.accepted()
    # Nothing was tried on the old one: it would be counted, or end as unknown.
    assert [request.connection for request in server.requests] == [1, 2]


def test_connections_age_before_servers_close_them() -> None:
    assert 0 < KEEPALIVE_EXPIRY < 5


@pytest.mark.parametrize("early", ["103 Early Hints", "102 Processing", "204 No Content"])
def test_a_late_answer_is_not_taken_for_the_next_one(protocol: Way, early: str) -> None:
    # aiohttp waits for the true answer after a 102 and a 103.
    waits = protocol.asynchronous and early.startswith("10")

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(f"HTTP/1.1 {early}\r\n\r\n".encode())
        if not waits:
            connection.wait_for_bytes()  # the second request, or the end
        connection.send(answer(protocol))
        connection.wait_until_closed()

    with Server(script) as server, Caller(server, protocol) as caller:
        for _ in range(2):
            if waits:
                caller.accepted()
            else:
                caller.fails(OutcomeUnknown)
    assert [request.connection for request in server.requests] == [1, 2]
