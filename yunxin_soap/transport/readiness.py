"""Wait until a socket can be read. A poll object that is kept costs a third of a new one."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from urllib3.util import wait_for_read


def read_poller(sock: socket.socket) -> Callable[[float], object]:
    """Return a function that waits until a socket can be read, or has been closed by the peer.

    Its argument is the most milliseconds to wait; its result is falsy if they have passed.
    """
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        return poller.poll
    return lambda milliseconds: wait_for_read(sock, timeout=milliseconds / 1000)
