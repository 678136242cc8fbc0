"""The client matrix: `Client` and `AsyncClient`, each over the four protocols."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

from tests.support.clock import FakeClock
from yunxin_soap import AsyncClient, Client, Receipt, Submission
from yunxin_soap.operation import PROTOCOLS, ProtocolName
from yunxin_soap.settings import Settings
from yunxin_soap.transport.aio import AsyncHttpTransport
from yunxin_soap.transport.base import AsyncTransport, Request, Response
from yunxin_soap.transport.limits import KEEPALIVE_EXPIRY
from yunxin_soap.transport.sync import HttpTransport

if TYPE_CHECKING:
    from typing_extensions import Self

_T = TypeVar("_T")


class ClientVariant(str):
    """The name of a protocol. It also says which client to use, and on which event loop."""

    __slots__ = ("is_async", "on_uvloop")
    is_async: bool
    on_uvloop: bool

    @property
    def client(self) -> str:
        """The name of the client."""
        return ("async" if self.is_async else "sync") + (" uvloop" if self.on_uvloop else "")


def variants(*, is_async: bool, on_uvloop: bool = False) -> Iterator[ClientVariant]:
    """Return one client over each of the four protocols.

    Args:
        is_async: whether the client is `AsyncClient`.
        on_uvloop: whether its event loop is uvloop's.
    """
    for protocol in PROTOCOLS:
        variant = ClientVariant(protocol)
        variant.is_async, variant.on_uvloop = is_async, on_uvloop
        yield variant


def _parameter(variant: ClientVariant) -> Any:
    return pytest.param(variant, id=f"async {variant}" if variant.is_async else variant)


CLIENT_VARIANTS = [
    _parameter(variant) for is_async in (False, True) for variant in variants(is_async=is_async)
]
"""Both clients over all protocols, as parameters of a test."""
BOTH_CLIENTS = CLIENT_VARIANTS[:: len(PROTOCOLS)]
"""Both clients over SOAP 1.1."""


class BlockingAsyncClient:
    """An `AsyncClient` with the blocking methods of a `Client`.

    Its event loop runs in a thread.
    """

    def __init__(
        self,
        user_code: str,
        user_pass: str,
        *,
        transport: AsyncTransport | None = None,
        **options: Any,
    ) -> None:
        self._set_up(lambda: AsyncClient(user_code, user_pass, transport=transport, **options))

    @classmethod
    def from_settings(cls, settings: Settings, *, transport: AsyncTransport | None = None) -> Self:
        """Build a client from validated settings."""
        client = cls.__new__(cls)
        client._set_up(lambda: AsyncClient.from_settings(settings, transport=transport))
        return client

    def _set_up(self, build: Callable[[], AsyncClient]) -> None:
        self._loop = self._new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self.client = build()
            self.run(self.client.__aenter__())  # raises at once what `Client` raises at once
        except BaseException:
            self._stop_loop()
            raise

    def _new_event_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in the client's event loop, and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def send(self, *args: Any, **options: Any) -> Receipt:
        """Do as `Client.send`."""
        return self.run(self.client.send(*args, **options))

    def submit(self, submission: Submission, *, valid_until: float | None = None) -> Receipt:
        """Do as `Client.submit`."""
        return self.run(self.client.submit(submission, valid_until=valid_until))

    def check(self, *args: Any, **options: Any) -> Submission:
        """Do as `Client.check`."""
        return self.run(self.client.check(*args, **options))

    @property
    def service(self) -> Self:
        """An object with the operation, as `Client.service`."""
        return self

    def sendMesExt(self, *args: Any, **fields: Any) -> str:  # noqa: N802 - zeep's operation
        """Do as the operation of `Client.service`."""
        return self.run(self.client.service.sendMesExt(*args, **fields))

    @property
    def settings(self) -> Settings:
        """The client's settings."""
        return self.client.settings

    @property
    def endpoint(self) -> str:
        """The client's endpoint."""
        return self.client.endpoint

    @property
    def protocol(self) -> str:
        """The client's protocol."""
        return self.client.protocol

    def __repr__(self) -> str:
        return repr(self.client)

    def close(self) -> None:
        """Close the client. Its event loop ends with the ``with`` block."""
        self.run(self.client.close())

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.close()
        finally:
            self._stop_loop()


class BlockingUvloopClient(BlockingAsyncClient):
    """The same on uvloop's event loop."""

    def _new_event_loop(self) -> asyncio.AbstractEventLoop:
        import uvloop

        return uvloop.new_event_loop()


def protocol_name(protocol: str) -> ProtocolName:
    """Return the protocol of a variant, as the type that `Client` takes."""
    return cast(ProtocolName, str(protocol))


def client_class(protocol: str) -> type[Client | BlockingAsyncClient]:
    """Return the class of client that a variant asks for; `Client` for a plain protocol name."""
    if getattr(protocol, "on_uvloop", False):
        return BlockingUvloopClient
    return BlockingAsyncClient if getattr(protocol, "is_async", False) else Client


def build_client(
    protocol: str,
    settings: Settings,
    *,
    clock: FakeClock | None = None,
    keepalive_expiry: float | None = None,
) -> Client | BlockingAsyncClient:
    """Build the client of a variant over real HTTP.

    Args:
        protocol: the variant.
        settings: the client's settings.
        clock: replaces the clocks and the sleeps of the transport.
        keepalive_expiry: replaces the transport's expiry of idle connections, in seconds.
    """
    if clock is None and keepalive_expiry is None:
        return client_class(protocol).from_settings(settings)
    clock = clock or FakeClock()
    expiry = KEEPALIVE_EXPIRY if keepalive_expiry is None else keepalive_expiry
    kind = client_class(protocol)
    if not issubclass(kind, BlockingAsyncClient):
        transport = HttpTransport(
            settings,
            keepalive_expiry=expiry,
            clock=clock.time,
            sleep=clock.sleep,
            lease_clock=clock.time,
        )
        return Client.from_settings(settings, transport=transport)
    async_transport = AsyncHttpTransport(
        settings,
        keepalive_expiry=expiry,
        clock=clock.time,
        sleep=clock.async_sleep,
        lease_clock=clock.time,
    )
    return kind.from_settings(settings, transport=async_transport)


def send_request(protocol: str, settings: Settings, request: Request) -> Response:
    """Send one request over the HTTP transport of a variant, without its client."""

    async def send_async() -> Response:
        transport = AsyncHttpTransport(settings)
        try:
            return await transport.send(request)
        finally:
            await transport.close()

    if issubclass(client_class(protocol), BlockingAsyncClient):
        return asyncio.run(send_async())
    transport = HttpTransport(settings)
    try:
        return transport.send(request)
    finally:
        transport.close()
