"""What the documents promise about sending, proved with many sends and a server that misbehaves.

The server runs in a process of its own and counts. `YUNXIN_TEST_SENDS` sets how many sends a test
of leaks makes; before a release, run it with 50000.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import (
    BOTH_CLIENTS,
    BlockingAsyncClient,
    BlockingUvloopClient,
    ClientVariant,
    build_client,
    protocol_name,
)
from tests.support.counting_server import (
    ACCEPTING,
    TREATMENTS,
    Treatment,
    batch_no,
    counting_server,
    message,
)
from tests.support.scripted_server import Connection, Script, ScriptedServer, reply_with
from tests.support.secret_detector import NUMBERS
from tests.support.wire_samples import BATCH_NO, result_response
from yunxin_soap import Client, NotSent, OutcomeUnknown, Receipt
from yunxin_soap.settings import Settings

SENDS = int(os.environ.get("YUNXIN_TEST_SENDS", "2000"))
NUMBER = "13900000000"


def settings_for(url: str, protocol: str, **options: object) -> Settings:
    """Return settings for a server that may be slow on a busy machine."""
    patient = {"timeout": 60.0, "connect_timeout": 60.0, "total_timeout": 600.0}
    return Settings(
        "user",
        "password",
        channel="37",
        endpoint=url,
        protocol=protocol_name(protocol),
        **{**patient, **options},  # type: ignore[arg-type]
    )


def send_and_check(client: Client | BlockingAsyncClient, number: int, treatment: Treatment) -> None:
    """Send one message, and check that it ends as the server treated it."""
    try:
        receipt = client.send(NUMBER, message(number, treatment))
    except OutcomeUnknown:
        assert treatment not in ACCEPTING
    else:
        assert treatment in ACCEPTING
        assert receipt.batch_no == batch_no(number)


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept alive"])
def test_no_request_is_processed_twice(protocol: str, kept: bool) -> None:
    """Whatever a server does after it processed a request, it gets the request once."""
    treatments: list[Treatment] = []
    for treatment in TREATMENTS:
        treatments += ["accept", treatment] if kept else ["surplus", treatment]
    numbered = list(enumerate(treatments * 10))
    with (
        counting_server(protocol) as server,
        build_client(protocol, settings_for(server.url, protocol, retries=5)) as client,
        ThreadPoolExecutor(3) as threads,
    ):
        list(threads.map(lambda each: send_and_check(client, *each), numbered))
        counts = server.counts()
    assert (counts.processed, counts.repeated) == (len(numbered), [])


# --- many sends


class Resources:
    """What this process holds."""

    def __init__(self) -> None:
        # Collecting runs finalizers, which may free more.
        for _ in range(3):
            gc.collect()
        process = psutil.Process()
        self.descriptors = process.num_fds() if hasattr(process, "num_fds") else 0
        self.sockets = len(process.net_connections())
        self.threads = process.num_threads()
        self.blocks = sys.getallocatedblocks()
        self.memory = process.memory_info().rss


def mixed_treatments() -> Iterator[Treatment]:
    """Return treatments without end: of twenty requests, five meet a failure."""
    failures = [treatment for treatment in TREATMENTS if treatment != "accept"]
    return itertools.cycle([*failures, *["accept"] * (20 - len(failures))])  # type: ignore[list-item]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_many_sends_leave_nothing_behind(
    protocol: ClientVariant, caplog: pytest.LogCaptureFixture
) -> None:
    """Sends, good and failed ones, leave no socket, thread, descriptor or memory behind."""
    caplog.set_level("CRITICAL", "yunxin_soap")  # pytest keeps every record
    numbers = itertools.count()
    treatments = mixed_treatments()

    def send_many(count: int) -> None:
        for number, treatment in itertools.islice(zip(numbers, treatments), count):  # noqa: B905 - endless
            send_and_check(client, number, treatment)

    with counting_server(protocol) as server:
        threads = threading.enumerate()
        before = Resources()
        with build_client(protocol, settings_for(server.url, protocol)) as client:
            send_many(200)
            warm = Resources()
            send_many(SENDS)
            after = Resources()
            counts = server.counts()
        for thread in threading.enumerate():
            if thread not in threads:
                thread.join(20)  # an event loop does not wait for the threads that it had
        closed = Resources()
    assert (counts.processed, counts.repeated) == (200 + SENDS, [])
    assert (after.descriptors, after.sockets, after.threads) == (
        warm.descriptors,
        warm.sockets,
        warm.threads,
    )
    # A leak of one object a send would be twice as much.
    assert after.blocks - warm.blocks < SENDS / 2
    assert after.memory - warm.memory < (4 << 20) + SENDS * 20
    assert (closed.descriptors, closed.sockets, closed.threads) == (
        before.descriptors,
        before.sockets,
        before.threads,
    )


TASKS = 5000
ALLOWED = 200


@pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])
def test_many_tasks_at_once_are_all_accepted_once(uvloop: bool) -> None:
    """5,000 tasks send at once to a server that allows 200 connections: all are accepted."""
    kind = loop_client(uvloop)
    with (
        counting_server("soap", ALLOWED) as server,
        kind.from_settings(settings_for(server.url, "soap")) as client,
    ):

        async def send_all() -> list[str]:
            receipts = await asyncio.gather(
                *[client.client.send(NUMBER, message(number)) for number in range(TASKS)]
            )
            return [receipt.batch_no for receipt in receipts]

        batch_numbers = client.run(send_all())
        counts = server.counts()
    assert batch_numbers == [batch_no(number) for number in range(TASKS)]
    assert (counts.processed, counts.repeated, counts.refused) == (TASKS, [], 0)
    assert counts.most_connections <= 100


def test_many_threads_at_once_are_all_accepted_once() -> None:
    """300 threads send at once to a server that allows 200 connections: all are accepted."""
    with (
        counting_server("soap", ALLOWED) as server,
        Client.from_settings(settings_for(server.url, "soap")) as client,
        ThreadPoolExecutor(300) as threads,
    ):
        together = threading.Barrier(300)

        def send(number: int) -> str:
            if number < 300:
                together.wait(60)
            return client.send(NUMBER, message(number)).batch_no

        batch_numbers = list(threads.map(send, range(1500)))
        counts = server.counts()
    assert batch_numbers == [batch_no(number) for number in range(1500)]
    assert (counts.processed, counts.repeated, counts.refused) == (1500, [], 0)
    assert counts.most_connections <= 100


def test_many_failing_sends_at_once_give_every_place_back(protocol: str) -> None:
    """Failures give their place back: afterwards, as many requests are in flight as before."""
    together = threading.Barrier(4)

    def script(connection: Connection) -> None:
        while request := connection.read():
            if b"fail" in request.body or "fail" in request.target:
                return
            together.wait(20)  # passes if all four are in flight
            connection.send(result_response(protocol))

    with (
        ScriptedServer(script) as server,
        CheckedClient(server, protocol, max_connections=4) as checked,
        ThreadPoolExecutor(12) as threads,
    ):

        def fail(_: int) -> None:
            with pytest.raises(OutcomeUnknown):
                checked.client.send(NUMBERS, "fail【签名】")

        list(threads.map(fail, range(40)))
        receipts = list(
            threads.map(lambda _: checked.client.send(NUMBERS, "您好【签名】"), range(4))
        )
    assert {receipt.batch_no for receipt in receipts} == {BATCH_NO}


@pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])
def test_cancelled_tasks_give_every_place_back(uvloop: bool) -> None:
    """A cancelled task says whether its request may have left, and gives its place back."""
    kind = loop_client(uvloop)
    hangs = threading.Event()
    hangs.set()

    def script(connection: Connection) -> None:
        while connection.read():
            if hangs.is_set():
                connection.wait_until_closed()
                return
            connection.send(result_response("soap"))

    with (
        ScriptedServer(script) as server,
        kind.from_settings(settings_for(server.url, "soap", max_connections=4)) as client,
    ):

        async def send_until_cancelled() -> None:
            try:
                await client.client.send(NUMBER, "您好【签名】")
            except asyncio.CancelledError as cancelled:
                causes.append(cancelled.__cause__)  # outside of the task it is lost

        async def send_and_cancel() -> None:
            sends = [asyncio.ensure_future(send_until_cancelled()) for _ in range(40)]
            await asyncio.to_thread(server.wait_for_requests, 4)
            for each in sends:
                each.cancel()
            await asyncio.wait(sends)

        causes: list[BaseException | None] = []
        client.run(send_and_cancel())
        hangs.clear()
        receipts = client.run(gather_sends(client, 8))
    kinds = [type(cause) for cause in causes]
    assert sorted(kinds, key=str) == [NotSent] * 36 + [OutcomeUnknown] * 4
    assert len(receipts) == 8
    assert len(server.requests) == 12


async def gather_sends(client: BlockingAsyncClient, count: int) -> list[Receipt]:
    """Send that many messages at once."""
    return await asyncio.gather(*[client.client.send(NUMBER, "您好【签名】") for _ in range(count)])


def loop_client(uvloop: bool) -> type[BlockingAsyncClient]:
    """Return the client on asyncio's or on uvloop's event loop."""
    if uvloop and sys.platform == "win32":
        pytest.skip("uvloop is not for Windows")
    return BlockingUvloopClient if uvloop else BlockingAsyncClient


# --- waits have a bound


def reply_after(event: threading.Event, protocol: str) -> Script:
    """Return a script that accepts each request, and responds once an event is set."""

    def script(connection: Connection) -> None:
        while connection.read():
            event.wait(20)
            connection.send(result_response(protocol))

    return script


def test_wait_for_a_free_connection_is_bounded(protocol: str) -> None:
    """Without a free connection within connect_timeout, nothing is sent, and it says why."""
    release = threading.Event()
    with (
        ScriptedServer(reply_after(release, protocol)) as server,
        CheckedClient(server, protocol, max_connections=1, connect_timeout=0.2) as checked,
        ThreadPoolExecutor(1) as threads,
    ):
        first = threads.submit(checked.client.send, NUMBERS, "您好")
        server.wait_for_requests(1)
        error = checked.assert_fails(NotSent)
        assert (error.safe_to_resend, error.retryable) == (True, True)
        assert "all 1 connections (max_connections) were in use for 0.2 s" in str(error)
        release.set()
        assert first.result(20).batch_no == BATCH_NO
        checked.assert_accepted()
    assert [request.connection for request in server.requests] == [1, 1]


def test_client_closed_while_another_send_waits_sends_no_more(protocol: str) -> None:
    """A send that waits for a free connection sends nothing once the client is closed."""
    release = threading.Event()
    with (
        ScriptedServer(reply_after(release, protocol)) as server,
        CheckedClient(server, protocol, max_connections=1, connect_timeout=20) as checked,
        ThreadPoolExecutor(2) as threads,
    ):
        first = threads.submit(checked.client.send, NUMBERS, "您好")
        server.wait_for_requests(1)
        waiting = threads.submit(checked.client.send, NUMBERS, "您好")
        checked.client.close()
        release.set()
        assert isinstance(waiting.exception(20), NotSent | RuntimeError)
        assert first.result(20).batch_no == BATCH_NO
    assert len(server.requests) == 1


def resolver_threads() -> list[threading.Thread]:
    """Return the threads that look up a name."""
    return [thread for thread in threading.enumerate() if "resolver" in thread.name]


@pytest.fixture
def hanging_lookup(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Make every lookup of ``hangs.invalid`` hang; call the fixture to let it go on."""
    release = threading.Event()
    system_lookup = socket.getaddrinfo

    def lookup(host: str | None, *args: Any, **options: Any) -> Any:
        if host == "hangs.invalid":
            if options.get("flags", 0) == socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            release.wait(60)
            host = "127.0.0.1"
        return system_lookup(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    yield release.set
    release.set()
    for thread in resolver_threads():
        thread.join(20)
        assert not thread.is_alive()


def test_lookup_that_hangs_is_bounded(protocol: str, hanging_lookup: Callable[[], None]) -> None:
    """A lookup that hangs ends as not sent within connect_timeout; the next can succeed."""
    with ScriptedServer(reply_with(result_response(protocol))) as server:
        url = server.url.replace("127.0.0.1", "hangs.invalid")
        with CheckedClient(url, protocol, connect_timeout=0.2) as checked:
            for _ in range(3):
                error = checked.assert_fails(NotSent)
                assert "within 0.2 s" in str(error)
            assert server.connections == 0
            assert len(resolver_threads()) == 1
            hanging_lookup()
        with CheckedClient(url, protocol) as checked:
            checked.assert_accepted()
    assert len(server.requests) == 1


def test_process_ends_while_a_lookup_hangs() -> None:
    """A lookup that hangs does not keep the process from ending."""
    script = """
import asyncio, socket, sys, threading
from yunxin_soap import AsyncClient, Client, NotSent

def lookup(host, *args, flags=0, **options):
    if flags == socket.AI_NUMERICHOST:
        raise socket.gaierror(socket.EAI_NONAME, "no number")
    threading.Event().wait()

socket.getaddrinfo = lookup
options = dict(channel="37", endpoint="http://hangs.invalid/", connect_timeout=0.1)
with Client("u", "p", **options) as client:
    try:
        client.send("13900000000", "x【签名】")
    except NotSent:
        print("not sent")

async def main():
    async with AsyncClient("u", "p", **options) as client:
        try:
            await client.send("13900000000", "x【签名】")
        except NotSent:
            print("not sent")

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "not sent\nnot sent\n", "")


# --- fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_while_all_connections_are_in_use_leaves_the_child_its_own(protocol: str) -> None:
    """A child has all connections for itself, also those that the parent uses at the fork."""
    script = """
import os, sys, threading
from yunxin_soap import Client

with Client("u", "p", channel="37", endpoint=sys.argv[1], protocol=sys.argv[2],
            max_connections=1) as client:
    thread = threading.Thread(target=client.send, args=["13900000000", "slow【签名】"])
    thread.start()
    sys.stdin.readline()  # the server has read the request
    child = os.fork()
    if child == 0:
        client.send("13900000000", "child【签名】")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print("child sent", flush=True)
    thread.join()
    client.send("13900000000", "parent【签名】")
"""
    child_sent = threading.Event()

    def serve(connection: Connection) -> None:
        while connection.read():
            if connection.number == 1:
                child_sent.wait(60)
            connection.send(result_response(protocol))

    with (
        ScriptedServer(serve) as server,
        subprocess.Popen(
            # Newer Pythons warn of a fork while there are threads.
            [sys.executable, "-W", "ignore", "-c", script, server.url, str(protocol)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        server.wait_for_requests(1)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "child sent\n"
        child_sent.set()
        assert process.wait(60) == 0
    assert [request.connection for request in server.requests] == [1, 2, 1]
