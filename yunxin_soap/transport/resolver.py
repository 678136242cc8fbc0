"""Look up host names in threads of their own, so that a lookup that hangs blocks nobody."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from concurrent.futures import Future

Address = tuple[socket.AddressFamily, str, int]
"""Family, numeric host and port."""


class Resolver:
    """Looks up one host.

    The system's lookup cannot be cancelled. It runs in a daemon thread, which callers need not wait
    for, and there is at most one such thread: callers that come meanwhile share its result.

    Args:
        host: a name, or a numeric address.
        port: the port of the addresses.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._lock = threading.Lock()
        self._lookup: Future[list[Address]] | None = None

    def resolve(self) -> Future[list[Address]]:
        """Start a lookup, or join the one that runs.

        Returns:
            The addresses, IPv6 and IPv4 in turn, or the lookup's error, usually an `OSError` or a
            `UnicodeError`.

        Raises:
            RuntimeError: the system can start no thread.
        """
        with contextlib.suppress(OSError, UnicodeError):
            numeric: Future[list[Address]] = Future()
            numeric.set_result(self._addresses(socket.AI_NUMERICHOST))
            return numeric
        with self._lock:
            lookup = self._lookup
            if lookup is None:
                lookup = Future()
                lookup.set_running_or_notify_cancel()  # no caller can cancel it for the others
                self._lookup = lookup
                try:
                    threading.Thread(
                        target=self._run, args=[lookup], name="yunxin-soap resolver", daemon=True
                    ).start()
                except BaseException:  # the system may have no thread left
                    self._lookup = None
                    raise
            return lookup

    def _run(self, lookup: Future[list[Address]]) -> None:
        try:
            addresses = self._addresses(0)
        except Exception as error:  # noqa: BLE001 - the callers raise it, whatever it is
            self._lookup = None
            lookup.set_exception(error)
        else:
            self._lookup = None
            lookup.set_result(addresses)

    def _addresses(self, flags: int) -> list[Address]:
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=flags)
        by_family: dict[socket.AddressFamily, list[Address]] = {}
        for family, _, _, _, address in found:
            by_family.setdefault(family, []).append((family, str(address[0]), int(address[1])))
        # RFC 8305: one address of each family in turn, in the system's order.
        turns = itertools.zip_longest(*by_family.values())
        return [address for turn in turns for address in turn if address is not None]
