"""An https endpoint through a proxy: until the tunnel is open, nothing was sent."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import threading
import traceback
from pathlib import Path

import pytest
import trustme

from tests.support.checked_client import CheckedClient
from tests.support.clock import FakeClock
from tests.support.scripted_server import (
    Connection,
    Script,
    ScriptedServer,
    proxy_url,
    read_then_close,
    read_then_hang,
    reply_with,
)
from tests.support.secret_detector import PROXY_AUTHORIZATION, PROXY_USER
from tests.support.wire_samples import http_response, result_response
from yunxin_soap import NotSent, OutcomeUnknown


def open_tunnel_to(script: Script, tls: ssl.SSLContext) -> Script:
    def tunnel(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        connection.start_tls(tls)
        script(connection)

    return tunnel


@pytest.mark.parametrize(
    "reply",
    [
        "HTTP/1.1 407 Denied {}\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 407 Denied\r\nX-Request: {}\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 {}\r\n\r\n",
        "{}\r\n\r\n",
    ],
    ids=["reason", "header", "status", "status line"],
)
def test_tunnel_refusal_shows_no_echo(protocol: str, reply: str) -> None:
    """A proxy may echo its password when it refuses a tunnel: at most the status is shown."""

    def script(connection: Connection) -> None:
        request = connection.read()
        assert request is not None
        connection.send(reply.format(request.headers["proxy-authorization"]).encode())

    with (
        ScriptedServer(script) as proxy,
        CheckedClient(
            "https://127.0.0.1/x", protocol, proxy=proxy_url(proxy, PROXY_USER), retries=0
        ) as checked,
    ):
        error = checked.assert_fails(NotSent)
    shown = "".join(traceback.format_exception(error))
    assert ("Tunnel connection failed: 407)" in shown) is ("407" in reply)
    assert PROXY_AUTHORIZATION.split()[1] not in shown


def test_tunnel_carries_tls(protocol: str, tls: ssl.SSLContext, authority_file: Path) -> None:
    """TLS goes through a tunnel, and only CONNECT carries the proxy's password."""
    with (
        ScriptedServer(open_tunnel_to(reply_with(result_response(protocol)), tls)) as proxy,
        CheckedClient(
            "https://127.0.0.1:9443/x",
            protocol,
            proxy=proxy_url(proxy, PROXY_USER),
            verify=authority_file,
        ) as checked,
    ):
        checked.assert_accepted()
        checked.assert_accepted()
    connect, first, second = proxy.requests
    assert (connect.method, connect.target) == ("CONNECT", "127.0.0.1:9443")
    assert connect.headers["proxy-authorization"] == PROXY_AUTHORIZATION
    for request in (first, second):
        assert request.connection == 1
        assert request.target.startswith("/x")
        assert "proxy-authorization" not in request.headers


def test_tunnel_to_an_untrusted_certificate_is_not_sent(protocol: str, tls: ssl.SSLContext) -> None:
    """Nothing is sent through a tunnel to an untrusted certificate."""
    with (
        ScriptedServer(open_tunnel_to(reply_with(result_response(protocol)), tls)) as proxy,
        CheckedClient(
            "https://127.0.0.1/x", protocol, proxy=proxy_url(proxy), retries=0
        ) as checked,
    ):
        error = checked.assert_fails(NotSent)
    assert "not trusted" in str(error)
    assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_tunnel_that_breaks_after_the_request_is_unknown(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """A tunnel that breaks after the request makes the outcome unknown."""
    with (
        ScriptedServer(open_tunnel_to(read_then_close, tls)) as proxy,
        CheckedClient(
            "https://127.0.0.1/x", protocol, proxy=proxy_url(proxy), verify=authority_file
        ) as checked,
    ):
        checked.assert_fails(OutcomeUnknown)
    assert len(proxy.requests) == 2


@pytest.mark.parametrize(
    "refusal",
    [
        http_response("No", "403 Forbidden"),
        http_response("Who?", "407 Proxy Authentication Required"),
        http_response("", "302 Found", "text/html", "Location: http://127.0.0.1/"),
        http_response("", "502 Bad Gateway\x85or\x0bworse"),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\r\n\r\n",
        b"",
    ],
    ids=["403", "407", "302", "lines", "SSH", "blank", "nothing"],
)
def test_tunnel_refused_is_not_sent_after_retries(protocol: str, refusal: bytes) -> None:
    """Whatever a proxy replies to CONNECT but a 200: not sent, after all retries."""
    clock = FakeClock()
    with (
        ScriptedServer(reply_with(refusal, then_close=True)) as proxy,
        CheckedClient(
            "https://sms.example/x", protocol, proxy=proxy_url(proxy, PROXY_USER), clock=clock
        ) as checked,
    ):
        checked.assert_fails(NotSent)
    assert [request.method for request in proxy.requests] == ["CONNECT"] * 3
    assert len(clock.sleeps) == 2


def test_tunnel_that_hangs_is_bounded(protocol: str) -> None:
    """``connect_timeout`` bounds a proxy that never replies to CONNECT."""
    with (
        ScriptedServer(read_then_hang) as proxy,
        CheckedClient(
            "https://sms.example/x",
            protocol,
            proxy=proxy_url(proxy),
            connect_timeout=0.3,
            retries=0,
        ) as checked,
    ):
        error = checked.assert_fails(NotSent)
    assert "within 0.3 s" in str(error)
    assert len(proxy.requests) == 1


def test_interrupt_while_the_tunnel_opens_leaves_nothing_open() -> None:
    """Ctrl-C while a proxy opens the tunnel closes the connection to the proxy."""

    def interrupt(proxy: ScriptedServer) -> None:
        proxy.wait_for_requests(1)
        signal.pthread_kill(main_thread, signal.SIGINT)

    main_thread = threading.get_ident()
    with (
        ScriptedServer(read_then_hang) as proxy,
        CheckedClient("https://sms.example/x", proxy=proxy_url(proxy)) as checked,
    ):
        interrupting = threading.Thread(target=interrupt, args=(proxy,))
        interrupting.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            checked.send()
        interrupting.join()
        proxy.wait_until_ended(1)  # `caught` still refers to the frames that use the connection
    assert caught.value.__cause__ is None
    assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_tunnel_reply_in_small_pieces_is_bounded(protocol: str) -> None:
    """``connect_timeout`` bounds a reply to CONNECT that comes in small pieces."""

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 200 OK\r\nA: ")
        while not connection.ended.wait(0.02):
            connection.send(b"b")

    with (
        ScriptedServer(script) as proxy,
        CheckedClient(
            "https://sms.example/x",
            protocol,
            proxy=proxy_url(proxy),
            connect_timeout=0.3,
            retries=0,
        ) as checked,
    ):
        checked.assert_fails(NotSent)
    assert len(proxy.requests) == 1


def test_proxy_over_tls_gets_the_full_address(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """A proxy over TLS gets the full address in the request line."""
    with (
        ScriptedServer(reply_with(result_response(protocol)), tls=tls) as proxy,
        CheckedClient(
            "http://sms.example/x", protocol, proxy=proxy.origin, verify=authority_file
        ) as checked,
    ):
        checked.assert_accepted()
    assert [request.target.startswith("http://sms.example/x") for request in proxy.requests] == [
        True
    ]


def test_proxy_over_tls_with_untrusted_certificate_is_not_sent(
    protocol: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, authority_file: Path
) -> None:
    """``verify`` also applies to the certificate of the proxy."""
    # The system trusts the certificate, but `verify` names another authority.
    other = authority_file.with_name("other.pem")
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    with (
        ScriptedServer(reply_with(result_response(protocol)), tls=tls) as proxy,
        CheckedClient(
            "http://sms.example/x", protocol, proxy=proxy.origin, retries=0, verify=other
        ) as checked,
    ):
        checked.assert_fails(NotSent)
    assert len(proxy.requests) == 0


def relaying(byte_by_byte: threading.Event) -> Script:
    """Return the script of a proxy tunnel that relays single bytes once the event is set."""

    def script(connection: Connection) -> None:
        connect = connection.read()
        assert connect is not None
        port = int(connect.target.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as gateway:
            connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pump = threading.Thread(target=_pump, args=(connection.sock, gateway))
            pump.start()
            with contextlib.suppress(OSError):
                while piece := gateway.recv(65536):
                    size = 1 if byte_by_byte.is_set() else len(piece)
                    for start in range(0, len(piece), size):
                        connection.send(piece[start : start + size])
                        if byte_by_byte.is_set():
                            connection.ended.wait(0.05)
            connection.cut_off()
            pump.join()

    return script


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def test_tls_in_tls_response_in_small_pieces_has_one_timeout(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """A response through TLS in TLS must be complete within one timeout."""
    byte_by_byte = threading.Event()

    def script(connection: Connection) -> None:
        connection.read()
        byte_by_byte.set()
        connection.send(result_response(protocol))
        connection.wait_until_closed()

    with (
        ScriptedServer(relaying(byte_by_byte), tls=tls) as proxy,
        ScriptedServer(script, tls=tls) as gateway,
        CheckedClient(
            gateway, protocol, proxy=proxy.origin, verify=authority_file, timeout=0.4
        ) as checked,
    ):
        checked.assert_fails(OutcomeUnknown)
    assert len(gateway.requests) == 1


def test_tls_in_tls_surplus_response_is_ignored(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """Surplus through TLS in TLS is not read as the next response."""

    def script(connection: Connection) -> None:
        connection.read()
        # Two TLS records in one segment.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.send(result_response(protocol))
        connection.send(result_response(protocol, "-7"))
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        connection.wait_until_closed()

    with (
        ScriptedServer(relaying(threading.Event()), tls=tls) as proxy,
        ScriptedServer(script, tls=tls) as gateway,
        CheckedClient(gateway, protocol, proxy=proxy.origin, verify=authority_file) as checked,
    ):
        checked.assert_accepted()
        checked.assert_accepted()
    assert [request.connection for request in gateway.requests] == [1, 2]
