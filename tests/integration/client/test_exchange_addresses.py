"""Hosts with several addresses, and lookups that hang, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import BOTH_CLIENTS
from tests.support.scripted_server import ScriptedServer, reply_with
from tests.support.wire_samples import result_response
from yunxin_soap import NotSent

pytestmark = pytest.mark.parametrize("protocol", BOTH_CLIENTS)


@contextlib.contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """Yield an address that answers no attempt to connect: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


@contextlib.contextmanager
def refusing_address() -> Iterator[tuple[str, int]]:
    """Yield an address that nobody listens at."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield unheard.getsockname()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Give the host ``gateway.test`` these addresses: the system's lookup knows no such name."""
    lookup = socket.getaddrinfo

    def resolved(host: str, port: int, **options: Any) -> Any:
        if host != "gateway.test" or options["flags"] & socket.AI_NUMERICHOST:
            return lookup(host, port, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


ENDPOINT = "http://gateway.test/api/MsgSend.asmx"


@pytest.mark.parametrize("first", [silent_address, refusing_address])
def test_second_address_is_used_if_the_first_does_not_answer(
    protocol: str,
    first: Callable[[], contextlib.AbstractContextManager[tuple[str, int]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An address that is silent or refuses does not keep the client from the next one."""
    with first() as address, ScriptedServer(reply_with(result_response(protocol))) as server:
        resolve_to(monkeypatch, address, ("127.0.0.1", server.port))
        with CheckedClient(ENDPOINT, protocol, retries=0) as checked:
            checked.assert_accepted()
            checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 1]


def test_all_addresses_refuse_is_not_sent(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If every address refuses, the error names the reason of the first."""
    with refusing_address() as first, refusing_address() as second:
        resolve_to(monkeypatch, first, second)
        with CheckedClient(ENDPOINT, protocol, retries=0) as checked:
            error = checked.assert_fails(NotSent)
    assert "no connection to gateway.test:80 (Connection refused)" in str(error)


def test_all_addresses_silent_is_bounded(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``connect_timeout`` bounds all addresses together."""
    with silent_address() as first, silent_address() as second:
        resolve_to(monkeypatch, first, second)
        with CheckedClient(ENDPOINT, protocol, retries=0, connect_timeout=0.4) as checked:
            error = checked.assert_fails(NotSent)
    assert "no connection to gateway.test:80 within 0.4 s" in str(error)


def test_lookups_that_hang_share_one_thread(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup that hangs is not waited for longer than ``connect_timeout``, nor repeated."""
    answered = threading.Event()
    lookups: list[str] = []
    lookup = socket.getaddrinfo

    def hanging(host: str, port: int, **options: Any) -> Any:
        if host == "gateway.test" and not options["flags"] & socket.AI_NUMERICHOST:
            lookups.append(host)
            answered.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return lookup(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    try:
        with CheckedClient(ENDPOINT, protocol, retries=2, connect_timeout=0.2) as checked:
            error = checked.assert_fails(NotSent)
            assert "within 0.2 s" in str(error)
            assert lookups == ["gateway.test"]
            answered.set()
            assert "cannot be resolved" in str(checked.assert_fails(NotSent))
    finally:
        answered.set()


def test_lookup_without_a_thread_is_repeated_by_the_next_call(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the system can start no thread, nothing was sent, and the next call looks up again."""
    start = threading.Thread.start

    def failing(thread: threading.Thread) -> None:
        if thread.name == "yunxin-soap resolver":
            raise RuntimeError("can't start new thread")
        start(thread)

    with ScriptedServer(reply_with(result_response(protocol))) as server:
        resolve_to(monkeypatch, ("127.0.0.1", server.port))
        with CheckedClient(ENDPOINT, protocol, retries=0) as checked:
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", failing)
                checked.assert_fails(NotSent)
            checked.assert_accepted()


def test_client_closed_while_it_connects_sends_nothing(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that gets its connection after the client was closed sends nothing on it."""
    begun, closed = threading.Event(), threading.Event()
    lookup = socket.getaddrinfo

    def slow(host: str, port: int, **options: Any) -> Any:
        if host == "gateway.test" and not options["flags"] & socket.AI_NUMERICHOST:
            begun.set()
            closed.wait(20)
            host = "127.0.0.1"
        return lookup(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(f"http://gateway.test:{server.port}/", protocol) as checked,
        ThreadPoolExecutor(1) as threads,
    ):
        sending = threads.submit(checked.send)
        assert begun.wait(20)
        checked.client.close()
        closed.set()
        with pytest.raises(RuntimeError, match="The client is closed"):
            sending.result(20)
    assert server.requests == []
