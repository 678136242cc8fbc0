"""One client in many threads, across a fork, and after it was closed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import BOTH_CLIENTS, protocol_name
from tests.support.clock import FakeClock
from tests.support.scripted_server import Connection, ScriptedServer, reply_with
from tests.support.secret_detector import NUMBERS
from tests.support.wire_samples import BATCH_NO, result_response
from yunxin_soap import Client, NotSent
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.settings import Settings
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.transport.limits import KEEPALIVE_EXPIRY
from yunxin_soap.transport.sync import HttpTransport


def test_client_shared_by_threads_mixes_nothing_up(protocol: str, sandbox: Sandbox) -> None:
    """Each thread gets the receipt of its own submission."""
    texts = [f"第{index}条" for index in range(60)]
    numbers = [f"139{index:08d}" for index in range(60)]
    with (
        Client(
            "demo", "demo", channel="37", endpoint=sandbox.url, protocol=protocol_name(protocol)
        ) as client,
        ThreadPoolExecutor(12) as threads,
    ):
        receipts = list(threads.map(client.send, numbers, [f"{text}【签名】" for text in texts]))
    inbox = {submission.batch_no: submission for submission in sandbox.inbox}
    assert len(sandbox.inbox) == len(inbox) == len(texts)
    for receipt, text, number in zip(receipts, texts, numbers, strict=True):
        assert receipt.message == f"{text}【签名】"
        assert inbox[receipt.batch_no].message == receipt.message
        assert inbox[receipt.batch_no].recipients == receipt.recipients == (number,)


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_pool_with_fewer_connections_than_callers_serves_all(protocol: str) -> None:
    """More callers than ``max_connections`` share the connections, and wait for each other."""
    size, count = 2, 12
    together = threading.Barrier(size)

    def script(connection: Connection) -> None:
        while connection.read() is not None:
            together.wait(20)  # both connections are in use at the same time
            connection.send(result_response("soap"))

    with (
        ScriptedServer(script) as server,
        CheckedClient(server, protocol, max_connections=size) as checked,
        ThreadPoolExecutor(count) as threads,
    ):
        receipts = list(threads.map(lambda _: checked.client.send(NUMBERS, "您好"), range(count)))
    assert [receipt.batch_no for receipt in receipts] == [BATCH_NO] * count
    assert (server.connections, len(server.requests)) == (size, count)


def test_pool_after_a_burst_closes_expired_connections() -> None:
    """A later request closes the expired connections of an earlier burst."""
    count = 6
    together = threading.Barrier(count)
    clock = FakeClock()

    def script(connection: Connection) -> None:
        connection.read()
        together.wait(20)
        connection.send(result_response("soap"))
        reply_with(result_response("soap"))(connection)

    with (
        ScriptedServer(script) as server,
        CheckedClient(server, clock=clock) as checked,
        ThreadPoolExecutor(count) as threads,
    ):
        list(threads.map(lambda _: checked.client.send(NUMBERS, "您好"), range(count)))
        clock.advance(KEEPALIVE_EXPIRY - 1)
        checked.assert_accepted()
        youngest = server.requests[-1].connection
        clock.advance(1)  # only the others have expired now
        checked.assert_accepted()
        for number in set(range(1, count + 1)) - {youngest}:
            server.wait_until_ended(number)
        checked.assert_accepted()
    assert [request.connection for request in server.requests[count:]] == [youngest] * 3
    assert server.connections == count


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_client_closed_while_sending_leaves_nothing_open(protocol: str) -> None:
    """A client that is closed while a request is in flight reads the response, and then closes."""
    closed = threading.Event()

    def script(connection: Connection) -> None:
        connection.read()
        closed.wait(20)
        connection.send(result_response(protocol))
        connection.wait_until_closed()

    with (
        ScriptedServer(script) as server,
        CheckedClient(server, protocol) as checked,
        ThreadPoolExecutor(1) as threads,
    ):
        sending = threads.submit(checked.assert_accepted)
        server.wait_for_requests(1)
        checked.client.close()
        closed.set()
        sending.result(20)
        server.wait_until_ended(1)
    assert (server.connections, len(server.requests)) == (1, 1)


_FORKING = """
import os, sys
from yunxin_soap import Client, OutcomeUnknown

with Client("u", "p", channel="37", endpoint=sys.argv[1], protocol=sys.argv[2]) as client:
    client.send("13900000000", "first【签名】")
    child = os.fork()
    if child == 0:
        client.send("13900000000", "child【签名】")
        client.send("13900000000", "child again【签名】")
        client.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    child = os.fork()
    if child == 0:
        client.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    client.send("13900000000", "parent【签名】")
child = os.fork()
if child == 0:
    try:
        client.send("13900000000", "too late【签名】")
    except RuntimeError:
        os._exit(0)
    os._exit(1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_child_opens_its_own_connections(protocol: str) -> None:
    """A forked child opens its own connections, and the parent keeps its own."""
    with ScriptedServer(reply_with(result_response(protocol))) as server:
        subprocess.run(
            [sys.executable, "-W", "error", "-c", _FORKING, server.url, protocol],
            check=True,
            timeout=60,
        )
    texts = [message_in(request.target, request.body) for request in server.requests]
    assert [text.partition("【")[0] for text in texts] == [
        "first",
        "child",
        "child again",
        "parent",
    ]
    assert [request.connection for request in server.requests] == [1, 2, 2, 1]


def message_in(target: str, body: bytes) -> str:
    """Return the message of a request in any of the four protocols."""
    if body.startswith(b"<"):
        return body.decode().partition("Msg>")[2].partition("<")[0]
    return parse_qs(urlsplit(target).query or body.decode())["Msg"][0]


def test_client_closed_sends_nothing(protocol: str) -> None:
    """A closed client sends nothing, and has closed its idle connection."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_accepted()
        checked.client.close()
        with pytest.raises(RuntimeError, match="client is closed"):
            checked.send()
        with pytest.raises(RuntimeError, match="client is closed"):
            checked.client.service.sendMesExt(Msg="您好")
        checked.client.close()
        server.wait_until_ended(1)  # close() closes the idle connection
    assert len(server.requests) == 1


def test_client_that_only_checks_opens_no_connection(protocol: str) -> None:
    """Checking a submission opens no connection."""
    with ScriptedServer(reply_with(b"")) as server, CheckedClient(server, protocol) as checked:
        checked.client.check(NUMBERS, "您好")
    assert server.connections == 0


def test_fork_child_with_threads_has_one_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that notice the fork at the same time share one pool and its places."""
    child = os.getpid() + 1
    done = threading.Event()

    def script(connection: Connection) -> None:
        connection.read()
        done.wait(20)
        connection.send(result_response("soap"))

    with ScriptedServer(script) as server, ThreadPoolExecutor(1) as threads:
        settings = Settings(
            "u", "p", endpoint=server.url, max_connections=1, connect_timeout=0.2, retries=0
        )
        transport = HttpTransport(settings)
        request = Request("GET", "/", {})
        main = threading.get_ident()
        first: list[Future[Response]] = []

        def child_pid() -> int:
            if threading.get_ident() == main and not first:  # another thread is faster
                first.append(threads.submit(transport.send, request))
                server.wait_for_requests(1)
            return child

        with monkeypatch.context() as patched:
            patched.setattr(os, "getpid", child_pid)
            with pytest.raises(NotSent, match="all 1 connections"):
                transport.send(request)
            done.set()
            assert first[0].result(20).status == 200
        transport.close()
    assert len(server.requests) == 1
