"""TLS: a handshake that fails is *not sent*; what breaks behind it is unknown."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from urllib3.exceptions import InsecureRequestWarning

from tests.support.scripted_server import (
    BATCH_NO,
    Caller,
    Connection,
    FakeTime,
    Script,
    Server,
    answer,
    closing_unread,
    page,
    reading_and_closing,
    reading_and_hanging,
    replying,
    resetting_unread,
    server_context,
)
from yunxin_soap import NotSent, OutcomeUnknown


def secured(server: Server) -> str:
    return server.url.replace("http:", "https:")


def test_a_certificate_of_a_named_authority_is_trusted(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    with (
        Server(replying(answer(protocol)), tls=tls) as server,
        Caller(server, protocol, verify=authority_file) as caller,
    ):
        caller.accepted()
        caller.accepted()
    assert [request.connection for request in server.requests] == [1, 1]


def test_an_answer_too_many_that_tls_has_decrypted_already_is_not_the_next_ones(
    tls: ssl.SSLContext, authority_file: Path
) -> None:
    # As long as what is read at one time, so that the surplus stays inside TLS, where no poll
    # of the socket shows it.
    short = answer("soap", BATCH_NO, "X-Pad: ")
    padded = answer("soap", BATCH_NO, "X-Pad: " + "x" * (8192 - len(short)))

    def script(connection: Connection) -> None:
        while connection.read():
            connection.send(padded + answer("soap", "666"))

    assert len(padded) == 8192
    with Server(script, tls=tls) as server, Caller(server, verify=authority_file) as caller:
        caller.accepted()
        caller.accepted()
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_context_of_the_callers_own_is_used(tls: ssl.SSLContext, authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        Server(replying(answer("soap")), tls=tls) as server,
        Caller(server, verify=context) as caller,
    ):
        caller.accepted()
    assert len(server.requests) == 1


def test_any_certificate_will_do_if_the_caller_says_so(protocol: str, tls: ssl.SSLContext) -> None:
    with Server(replying(answer(protocol)), tls=tls) as server:

        def send_twice() -> None:
            with Caller(server, protocol, verify=False) as caller:
                caller.accepted()
                caller.accepted()

        with pytest.warns(InsecureRequestWarning) as warned:
            send_twice()
    assert len(warned) == 1  # for each client, not for each submit
    assert len(server.requests) == 2


def test_an_untrusted_certificate_is_not_sent_to(protocol: str, tls: ssl.SSLContext) -> None:
    with (
        Server(replying(answer(protocol)), tls=tls) as server,
        Caller(server, protocol, retries=0) as caller,
    ):
        error = caller.fails(NotSent)
    assert "not trusted" in str(error)
    assert len(server.requests) == 0


def test_a_certificate_of_another_host_is_not_sent_to(
    protocol: str, authority: trustme.CA, authority_file: Path
) -> None:
    with (
        Server(replying(b""), tls=server_context(authority, "other.example")) as server,
        Caller(server, protocol, verify=authority_file, retries=0) as caller,
    ):
        error = caller.fails(NotSent)
    assert "127.0.0.1" in str(error)
    assert len(server.requests) == 0


def answering_in_plain(connection: Connection) -> None:
    connection.wait_for_bytes()
    connection.send(page("", "400 Bad Request"))
    connection.wait_until_closed()


@pytest.mark.parametrize("script", [answering_in_plain, closing_unread, resetting_unread])
def test_a_port_that_speaks_no_tls_is_not_sent_to(protocol: str, script: Script) -> None:
    time = FakeTime()
    with (
        Server(script) as server,
        Caller(secured(server), protocol, time=time, retries=2) as caller,
    ):
        error = caller.fails(NotSent)
    assert f"127.0.0.1:{server.port}" in str(error)
    assert (server.connections, len(time.pauses)) == (3, 2)


def test_a_handshake_that_hangs_is_bounded(protocol: str) -> None:
    with (
        Server(Connection.wait_until_closed) as server,
        Caller(secured(server), protocol, retries=0, connect_timeout=0.3) as caller,
    ):
        error = caller.fails(NotSent)
    assert "within 0.3 s" in str(error)
    assert server.connections == 1


def test_a_handshake_that_succeeds_later_submits_once(
    tls: ssl.SSLContext, authority_file: Path
) -> None:
    def script(connection: Connection) -> None:
        if connection.number < 3:
            closing_unread(connection)
        else:
            connection.start_tls(tls)
            replying(answer("soap"))(connection)

    with (
        Server(script) as server,
        Caller(secured(server), time=FakeTime(), verify=authority_file) as caller,
    ):
        caller.accepted()
    assert (server.connections, len(server.requests)) == (3, 1)


@pytest.mark.parametrize("script", [reading_and_closing, reading_and_hanging])
def test_what_breaks_behind_the_handshake_is_unknown(
    protocol: str, script: Script, tls: ssl.SSLContext, authority_file: Path
) -> None:
    with (
        Server(script, tls=tls) as server,
        Caller(server, protocol, verify=authority_file, timeout=0.3) as caller,
    ):
        caller.fails(OutcomeUnknown)
    assert (server.connections, len(server.requests)) == (1, 1)


def test_a_trickle_over_tls_is_bounded_as_a_whole(
    tls: ssl.SSLContext, authority_file: Path
) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        connection.send(page(b"", length=10**6))
        while not connection.ended.wait(0.02):
            connection.send(b" ")

    with (
        Server(script, tls=tls) as server,
        Caller(server, verify=authority_file, timeout=0.3) as caller,
    ):
        error = caller.fails(OutcomeUnknown)
    assert "within 0.3 s" in str(error)
    assert len(server.requests) == 1
