"""An https endpoint through a proxy: until the tunnel stands, nothing was sent."""

from __future__ import annotations

import ssl
import traceback
from pathlib import Path

import pytest

from tests.misbehaving import (
    PROXY_AUTHORIZATION,
    PROXY_USER,
    Caller,
    Connection,
    FakeTime,
    Script,
    Server,
    answer,
    page,
    reading_and_closing,
    reading_and_hanging,
    replying,
    through,
)
from yunxin_soap import NotSent, OutcomeUnknown


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


def test_a_proxy_that_is_itself_behind_tls(tls: ssl.SSLContext, authority_file: Path) -> None:
    with (
        Server(replying(answer("soap")), tls=tls) as proxy,
        Caller("http://sms.example/x", proxy=proxy.origin, verify=authority_file) as caller,
    ):
        caller.accepted()
    assert [request.target for request in proxy.requests] == ["http://sms.example/x"]


def test_a_proxy_behind_an_untrusted_certificate_is_not_sent_to(tls: ssl.SSLContext) -> None:
    with (
        Server(replying(answer("soap")), tls=tls) as proxy,
        Caller("http://sms.example/x", proxy=proxy.origin, retries=0) as caller,
    ):
        caller.fails(NotSent)
    assert len(proxy.requests) == 0
