"""Why there was no connection, as errors say it."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from yunxin_soap import Settings
from yunxin_soap.transport.failures import ConnectReasons, TunnelRefused

SETTINGS = Settings(
    "demo",
    "demo",
    channel="37",
    endpoint="https://gateway.example/MsgSend.asmx",
    connect_timeout=2.5,
    max_connections=3,
)


def handshake_without_reason() -> ssl.SSLError:
    """Return what OpenSSL raises if the peer closes in the middle of the handshake."""
    error = ssl.SSLError()
    error.reason = None  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            socket.gaierror(),
            "the host name of the gateway in https://gateway.example/MsgSend.asmx cannot be"
            " resolved",
        ),
        (TimeoutError(), "no connection to gateway.example:443 within 2.5 s"),
        (
            handshake_without_reason(),
            "the TLS handshake with gateway.example:443 failed (closed)",
        ),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "secret"),
            f"no connection to gateway.example:443 ({os.strerror(errno.ECONNREFUSED)})",
        ),
        (OSError("secret"), "no connection to gateway.example:443 (OSError)"),
    ],
    ids=["name", "time", "TLS", "refused", "other"],
)
def test_connect_reason_names_what_failed(error: Exception, reason: str) -> None:
    """Each says what there was no connection to, and quotes nobody but the operating system."""
    assert ConnectReasons(SETTINGS, None)(error) == reason


@pytest.mark.parametrize(("status", "says"), [(407, "407"), (None, "no valid response")])
def test_connect_reason_of_a_proxy_quotes_only_its_status(status: int | None, says: str) -> None:
    """A proxy may echo its own password, so that its words are not repeated."""
    assert ConnectReasons(SETTINGS, "proxy.example:3128")(TunnelRefused(status)) == (
        "no connection to gateway.example:443 through the proxy proxy.example:3128"
        f" (Tunnel connection failed: {says})"
    )


def test_connect_reason_of_busy_connections_names_the_limit() -> None:
    """Who waits for a free connection reads which setting is too low, and how long it waited."""
    assert ConnectReasons(SETTINGS, None).no_free_connection() == (
        "all 3 connections (max_connections) were in use for 2.5 s"
    )
