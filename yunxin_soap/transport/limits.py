"""The bounds of a transport: how long and how many connections stay open, how much is read."""

from __future__ import annotations

from dataclasses import dataclass

KEEPALIVE_EXPIRY = 4.0
"""Default seconds after which an idle connection is dropped.

Servers close idle connections from 5 s on. A request that meets a closing connection ends as
*unknown*, so the client must be first.
"""

MAX_RESPONSE_BYTES = 1 << 20
"""Bytes of one body, after its content encoding is removed. A real body has a few hundred."""


@dataclass(frozen=True)
class Limits:
    """How many idle connections a transport keeps, and for how long."""

    keepalive_expiry: float = KEEPALIVE_EXPIRY
    """Seconds after which an idle connection is dropped instead of used again."""
    max_idle_connections: int = 32
    """How many idle connections `HttpTransport` keeps. More threads than this open short-lived
    connections. `AsyncHttpTransport` has no such limit."""
