"""Starting and stopping a sandbox, its connections, and its port."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from typing import Any

import pytest
from lxml import etree

from tests.support.raw_http import connected, exchange, port_of, reply_to, written
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox import FaultKind, Gateway, Sandbox, ServerLimits
from yunxin_soap.sandbox.asmx.handler import PATH

# Raw bytes in the query, as the vendor's ASP sample sends them.
CALL = written(
    "GET",
    f"{PATH}/sendMesExt?userCode=demo&userPass=demo&DesNo=13900000000&Channel=37&ExeNo="
    "&Msg=您好【签名】".encode(),
)


def test_sandbox_start_busy_port_is_a_configuration_error(sandbox: Sandbox) -> None:
    """A port in use is an error, and the sandbox is not started."""
    port = port_of(sandbox)
    second = Sandbox(port=port)

    with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{port} .*another address or port"):
        second.start()

    second.stop()
    with pytest.raises(RuntimeError):
        _ = second.url


def test_sandbox_start_after_a_busy_port_succeeds() -> None:
    """A failed start can be repeated once the port is free."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        sandbox = Sandbox(port=other.getsockname()[1])
        with pytest.raises(ConfigurationError):
            sandbox.start()

    with sandbox:
        assert exchange(sandbox, written("GET", PATH)).status == 200


def test_sandbox_start_twice_is_an_error_stop_twice_is_none() -> None:
    """Starting a running sandbox is an error, stopping a stopped one is not."""
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


def test_sandbox_start_again_keeps_the_gateway() -> None:
    """A stopped sandbox can start again, with the same gateway."""
    gateway = Gateway()
    sandbox = Sandbox(gateway)
    for _ in range(2):
        with sandbox:
            assert exchange(sandbox, written("GET", PATH)).status == 200
    assert sandbox.gateway is gateway


def test_sandbox_stop_ends_the_thread_and_frees_the_port() -> None:
    """After `stop` the thread has ended and the port is free."""
    with Sandbox() as sandbox:
        port = port_of(sandbox)
        names = {each.name for each in threading.enumerate()}
        assert "yunxin-soap sandbox" in names
        before = threading.active_count()

    assert threading.active_count() == before - 1
    with Sandbox(port=port) as again:
        assert port_of(again) == port


def test_sandbox_stop_closes_idle_connections() -> None:
    """`stop` closes kept-alive connections instead of waiting for them."""
    with Sandbox() as sandbox:
        connection = socket.create_connection(("127.0.0.1", port_of(sandbox)), timeout=20)
        connection.sendall(written("GET", PATH, Connection=None))
        assert connection.recv(12) == b"HTTP/1.1 200"

    with connection:
        while connection.recv(65536):
            pass
        assert connection.recv(1) == b""


def test_sandbox_two_instances_share_nothing(sandbox: Sandbox) -> None:
    """Each sandbox has its own URL and gateway."""
    with Sandbox() as other:
        assert other.url != sandbox.url
        assert other.gateway is not sandbox.gateway


@pytest.mark.parametrize("host", ["sms.example", "sms.example:8080", "[::1]:80", "10.0.0.1"])
def test_server_wsdl_has_the_requested_host(sandbox: Sandbox, host: str) -> None:
    """The WSDL has the Host of the request at all four ports."""
    reply = exchange(sandbox, written("GET", f"{PATH}?WSDL", Host=host))

    addresses = etree.fromstring(reply.body).findall(".//{*}port/{*}address")
    assert [each.get("location") for each in addresses] == [f"http://{host}{PATH}"] * 4


def test_sandbox_url_is_the_page(sandbox: Sandbox) -> None:
    """The URL is that of the service's page."""
    assert sandbox.url == f"http://127.0.0.1:{port_of(sandbox)}{PATH}"


def test_server_too_many_connections_closes_the_most_silent() -> None:
    """Beyond the limit the connection closes that has been silent for longest."""
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


def test_server_too_many_connections_spares_busy_ones() -> None:
    """A connection whose request is being processed stays open."""
    with Sandbox(limits=ServerLimits(max_connections=1)) as sandbox, connected(sandbox) as waiting:
        arrived = threading.Event()
        unsubscribe = sandbox.store.subscribe(lambda _arrival: arrived.set())
        sandbox.inject_fault("delay", seconds=0.5)
        waiting.sendall(CALL)
        assert arrived.wait(20)
        unsubscribe()
        with connected(sandbox) as newcomer:
            assert newcomer.recv(1) == b""
        assert reply_to(waiting, b"GET").status == 200


@pytest.mark.parametrize(
    ("kind", "options"),
    [("delay", {"seconds": 600}), ("hang", {}), ("trickle", {"seconds": 600})],
)
def test_server_disconnected_client_frees_its_connection(
    kind: FaultKind, options: dict[str, Any]
) -> None:
    """A faulty response ends when its client disconnects."""
    with Sandbox(limits=ServerLimits(max_connections=2)) as sandbox:
        arrived = threading.Semaphore(0)
        sandbox.store.subscribe(lambda _arrival: arrived.release())
        with sandbox.inject_fault(kind, times=None, **options):
            for _ in range(5):
                with connected(sandbox) as leaving:
                    leaving.sendall(CALL)
                    assert arrived.acquire(timeout=20)
        assert exchange(sandbox, written("GET", PATH)).status == 200


def test_server_incomplete_body_does_not_block_others() -> None:
    """A client that sends half a body counts as silent."""
    with Sandbox(limits=ServerLimits(max_connections=1)) as sandbox, connected(sandbox) as slow:
        slow.sendall(written("POST", PATH, b"<", Content_Length="100", Expect="100-continue"))
        assert slow.recv(12) == b"HTTP/1.1 100"
        assert exchange(sandbox, written("GET", PATH)).status == 200


def test_refuse_injected_before_start_closes_the_port() -> None:
    """A fault that is injected before the start closes the port."""
    sandbox = Sandbox()
    sandbox.inject_fault("refuse", seconds=600)
    with sandbox:
        with pytest.raises(ConnectionRefusedError), connected(sandbox):
            pass
        sandbox.clear()
        assert exchange(sandbox, CALL).status == 200


def test_refuse_two_faults_end_with_the_longer() -> None:
    """The port opens once both faults have ended."""
    with Sandbox() as sandbox:
        with sandbox.inject_fault("refuse", seconds=600, times=None):
            with sandbox.inject_fault("refuse", seconds=600, jitter=1.0, times=None):
                pass
            with pytest.raises(ConnectionRefusedError), connected(sandbox):
                pass
        assert exchange(sandbox, CALL).status == 200


def test_refuse_closed_port_stays_reserved(sandbox: Sandbox) -> None:
    """No other process can bind the port while it is closed."""
    exchange(sandbox, CALL)  # leaves a closing connection behind
    for _ in range(2):
        sandbox.inject_fault("refuse", seconds=600)
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError), connected(sandbox):
                pass
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", port_of(sandbox)))
        sandbox.clear()
        assert exchange(sandbox, CALL).status == 200


def test_refuse_port_taken_meanwhile_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """If another process took the port, the sandbox retries until it is free."""

    def taken(_address: object) -> socket.socket:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    # The sandbox closes and reserves the port at once: no test can bind it in between.
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


def test_server_request_line_in_pieces_is_read(sandbox: Sandbox) -> None:
    """A request line may arrive in pieces, even within a character."""
    middle = CALL.index(b"Msg=") + 6
    with connected(sandbox) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (CALL[:4], CALL[4:middle], CALL[middle:]):
            connection.sendall(piece)
        assert reply_to(connection, b"GET").status == 200
    assert sandbox.inbox[-1].message == "您好【签名】"


@pytest.mark.parametrize("target", ["/api/v1/faults", "/?lang=en"])
def test_unread_fault_leaves_the_inbox_reachable(sandbox: Sandbox, target: str) -> None:
    """The inbox stays reachable, also for a client that sends slowly."""
    with sandbox.inject_fault("reset", when="unread", times=None), connected(sandbox) as connection:
        line = written("GET", target)
        for piece in (line[:5], line[5:9], line[9:]):
            connection.sendall(piece)
        assert reply_to(connection, b"GET").status == 200


def test_server_no_request_line_gets_400_at_once(sandbox: Sandbox) -> None:
    """Bytes that cannot be a request line get 400 without waiting for more."""
    with connected(sandbox) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert reply_to(connection, b"GET").status == 400


def test_server_absolute_target_is_accepted(sandbox: Sandbox) -> None:
    """The target of a request may be an absolute URL."""
    line = CALL.replace(b"GET /", b"GET http://127.0.0.1/", 1)
    assert exchange(sandbox, line).status == 200
    assert sandbox.inbox[-1].message == "您好【签名】"
