"""`AsyncClient`: the facade for asyncio, on aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from yunxin_soap.client import ClientBase
from yunxin_soap.core import Core
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.message import Submission
from yunxin_soap.results import Receipt

try:
    from yunxin_soap.transport.aio import AsyncHttpTransport
except ModuleNotFoundError as error:
    raise ConfigurationError(
        'AsyncClient needs aiohttp: pip install "yunxin-soap[async]"'
    ) from error

if TYPE_CHECKING:
    from typing_extensions import Self
    from zeep.proxy import ServiceProxy


class AsyncClient(ClientBase):
    """Sends SMS as `Client` does, from asyncio: same arguments, outcomes, errors and safety.

    The WSDL is loaded in a thread at the first use, so building a client never holds up a running
    event loop, and a WSDL that does not fit is raised there. A client belongs to the loop in which
    it is first used; it may be shared between that loop's tasks. Close it, or use it as an
    asynchronous context manager.

    ``connect_timeout`` bounds the whole of connecting here, name lookup included. A task that is
    cancelled in mid-submit gets its `asyncio.CancelledError`, whose ``__cause__``
    is an `OutcomeUnknown` if the request may have left.
    """

    _loaded: tuple[Core, AsyncHttpTransport] | None = None
    _service: ServiceProxy | None = None
    _closed = False

    def _open(self) -> None:
        self._loading = asyncio.Lock()

    async def _load(self) -> tuple[Core, AsyncHttpTransport]:
        async with self._loading:
            if self._closed:
                raise RuntimeError("The client is closed.")
            if self._loaded is None:
                self._loaded = await asyncio.to_thread(
                    lambda: (Core(self._settings), AsyncHttpTransport(self._settings))
                )
        return self._loaded

    async def send(
        self,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int | None = None,
        extension: str | int | None = None,
    ) -> Receipt:
        """Send one text to up to 500 numbers in one submit, at most once; see `Client.send`.

        Raises:
            InvalidRequest, NotSent, Rejected, OutcomeUnknown, RuntimeError: as `Client.send`.
            ConfigurationError: the WSDL does not fit.
            asyncio.CancelledError: the task was cancelled, perhaps with the request on its way.
        """
        core, _ = self._loaded or await self._load()
        return await self.submit(core.prepare(recipients, message, channel, extension))

    async def submit(self, submit: Submission) -> Receipt:
        """Send what `check` returned, at most once; else as `send`."""
        core, exchange = self._loaded or await self._load()
        try:
            fields, request = core.encode(submit)
            core.log_request(fields)
            response = await exchange.send(request)
            core.log_response(response)
            return core.conclude(submit, response)
        except BaseException as raised:
            core.attempted(raised, len(submit.recipients), submit.channel)
            raise

    async def check(
        self,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int | None = None,
        extension: str | int | None = None,
    ) -> Submission:
        """Return what `send` would send for the same arguments, and send nothing.

        Raises:
            InvalidRequest: a rule is broken, or the port cannot carry it.
        """
        core, _ = self._loaded or await self._load()
        return core.check(recipients, message, channel, extension)

    @property
    def service(self) -> AsyncService:
        """zeep's own typed operation as a coroutine; see `Client.service`."""
        return AsyncService(self)

    async def _bound(self) -> ServiceProxy:
        core, exchange = self._loaded or await self._load()
        if self._service is None:
            from yunxin_soap.wire.service import bind_async

            self._service = bind_async(core, exchange)
        return self._service

    async def close(self) -> None:
        """Close the connections; the client sends nothing more."""
        self._closed = True
        if self._loaded is not None:
            await self._loaded[1].close()

    async def __aenter__(self) -> Self:
        """Load what is needed, and return the client itself."""
        await self._load()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client."""
        await self.close()


class AsyncService:
    """zeep's operation, which is there once the WSDL is loaded."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def sendMesExt(self, *args: str | None, **kwargs: str | None) -> str:  # noqa: N802
        """Call the operation with the six fields, by position or by name."""
        service = await self._client._bound()
        answer: str = await service["sendMesExt"](*args, **kwargs)
        return answer
