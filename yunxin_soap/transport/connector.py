"""Connects to one endpoint: directly, through a forwarding proxy, or through its tunnel."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from urllib3.connection import ProxyConfig
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import parse_url

from yunxin_soap.transport.connection import Connection, TLSConnection
from yunxin_soap.transport.failures import ConnectReasons
from yunxin_soap.transport.limits import Limits
from yunxin_soap.transport.network import proxy_headers, select_proxy, tls_context

if TYPE_CHECKING:
    from yunxin_soap.settings import Settings


class Connector:
    """Opens connections to one endpoint, and explains why one could not be opened."""

    def __init__(
        self,
        settings: Settings,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._clock = limits or Limits(), clock
        proxy = select_proxy(settings)
        self._proxy = parse_url(proxy) if proxy else None
        self._reasons = ConnectReasons(settings, proxied=self.proxied)
        endpoint = settings.endpoint
        first_hop = self._proxy or endpoint
        self._options: dict[str, Any] = {
            "host": (first_hop.host or "").strip("[]"),
            "port": first_hop.port or {"http": 80, "https": 443}[first_hop.scheme or "http"],
            "timeout": settings.connect_timeout,
            # urllib3 disables Nagle's algorithm only without a proxy.
            "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        }
        self._class = Connection
        if "https" in (endpoint.scheme, first_hop.scheme):
            self._class = TLSConnection
            context = tls_context(settings.verify)
            self._options["ssl_context"] = context
            if context.verify_mode is ssl.CERT_NONE:
                self._options["assert_hostname"] = False
        self.origin = ""
        """The part of a request line before the path: empty, or the endpoint's for a proxy."""
        self.headers: dict[str, str] = {}
        """The headers for the proxy that each request carries."""
        self._tunnel: dict[str, Any] | None = None
        if self._proxy and proxy:
            self._options["proxy"] = self._proxy
            if endpoint.scheme == "http":
                self.origin = endpoint.origin
                self.headers = proxy_headers(proxy)
            else:
                self._options["proxy_config"] = ProxyConfig(context, False, None, None)
                self._tunnel = {
                    "host": endpoint.host.strip("[]"),
                    "port": endpoint.port,
                    "headers": proxy_headers(proxy),
                    "scheme": self._proxy.scheme,
                }

    def connect(self) -> Connection:
        """Return a new open connection.

        Raises:
            ConnectFailed: the connection could not be made.
        """
        connection = self._class(**self._options)
        connection.keepalive_expiry = self._limits.keepalive_expiry
        connection.clock = self._clock
        if self._tunnel is not None:
            connection.set_tunnel(**self._tunnel)
        connection.connect()
        return connection

    @property
    def proxied(self) -> bool:
        """Whether connections go through a proxy."""
        return self._proxy is not None

    def reason(self, error: Exception) -> str:
        """Return the reason for an error of `connect`."""
        reasons = self._reasons
        if isinstance(error, NameResolutionError):
            return reasons.name_not_resolved()
        # urllib3 raises a subclass of its ConnectTimeoutError for a refused connection.
        timed_out = isinstance(error, (ConnectTimeoutError, TimeoutError))
        if timed_out and not isinstance(error, NewConnectionError):
            return reasons.timed_out()
        if isinstance(error, ssl.SSLCertVerificationError):
            return reasons.certificate_not_trusted(error.verify_message)
        if isinstance(error, ssl.SSLError):
            return reasons.handshake_failed(error.reason)
        return reasons.other(error.__cause__ if isinstance(error.__cause__, OSError) else error)
