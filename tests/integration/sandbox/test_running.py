"""Starting and stopping a sandbox, and who it says it is."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time

import pytest
from lxml import etree

from tests.support.raw_http import connected, exchange, port_of, reply_to, written
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox import FaultKind, FaultOptions, Gateway, Sandbox, ServerLimits
from yunxin_soap.sandbox.asmx.handler import PATH

# Bytes that nobody escaped, as the vendor's ASP sample sends them.
CALL = written(
    "GET",
    f"{PATH}/sendMesExt?userCode=demo&userPass=demo&DesNo=13900000000&Channel=37&ExeNo="
    "&Msg=您好【签名】".encode(),
)


def test_busy_port_is_a_configuration_error(sandbox: Sandbox) -> None:
    port = port_of(sandbox)
    second = Sandbox(port=port)

    with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{port} .*another address or port"):
        second.start()

    second.stop()
    with pytest.raises(RuntimeError):
        _ = second.url


def test_sandbox_whose_port_was_busy_starts_once_it_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        sandbox = Sandbox(port=other.getsockname()[1])
        with pytest.raises(ConfigurationError):
            sandbox.start()

    with sandbox:
        assert exchange(sandbox, written("GET", PATH)).status == 200


def test_starting_twice_is_an_error_and_stopping_twice_is_none() -> None:
    sandbox = Sandbox()
    sandbox.stop()
    assert sandbox.start() is sandbox
    first = sandbox.url
    with pytest.raises(RuntimeError, match="already running"):
        sandbox.start()
    assert sandbox.url == first

    sandbox.stop()
    sandbox.stop()

    with pytest.raises(RuntimeError, match="not been started"):
        _ = sandbox.url


def test_stopped_sandbox_starts_again_with_its_gateway() -> None:
    gateway = Gateway()
    sandbox = Sandbox(gateway)
    for _ in range(2):
        with sandbox:
            assert exchange(sandbox, written("GET", PATH)).status == 200
    assert sandbox.gateway is gateway


def test_stopping_ends_the_thread_and_frees_the_port() -> None:
    with Sandbox() as sandbox:
        port = port_of(sandbox)
        names = {each.name for each in threading.enumerate()}
        assert "yunxin-soap sandbox" in names
        before = threading.active_count()

    assert threading.active_count() == before - 1
    with Sandbox(port=port) as again:
        assert port_of(again) == port


def test_stopping_does_not_wait_for_a_kept_connection() -> None:
    with Sandbox() as sandbox:
        connection = socket.create_connection(("127.0.0.1", port_of(sandbox)), timeout=20)
        connection.sendall(written("GET", PATH, Connection=None))
        assert connection.recv(12) == b"HTTP/1.1 200"

    with connection:
        while connection.recv(65536):
            pass
        assert connection.recv(1) == b""


def test_two_sandboxes_keep_their_inboxes_apart(sandbox: Sandbox) -> None:
    with Sandbox() as other:
        assert other.url != sandbox.url
        assert other.gateway is not sandbox.gateway


@pytest.mark.parametrize("host", ["sms.example", "sms.example:8080", "[::1]:80", "10.0.0.1"])
def test_wsdl_has_the_asked_host_at_all_four_ports(sandbox: Sandbox, host: str) -> None:
    reply = exchange(sandbox, written("GET", f"{PATH}?WSDL", Host=host))

    addresses = etree.fromstring(reply.body).findall(".//{*}port/{*}address")
    assert [each.get("location") for each in addresses] == [f"http://{host}{PATH}"] * 4


def test_url_is_the_page(sandbox: Sandbox) -> None:
    assert sandbox.url == f"http://127.0.0.1:{port_of(sandbox)}{PATH}"


def test_of_too_many_connections_the_most_silent_ends() -> None:
    with (
        Sandbox(limits=ServerLimits(max_connections=2)) as sandbox,
        contextlib.ExitStack() as stack,
    ):
        silent = stack.enter_context(connected(sandbox))
        silent.sendall(b"POST / HTTP/1.1\r\nHo")
        speaks = stack.enter_context(connected(sandbox))
        speaks.sendall(written("GET", PATH, Connection=None))
        assert reply_to(speaks, b"GET").status == 200
        assert exchange(sandbox, written("GET", PATH)).status == 200
        assert silent.recv(1) == b""
        speaks.sendall(written("GET", PATH))
        assert reply_to(speaks, b"GET").status == 200


def test_who_is_answered_is_not_ended_for_a_newcomer() -> None:
    with Sandbox(limits=ServerLimits(max_connections=1)) as sandbox, connected(sandbox) as waits:
        arrived = threading.Event()
        stop = sandbox.store.subscribe(lambda _arrival: arrived.set())
        sandbox.inject_fault("delay", seconds=0.5)
        waits.sendall(CALL)
        assert arrived.wait(20)
        stop()
        with connected(sandbox) as newcomer:
            assert newcomer.recv(1) == b""
        assert reply_to(waits, b"GET").status == 200


@pytest.mark.parametrize(
    ("kind", "options"),
    [("delay", {"seconds": 600}), ("hang", {}), ("trickle", {"seconds": 600})],
)
def test_who_left_takes_no_place(kind: FaultKind, options: FaultOptions) -> None:
    with Sandbox(limits=ServerLimits(max_connections=2)) as sandbox:
        arrived = threading.Semaphore(0)
        sandbox.store.subscribe(lambda _arrival: arrived.release())
        with sandbox.inject_fault(kind, times=None, **options):
            for _ in range(5):
                with connected(sandbox) as leaves:
                    leaves.sendall(CALL)
                    assert arrived.acquire(timeout=20)
        assert exchange(sandbox, written("GET", PATH)).status == 200


def test_half_a_body_keeps_nobody_out() -> None:
    with Sandbox(limits=ServerLimits(max_connections=1)) as sandbox, connected(sandbox) as slow:
        slow.sendall(written("POST", PATH, b"<", Content_Length="100", Expect="100-continue"))
        assert slow.recv(12) == b"HTTP/1.1 100"
        assert exchange(sandbox, written("GET", PATH)).status == 200


def test_a_port_that_was_shut_before_the_start() -> None:
    sandbox = Sandbox()
    sandbox.inject_fault("refuse", seconds=600)
    with sandbox:
        with pytest.raises(ConnectionRefusedError), connected(sandbox):
            pass
        sandbox.clear()
        assert exchange(sandbox, CALL).status == 200


def test_a_port_that_is_shut_twice_opens_once() -> None:
    with Sandbox() as sandbox:
        with sandbox.inject_fault("refuse", seconds=600, times=None):
            with sandbox.inject_fault("refuse", seconds=600, jitter=1.0, times=None):
                pass
            with pytest.raises(ConnectionRefusedError), connected(sandbox):
                pass
        assert exchange(sandbox, CALL).status == 200


def test_a_port_that_is_shut_is_nobody_else_s(sandbox: Sandbox) -> None:
    exchange(sandbox, CALL)  # so that a connection of before is still ending
    for _ in range(2):
        sandbox.inject_fault("refuse", seconds=600)
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError), connected(sandbox):
                pass
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", port_of(sandbox)))
        sandbox.clear()
        assert exchange(sandbox, CALL).status == 200


def test_a_port_that_was_taken_meanwhile_opens_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(_address: object) -> socket.socket:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    # Between shutting it and holding it there is no time to take it on demand.
    monkeypatch.setattr("yunxin_soap.sandbox.faults.port_gate.reserve_port", taken)
    with Sandbox() as sandbox:
        sandbox.inject_fault("refuse", seconds=600)
        with socket.create_server(("127.0.0.1", port_of(sandbox))):
            sandbox.clear()
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                assert exchange(sandbox, CALL).status == 200
                return
            assert time.monotonic() < deadline


def test_a_request_line_may_come_in_pieces(sandbox: Sandbox) -> None:
    middle = CALL.index(b"Msg=") + 6
    with connected(sandbox) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (CALL[:4], CALL[4:middle], CALL[middle:]):
            connection.sendall(piece)
        assert reply_to(connection, b"GET").status == 200
    assert sandbox.inbox[-1].message == "您好【签名】"


@pytest.mark.parametrize("target", ["/api/v1/faults", "/?lang=en"])
def test_who_makes_the_service_deaf_may_speak_slowly(sandbox: Sandbox, target: str) -> None:
    with sandbox.inject_fault("reset", when="unread", times=None), connected(sandbox) as connection:
        line = written("GET", target)
        for piece in (line[:5], line[5:9], line[9:]):
            connection.sendall(piece)
        assert reply_to(connection, b"GET").status == 200


def test_what_is_no_request_line_is_refused_at_once(sandbox: Sandbox) -> None:
    with connected(sandbox) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert reply_to(connection, b"GET").status == 400


def test_a_target_may_be_a_whole_address(sandbox: Sandbox) -> None:
    line = CALL.replace(b"GET /", b"GET http://127.0.0.1/", 1)
    assert exchange(sandbox, line).status == 200
    assert sandbox.inbox[-1].message == "您好【签名】"
