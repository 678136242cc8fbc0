"""The sandbox's TCP port, which faults can close for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from typing import Any

from aiohttp import web

from yunxin_soap.sandbox.faults.injector import FaultInjector

_log = logging.getLogger(__name__)
_UPDATE_TIMEOUT = 10.0
"""Seconds that `PortGate.update` waits for the port to open or close."""
_RETRY_INTERVAL = 0.2
"""Seconds between two attempts to reopen a port that another process took meanwhile."""


class PortGate:
    """Opens and closes the port as the faults ask; no other process can bind it meanwhile.

    Args:
        faults: the faults that close the port.
        runner: the server whose sites listen on the port.
        host: the address to listen on.
        port: the port to listen on.
    """

    def __init__(
        self, faults: FaultInjector, runner: web.ServerRunner, host: str, port: int
    ) -> None:
        self._faults, self._runner, self._host, self._port = faults, runner, host, port
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._changed = asyncio.Event()
        self._waiting: list[threading.Event] = []
        self._reserved: list[socket.socket] = []
        """Bound sockets that do not listen, while the port is closed: connections are refused."""

    async def start(self) -> None:
        """Follow the faults from now on."""
        await self._apply()
        self._task = self._loop.create_task(self._watch())

    def update(self) -> None:
        """Open or close the port as the faults now ask. Thread-safe.

        Returns once that is done, except in the server's own event loop.
        """
        done = threading.Event()

        def wake() -> None:
            self._waiting.append(done)
            self._changed.set()

        if threading.get_ident() == self._loop_thread:
            wake()  # a REST request asks, and its response must still be sent
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(wake)
            done.wait(_UPDATE_TIMEOUT)

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            waiting, self._waiting = self._waiting, []
            seconds = await self._apply()
            for each in waiting:
                each.set()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    async def _apply(self) -> float | None:
        """Open or close the port; return the seconds until the next check, None for no check."""
        if seconds := self._faults.seconds_until_open():
            await self._close()
            return seconds
        return None if await self._open() else _RETRY_INTERVAL

    async def _close(self) -> None:
        addresses = self._runner.addresses  # empty if the port is closed already
        await self._stop_sites()
        for address in addresses:
            # If another process bound the port first, `_open` retries later.
            with contextlib.suppress(OSError):
                self._reserved.append(reserve_port(address))

    async def _open(self) -> bool:
        if self._runner.sites:
            return True
        reserved, self._reserved = self._reserved, []
        for each in reserved:
            _set_reuse_address(each, True)
        sites: list[web.BaseSite] = [web.SockSite(self._runner, each) for each in reserved]
        try:
            for site in sites or [web.TCPSite(self._runner, self._host, self._port)]:
                await site.start()
        except OSError as error:
            await self._stop_sites()  # the runner also lists a site that failed to start
            for each in reserved:
                each.close()
            _log.warning("The port cannot be reopened (%s): retrying.", error.strerror)
            return False
        self._faults.port_reopened()
        return True

    async def _stop_sites(self) -> None:
        for site in list(self._runner.sites):
            await site.stop()

    async def stop(self) -> None:
        """Stop following the faults, and release a closed port."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for each in self._reserved:
            each.close()


def reserve_port(address: tuple[Any, ...]) -> socket.socket:
    """Bind an address without listening, so that connections are refused."""
    made = socket.socket(socket.AF_INET6 if len(address) == 4 else socket.AF_INET)
    try:
        _set_reuse_address(made, True)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        _set_reuse_address(made, False)
    except BaseException:
        made.close()
        raise
    return made


def _set_reuse_address(bound: socket.socket, allowed: bool) -> None:
    """Allow or forbid sharing the port with closing connections, and so with other processes."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, allowed)
