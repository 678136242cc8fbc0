"""The parts that only `AsyncClient` has: cancellation, event loops, loading in a thread.

The other tests of this folder cover both clients.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support.scripted_server import (
    Connection,
    ScriptedServer,
    proxy_url,
    read_then_hang,
    reply_with,
)
from tests.support.wire_samples import XML, result_response, result_xml
from yunxin_soap import (
    AsyncClient,
    ConfigurationError,
    NotSent,
    OutcomeUnknown,
    Request,
    Response,
    Submission,
    wsdl,
)
from yunxin_soap.errors import SendError
from yunxin_soap.operation import PROTOCOLS
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.settings import Settings
from yunxin_soap.transport.aio import AsyncConnection, AsyncHttpTransport
from yunxin_soap.transport.resolver import Address, Resolver

_T = TypeVar("_T")


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    return asyncio.run(coroutine)


def client(url: str, **settings: Any) -> AsyncClient:
    return AsyncClient("demo", "demo", channel="37", signature="签名", endpoint=url, **settings)


def test_close_while_a_large_request_is_sent_keeps_the_timeout() -> None:
    """Closing the client does not lift the timeout of a request that nobody reads."""
    begun, done = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        connection.wait_for_bytes()
        begun.set()
        done.wait(20)

    async def main() -> None:
        with ScriptedServer(script) as server:
            yunxin = client(server.url, timeout=0.5)
            large = Submission(("13900000000",), "x" * (16 << 20), "37", "")
            sending = asyncio.ensure_future(yunxin.submit(large))
            await asyncio.to_thread(begun.wait, 20)
            closing = asyncio.ensure_future(yunxin.close())
            with pytest.raises(OutcomeUnknown):
                await asyncio.wait_for(sending, 20)
            await asyncio.wait_for(closing, 20)
            done.set()

    run(main())


def test_connection_that_ended_before_the_request_is_not_waited_for() -> None:
    """If the event loop has seen the end of a new connection, nothing was sent."""

    async def main() -> None:
        with ScriptedServer(lambda connection: None) as server:
            settings = Settings("u", "p", channel="37", endpoint=server.url, retries=0)
            transport = AsyncHttpTransport(settings)
            create = asyncio.get_running_loop().create_connection

            async def create_slowly(*args: Any, **options: Any) -> Any:
                created = await create(*args, **options)
                await created[1].ended
                return created

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(asyncio.get_running_loop(), "create_connection", create_slowly)
                with pytest.raises(NotSent):
                    await transport.send(Request("GET", "/", {}))
            await transport.close()

    run(main())


def test_cancel_at_any_step_of_connecting_on_uvloop_keeps_no_connection() -> None:
    """uvloop does not tell a connection that its end came if the task is cancelled meanwhile."""
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        with ScriptedServer(reply_with(result_response("soap"))) as server:
            settings = Settings("u", "p", channel="37", endpoint=server.url)
            transport = AsyncHttpTransport(settings)
            for steps in range(100):
                task = asyncio.ensure_future(transport.send(Request("GET", "/", {})))
                for _ in range(steps % 10):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            await transport.close()
            await asyncio.to_thread(server.wait_for_ended, server.connections)
            await asyncio.sleep(0)
            del task
            gc.collect()
            assert [each for each in gc.get_objects() if type(each) is AsyncConnection] == []

    loop = uvloop.new_event_loop()
    loop.run_until_complete(main())
    loop.close()


def test_close_in_another_event_loop_does_not_wait() -> None:
    """Nobody waits for connections of an event loop that has stopped."""
    with ScriptedServer(reply_with(result_response("soap"))) as server:
        yunxin = client(server.url)
        first = asyncio.new_event_loop()
        first.run_until_complete(yunxin.send("13900000000", "x"))
        run(asyncio.wait_for(yunxin.close(), 10))
        first.run_until_complete(asyncio.sleep(0))  # asyncio closes the socket
        first.close()


def test_cancel_with_a_failed_lookup_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The error of a lookup whose task is cancelled at the same moment is not left behind."""

    async def main() -> None:
        lookup: Future[list[Address]] = Future()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Resolver, "resolve", lambda self: lookup)
            async with client("http://gateway.test/") as yunxin:
                task = asyncio.ensure_future(yunxin.send("13900000000", "x"))
                await asyncio.sleep(0)
                lookup.set_exception(OSError())
                await asyncio.sleep(0)  # the task is about to get the error
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    with caplog.at_level("WARNING"):
        run(main())
        gc.collect()
    assert not caplog.records


async def cancelled_once(
    server: ScriptedServer, sending: Coroutine[Any, Any, object]
) -> BaseException:
    """Cancel a task once the server has read its request, and return the task's error."""
    task = asyncio.ensure_future(sending)
    await asyncio.to_thread(server.wait_for_requests, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


def outcome_behind(error: BaseException | None) -> SendError | None:
    """Return the outcome that caused a cancellation. Python 3.10 wraps it once more."""
    while error is not None and not isinstance(error, SendError):
        error = error.__cause__ or error.__context__
    return error


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_cancel_after_sending_is_unknown_and_closes_the_connection(protocol: str) -> None:
    """A task cancelled after it sent has an unknown outcome, and its connection is closed."""

    async def main() -> None:
        with ScriptedServer(read_then_hang) as server:
            async with client(server.url, protocol=protocol) as yunxin:
                error = await cancelled_once(server, yunxin.send("13900000000", "x"))
                cause = outcome_behind(error)
                assert isinstance(cause, OutcomeUnknown)
                assert not cause.safe_to_resend
                assert cause.request is not None
                assert (cause.request.endpoint, cause.request.recipients) == (server.url, 1)
                # The client is still open: the cancellation closed the connection.
                await asyncio.to_thread(server.wait_until_ended, 1)
            assert (server.connections, len(server.requests)) == (1, 1)

    run(main())


def test_cancel_of_a_service_call_is_unknown() -> None:
    """A cancelled call of ``client.service`` has an unknown outcome."""

    async def main() -> None:
        with ScriptedServer(read_then_hang) as server:
            async with client(server.url) as yunxin:
                call = yunxin.service.sendMesExt("demo", "demo", "13900000000", "x", "37")
                error = await cancelled_once(server, call)
                cause = outcome_behind(error)
                assert isinstance(cause, OutcomeUnknown)
                assert cause.request is not None

    run(main())


def test_cancel_while_connecting_is_not_sent() -> None:
    """A task cancelled while connecting sent nothing, and its cancellation says so."""

    async def main() -> None:
        with ScriptedServer(read_then_hang) as proxy:
            # The proxy never answers CONNECT.
            async with client("https://sms.example/x", proxy=proxy_url(proxy)) as yunxin:
                error = await cancelled_once(proxy, yunxin.send("13900000000", "x"))
                assert isinstance(outcome_behind(error), NotSent)
                await asyncio.to_thread(proxy.wait_until_ended, 1)
            assert [request.method for request in proxy.requests] == ["CONNECT"]

    run(main())


def test_cancel_while_loading_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task cancelled while it loads the WSDL, or waits for another one, sent nothing."""
    loads, release = threading.Event(), threading.Event()
    load = wsdl.load

    def slow_load(*args: Any) -> Any:
        loads.set()
        assert release.wait(20)
        return load(*args)

    monkeypatch.setattr(wsdl, "load", slow_load)

    async def main() -> None:
        yunxin = client("http://127.0.0.1:9/x")
        call = yunxin.service.sendMesExt("demo", "demo", "13900000000", "x", "37")
        tasks = [asyncio.ensure_future(each) for each in (yunxin.send("13900000000", "x"), call)]
        await asyncio.to_thread(loads.wait, 20)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert isinstance(outcome_behind(caught.value), NotSent)
        release.set()
        await yunxin.close()

    run(main())


def test_wait_for_that_times_out_is_unknown() -> None:
    """A timeout of ``asyncio.wait_for`` has an unknown outcome as its cause."""

    async def main() -> None:
        with ScriptedServer(read_then_hang) as server:
            async with client(server.url) as yunxin:
                with pytest.raises(asyncio.TimeoutError) as caught:
                    await asyncio.wait_for(yunxin.send("13900000000", "x"), 0.3)
        assert isinstance(outcome_behind(caught.value), OutcomeUnknown)

    run(main())


def test_client_shared_by_tasks_mixes_nothing_up(sandbox: Sandbox) -> None:
    """Each task gets the receipt of its own submission."""

    async def main() -> None:
        async with client(sandbox.url) as yunxin:
            sends = (yunxin.send("13900000000", f"number {i}") for i in range(200))
            receipts = await asyncio.gather(*sends)
        sent = {each.batch_no: each.message for each in sandbox.inbox}
        assert {each.batch_no: each.message for each in receipts} == sent
        assert len(sent) == 200

    run(main())


def test_wsdl_is_loaded_once_in_a_thread(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The WSDL is loaded once, at the first use, in a thread."""
    loaded_by: list[threading.Thread] = []
    load = wsdl.load

    def watched(*args: Any) -> Any:
        loaded_by.append(threading.current_thread())
        return load(*args)

    monkeypatch.setattr(wsdl, "load", watched)

    async def main() -> None:
        yunxin = client(sandbox.url)
        assert loaded_by == []
        sends = (yunxin.send("13900000000", "x") for _ in range(5))
        await asyncio.gather(*sends)
        await yunxin.close()

    run(main())
    assert len(loaded_by) == 1
    assert loaded_by[0] is not threading.current_thread()


def test_wsdl_that_is_missing_is_raised_at_the_first_use(tmp_path: Path) -> None:
    """A missing WSDL is raised at the first use."""

    async def main() -> None:
        yunxin = client("http://127.0.0.1:9/x", wsdl=tmp_path / "absent.wsdl")
        with pytest.raises(ConfigurationError, match="absent"):
            await yunxin.send("13900000000", "x")
        with pytest.raises(ConfigurationError, match="absent"):
            async with yunxin:
                pass

    run(main())


def test_client_closed_unused_loads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that is closed before its first use loads no WSDL."""
    monkeypatch.setattr(wsdl, "load", None)

    async def main() -> None:
        yunxin = client("http://127.0.0.1:9/x")
        await yunxin.close()
        with pytest.raises(RuntimeError, match="client is closed"):
            await yunxin.send("13900000000", "x")

    run(main())


def test_client_in_another_event_loop_raises(sandbox: Sandbox) -> None:
    """A client belongs to the event loop of its first use."""
    yunxin = client(sandbox.url)

    async def elsewhere() -> None:
        with pytest.raises(RuntimeError, match="one event loop"):
            await yunxin.send("13900000000", "x")

    async def main() -> None:
        async with yunxin:
            await yunxin.send("13900000000", "x")
            await asyncio.to_thread(run, elsewhere())

    run(main())
    assert len(sandbox.inbox) == 1


def test_fork_child_opens_its_own_connections() -> None:
    """A forked child opens its own connections, and the parent keeps its own."""
    script = """
import asyncio, os, sys, warnings
from yunxin_soap import AsyncClient

yunxin = AsyncClient("u", "p", channel="37", signature="s", endpoint=sys.argv[1])
loop = asyncio.new_event_loop()
loop.run_until_complete(yunxin.send("13900000000", "before"))
loop.run_until_complete(loop.shutdown_default_executor())
warnings.simplefilter("ignore")  # newer Pythons warn of any thread that ever ran
child = os.fork()
if not child:
    asyncio.set_event_loop(None)
    asyncio.run(yunxin.send("13900000000", "child"))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
loop.run_until_complete(yunxin.send("13900000000", "after"))
loop.run_until_complete(yunxin.close())
loop.close()
"""
    with ScriptedServer(reply_with(result_response("soap"))) as server:
        done = subprocess.run(
            [sys.executable, "-c", script, server.url], capture_output=True, text=True
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert [request.connection for request in server.requests] == [1, 2, 1]


def test_import_needs_no_aiohttp() -> None:
    """`AsyncClient` belongs to the core, which has no aiohttp."""
    script = (
        "import sys\nsys.modules['aiohttp'] = None\n"
        "from yunxin_soap import AsyncClient\n"
        "print(AsyncClient('u', 'p').settings.user_code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("u\n", "")


class FixedTransport:
    """Returns one response to every request, and counts what is done to it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.closed = 0

    async def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        self.requests.append(request)
        return Response(200, XML, result_xml("soap", "7").encode())

    async def close(self) -> None:
        self.closed += 1


def test_transport_carries_every_request_and_is_closed() -> None:
    """A transport of the caller's own replaces the network; the client closes it."""

    async def main() -> None:
        transport = FixedTransport()
        async with client("http://gateway.invalid/x.asmx", transport=transport) as yunxin:
            assert (await yunxin.send("13900000000", "您好")).batch_no == "7"
            call = yunxin.service.sendMesExt("demo", "demo", "13900000000", "x【签名】", "37")
            assert await call == "7"
            assert transport.closed == 0
        assert transport.closed == 1
        assert [request.path for request in transport.requests] == ["/x.asmx", "/x.asmx"]
        with pytest.raises(RuntimeError, match="client is closed"):
            await yunxin.send("13900000000", "您好")
        with pytest.raises(RuntimeError, match="client is closed"):
            await yunxin.service.sendMesExt("demo", "demo", "13900000000", "x【签名】", "37")
        assert len(transport.requests) == 2

    run(main())


def test_transport_of_a_client_that_is_closed_unused_is_closed() -> None:
    """The client closes its transport even if it never sent anything."""

    async def main() -> None:
        transport = FixedTransport()
        await client("http://gateway.invalid/x.asmx", transport=transport).close()
        assert transport.closed == 1

    run(main())


def test_from_settings_and_from_env_take_a_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both other ways to build a client take settings and a transport."""
    monkeypatch.setenv("YUNXIN_USER_CODE", "demo")
    monkeypatch.setenv("YUNXIN_USER_PASS", "demo")

    async def main() -> None:
        first = AsyncClient.from_env(transport=FixedTransport(), channel=37, signature="签名")
        async with first:
            assert (await first.send("13900000000", "您好")).channel == "37"
        again = AsyncClient.from_settings(first.settings, transport=FixedTransport())
        async with again:
            assert again.settings is first.settings
            assert (await again.send("13900000000", "您好")).message == "您好【签名】"

    run(main())
