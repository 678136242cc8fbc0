"""`Sandbox`: a sandbox gateway in a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import Unpack, overload

from yunxin_soap.clock import timeout_clock
from yunxin_soap.sandbox.arrivals.store import ArrivalStore
from yunxin_soap.sandbox.assertions import check_not_sent, check_nothing_sent, check_sent
from yunxin_soap.sandbox.faults.model import (
    BalanceOptions,
    CodeOptions,
    ErrorOptions,
    Fault,
    FaultKind,
    HtmlOptions,
    LossOptions,
    RefuseOptions,
    ResponseOptions,
    SlowOptions,
)
from yunxin_soap.sandbox.gateway import Gateway
from yunxin_soap.sandbox.server.app import serve
from yunxin_soap.sandbox.server.limits import ServerLimits
from yunxin_soap.sandbox.service import Service

if TYPE_CHECKING:
    from typing_extensions import Self

    from yunxin_soap.sandbox.access import Access
    from yunxin_soap.sandbox.arrivals.models import Arrival
    from yunxin_soap.sandbox.config import Account
    from yunxin_soap.sandbox.faults.injector import FaultInjector


class InjectedFault:
    """A fault that `Sandbox.inject_fault` has injected.

    As a context manager it removes the fault at the end of the block.
    """

    def __init__(self, faults: FaultInjector, fault_id: int) -> None:
        self._faults = faults
        self.id = fault_id
        """The id of the fault in the REST API."""

    def remove(self) -> None:
        """Remove the fault. Removing it twice is no error."""
        self._faults.remove(self.id)

    def __enter__(self) -> Self:
        """Return this object."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the fault."""
        self.remove()


class Sandbox:
    """A sandbox gateway in its own thread, on a real TCP port.

    Use it as a context manager, or call `start` and `stop`::

        with Sandbox() as sandbox:
            client = Client("demo", "demo", channel="37", endpoint=sandbox.url)

    Args:
        gateway: decides about submissions; one with the account ``demo`` by default.
        store: keeps the arrivals; in memory by default. The sandbox does not close it.
        host: the address to listen on.
        port: the TCP port to listen on; 0 takes a free one.
        limits: what the server accepts at the same time.
        access: host names, base path and login; none by default.
    """

    def __init__(
        self,
        gateway: Gateway | None = None,
        *,
        store: ArrivalStore | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: ServerLimits | None = None,
        access: Access | None = None,
    ) -> None:
        self._service = Service(gateway, store)
        self.gateway = self._service.gateway
        """Decides about submissions. Its accounts can change at any time."""
        self.store = self._service.store
        """Keeps the arrivals, and notifies its subscribers of new ones."""
        self.faults = self._service.faults
        """The injected faults and their counts; `inject_fault` adds to them."""
        self._host, self._port, self._limits, self._access = host, port, limits, access
        self._url = ""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """The URL of the service's page: the ``endpoint`` of a client."""
        if not self._url:
            raise RuntimeError("The sandbox has not been started.")
        return self._url

    @property
    def inbox(self) -> tuple[Arrival, ...]:
        """The accepted arrivals in memory, oldest first."""
        return self.store.accepted

    def clear(self) -> None:
        """Delete all arrivals and faults, and restore every account's balance.

        Raises:
            StorageError: the record file cannot be written.
        """
        self._service.clear()

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """All arrivals in memory, oldest first."""
        return self.store.arrivals

    def times_accepted(self, number: str) -> int:
        """Return how often a number was accepted, dropped arrivals included."""
        return self.store.times_accepted(number)

    @property
    def accepted_numbers(self) -> dict[str, int]:
        """How often each number was accepted, dropped arrivals included."""
        return self.store.accepted_numbers

    def add_account(self, account: Account) -> None:
        """Add an account, or replace the one with that user code."""
        self.gateway.add_account(account)

    @overload
    def inject_fault(
        self,
        kind: Literal["close", "reset", "hang"],
        /,
        *,
        times: int | None = 1,
        **options: Unpack[LossOptions],
    ) -> InjectedFault: ...

    @overload
    def inject_fault(
        self,
        kind: Literal["error"],
        /,
        *,
        times: int | None = 1,
        **options: Unpack[ErrorOptions],
    ) -> InjectedFault: ...

    @overload
    def inject_fault(
        self,
        kind: Literal["html"],
        /,
        *,
        times: int | None = 1,
        **options: Unpack[HtmlOptions],
    ) -> InjectedFault: ...

    @overload
    def inject_fault(
        self,
        kind: Literal["cut", "garble", "content-type"],
        /,
        *,
        times: int | None = 1,
        **options: Unpack[ResponseOptions],
    ) -> InjectedFault: ...

    @overload
    def inject_fault(
        self,
        kind: Literal["delay", "trickle"],
        /,
        *,
        times: int | None = 1,
        **options: Unpack[SlowOptions],
    ) -> InjectedFault: ...

    @overload
    def inject_fault(
        self,
        kind: Literal["code"],
        /,
        *,
        times: int | None = 1,
        **options: Unpack[CodeOptions],
    ) -> InjectedFault: ...

    @overload
    def inject_fault(
        self,
        kind: Literal["balance"],
        /,
        *,
        times: int | None = 1,
        **options: Unpack[BalanceOptions],
    ) -> InjectedFault: ...

    @overload
    def inject_fault(
        self,
        kind: Literal["refuse"],
        /,
        *,
        times: int | None = 1,
        **options: Unpack[RefuseOptions],
    ) -> InjectedFault: ...

    def inject_fault(
        self, kind: FaultKind, /, *, times: int | None = 1, **options: Any
    ) -> InjectedFault:
        """Make the next submissions that match fail.

        Args:
            kind: what goes wrong.
            times: how many submissions the fault hits; None means every one that matches.
            options: the other options of that kind.

        Returns:
            The injected fault. Call its `remove`, or use it as a context manager.

        Raises:
            ConfigurationError: the kind or an option is unknown, or a value is invalid.
        """
        fault = Fault.from_options(kind, times=times, **options)
        return InjectedFault(self.faults, self.faults.add(fault))

    def assert_sent(
        self,
        recipients: str | int | Iterable[str | int],
        containing: str | re.Pattern[str] = "",
        *,
        times: int = 1,
    ) -> tuple[Arrival, ...]:
        """Return the accepted submissions to some numbers, and check how many there are.

        Args:
            recipients: the numbers, as `Client.send` takes them. Each must have got the message, no
                matter whether in one submission or in several.
            containing: a text that the message contains, or a compiled regular expression.
            times: how many such submissions are expected to each number; 0: none.

        Returns:
            The submissions, oldest first.

        Raises:
            AssertionError: there are more or fewer; the message shows what arrived, the closest
                first, and the difference.
            InvalidRequest: a number is invalid.
            ValueError: ``times`` is no whole number from 0.
        """
        __tracebackhide__ = True  # pytest shows the line of the test
        return check_sent(self.store, recipients, containing, times)

    def assert_not_sent(
        self,
        recipients: str | int | Iterable[str | int],
        containing: str | re.Pattern[str] = "",
    ) -> None:
        """Check that no submission to any of some numbers was accepted.

        Args:
            recipients: the numbers, as `Client.send` takes them.
            containing: a text, or a compiled regular expression: only messages with it count.

        Raises:
            AssertionError: there is one; the message shows it.
            InvalidRequest: a number is invalid.
        """
        __tracebackhide__ = True
        check_not_sent(self.store, recipients, containing)

    def assert_nothing_sent(self) -> None:
        """Check that no submission was accepted. Rejected ones do not count.

        Raises:
            AssertionError: there is one; the message shows it.
        """
        __tracebackhide__ = True
        check_nothing_sent(self.store)

    def start(self) -> Self:
        """Start serving, and return once the port is open.

        Raises:
            ConfigurationError: the sandbox cannot listen on the port.
            RuntimeError: the sandbox is already running.
        """
        if self._thread is not None:
            raise RuntimeError("The sandbox is already running.")
        ready: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name="yunxin-soap sandbox", daemon=True
        )
        self._thread.start()
        result = ready.get()
        if isinstance(result, Exception):
            self._thread.join()
            self._thread = None
            raise result
        self._url = result
        return self

    def stop(self) -> None:
        """Stop serving, and wait until the thread has ended."""
        if self._thread is None:
            return
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None
        self._url = ""

    def _run(self, ready: queue.SimpleQueue[str | Exception]) -> None:
        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            # Delays pass also while a test freezes time. uvloop has a real clock already.
            with contextlib.suppress(AttributeError):
                self._loop.time = timeout_clock  # type: ignore[method-assign]
            await serve(
                self._service,
                self._host,
                self._port,
                self._stop,
                ready.put,
                self._limits,
                self._access,
            )

        try:
            asyncio.run(main())
        except Exception as error:  # noqa: BLE001 - start() raises it in the other thread
            ready.put(error)

    def __enter__(self) -> Self:
        """Start serving."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self.stop()
