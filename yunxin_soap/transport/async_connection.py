"""aiohttp's connections with three additions: phases, one timeout per response, strict reuse."""

from __future__ import annotations

import asyncio
import functools
import math
import re
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.transport.failures import ConnectFailed

_CONTENT_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]{1,9})[ \t]*\r?$")
_MAX_LOOP_TURNS = 10
"""Turns of the event loop to wait for an aborted connection to end. It takes one or two."""


class CancelledWhileConnecting(Exception):
    """Marks, as its cause, a cancellation that came before anything was sent."""


class ExchangeFailed(Exception):
    """Carries an error of aiohttp through aiohttp, which would retry the original."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class SingleResponseHandler(ResponseHandler):
    """Keeps a connection open only after one complete 200 with a body, and not one byte more.

    Only such a response is surely the final one. A 103 is not, and a 504 comes from a proxy that
    gave up while the gateway still works on the request. If the true response comes later, it must
    not be read as the response to the next request.
    """

    timed_out = False
    """Whether the response did not end in time."""
    _head = b""
    _bytes_left: float | None = None
    """Bytes of the body that may still come; None until the head is complete."""
    _response_timer: asyncio.TimerHandle | None = None

    def __init__(
        self, open_handlers: set[SingleResponseHandler], *, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(loop=loop)
        self._open_handlers = open_handlers

    def set_response_params(
        self, *args: Any, read_timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Expect a response. aiohttp calls this once it has a connection, before it sends.

        Args:
            args: aiohttp's own.
            read_timeout: seconds from this call to the end of the response. aiohttp itself would
                restart this timeout with each read.
            kwargs: aiohttp's own.
        """
        self._head, self._bytes_left = b"", None
        if read_timeout is not None:
            self._response_timer = self._loop.call_later(read_timeout, self._expire)
        super().set_response_params(*args, **kwargs)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep a reference to the transport: aiohttp drops its own before the transport ended."""
        super().connection_made(transport)
        self._socket_transport = cast(asyncio.Transport, transport)
        self._open_handlers.add(self)

    def abort_now(self) -> None:
        """Close the connection without sending what is still buffered."""
        self._socket_transport.abort()

    @property
    def should_close(self) -> bool:
        """Whether to close the connection after the response: unless it was exactly complete."""
        return super().should_close or self._bytes_left != 0

    def _expire(self) -> None:
        self.timed_out = True
        # The exception wakes a task that waits for the head. One that waits for the rest of the
        # body sees the connection close.
        self.set_exception(TimeoutError())
        self.abort_now()

    def _stop_timer(self) -> None:
        if self._response_timer is not None:
            self._response_timer.cancel()
            self._response_timer = None

    def data_received(self, data: bytes) -> None:
        """Count the bytes before aiohttp parses them and may return the connection to its pool."""
        if self._bytes_left == 0 and data:
            self.close()
            return
        if self._bytes_left is None:
            self._read_head(data)
        else:
            self._bytes_left -= len(data)
        if self._bytes_left == 0:
            self._stop_timer()
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the timer and forget the connection."""
        self._stop_timer()
        self._open_handlers.discard(self)
        super().connection_lost(exc)

    def _read_head(self, data: bytes) -> None:
        if self._head:
            data = self._head + data
        head, end, body = data.partition(b"\r\n\r\n")
        if not end:
            self._head = data
            return
        length = _reusable_length(head)
        self._bytes_left = length - len(body) if length else math.inf


@functools.lru_cache(maxsize=64)
def _reusable_length(head: bytes) -> int | None:
    """Return the body length that a head announces; None if its connection must be closed.

    The result is cached because responses of the same second have the same head.
    """
    lengths = _CONTENT_LENGTH.findall(head)
    if head.startswith(b"HTTP/1.1 200 ") and len(lengths) == 1:
        return int(lengths[0])
    return None


class PhaseAwareConnector(aiohttp.TCPConnector):
    """Marks every error and cancellation that comes while connecting."""

    def __init__(self, keepalive_expiry: float) -> None:
        super().__init__(limit=0, keepalive_timeout=keepalive_expiry)
        # aiohttp has no public hook for either.
        if not hasattr(self, "_factory") or not hasattr(ResponseHandler, "set_response_params"):
            raise ConfigurationError(
                f"aiohttp {aiohttp.__version__} is not supported by this release: install an older"
                " aiohttp, or a newer yunxin-soap."
            )
        loop = asyncio.get_running_loop()
        self._open_handlers: set[SingleResponseHandler] = set()
        self._factory = functools.partial(  # type: ignore[assignment]
            SingleResponseHandler, self._open_handlers, loop=loop
        )

    async def abort_all(self) -> None:
        """Abort the connections that aiohttp started to close and no longer awaits.

        With TLS, closing takes a goodbye of both sides.
        """
        for handler in list(self._open_handlers):
            handler.abort_now()
        for _ in range(_MAX_LOOP_TURNS):
            if not self._open_handlers:
                break
            await asyncio.sleep(0)

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().connect(*args, **kwargs)
        except Exception as error:
            raise ConnectFailed(error) from error
        except asyncio.CancelledError as cancelled:
            raise cancelled from CancelledWhileConnecting()


async def never_resend(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Prevent aiohttp from sending a GET again when a kept-alive connection breaks."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        raise ExchangeFailed(error) from None
