"""Starting and stopping a sandbox, and who it says it is."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from lxml import etree

from tests.sandbox.wire import connected, exchange, port_of, reply_to, written
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox import Gateway, Sandbox, server
from yunxin_soap.sandbox.asmx import PATH


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
    with pytest.raises(RuntimeError, match="runs already"):
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


def test_too_many_connections_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox() as sandbox, contextlib.ExitStack() as stack:
        stack.enter_context(connected(sandbox))
        first = stack.enter_context(connected(sandbox))
        monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
        third = stack.enter_context(connected(sandbox))
        assert third.recv(1) == b""
        first.sendall(written("GET", PATH))
        assert reply_to(first, b"GET").status == 200
