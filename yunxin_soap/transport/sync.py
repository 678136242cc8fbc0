"""`HttpTransport`: carries requests over urllib3's connections, in threads.

*Not sent* is only what connecting itself raised, before a byte of the request was written. Every
other failure is *unknown*. An unforeseen error is therefore unknown, which is the safe side.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from urllib3.exceptions import DecodeError, HTTPError

from yunxin_soap.errors import NotSent, OutcomeUnknown
from yunxin_soap.transport import failures
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.transport.connection import Connection, RawResponse
from yunxin_soap.transport.connector import Connector
from yunxin_soap.transport.failures import ConnectFailed, ResponseTooLarge
from yunxin_soap.transport.limits import Limits
from yunxin_soap.transport.network import USER_AGENT
from yunxin_soap.transport.retry import RetrySchedule

if TYPE_CHECKING:
    from yunxin_soap.settings import Settings


class HttpTransport:
    """Carries requests to one endpoint. Safe to share between threads and across a fork.

    Args:
        settings: endpoint, timeouts, retries, proxy and TLS.
        limits: bounds of the idle connections.
        clock: returns the time in seconds, for retries and for the expiry of idle connections.
        sleep: waits some seconds before a retry.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._limits = limits or Limits()
        self._clock, self._sleep = clock, sleep
        self._connector = Connector(settings, self._limits, clock)
        self._headers = {"User-Agent": USER_AGENT, **self._connector.headers}
        self._closed = False
        self._pid = os.getpid()
        self._idle: deque[Connection] = deque()
        """The idle connections, the last used at the end. A deque's methods need no lock."""

    def send(self, request: Request) -> Response:
        """Send one request. If connecting fails, connect again; repeat nothing else.

        Raises:
            NotSent: every attempt to connect failed.
            OutcomeUnknown: the request may have left, and no complete response came back.
        """
        schedule = RetrySchedule(self._settings, self._clock)
        while True:
            try:
                return self._send_once(request)
            except NotSent:
                delay = schedule.next_delay()
                if delay is None:
                    raise
            self._sleep(delay)

    def _send_once(self, request: Request) -> Response:
        connection = self._take_connection()
        response = None
        complete = False
        failed: OutcomeUnknown
        try:
            response = connection.exchange(
                request.method,
                self._target(request),
                {**self._headers, **request.headers},
                request.body,
                self._settings.timeout,
            )
            body = response.read_body()
            response.close()
            complete = True
            return Response(response.status, response.getheader("Content-Type", ""), body)
        except (HTTPError, http.client.HTTPException) as error:
            failed = self._unknown(error, response)
        except Exception as error:  # noqa: BLE001 - after any error, the request may have left
            failed = self._unknown(error, response)
            failures.clear_request(error)
            failed.__cause__ = error
        finally:
            if complete:
                self._keep(connection)
            else:
                if response is not None:
                    response.close()
                connection.close()
        # Raised outside the handlers: __context__ would hold an error that quotes the response, in
        # which a server may echo the request.
        raise failed

    def _target(self, request: Request) -> str:
        """Return the target of the request line, which may hold the password."""
        target = self._connector.origin + request.path
        return f"{target}?{request.query}" if request.query else target

    def _unknown(self, error: Exception, response: RawResponse | None) -> OutcomeUnknown:
        reason = _unknown_reason(error, self._settings.timeout)
        return failures.outcome_unknown(reason, response.status if response else None)

    def _take_connection(self) -> Connection:
        """Return an open connection: the idle one that was used last, or a new one."""
        if self._closed:
            raise RuntimeError("The client is closed.")
        if self._pid != os.getpid():
            # After a fork the sockets belong to the parent. Closing them here does not end its
            # connections.
            self._close_idle()
            self._pid = os.getpid()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if connection.is_connected:
                return connection
            connection.close()
        try:
            return self._connector.connect()
        except ConnectFailed as failure:
            # With a proxy there is no cause: the proxy's words may echo its own password.
            cause = None if self._connector.proxied else failure.cause
            raise failures.not_sent(self._connector.reason(failure.cause)) from cause

    def _keep(self, connection: Connection) -> None:
        if connection.is_closed or len(self._idle) >= self._limits.max_idle_connections:
            connection.close()
        else:
            self._idle.append(connection)
        if self._closed:
            self._close_idle()
        # Without this, the connections of a burst would stay open until the next burst.
        with contextlib.suppress(IndexError):
            while self._idle[0].is_expired:
                self._idle.popleft().close()

    def _close_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def close(self) -> None:
        """Close all idle connections. A closed transport sends nothing more."""
        self._closed = True
        self._close_idle()


def _unknown_reason(error: Exception, timeout: float) -> str:
    if isinstance(error, ResponseTooLarge):
        return failures.TOO_LARGE
    if isinstance(error, TimeoutError):
        return failures.response_timed_out(timeout)
    if isinstance(error, DecodeError):
        return failures.NOT_DECODED
    if isinstance(error, http.client.RemoteDisconnected):
        return failures.CLOSED_EARLY
    if isinstance(error, OSError):
        return failures.CONNECTION_BROKE
    if isinstance(error, http.client.IncompleteRead):
        return failures.CUT_SHORT
    if isinstance(error, http.client.HTTPException):
        return failures.NOT_HTTP
    return failures.exchange_broke(error)
