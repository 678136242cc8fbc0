"""The sentences of `NotSent` and `OutcomeUnknown`, by phase and cause.

The phase decides the outcome. A failure while connecting is *not sent*: no byte of the request
left this machine. A failure after that is *unknown*. Both transports use the same sentences.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING

from yunxin_soap.errors import NotSent, OutcomeUnknown, SendError
from yunxin_soap.redact import clear_frames
from yunxin_soap.sentences import Sentence
from yunxin_soap.transport.limits import MAX_HEAD_BYTES, MAX_RESPONSE_BYTES

if TYPE_CHECKING:
    from yunxin_soap.transport.base import NetworkSettings


class TunnelRefused(Exception):
    """The proxy did not open a tunnel; ``status`` is that of its response, if there was one."""

    def __init__(self, status: int | None) -> None:
        self.status = status


class Expired(Exception):
    """The time by which a request had to be begun has passed."""


# --- connecting


def not_sent(reason: str) -> NotSent:
    """Return the error for a request that has no connection."""
    return NotSent(
        Sentence("Nothing was sent: {reason}. The submission can be sent again.", reason=reason),
        safe_to_resend=True,
        retryable=True,
    )


class ConnectReasons:
    """Says why there is no connection to one endpoint.

    Args:
        settings: the endpoint, ``connect_timeout`` and ``max_connections`` are named.
        proxy: the host and the port of the proxy; None if there is none.
    """

    def __init__(self, settings: NetworkSettings, proxy: str | None) -> None:
        endpoint = settings.endpoint
        self._timeout = settings.connect_timeout
        self._max_connections = settings.max_connections
        self._looked_up = (
            Sentence("proxy {proxy}", proxy=proxy)
            if proxy
            else Sentence("gateway in {url}", url=endpoint.url)
        )
        """What has a host name that is looked up here: with a proxy, only the proxy."""
        self._target: str = f"{endpoint.host}:{endpoint.port}"
        if proxy:
            self._target = Sentence(
                "{target} through the proxy {proxy}", target=self._target, proxy=proxy
            )

    def __call__(self, error: BaseException) -> str:
        """Return the reason for an error that came while connecting.

        Of a proxy's words only the status is quoted, and of other errors only the operating
        system's words: a proxy may echo its own password.
        """
        if isinstance(error, (socket.gaierror, UnicodeError)):
            return Sentence(
                "the host name of the {looked_up} cannot be resolved", looked_up=self._looked_up
            )
        if isinstance(error, TimeoutError):
            return Sentence(
                "no connection to {target} within {timeout} s",
                target=self._target,
                timeout=f"{self._timeout:g}",
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return Sentence(
                "the certificate of {target} is not trusted ({why})",
                target=self._target,
                why=error.verify_message,
            )
        if isinstance(error, ssl.SSLError):
            detail = error.reason or "closed"
            return Sentence(
                "the TLS handshake with {target} failed ({detail})",
                target=self._target,
                detail=detail,
            )
        text: str = type(error).__name__
        if isinstance(error, TunnelRefused):
            text = Sentence(
                "Tunnel connection failed: {status}",
                status=error.status or Sentence("no valid response"),
            )
        elif isinstance(error, OSError) and error.errno:
            text = os.strerror(error.errno)
        return Sentence("no connection to {target} ({why})", target=self._target, why=text)

    def no_free_connection(self) -> str:
        """All connections were in use for ``connect_timeout`` seconds."""
        return Sentence(
            "all {max_connections} connections (max_connections) were in use for {timeout} s",
            max_connections=self._max_connections,
            timeout=f"{self._timeout:g}",
        )


# --- sending the request, waiting for the response, reading it


def outcome_unknown(reason: str, http_status: int | None) -> OutcomeUnknown:
    """Return the error for a failure after the request may have left.

    Args:
        reason: what broke.
        http_status: the status of the response, if its head had arrived.
    """
    return OutcomeUnknown(
        Sentence(
            "The request may have reached the gateway, but {reason}. It is unknown whether "
            "the SMS was sent. Check with the vendor before you send it again.",
            reason=reason,
        ),
        http_status=http_status,
    )


TOO_LARGE = Sentence(
    "the response has more than {limit} bytes and was not read to its end", limit=MAX_RESPONSE_BYTES
)
HEAD_TOO_LARGE = Sentence(
    "the head of the response has more than {limit} bytes", limit=MAX_HEAD_BYTES
)
CLOSED_EARLY = Sentence("the connection was closed before a response came")
CONNECTION_BROKE = Sentence("the connection broke before the response was complete")
CUT_SHORT = Sentence("the response was cut short")
NOT_DECODED = Sentence("the content encoding of the response cannot be decoded")
NOT_HTTP = Sentence("the response is not valid HTTP")
CANCELLED = Sentence("the task was cancelled")
EXPIRED = Sentence(
    "the time until which it was valid (valid_until) had passed before its first byte could leave,"
    " as after a suspension of this process or this machine"
)


def exchange_failed(
    error: BaseException | None,
    *,
    may_have_left: bool,
    broken: str | None,
    http_status: int | None,
    timeout: float,
) -> SendError:
    """Return the error for an exchange that ended without a complete response.

    Args:
        error: what ended the exchange; None if the response itself is broken.
        may_have_left: whether bytes of the request may have been sent.
        broken: what is wrong with the response; None if ``error`` ended the exchange.
        http_status: the status of the response, if its head had arrived.
        timeout: the seconds that the exchange had.
    """
    if broken is not None:
        reason: str = broken
    elif isinstance(error, Expired):
        reason = EXPIRED
    elif isinstance(error, asyncio.CancelledError):
        reason = CANCELLED
    elif isinstance(error, TimeoutError):
        reason = Sentence("no complete response came within {timeout} s", timeout=f"{timeout:g}")
    elif isinstance(error, ssl.SSLError) and error.reason:
        # By TLS 1.3, a server rejects a client certificate only now.
        reason = Sentence("TLS broke ({why})", why=error.reason)
    elif isinstance(error, OSError):
        reason = CONNECTION_BROKE
    else:
        # Only the type is named: the text of the error may quote the request.
        reason = Sentence("the exchange broke ({kind})", kind=type(error).__name__)
    failed = outcome_unknown(reason, http_status) if may_have_left else not_sent(reason)
    if isinstance(error, Exception):
        clear_frames(error)
        failed.__cause__ = error
    return failed
