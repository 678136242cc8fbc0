"""Bytes out, bytes in, over aiohttp; the same rules as the synchronous exchange.

*Not sent* is only what the connecting phase itself raised, before a byte of the request was
written. Whatever else goes wrong is *unknown*, a cancelled task included.
"""

from __future__ import annotations

import asyncio
import functools
import math
import os
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from yunxin_soap import connection
from yunxin_soap.connection import NotConnected
from yunxin_soap.errors import ConfigurationError, NotSent
from yunxin_soap.policy import (
    MAX_ANSWER,
    USER_AGENT,
    Attempts,
    TooLong,
    not_sent,
    outcome_unknown,
    proxy_for,
    proxy_headers,
    tls_context,
)
from yunxin_soap.protocol import Request, Response
from yunxin_soap.redact import shorten
from yunxin_soap.settings import Settings

_CONTENT_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]{1,9})[ \t]*\r?$")
_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
_TURNS = 10
"""Turns of the event loop in which an aborted connection has ended; it takes one or two."""
_of_the_parent: list[aiohttp.ClientSession] = []


class AsyncExchange:
    """Sends requests to one endpoint, from the event loop in which it was first used."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._clock, self._sleep = clock, sleep
        self._origin = settings.endpoint.origin
        proxy = proxy_for(settings)
        secured = "https" in (settings.endpoint.scheme, (proxy or "").partition(":")[0].lower())
        context = tls_context(settings.verify) if secured else True
        self._options: dict[str, Any] = {"ssl": context, "allow_redirects": False}
        self._headers: dict[str, str] = {}
        if proxy is not None:
            self._options["proxy"] = URL(proxy).with_user(None)
            if settings.endpoint.scheme == "https":
                self._options["proxy_headers"] = proxy_headers(proxy)
            else:
                # aiohttp gives its proxy_headers to a tunnel alone.
                self._headers = proxy_headers(proxy)
        self._proxied = proxy is not None
        # `_OneAnswer` makes sock_read the bound of a whole answer, so that no total is needed.
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=settings.connect_timeout, sock_read=settings.timeout
        )
        self._closed = False
        self._session: aiohttp.ClientSession | None = None
        self._owner: tuple[int, asyncio.AbstractEventLoop] | None = None

    async def send(self, request: Request) -> Response:
        """Send one request; connect again, and only that, if the connection fails.

        Raises:
            NotSent: no connection could be made, however often that was tried.
            OutcomeUnknown: the request may have left, and no whole answer came back.
            asyncio.CancelledError: the task was cancelled; its ``__cause__`` is an
                `OutcomeUnknown` if the request may have left.
        """
        attempts = Attempts(self._settings, self._clock)
        while True:
            try:
                return await self._send_once(request)
            except NotSent:
                pause = attempts.next_pause()
                if pause is None:
                    raise
            await self._sleep(pause)

    async def _send_once(self, request: Request) -> Response:
        session = self._open_session()
        # Encoded already, and not to be encoded again. A query holds the password: not kept.
        url = (
            URL(f"{self._origin}{request.path}?{request.query}", encoded=True)
            if request.query
            else _url(self._origin + request.path)
        )
        status: int | None = None
        protocol: _OneAnswer | None = None
        try:
            async with session.request(
                request.method,
                url,
                data=request.body,
                headers={**request.headers, **self._headers} if self._headers else request.headers,
                **self._options,
            ) as response:
                status = response.status
                if response.connection is not None:  # not yet read to its end
                    protocol = cast(_OneAnswer, response.connection.protocol)
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        raise TooLong
                if protocol is not None and protocol.late:
                    raise TimeoutError  # its end was made here
                return Response(status, response.headers.get("Content-Type", ""), bytes(body))
        except NotConnected as failure:
            # What a proxy says may echo its own password.
            cause = None if self._proxied else failure.cause
            raise not_sent(self._why_not_connected(failure.cause)) from cause
        except asyncio.CancelledError as cancelled:
            if isinstance(cancelled.__cause__, _Unsent):
                raise
            raise cancelled from outcome_unknown("the task was cancelled", status)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request may have left
            late = protocol is not None and protocol.late
            reason = self._why_unknown(TimeoutError() if late else error)
        # Not from where it was caught, or its context would hold aiohttp's error, which quotes the
        # URL, and so the password on HTTP GET.
        raise outcome_unknown(reason, status)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("The client is closed.")
        owner = (os.getpid(), asyncio.get_running_loop())
        if self._session is None or self._owner is None or self._owner[0] != owner[0]:
            if self._session is not None:
                # After a fork the old session's sockets belong to the parent, and so does what
                # watches them: closing one here would deafen the parent.
                _of_the_parent.append(self._session)
            self._session = aiohttp.ClientSession(
                connector=_Connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                headers=_HEADERS,
                middlewares=(_once,),
            )
            self._owner = owner
        elif self._owner != owner:
            raise RuntimeError("An AsyncClient belongs to one event loop: build one for each.")
        return self._session

    async def close(self) -> None:
        """Close every connection; a closed exchange sends nothing more."""
        self._closed = True
        if self._session is not None and self._owner is not None:
            session, self._session = self._session, None
            if self._owner[0] == os.getpid():
                connector = cast(_Connector, session.connector)
                await session.close()
                await connector.end()
            else:
                _of_the_parent.append(session)

    def _why_not_connected(self, error: Exception) -> str:
        settings = self._settings
        where = f"{settings.endpoint.host}:{settings.endpoint.port}"
        if self._proxied:
            where += " through the proxy"
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return f"the host name in {settings.endpoint.url}, or the proxy's, cannot be resolved"
        if isinstance(error, TimeoutError | asyncio.TimeoutError):
            return f"no connection to {where} within {settings.connect_timeout:g} s"
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return f"no connection to {where} (Tunnel connection failed: {error.status})"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            text = getattr(error.certificate_error, "verify_message", "")
            return f"the certificate of {where} is not trusted ({text})"
        reason: BaseException = error
        if isinstance(error, aiohttp.ClientConnectorError):
            reason = error.os_error
        if isinstance(reason, ssl.SSLError):
            return f"the TLS handshake with {where} failed ({reason.reason or 'closed'})"
        text = os.strerror(reason.errno) if isinstance(reason, OSError) and reason.errno else ""
        text = text or type(reason).__name__
        return f"no connection to {where} ({shorten(' '.join(text.split()))})"

    def _why_unknown(self, error: Exception) -> str:
        if isinstance(error, _Broken):
            error = error.cause
        if isinstance(error, TooLong):
            return str(error)
        if isinstance(error, TimeoutError | asyncio.TimeoutError):
            return f"no whole answer came within {self._settings.timeout:g} s"
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return "the connection was closed without an answer"
        if isinstance(error, aiohttp.ClientPayloadError):
            return "its answer was cut short, or its content encoding cannot be undone"
        if isinstance(error, aiohttp.ClientResponseError):
            return "its answer is not readable HTTP"
        if isinstance(error, OSError):
            return "the connection broke before an answer came"
        return f"the exchange broke ({type(error).__name__})"


@functools.lru_cache(maxsize=16)
def _url(url: str) -> URL:
    return URL(url, encoded=True)


class _Unsent(Exception):
    """The cause of a cancellation that came before anything was sent."""


class _Broken(Exception):
    """What broke an exchange; no error of aiohttp's, so that aiohttp passes it on as it is."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class _OneAnswer(ResponseHandler):
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

    def __init__(self, everybody: set[_OneAnswer], *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._everybody = everybody

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


class _Connector(aiohttp.TCPConnector):
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
        self._open: set[_OneAnswer] = set()
        self._factory = functools.partial(_OneAnswer, self._open, loop=loop)  # type: ignore[assignment]

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
            raise cancelled from _Unsent()


async def _once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET again when a kept-alive connection breaks under it."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        raise _Broken(error) from None
