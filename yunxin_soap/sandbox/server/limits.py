"""`ServerLimits`: what the sandbox's server accepts at the same time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerLimits:
    """What the server accepts at the same time."""

    max_connections: int = 1000
    """Open connections. Above this limit, the server closes the one that was silent the longest."""
    max_reading: int = 256 << 20
    """Bytes of all request bodies that are being read."""
