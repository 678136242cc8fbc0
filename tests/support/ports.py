"""TCP ports for servers that stop and start again."""

from __future__ import annotations

import contextlib
import random
import socket

EPHEMERAL = 32768
"""The first port that Linux gives to outgoing connections by default."""


def free_port() -> int:
    """Return a free port outside the range of outgoing connections.

    A port that the system picks is inside that range. While its server is stopped, any client on
    the machine may get it, even one that tries to connect to it.
    """
    while True:
        port = random.randrange(20000, EPHEMERAL)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
