"""aiohttp's connections, made to say what was sent, to wait no longer than told, and to age."""

from __future__ import annotations

import asyncio
import functools
import math
import re
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.transport import connection
from yunxin_soap.transport.connection import NotConnected

_CONTENT_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]{1,9})[ \t]*\r?$")
_TURNS = 10
"""Turns of the event loop in which an aborted connection has ended; it takes one or two."""


class Unsent(Exception):
    """The cause of a cancellation that came before anything was sent."""


class Broken(Exception):
    """What broke an exchange; no error of aiohttp's, so that aiohttp passes it on as it is."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class OneAnswer(ResponseHandler):
    """Keeps a connection open only after one whole answer of the gateway, and not a byte more.

    Anything but a 200 may be no answer yet, or a proxy's own, given up on a gateway that still
    works on it; the true one, if it comes, must not be read as the answer to the next request.
    """

    late = False
    """Whether the answer was given up because it did not end in time."""
    _head = b""
    _left: float | None = None
    """Bytes of the body that may still come; None while the head is not whole."""
    _answer_timer: asyncio.TimerHandle | None = None

    def __init__(self, everybody: set[OneAnswer], *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._everybody = everybody

    def set_response_params(
        self, *args: Any, read_timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Expect an answer; aiohttp calls it once it has a connection, before it sends.

        Args:
            read_timeout: seconds from here to the end of the answer; aiohttp's own would begin anew
                with each piece of it.
        """
        self._head, self._left = b"", None
        if read_timeout is not None:
            self._answer_timer = self._loop.call_later(read_timeout, self._expire)
        super().set_response_params(*args, **kwargs)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep hold of the transport, of which aiohttp lets go before it has ended."""
        super().connection_made(transport)
        self._wire = cast(asyncio.Transport, transport)
        self._everybody.add(self)

    def abort_at_once(self) -> None:
        """End the connection, whatever is still to be written."""
        self._wire.abort()

    @property
    def should_close(self) -> bool:
        """Whether the connection ends with its answer: unless that was whole, to the byte."""
        return super().should_close or self._left != 0

    def _expire(self) -> None:
        self.late = True
        # For who waits for the head; who waits for more of the body sees the connection end.
        self.set_exception(TimeoutError())
        self.abort_at_once()

    def _stop_timer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def data_received(self, data: bytes) -> None:
        """Count what comes, before aiohttp reads it and may give the connection back."""
        if self._left == 0 and data:
            self.close()
            return
        if self._left is None:
            self._read_head(data)
        else:
            self._left -= len(data)
        if self._left == 0:
            self._stop_timer()
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End with the connection."""
        self._stop_timer()
        self._everybody.discard(self)
        super().connection_lost(exc)

    def _read_head(self, data: bytes) -> None:
        if self._head:
            data = self._head + data
        head, end, body = data.partition(b"\r\n\r\n")
        if not end:
            self._head = data
            return
        length = _length_of_the_answer(head)
        self._left = length - len(body) if length else math.inf


@functools.lru_cache(maxsize=64)
def _length_of_the_answer(head: bytes) -> int | None:
    """Return the body's bytes that a head announces; None if its connection is not to be kept.

    The answers of one second have the same head, byte for byte.
    """
    lengths = _CONTENT_LENGTH.findall(head)
    if head.startswith(b"HTTP/1.1 200 ") and len(lengths) == 1:
        return int(lengths[0])
    return None


class Connector(aiohttp.TCPConnector):
    """Tells connecting from sending."""

    def __init__(self) -> None:
        super().__init__(limit=0, keepalive_timeout=connection.IDLE_LIMIT)
        # aiohttp has no public place for it.
        if not hasattr(self, "_factory") or not hasattr(ResponseHandler, "set_response_params"):
            raise ConfigurationError(
                f"AsyncClient does not know its way in aiohttp {aiohttp.__version__}: install the"
                " version before it, or a newer yunxin-soap."
            )
        loop = asyncio.get_running_loop()
        self._open: set[OneAnswer] = set()
        self._factory = functools.partial(OneAnswer, self._open, loop=loop)  # type: ignore[assignment]

    async def end(self) -> None:
        """End what aiohttp has only begun to close, and no longer waits for: TLS says goodbye."""
        for protocol in list(self._open):
            protocol.abort_at_once()
        for _ in range(_TURNS):
            if not self._open:
                break
            await asyncio.sleep(0)

    async def connect(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().connect(*args, **kwargs)
        except Exception as error:
            raise NotConnected(error) from error
        except asyncio.CancelledError as cancelled:
            raise cancelled from Unsent()


async def once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET again when a kept-alive connection breaks under it."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        raise Broken(error) from None
