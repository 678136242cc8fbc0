"""Bytes out, bytes in, over urllib3; says whether the request can have left.

The rule is built the safe way round: *not sent* is only what the connecting phase itself raised,
before a byte of the request was written. Whatever else goes wrong is *unknown*.
"""

from __future__ import annotations

import http.client
import os
import re
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    IncompleteRead,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.util import Timeout

from yunxin_soap.connection import HTTPPool, HTTPSPool, NotConnected
from yunxin_soap.errors import NotSent, OutcomeUnknown
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

if TYPE_CHECKING:
    from yunxin_soap.settings import Settings

POOL_SIZE = 32
"""Connections kept open at most; more threads than this open short-lived ones."""


class Exchange:
    """Sends requests to one endpoint; safe to share between threads and across a fork."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._clock, self._sleep = clock, sleep
        self._timeout = Timeout(connect=settings.connect_timeout, read=settings.timeout)
        self._proxy = proxy_for(settings)
        self._context = (
            tls_context(settings.verify)
            if settings.endpoint.scheme == "https" or (self._proxy or "").startswith("https:")
            else None
        )
        self._closed = False
        self._pool_of = (os.getpid(), self._make_pool())

    def send(self, request: Request) -> Response:
        """Send one request; connect again, and only that, if the connection fails.

        Raises:
            NotSent: no connection could be made, however often that was tried.
            OutcomeUnknown: the request may have left, and no whole answer came back.
        """
        attempts = Attempts(self._settings, self._clock)
        while True:
            try:
                return self._send_once(request)
            except NotSent:
                pause = attempts.next_pause()
                if pause is None:
                    raise
            self._sleep(pause)

    def _send_once(self, request: Request) -> Response:
        pool, origin = self._pool()
        response = None
        whole = False
        try:
            response = pool.urlopen(
                request.method,
                origin + request.path,
                # urllib3 logs and quotes the URL, so a query travels as a body up to the socket.
                body=request.query.encode("ascii") if request.method == "GET" else request.body,
                headers={"User-Agent": USER_AGENT, **request.headers},
                timeout=self._timeout,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
            )
            body = response.read(MAX_ANSWER + 1)
            if len(body) > MAX_ANSWER:
                raise TooLong
            whole = True
            content_type = response.headers.get("Content-Type", "")
            return Response(response.status, content_type, body)
        except NotConnected as failure:
            reason = _why_not_connected(failure.cause, self._settings, self._proxy)
            # What a proxy says may echo its own password.
            cause = None if self._proxy else failure.cause
            raise not_sent(reason) from cause
        except ClosedPoolError:
            raise RuntimeError("The client is closed.") from None
        except HTTPError as error:
            # It may quote the answer, and a server may echo the request there.
            raise self._unknown(error, response) from None
        except Exception as error:
            raise self._unknown(error, response) from error
        finally:
            if response is not None:
                if not whole:
                    response.close()
                response.release_conn()

    def _unknown(
        self, error: Exception, response: urllib3.BaseHTTPResponse | None
    ) -> OutcomeUnknown:
        reason = _why_unknown(error, self._settings.timeout)
        return outcome_unknown(reason, response.status if response else None)

    def close(self) -> None:
        """Close every idle connection; a closed exchange sends nothing more."""
        self._closed = True
        pid, (pool, _) = self._pool_of
        # After a fork the sockets belong to the parent, and a child leaves them alone.
        if pid == os.getpid():
            pool.close()

    def _pool(self) -> tuple[urllib3.HTTPConnectionPool, str]:
        if self._closed:
            raise RuntimeError("The client is closed.")
        pid, pool = self._pool_of
        if pid != os.getpid():
            pool = self._make_pool()
            self._pool_of = (os.getpid(), pool)
        return pool

    def _make_pool(self) -> tuple[urllib3.HTTPConnectionPool, str]:
        """Return the pool for the endpoint, and what stands before a path in a request line."""
        options: dict[str, Any] = {"maxsize": POOL_SIZE}
        if self._context is not None:
            options["ssl_context"] = self._context
            if self._context.verify_mode is ssl.CERT_NONE:
                options.update(cert_reqs="CERT_NONE", assert_hostname=False)
        endpoint = self._settings.endpoint
        manager: urllib3.PoolManager
        origin = ""
        if self._proxy is None:
            manager = urllib3.PoolManager(**options)
        else:
            manager = urllib3.ProxyManager(
                self._proxy,
                proxy_headers=proxy_headers(self._proxy),
                proxy_ssl_context=self._context,
                **options,
            )
            if endpoint.scheme == "http":
                origin = endpoint.origin
        manager.pool_classes_by_scheme = {"http": HTTPPool, "https": HTTPSPool}
        pool = manager.connection_from_host(endpoint.host, endpoint.port, endpoint.scheme)
        return pool, origin


def _why_not_connected(error: Exception, settings: Settings, proxy: str | None) -> str:
    where = f"{settings.endpoint.host}:{settings.endpoint.port}"
    if proxy is not None:
        where += " through the proxy"
    if isinstance(error, NameResolutionError):
        return f"the host name in {settings.endpoint.url}, or the proxy's, cannot be resolved"
    # urllib3's error for a refused connection is a kind of its ConnectTimeoutError.
    late = isinstance(error, (ConnectTimeoutError, TimeoutError))
    if late and not isinstance(error, NewConnectionError):
        return f"no connection to {where} within {settings.connect_timeout:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {where} is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake with {where} failed ({error.reason or 'closed'})"
    reason = error.__cause__ if isinstance(error.__cause__, OSError) else error
    text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    # Only the status of a refused CONNECT: a proxy may echo its own password behind it.
    if refused := re.match(r"Tunnel connection failed: \d+", text):
        text = refused[0]
    return f"no connection to {where} ({shorten(' '.join(text.split()))})"


def _why_unknown(error: Exception, timeout: float) -> str:
    if isinstance(error, TooLong):
        return str(error)
    if isinstance(error, (ReadTimeoutError, TimeoutError)):
        return f"no whole answer came within {timeout:g} s"
    if isinstance(error, DecodeError):
        return "its answer's content encoding cannot be undone"
    if isinstance(error, IncompleteRead):
        return "its answer was cut short"
    if isinstance(error, ProtocolError):
        cause = error.args[1] if len(error.args) > 1 else None
        if isinstance(cause, http.client.RemoteDisconnected):
            return "the connection was closed without an answer"
        if isinstance(cause, ConnectionError):
            return "the connection broke before an answer came"
        if isinstance(cause, http.client.IncompleteRead):
            return "its answer was cut short"
        return "its answer is not readable HTTP"
    if isinstance(error, HTTPError):
        return f"its answer could not be read ({type(error).__name__})"
    return f"the exchange broke ({type(error).__name__})"
