"""`AsyncHttpTransport`: carries requests over aiohttp, by the same rules as `HttpTransport`.

*Not sent* is only what connecting itself raised, before a byte of the request was written. Every
other failure is *unknown*, a cancelled task included.
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
from aiohttp.http import HttpProcessingError
from yarl import URL

from yunxin_soap.errors import ConfigurationError, NotSent
from yunxin_soap.settings import Settings
from yunxin_soap.transport import failures
from yunxin_soap.transport.async_connection import (
    CancelledWhileConnecting,
    ExchangeFailed,
    PhaseAwareConnector,
    SingleResponseHandler,
    never_resend,
)
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.transport.failures import ConnectFailed, ConnectReasons, ResponseTooLarge
from yunxin_soap.transport.limits import MAX_RESPONSE_BYTES, Limits
from yunxin_soap.transport.network import USER_AGENT, proxy_headers, select_proxy, tls_context
from yunxin_soap.transport.retry import RetrySchedule

_HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
_QUOTE_THE_REQUEST = (aiohttp.ClientError, HttpProcessingError, ExchangeFailed)
"""Errors that may quote the URL or what the server echoed. None of them becomes a cause."""
_sessions_of_parent: list[aiohttp.ClientSession] = []
"""Sessions made before a fork. A child keeps them referenced and never closes them."""


class AsyncHttpTransport:
    """Carries requests to one endpoint, in the event loop of its first use.

    Args:
        settings: endpoint, timeouts, retries, proxy and TLS.
        limits: bounds of the idle connections.
        clock: returns the time in seconds, for retries.
        sleep: waits some seconds before a retry.

    Raises:
        ConfigurationError: on Python 3.10, an https endpoint and an https proxy.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._limits = limits or Limits()
        self._clock, self._sleep = clock, sleep
        self._origin = settings.endpoint.origin
        proxy = select_proxy(settings)
        schemes = (settings.endpoint.scheme, (proxy or "").partition(":")[0].lower())
        if schemes == ("https", "https") and sys.version_info < (3, 11):
            raise ConfigurationError(
                "AsyncClient needs Python 3.11 or newer for an https endpoint behind an https"
                " proxy: use an http:// proxy, or Client."
            )
        uses_tls = "https" in schemes
        context = tls_context(settings.verify) if uses_tls else True
        self._options: dict[str, Any] = {"ssl": context, "allow_redirects": False}
        self._headers: dict[str, str] = {}
        if proxy is not None:
            self._options["proxy"] = URL(proxy).with_user(None)
            if settings.endpoint.scheme == "https":
                self._options["proxy_headers"] = proxy_headers(proxy)
            else:
                # aiohttp sends its proxy_headers only to open a tunnel.
                self._headers = proxy_headers(proxy)
        self._proxied = proxy is not None
        self._reasons = ConnectReasons(settings, proxied=self._proxied)
        # `SingleResponseHandler` makes sock_read the bound of a complete response.
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=settings.connect_timeout, sock_read=settings.timeout
        )
        self._closed = False
        self._session: aiohttp.ClientSession | None = None
        self._owner: tuple[int, asyncio.AbstractEventLoop] | None = None

    async def send(self, request: Request) -> Response:
        """Send one request. If connecting fails, connect again; repeat nothing else.

        Raises:
            NotSent: every attempt to connect failed.
            OutcomeUnknown: the request may have left, and no complete response came back.
            asyncio.CancelledError: the task was cancelled. Its ``__cause__`` is an
                `OutcomeUnknown` if the request may have left.
        """
        schedule = RetrySchedule(self._settings, self._clock)
        while True:
            try:
                return await self._send_once(request)
            except NotSent:
                delay = schedule.next_delay()
                if delay is None:
                    raise
            await self._sleep(delay)

    async def _send_once(self, request: Request) -> Response:
        session = self._open_session()
        status: int | None = None
        handler: SingleResponseHandler | None = None
        cause: Exception | None = None
        try:
            async with session.request(
                request.method,
                self._url(request),
                data=request.body,
                headers={**request.headers, **self._headers} if self._headers else request.headers,
                **self._options,
            ) as response:
                status = response.status
                if response.connection is not None:  # None once the response has been read
                    handler = cast(SingleResponseHandler, response.connection.protocol)
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_RESPONSE_BYTES:
                        raise ResponseTooLarge
                if handler is not None and handler.timed_out:
                    raise TimeoutError  # the handler's timer closed the connection, not the server
                return Response(status, response.headers.get("Content-Type", ""), bytes(body))
        except ConnectFailed as failure:
            # With a proxy there is no cause: the proxy's words may echo its own password.
            known = None if self._proxied else failure.cause
            raise failures.not_sent(self._not_sent_reason(failure.cause)) from known
        except asyncio.CancelledError as cancelled:
            if isinstance(cancelled.__cause__, CancelledWhileConnecting):
                raise
            raise cancelled from failures.outcome_unknown(failures.CANCELLED, status)
        except Exception as error:  # noqa: BLE001 - after any error, the request may have left
            timed_out = handler is not None and handler.timed_out
            reason = self._unknown_reason(TimeoutError() if timed_out else error)
            if not isinstance(error, _QUOTE_THE_REQUEST):
                failures.clear_request(error)
                cause = error
        # Raised outside the handlers: __context__ would hold aiohttp's error, which quotes the URL,
        # and so the password on HTTP GET.
        raise failures.outcome_unknown(reason, status) from cause

    def _url(self, request: Request) -> URL:
        """Return the URL, which may hold the password: one with a query is not cached."""
        if request.query:
            return URL(f"{self._origin}{request.path}?{request.query}", encoded=True)
        return _cached_url(self._origin + request.path)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("The client is closed.")
        owner = (os.getpid(), asyncio.get_running_loop())
        if self._session is None or self._owner is None or self._owner[0] != owner[0]:
            if self._session is not None:
                # After a fork the old session's sockets, and the selector that watches them,
                # belong to the parent. Closing one here would unregister it there.
                _sessions_of_parent.append(self._session)
            self._session = aiohttp.ClientSession(
                connector=PhaseAwareConnector(self._limits.keepalive_expiry),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                headers=_HEADERS,
                middlewares=(never_resend,),
            )
            self._owner = owner
        elif self._owner != owner:
            raise RuntimeError("An AsyncClient belongs to one event loop: build one for each.")
        return self._session

    async def close(self) -> None:
        """Close all connections. A closed transport sends nothing more."""
        self._closed = True
        if self._session is not None and self._owner is not None:
            session, self._session = self._session, None
            if self._owner[0] == os.getpid():
                connector = cast(PhaseAwareConnector, session.connector)
                await session.close()
                await connector.abort_all()
            else:
                _sessions_of_parent.append(session)

    def _not_sent_reason(self, error: Exception) -> str:
        reasons = self._reasons
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return reasons.name_not_resolved()
        if isinstance(error, TimeoutError | asyncio.TimeoutError):
            return reasons.timed_out()
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return reasons.tunnel_refused(error.status)
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            text = getattr(error.certificate_error, "verify_message", "")
            return reasons.certificate_not_trusted(text)
        reason: BaseException = error
        if isinstance(error, aiohttp.ClientConnectorError):
            reason = error.os_error
        if isinstance(reason, ssl.SSLError):
            return reasons.handshake_failed(reason.reason)
        return reasons.other(reason)

    def _unknown_reason(self, error: Exception) -> str:
        if isinstance(error, ExchangeFailed):
            error = error.cause
        if isinstance(error, ResponseTooLarge):
            return failures.TOO_LARGE
        if isinstance(error, TimeoutError | asyncio.TimeoutError):
            return failures.response_timed_out(self._settings.timeout)
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return failures.CLOSED_EARLY
        if isinstance(error, aiohttp.ClientPayloadError):
            return failures.CUT_SHORT_OR_NOT_DECODED
        if isinstance(error, aiohttp.ClientResponseError):
            return failures.NOT_HTTP
        if isinstance(error, OSError):
            return failures.CONNECTION_BROKE
        return failures.exchange_broke(error)


@functools.lru_cache(maxsize=16)
def _cached_url(url: str) -> URL:
    return URL(url, encoded=True)  # encoded already
