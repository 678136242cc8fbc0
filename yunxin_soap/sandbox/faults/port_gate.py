"""The sandbox's port, which faults may shut for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from typing import Any

from aiohttp import web

from yunxin_soap.sandbox.faults.injector import Faults

_log = logging.getLogger(__name__)
_SHUTTING = 10.0
"""Seconds to wait at most for the port to be opened or shut."""
_AGAIN = 0.2
"""Seconds between two tries to open a port that somebody else took meanwhile."""


class Door:
    """The port: shut as long as faults ask for it, and nobody else's meanwhile."""

    def __init__(self, faults: Faults, runner: web.ServerRunner, host: str, port: int) -> None:
        self._faults, self._runner, self._host, self._port = faults, runner, host, port
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._waiting: list[threading.Event] = []
        self._held: list[socket.socket] = []
        """Bound and deaf, as long as it is shut: who connects is refused."""

    async def start(self) -> None:
        """Do as the faults say, from now on."""
        await self._settle()
        self._task = self._loop.create_task(self._watch())

    def look(self) -> None:
        """Open or shut it as the faults now say; callable from any thread."""
        done = threading.Event()

        def wake() -> None:
            self._waiting.append(done)
            self._changed.set()

        if asyncio._get_running_loop() is self._loop:
            wake()  # the REST API asks, and its answer may still go out
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(wake)
            done.wait(_SHUTTING)

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            waiting, self._waiting = self._waiting, []
            seconds = await self._settle()
            for each in waiting:
                each.set()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), seconds)

    async def _settle(self) -> float | None:
        """Open or shut it; return the seconds after which to look again."""
        if seconds := self._faults.refuses_for():
            await self._shut()
            return seconds
        return None if await self._open() else _AGAIN

    async def _shut(self) -> None:
        addresses = self._runner.addresses  # none if it is shut already
        await self._close()
        for address in addresses:
            with contextlib.suppress(OSError):  # somebody was faster; it is tried again below
                self._held.append(_bound(address))

    async def _open(self) -> bool:
        if self._runner.sites:
            return True
        held, self._held = self._held, []
        for each in held:
            _share(each, True)
        sites: list[web.BaseSite] = [web.SockSite(self._runner, each) for each in held]
        try:
            for site in sites or [web.TCPSite(self._runner, self._host, self._port)]:
                await site.start()
        except OSError as error:
            await self._close()  # a site that could not be started still counts
            for each in held:
                each.close()
            _log.warning("The port cannot be opened again (%s): trying.", error.strerror)
            return False
        self._faults.reopened()
        return True

    async def _close(self) -> None:
        for site in list(self._runner.sites):
            await site.stop()

    async def leave(self) -> None:
        """Open it no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for each in self._held:
            each.close()


def _bound(address: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if len(address) == 4 else socket.AF_INET)
    try:
        _share(made, True)
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        _share(made, False)
    except BaseException:
        made.close()
        raise
    return made


def _share(held: socket.socket, with_others: bool) -> None:
    """Let a port be shared with connections that are still ending, and so with anybody, or not."""
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, with_others)
