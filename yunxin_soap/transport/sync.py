"""Bytes out, bytes in, over urllib3's connections; says whether the request can have left.

The rule is built the safe way round: *not sent* is only what the connecting phase itself raised,
before a byte of the request was written. Whatever else goes wrong is *unknown*.
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
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.transport.connection import Answer, Connection, NotConnected
from yunxin_soap.transport.connector import Dialler
from yunxin_soap.transport.network import USER_AGENT, Attempts, TooLong, not_sent, outcome_unknown

if TYPE_CHECKING:
    from yunxin_soap.settings import Settings

POOL_SIZE = 32
"""Connections kept open at most; more threads than this open short-lived ones."""


class HttpTransport:
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
        self._dialler = Dialler(settings)
        self._headers = {"User-Agent": USER_AGENT, **self._dialler.headers}
        self._closed = False
        self._pid = os.getpid()
        self._idle: deque[Connection] = deque()
        """The youngest last. A deque's own operations need no lock."""

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
        connection = self._connection()
        target = self._dialler.origin + request.path
        if request.query:
            target = f"{target}?{request.query}"
        answer = None
        whole = False
        failed: OutcomeUnknown
        try:
            answer = connection.submit(
                request.method,
                target,
                {**self._headers, **request.headers},
                request.body,
                self._settings.timeout,
            )
            body = answer.whole()
            answer.close()
            whole = True
            return Response(answer.status, answer.getheader("Content-Type", ""), body)
        except (HTTPError, http.client.HTTPException) as error:
            failed = self._unknown(error, answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request may have left
            failed = self._unknown(error, answer)
            failed.__cause__ = error
        finally:
            if whole:
                self._keep(connection)
            else:
                if answer is not None:
                    answer.close()
                connection.close()
        # Not from where it was caught, or its context would hold an error that quotes the answer,
        # and a server may echo the request there.
        raise failed

    def _unknown(self, error: Exception, answer: Answer | None) -> OutcomeUnknown:
        reason = _why_unknown(error, self._settings.timeout)
        return outcome_unknown(reason, answer.status if answer else None)

    def _connection(self) -> Connection:
        """Return one that is open: the one used last, or a new one."""
        if self._closed:
            raise RuntimeError("The client is closed.")
        if self._pid != os.getpid():
            # After a fork the sockets are the parent's, which a child's closing does not end.
            self._drop_idle()
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
            return self._dialler.dial()
        except NotConnected as failure:
            # What a proxy says may echo its own password.
            cause = None if self._dialler.proxied else failure.cause
            raise not_sent(self._dialler.why_not(failure.cause)) from cause

    def _keep(self, connection: Connection) -> None:
        if connection.is_closed or len(self._idle) >= POOL_SIZE:
            connection.close()
        else:
            self._idle.append(connection)
        if self._closed:
            self._drop_idle()
        # What a burst left behind would otherwise stay until the next.
        with contextlib.suppress(IndexError):
            while self._idle[0].is_old:
                self._idle.popleft().close()

    def _drop_idle(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def close(self) -> None:
        """Close every idle connection; a closed exchange sends nothing more."""
        self._closed = True
        self._drop_idle()


def _why_unknown(error: Exception, timeout: float) -> str:
    if isinstance(error, TooLong):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"no whole answer came within {timeout:g} s"
    if isinstance(error, DecodeError):
        return "its answer's content encoding cannot be undone"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, OSError):
        return "the connection broke before an answer came"
    if isinstance(error, http.client.IncompleteRead):
        return "its answer was cut short"
    if isinstance(error, http.client.HTTPException):
        return "its answer is not readable HTTP"
    if isinstance(error, HTTPError):
        return f"its answer could not be read ({type(error).__name__})"
    return f"the exchange broke ({type(error).__name__})"
