"""How a run sends by an ordinary client, and what it keeps of a cancelled submission."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.lists import TEXT, numbers
from tests.support.wire_samples import XML, result_xml
from yunxin_soap import AsyncClient, Client, ConfigurationError, NotSent, Receipt, SendError
from yunxin_soap.campaign import AsyncLedger, Ledger, State
from yunxin_soap.campaign.running.senders import ThreadSender
from yunxin_soap.message import Submission
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.transport.sync import HttpTransport

TO = "13900000000"


class SlowToCancel:
    """Sends one request, and has its response only a while after it was cancelled."""

    def __init__(self) -> None:
        self.began, self.cancelled, self.go_on = (asyncio.Event() for _ in range(3))

    async def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            await self.go_on.wait()
        return Response(200, XML, result_xml("soap", "7").encode())

    async def close(self) -> None:
        pass


class StuckTransport:
    """Sends every request, and gets no response."""

    def __init__(self, cause: SendError | None = None) -> None:
        self._cause = cause
        self.began = asyncio.Event()

    async def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            if self._cause is not None:
                raise cancelled from self._cause
            raise
        raise AssertionError

    async def close(self) -> None:
        pass


def cancel_in_flight(
    url: str,
    call: Callable[[AsyncLedger, AsyncClient], Awaitable[Any]],
    cause: SendError | None = None,
) -> None:
    """Cancel a call once its transport has begun to send."""

    async def main() -> None:
        transport = StuckTransport(cause)
        async with (
            AsyncLedger(url) as ledger,
            AsyncClient("demo", "demo", channel="37", transport=transport) as client,
        ):
            task = asyncio.ensure_future(call(ledger, client))
            await transport.began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())


def test_run_cancelled_in_a_transport_that_tells_nothing_is_unknown(
    ledger: Ledger, ledger_url: str
) -> None:
    """A transport that does not tell how far a cancelled request came may have sent it."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    cancel_in_flight(ledger_url, lambda other, client: other.run("a", client))
    assert ledger.status("a").numbers[State.UNKNOWN] == 1


def test_once_cancelled_in_a_transport_that_tells_nothing_is_unknown(
    ledger: Ledger, ledger_url: str
) -> None:
    """The same of a single send."""
    cancel_in_flight(ledger_url, lambda other, client: other.once.send(client, "k", TO, TEXT))
    assert ledger.once.counts()[State.UNKNOWN] == 1


def test_run_cancelled_before_it_was_sent_is_pending(ledger: Ledger, ledger_url: str) -> None:
    """A transport that knows that nothing left says so, and the submission stays pending."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    cause = NotSent("no byte left", safe_to_resend=True, retryable=True)
    cancel_in_flight(ledger_url, lambda other, client: other.run("a", client), cause)
    assert ledger.status("a").numbers[State.PENDING] == 1


def test_run_cancelled_twice_records_what_was_accepted(ledger: Ledger, ledger_url: str) -> None:
    """An impatient second cancellation loses no ending."""
    ledger.plan("a", numbers(1), TEXT, channel=37)

    async def main() -> None:
        transport = SlowToCancel()
        async with (
            AsyncLedger(ledger_url) as other,
            AsyncClient("demo", "demo", channel="37", transport=transport) as client,
        ):
            run = asyncio.create_task(other.run("a", client))
            await transport.began.wait()
            run.cancel()
            await transport.cancelled.wait()
            run.cancel()
            asyncio.get_running_loop().call_later(0.1, transport.go_on.set)
            with pytest.raises(asyncio.CancelledError):
                await run

    asyncio.run(main())
    assert ledger.status("a").numbers[State.ACCEPTED] == 1


def test_run_stop_event_that_is_cleared_stays_a_stop(ledger: Ledger, ledger_url: str) -> None:
    """A run that has seen its stop event claims nothing more, also if the event is cleared."""
    ledger.plan("a", numbers(20), TEXT, channel=37, max_recipients=1)

    class Transport:
        requests = 0

        async def send(self, request: Request, *, valid_until: float | None = None) -> Response:
            self.requests += 1
            if self.requests == 1:
                stop.set()
                await asyncio.sleep(0.5)  # the run looks at the event several times
                stop.clear()
            return Response(200, XML, result_xml("soap", "7").encode())

        async def close(self) -> None:
            pass

    stop = threading.Event()

    async def main() -> None:
        transport = Transport()
        async with (
            AsyncLedger(ledger_url) as other,
            AsyncClient("demo", "demo", channel="37", transport=transport) as client,
        ):
            await other.run("a", client, concurrency=1, stop=stop)  # type: ignore[arg-type]

    asyncio.run(main())
    assert ledger.status("a").numbers[State.ACCEPTED] == 1


def test_run_closed_client_sends_nothing(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """A closed client sends nothing in a run either, and all stays pending."""
    ledger.plan("a", numbers(3), TEXT, channel=37)
    client.close()
    with pytest.raises(RuntimeError, match="client is closed"):
        ledger.run("a", client)
    assert sandbox.arrivals == ()
    assert ledger.status("a").numbers[State.PENDING] == 3


def test_async_run_closed_client_sends_nothing(
    ledger: Ledger, ledger_url: str, sandbox: Sandbox
) -> None:
    """A closed client makes nothing unknown, neither in a run nor in a single send."""
    ledger.plan("a", numbers(3), TEXT, channel=37)

    async def main() -> None:
        client = AsyncClient("demo", "demo", channel="37", endpoint=sandbox.url)
        async with AsyncLedger(ledger_url) as other, client:
            await client.close()
            with pytest.raises(RuntimeError, match="client is closed"):
                await other.run("a", client)
            with pytest.raises(RuntimeError, match="client is closed"):
                await other.once.send(client, "k", TO, TEXT)

    asyncio.run(main())
    assert sandbox.arrivals == ()
    assert ledger.status("a").numbers[State.PENDING] == 3
    assert ledger.once.counts()[State.UNKNOWN] == 0


def test_async_run_client_without_a_wsdl_sends_nothing(
    ledger: Ledger, ledger_url: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A client that cannot load its WSDL ends the run, and makes nothing unknown."""
    ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)

    async def main() -> None:
        client = AsyncClient("demo", "demo", endpoint=sandbox.url, wsdl=tmp_path / "none.wsdl")
        async with AsyncLedger(ledger_url) as other:
            with pytest.raises(ConfigurationError):
                await other.run("a", client)
            await client.close()

    asyncio.run(main())
    assert sandbox.arrivals == ()
    assert ledger.status("a").numbers[State.PENDING] == 3


def test_run_client_that_overrides_submit_is_called(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A run sends by the method of a subclass, so that it misses nothing."""
    seen: list[Submission] = []

    class Counting(Client):
        def submit(self, submission: Submission, *, valid_until: float | None = None) -> Receipt:
            seen.append(submission)
            return super().submit(submission, valid_until=valid_until)

    ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)
    with Counting.from_settings(client.settings) as own:
        assert ledger.run("a", own).numbers[State.ACCEPTED] == 3
    assert len(seen) == len(sandbox.arrivals) == 3


def test_run_subclass_of_the_transport_is_used(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A run sends by a transport that extends the package's own."""
    seen: list[Request] = []

    class Counting(HttpTransport):
        def send(self, request: Request, *, valid_until: float | None = None) -> Response:
            seen.append(request)
            return super().send(request, valid_until=valid_until)

    ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)
    transport = Counting(client.settings)
    with Client.from_settings(client.settings, transport=transport) as own:
        assert ledger.run("a", own).numbers[State.ACCEPTED] == 3
    assert len(seen) == len(sandbox.arrivals) == 3


def test_thread_sender_cancelled_after_the_call_returned_keeps_the_receipt() -> None:
    """A call that has returned before its task was cancelled keeps its outcome."""
    second_began, go_on = threading.Event(), threading.Event()

    class Transport:
        requests = 0

        def send(self, request: Request, *, valid_until: float | None = None) -> Response:
            self.requests += 1
            if self.requests == 2:  # in the only thread: so the first call has returned
                second_began.set()
            assert go_on.wait(30)
            return Response(200, XML, result_xml("soap", "7").encode())

        def close(self) -> None:
            pass

    async def main() -> None:
        with Client("demo", "demo", channel="37", transport=Transport()) as client:
            sender = ThreadSender(client, 1)
            submission = client.check(TO, TEXT)
            first = asyncio.create_task(sender.submit(submission))
            second = asyncio.create_task(sender.submit(submission))
            await asyncio.sleep(0)
            go_on.set()
            assert second_began.wait(30)  # it blocks the loop, which learns of nothing
            first.cancel()
            assert (await first).batch_no == "7"
            assert (await second).batch_no == "7"
            sender.close()

    asyncio.run(main())
