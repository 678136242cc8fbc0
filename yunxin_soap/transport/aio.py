"""Bytes out, bytes in, over aiohttp; the same rules as the synchronous exchange.

*Not sent* is only what the connecting phase itself raised, before a byte of the request was
written. Whatever else goes wrong is *unknown*, a cancelled task included.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import aiohttp
from yarl import URL

from yunxin_soap.errors import ConfigurationError, NotSent
from yunxin_soap.redact import truncate_printable
from yunxin_soap.settings import Settings
from yunxin_soap.transport.async_connection import Broken, Connector, OneAnswer, Unsent, once
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.transport.connection import NotConnected
from yunxin_soap.transport.network import (
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

_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
_of_the_parent: list[aiohttp.ClientSession] = []


class AsyncHttpTransport:
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
        schemes = (settings.endpoint.scheme, (proxy or "").partition(":")[0].lower())
        if schemes == ("https", "https") and sys.version_info < (3, 11):
            raise ConfigurationError(
                "AsyncClient speaks TLS within TLS from Python 3.11 on: use an http:// proxy, or"
                " Client."
            )
        secured = "https" in schemes
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
        # `OneAnswer` makes sock_read the bound of a whole answer, so that no total is needed.
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
        protocol: OneAnswer | None = None
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
                    protocol = cast(OneAnswer, response.connection.protocol)
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
            if isinstance(cancelled.__cause__, Unsent):
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
                connector=Connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                headers=_HEADERS,
                middlewares=(once,),
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
                connector = cast(Connector, session.connector)
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
        return f"no connection to {where} ({truncate_printable(' '.join(text.split()))})"

    def _why_unknown(self, error: Exception) -> str:
        if isinstance(error, Broken):
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
