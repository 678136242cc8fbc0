"""Ports for servers that go away and come back."""

from __future__ import annotations

import contextlib
import random
import socket

EPHEMERAL = 32768
"""Where Linux begins to number outgoing connections, unless told otherwise."""


def free_port() -> int:
    """Return a port that nobody listens on, and that no outgoing connection will be given.

    One that the system picks is from the range of outgoing connections: while its server is
    stopped, any client on the machine may get it, even one that tries to connect to it.
    """
    while True:
        port = random.randrange(20000, EPHEMERAL)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
