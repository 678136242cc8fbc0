"""The way to one endpoint: directly, through a forwarding proxy, or through a proxy's tunnel."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from urllib3.util import parse_url

from yunxin_soap.errors import NotSent
from yunxin_soap.redact import clear_frames
from yunxin_soap.transport.failures import ConnectReasons, TunnelRefused, not_sent
from yunxin_soap.transport.http11 import Exchange, RequestEncoder, Steps
from yunxin_soap.transport.network import USER_AGENT, proxy_headers, select_proxy, tls_context
from yunxin_soap.transport.tls import TlsLayer, through

if TYPE_CHECKING:
    from yunxin_soap.transport.base import NetworkSettings

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Route:
    """Knows where to connect, what to do on a new connection, and how requests look there.

    Raises:
        ConfigurationError: the proxy of the environment or ``verify`` cannot be used.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        self._endpoint = endpoint = settings.endpoint
        address = select_proxy(settings)
        proxy = parse_url(address) if address else None
        first_hop = proxy or endpoint
        self.host = (first_hop.host or "").strip("[]")
        """The host to connect to."""
        self.port = first_hop.port or _DEFAULT_PORTS[first_hop.scheme or "http"]
        """The port to connect to."""
        self.proxied = proxy is not None
        """Whether ``host`` is a proxy."""
        self.reason = ConnectReasons(
            settings, f"{first_hop.host}:{self.port}" if self.proxied else None
        )
        """Says why there is no connection."""
        self._first_hop_has_tls = first_hop.scheme == "https"
        self._has_tunnel = self.proxied and endpoint.scheme == "https"
        self._context: ssl.SSLContext | None = None
        if "https" in (first_hop.scheme, endpoint.scheme):
            self._context = tls_context(settings.verify)
        headers = {"User-Agent": USER_AGENT}
        for_proxy = proxy_headers(address) if address else {}
        forwards = self.proxied and not self._has_tunnel
        self.encoder = RequestEncoder(
            host=endpoint.origin.partition("://")[2],
            origin=endpoint.origin if forwards else "",
            headers={**headers, **for_proxy} if forwards else headers,
        )
        """Writes the requests."""
        self._tunnel_headers = {**headers, **for_proxy}

    def not_sent(self, error: Exception) -> NotSent:
        """Return the error for a connection that could not be opened."""
        failed = not_sent(self.reason(error))
        if not self.proxied:  # a proxy's words, which an error may quote, may echo its password
            clear_frames(error)
            failed.__cause__ = error
        return failed

    def establish(self) -> Steps[list[TlsLayer]]:
        """Do what a new connection needs before its first request: TLS, and the proxy's tunnel.

        Returns:
            The layers of TLS that carry the requests, the outermost first.

        Raises:
            ssl.SSLError: a handshake failed.
            TunnelRefused: the proxy did not open the tunnel.
        """
        layers: list[TlsLayer] = []
        if self._first_hop_has_tls:
            yield from self._add_tls(layers, self.host)
        if self._has_tunnel:
            yield from through(layers, self._open_tunnel())
            yield from self._add_tls(layers, self._endpoint.host.strip("[]"))
        return layers

    def _add_tls(self, layers: list[TlsLayer], host: str) -> Steps[None]:
        assert self._context is not None
        layer = TlsLayer(self._context, host)
        yield from through(layers, layer.handshake())
        layers.append(layer)

    def _open_tunnel(self) -> Steps[None]:
        target = f"{self._endpoint.host}:{self._endpoint.port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        lines += [f"{name}: {value}" for name, value in self._tunnel_headers.items()]
        exchange = Exchange("\r\n".join([*lines, "", ""]).encode("ascii"), is_connect=True)
        yield from exchange.steps()
        response = exchange.response
        # Bytes of the gateway cannot come before its TLS handshake.
        if response is None or response.status // 100 != 2 or exchange.surplus:
            raise TunnelRefused(exchange.status)
