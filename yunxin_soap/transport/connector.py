"""Makes connections to one endpoint: straight, over a forwarding proxy, or through its tunnel."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING, Any

from urllib3.connection import ProxyConfig
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import parse_url

from yunxin_soap.redact import truncate_printable
from yunxin_soap.transport.connection import Connection, TLSConnection
from yunxin_soap.transport.network import proxy_for, proxy_headers, tls_context

if TYPE_CHECKING:
    from yunxin_soap.settings import Settings


class Dialler:
    """Knows the way to the endpoint, and how a failure on it is told."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        proxy = proxy_for(settings)
        self._proxy = parse_url(proxy) if proxy else None
        endpoint = settings.endpoint
        first = self._proxy or endpoint
        self._options: dict[str, Any] = {
            "host": (first.host or "").strip("[]"),
            "port": first.port or {"http": 80, "https": 443}[first.scheme or "http"],
            "timeout": settings.connect_timeout,
            # urllib3 turns Nagle's algorithm off only where there is no proxy.
            "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        }
        self._class = Connection
        if "https" in (endpoint.scheme, first.scheme):
            self._class = TLSConnection
            context = tls_context(settings.verify)
            self._options["ssl_context"] = context
            if context.verify_mode is ssl.CERT_NONE:
                self._options["assert_hostname"] = False
        self.origin = ""
        """What stands before the path in a request line."""
        self.headers: dict[str, str] = {}
        """What each request carries for the proxy."""
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

    def dial(self) -> Connection:
        """Return a new connection, open.

        Raises:
            NotConnected: it could not be made.
        """
        connection = self._class(**self._options)
        if self._tunnel is not None:
            connection.set_tunnel(**self._tunnel)
        connection.connect()
        return connection

    @property
    def proxied(self) -> bool:
        """Whether a proxy stands between."""
        return self._proxy is not None

    def why_not(self, error: Exception) -> str:
        """Say what an error of `dial` means."""
        settings = self._settings
        where = f"{settings.endpoint.host}:{settings.endpoint.port}"
        if self.proxied:
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
        return f"no connection to {where} ({truncate_printable(' '.join(text.split()))})"
