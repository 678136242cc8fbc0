"""The sentences of `NotSent` and `OutcomeUnknown`, by phase and cause.

The phase decides the outcome. A failure while connecting is *not sent*: no byte of the request
left this machine. A failure after that is *unknown*. Both transports use the same sentences.
"""

from __future__ import annotations

import os
import re
import traceback
from typing import TYPE_CHECKING

from yunxin_soap.errors import NotSent, OutcomeUnknown
from yunxin_soap.redact import truncate_printable
from yunxin_soap.transport.limits import MAX_RESPONSE_BYTES

if TYPE_CHECKING:
    from yunxin_soap.settings import Settings


class ConnectFailed(Exception):
    """A transport could not connect, so it wrote no byte of the request."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


class ResponseTooLarge(Exception):
    """A response has more than `MAX_RESPONSE_BYTES`."""


# --- connecting


def not_sent(reason: str) -> NotSent:
    """Return the error for a connection that could not be made."""
    return NotSent(
        f"Nothing was sent: {reason}. The submission can be sent again.",
        safe_to_resend=True,
        retryable=True,
    )


class ConnectReasons:
    """Say why there is no connection to one endpoint; each method returns a reason.

    Args:
        settings: the endpoint and ``connect_timeout`` are named.
        proxied: whether the connection goes through a proxy.
    """

    def __init__(self, settings: Settings, *, proxied: bool) -> None:
        endpoint = settings.endpoint
        self._timeout = settings.connect_timeout
        self._proxied = proxied
        self._url = endpoint.url
        self._target = f"{endpoint.host}:{endpoint.port}"
        if proxied:
            self._target += " through the proxy"

    def name_not_resolved(self) -> str:
        """Name lookup failed. With a proxy, only the proxy's name is looked up here."""
        if self._proxied:
            return f"the host name of the proxy for {self._url} cannot be resolved"
        return f"the host name in {self._url} cannot be resolved"

    def timed_out(self) -> str:
        """``connect_timeout`` passed."""
        return f"no connection to {self._target} within {self._timeout:g} s"

    def certificate_not_trusted(self, detail: str) -> str:
        """The certificate was checked and failed."""
        return f"the certificate of {self._target} is not trusted ({detail})"

    def handshake_failed(self, detail: str | None) -> str:
        """TLS failed in another way."""
        return f"the TLS handshake with {self._target} failed ({detail or 'closed'})"

    def tunnel_refused(self, status: int | str) -> str:
        """The proxy did not open the tunnel.

        Only the status is quoted: a proxy may echo its own password behind it.
        """
        return f"no connection to {self._target} (Tunnel connection failed: {status})"

    def other(self, error: BaseException) -> str:
        """Anything else, such as a refused connection.

        Only the operating system's words are quoted: the text of another error may quote what a
        proxy sent.
        """
        text = type(error).__name__
        if isinstance(error, OSError):
            text = os.strerror(error.errno) if error.errno else str(error) or text
        if refused := re.match(r"Tunnel connection failed: (\d+)", text):
            return self.tunnel_refused(refused[1])
        return f"no connection to {self._target} ({truncate_printable(' '.join(text.split()))})"


# --- sending the request, waiting for the response, reading it


def outcome_unknown(reason: str, http_status: int | None) -> OutcomeUnknown:
    """Return the error for a failure after the request may have left.

    Args:
        reason: what broke.
        http_status: the status of the response, if its head had arrived.
    """
    return OutcomeUnknown(
        f"The request may have reached the gateway, but {reason}. It is unknown whether the"
        " SMS was sent. Check with the vendor before you send it again.",
        http_status=http_status,
    )


TOO_LARGE = f"the response has more than {MAX_RESPONSE_BYTES} bytes and was not read to its end"
CLOSED_EARLY = "the connection was closed before a response came"
CONNECTION_BROKE = "the connection broke before the response was complete"
CUT_SHORT = "the response was cut short"
CUT_SHORT_OR_NOT_DECODED = "the response was cut short, or its content encoding cannot be decoded"
NOT_DECODED = "the content encoding of the response cannot be decoded"
NOT_HTTP = "the response is not valid HTTP"
CANCELLED = "the task was cancelled"


def clear_request(error: BaseException) -> None:
    """Clear the local variables in the frames of ``error``: some hold the query or the body.

    The traceback keeps its lines, so that a programming error can still be located.
    """
    traceback.clear_frames(error.__traceback__)


def response_timed_out(timeout: float) -> str:
    """Say that the response was not complete within ``timeout`` seconds."""
    return f"no complete response came within {timeout:g} s"


def exchange_broke(error: BaseException) -> str:
    """Say that something unforeseen ended the exchange, a programming error included.

    Only the type is named: the text of the error may quote the request.
    """
    return f"the exchange broke ({type(error).__name__})"
