"""An https endpoint through a proxy: until the tunnel stands, nothing was sent."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
import traceback
from pathlib import Path

import pytest
import trustme

from tests.support.scripted_server import (
    PROXY_AUTHORIZATION,
    PROXY_USER,
    Caller,
    Connection,
    FakeTime,
    Script,
    Server,
    Way,
    answer,
    page,
    reading_and_closing,
    reading_and_hanging,
    replying,
    through,
)
from yunxin_soap import ConfigurationError, NotSent, OutcomeUnknown


def tunnelling_to(script: Script, tls: ssl.SSLContext) -> Script:
    def tunnel(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        connection.start_tls(tls)
        script(connection)

    return tunnel


def test_what_a_proxy_echoes_when_it_refuses_is_not_shown() -> None:
    def echoing(connection: Connection) -> None:
        request = connection.read()
        assert request is not None
        sent = request.headers["proxy-authorization"]
        connection.send(f"HTTP/1.1 407 Denied {sent}\r\nContent-Length: 0\r\n\r\n".encode())

    with (
        Server(echoing) as proxy,
        Caller("https://127.0.0.1/x", proxy=through(proxy, PROXY_USER), retries=0) as caller,
    ):
        error = caller.fails(NotSent)
    shown = "".join(traceback.format_exception(error))
    assert "Tunnel connection failed: 407)" in shown
    assert PROXY_AUTHORIZATION.split()[1] not in shown


def test_tls_goes_through_a_tunnel(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    with (
        Server(tunnelling_to(replying(answer(protocol)), tls)) as proxy,
        Caller(
            "https://127.0.0.1:9443/x",
            protocol,
            proxy=through(proxy, PROXY_USER),
            verify=authority_file,
        ) as caller,
    ):
        caller.accepted()
        caller.accepted()
    connect, first, second = proxy.requests
    assert (connect.method, connect.target) == ("CONNECT", "127.0.0.1:9443")
    assert connect.headers["proxy-authorization"] == PROXY_AUTHORIZATION
    for request in (first, second):
        assert request.connection == 1
        assert request.target.startswith("/x")
        assert "proxy-authorization" not in request.headers


def test_a_tunnel_is_closed_on_an_untrusted_certificate(protocol: str, tls: ssl.SSLContext) -> None:
    with (
        Server(tunnelling_to(replying(answer(protocol)), tls)) as proxy,
        Caller("https://127.0.0.1/x", protocol, proxy=through(proxy), retries=0) as caller,
    ):
        error = caller.fails(NotSent)
    assert "not trusted" in str(error)
    assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_what_breaks_in_a_tunnel_is_unknown(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    with (
        Server(tunnelling_to(reading_and_closing, tls)) as proxy,
        Caller(
            "https://127.0.0.1/x", protocol, proxy=through(proxy), verify=authority_file
        ) as caller,
    ):
        caller.fails(OutcomeUnknown)
    assert len(proxy.requests) == 2


@pytest.mark.parametrize(
    "refusal",
    [
        page("No", "403 Forbidden"),
        page("Who?", "407 Proxy Authentication Required"),
        page("", "302 Found", "text/html", "Location: http://127.0.0.1/"),
        page("", "502 Bad Gateway\x85or\x0bworse"),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\r\n\r\n",
        b"",
    ],
    ids=["403", "407", "302", "lines", "SSH", "blank", "nothing"],
)
def test_a_tunnel_that_is_refused_is_not_sent(protocol: str, refusal: bytes) -> None:
    time = FakeTime()
    with (
        Server(replying(refusal, hang_up=True)) as proxy,
        Caller(
            "https://sms.example/x", protocol, proxy=through(proxy, PROXY_USER), time=time
        ) as caller,
    ):
        caller.fails(NotSent)
    assert [request.method for request in proxy.requests] == ["CONNECT"] * 3
    assert len(time.pauses) == 2


def test_a_tunnel_that_hangs_is_bounded(protocol: str) -> None:
    with (
        Server(reading_and_hanging) as proxy,
        Caller(
            "https://sms.example/x",
            protocol,
            proxy=through(proxy),
            connect_timeout=0.3,
            retries=0,
        ) as caller,
    ):
        error = caller.fails(NotSent)
    assert "within 0.3 s" in str(error)
    assert len(proxy.requests) == 1


def test_a_proxys_trickle_is_bounded(protocol: str) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 200 OK\r\nA: ")
        while not connection.ended.wait(0.02):
            connection.send(b"b")

    with (
        Server(script) as proxy,
        Caller(
            "https://sms.example/x",
            protocol,
            proxy=through(proxy),
            connect_timeout=0.3,
            retries=0,
        ) as caller,
    ):
        caller.fails(NotSent)
    assert len(proxy.requests) == 1


def test_a_proxy_that_is_itself_behind_tls(
    protocol: str, tls: ssl.SSLContext, authority_file: Path
) -> None:
    with (
        Server(replying(answer(protocol)), tls=tls) as proxy,
        Caller(
            "http://sms.example/x", protocol, proxy=proxy.origin, verify=authority_file
        ) as caller,
    ):
        caller.accepted()
    assert [request.target.startswith("http://sms.example/x") for request in proxy.requests] == [
        True
    ]


def test_a_proxy_behind_an_untrusted_certificate_is_not_sent_to(
    protocol: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, authority_file: Path
) -> None:
    # Trusted by the system, and not by who names an authority of their own.
    other = authority_file.with_name("other.pem")
    trustme.CA().cert_pem.write_to_path(other)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    with (
        Server(replying(answer(protocol)), tls=tls) as proxy,
        Caller(
            "http://sms.example/x", protocol, proxy=proxy.origin, retries=0, verify=other
        ) as caller,
    ):
        caller.fails(NotSent)
    assert len(proxy.requests) == 0


@pytest.fixture
def within_tls(protocol: Way) -> Way:
    """Each way that speaks TLS within TLS: asyncio does so from Python 3.11 on."""
    if protocol.asynchronous and sys.version_info < (3, 11):
        with pytest.raises(ConfigurationError, match=r"Python 3\.11"):
            Caller("https://127.0.0.1/x", protocol, proxy="https://127.0.0.1:1")
        pytest.skip("asyncio speaks no TLS within TLS here")
    return protocol


def relaying(dripping: threading.Event) -> Script:
    """A proxy that makes the tunnel, and hands on byte by byte once it is told to."""

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
                    size = 1 if dripping.is_set() else len(piece)
                    for start in range(0, len(piece), size):
                        connection.send(piece[start : start + size])
                        if dripping.is_set():
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


def test_tls_within_tls_is_bounded_as_a_whole(
    within_tls: Way, tls: ssl.SSLContext, authority_file: Path
) -> None:
    dripping = threading.Event()

    def script(connection: Connection) -> None:
        connection.read()
        dripping.set()
        connection.send(answer(within_tls))
        connection.wait_until_closed()

    with (
        Server(relaying(dripping), tls=tls) as proxy,
        Server(script, tls=tls) as gateway,
        Caller(
            gateway, within_tls, proxy=proxy.origin, verify=authority_file, timeout=0.4
        ) as caller,
    ):
        caller.fails(OutcomeUnknown)
    assert len(gateway.requests) == 1


def test_surplus_within_tls_within_tls_is_not_the_next_answer(
    within_tls: Way, tls: ssl.SSLContext, authority_file: Path
) -> None:
    def script(connection: Connection) -> None:
        connection.read()
        # Two records of TLS in one segment.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.send(answer(within_tls))
        connection.send(answer(within_tls, "-7"))
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        connection.wait_until_closed()

    with (
        Server(relaying(threading.Event()), tls=tls) as proxy,
        Server(script, tls=tls) as gateway,
        Caller(gateway, within_tls, proxy=proxy.origin, verify=authority_file) as caller,
    ):
        caller.accepted()
        caller.accepted()
    assert [request.connection for request in gateway.requests] == [1, 2]
