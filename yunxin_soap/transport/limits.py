"""The bounds of a transport: how long a connection stays open, how much of a response is read."""

from __future__ import annotations

KEEPALIVE_EXPIRY = 4.0
"""Default seconds after which an idle connection is dropped.

Servers close idle connections from 5 s on. A request that meets a closing connection ends as
*unknown*, so the client must be first.
"""

NEXT_ADDRESS_DELAY = 0.25
"""Seconds to wait for one address of a host before another one is tried, too (RFC 8305)."""

MAX_HEAD_BYTES = 64 << 10
"""Bytes of the status line and the headers of one response."""

MAX_WIRE_BYTES = 2 << 20
"""Bytes of one response as it was received, interim responses included."""

MAX_RESPONSE_BYTES = 1 << 20
"""Bytes of one body, after its content encoding is removed. A real body has a few hundred."""
