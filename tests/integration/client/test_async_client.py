"""What is particular to `AsyncClient`: cancelling, loops, loading; the rest is tested for both."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp.client_proto import ResponseHandler

from tests.support.scripted_server import (
    Connection,
    Server,
    answer,
    reading_and_hanging,
    replying,
    through,
)
from yunxin_soap import AsyncClient, ConfigurationError, OutcomeUnknown, wsdl
from yunxin_soap.sandbox import Sandbox

_T = TypeVar("_T")


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    return asyncio.run(coroutine)


def client(url: str, **settings: Any) -> AsyncClient:
    return AsyncClient("demo", "demo", channel="37", signature="签名", endpoint=url, **settings)


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's advice
def test_closing_does_not_unbind_a_submit_that_nobody_reads() -> None:
    begun, done = threading.Event(), threading.Event()

    def script(connection: Connection) -> None:
        connection.wait_for_bytes()
        begun.set()
        done.wait(20)

    async def main() -> None:
        with Server(script) as server:
            yunxin = client(server.url, timeout=0.5)
            sending = asyncio.ensure_future(yunxin.send("13900000000", "x" * (16 << 20)))
            await asyncio.to_thread(begun.wait, 20)
            closing = asyncio.ensure_future(yunxin.close())
            with pytest.raises(OutcomeUnknown):
                await asyncio.wait_for(sending, 20)
            await asyncio.wait_for(closing, 20)
            done.set()

    run(main())


def test_an_aiohttp_without_its_inner_hooks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ResponseHandler, "set_response_params")

    async def main() -> None:
        with Server(replying(b"")) as server:
            async with client(server.url) as yunxin:
                with pytest.raises(ConfigurationError, match="aiohttp"):
                    await yunxin.send("13900000000", "x")
            assert server.connections == 0

    run(main())


async def cancelled_once(server: Server, sending: Coroutine[Any, Any, object]) -> BaseException:
    """Cancel a task as soon as the server has read its request; return what it ended with."""
    task = asyncio.ensure_future(sending)
    await asyncio.to_thread(server.wait_for_requests, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


def unknown_behind(error: BaseException | None) -> OutcomeUnknown | None:
    """Return the outcome behind a cancellation: Python 3.10 wraps it once more."""
    while error is not None and not isinstance(error, OutcomeUnknown):
        error = error.__cause__ or error.__context__
    return error


@pytest.mark.parametrize("protocol", wsdl.PROTOCOLS)
def test_a_cancelled_submit_is_unknown_and_leaks_no_connection(protocol: str) -> None:
    async def main() -> None:
        with Server(reading_and_hanging) as server:
            async with client(server.url, protocol=protocol) as yunxin:
                error = await cancelled_once(server, yunxin.send("13900000000", "x"))
                cause = unknown_behind(error)
                assert cause is not None
                assert not cause.safe_to_resend
                assert cause.request is not None
                assert (cause.request.endpoint, cause.request.recipients) == (server.url, 1)
                # While the client is still open: the connection went with the task.
                await asyncio.to_thread(server.wait_until_ended, 1)
            assert (server.connections, len(server.requests)) == (1, 1)

    run(main())


def test_a_cancelled_call_of_the_service_is_unknown_too() -> None:
    async def main() -> None:
        with Server(reading_and_hanging) as server:
            async with client(server.url) as yunxin:
                call = yunxin.service.sendMesExt("demo", "demo", "13900000000", "x", "37")
                error = await cancelled_once(server, call)
                cause = unknown_behind(error)
                assert cause is not None
                assert cause.request is not None

    run(main())


def test_a_submit_cancelled_before_anything_was_sent_is_just_cancelled() -> None:
    async def main() -> None:
        with Server(reading_and_hanging) as proxy:
            # The proxy never answers CONNECT.
            async with client("https://sms.example/x", proxy=through(proxy)) as yunxin:
                error = await cancelled_once(proxy, yunxin.send("13900000000", "x"))
                assert unknown_behind(error) is None
            assert [request.method for request in proxy.requests] == ["CONNECT"]

    run(main())


def test_a_wait_that_is_cut_from_outside_says_so_too() -> None:
    async def main() -> None:
        with Server(reading_and_hanging) as server:
            async with client(server.url) as yunxin:
                with pytest.raises(asyncio.TimeoutError) as caught:
                    await asyncio.wait_for(yunxin.send("13900000000", "x"), 0.3)
        assert unknown_behind(caught.value) is not None

    run(main())


def test_many_tasks_share_a_client(sandbox: Sandbox) -> None:
    async def main() -> None:
        async with client(sandbox.url) as yunxin:
            sends = (yunxin.send("13900000000", f"number {i}") for i in range(200))
            receipts = await asyncio.gather(*sends)
        sent = {each.batch_no: each.message for each in sandbox.inbox}
        assert {each.batch_no: each.message for each in receipts} == sent
        assert len(sent) == 200

    run(main())


def test_the_wsdl_is_loaded_in_a_thread(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_wsdl_that_does_not_fit_is_raised_at_the_first_use(tmp_path: Path) -> None:
    async def main() -> None:
        yunxin = client("http://127.0.0.1:9/x", wsdl=tmp_path / "absent.wsdl")
        with pytest.raises(ConfigurationError, match="absent"):
            await yunxin.send("13900000000", "x")
        with pytest.raises(ConfigurationError, match="absent"):
            async with yunxin:
                pass

    run(main())


def test_a_client_that_is_closed_unused_has_loaded_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wsdl, "load", None)

    async def main() -> None:
        yunxin = client("http://127.0.0.1:9/x")
        await yunxin.close()
        with pytest.raises(RuntimeError, match="client is closed"):
            await yunxin.send("13900000000", "x")

    run(main())


def test_a_client_belongs_to_one_loop(sandbox: Sandbox) -> None:
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


def test_a_forked_child_opens_its_own_connections() -> None:
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
    with Server(replying(answer("soap"))) as server:
        done = subprocess.run(
            [sys.executable, "-c", script, server.url], capture_output=True, text=True
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert [request.connection for request in server.requests] == [1, 2, 1]


def test_without_aiohttp_it_says_what_to_install() -> None:
    script = (
        "import sys\nsys.modules['aiohttp'] = None\n"
        "import yunxin_soap\n"
        "try:\n    yunxin_soap.AsyncClient\n"
        "except yunxin_soap.ConfigurationError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == 'AsyncClient needs aiohttp: pip install "yunxin-soap[async]"\n'


def test_the_client_of_both_kinds_takes_the_same_arguments() -> None:
    import inspect

    from yunxin_soap import Client

    for name in ("__init__", "send", "check"):
        both = [inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient)]
        assert both[0].parameters == both[1].parameters
