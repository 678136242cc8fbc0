"""The sandbox's port, which faults may shut for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading

from aiohttp import web

from yunxin_soap.sandbox.faults import Faults

_log = logging.getLogger(__name__)
_SHUTTING = 10.0
"""Seconds to wait at most for the port to be opened or shut."""
_AGAIN = 0.2
"""Seconds between two tries to open a port that somebody else took meanwhile."""


class Door:
    """The port: shut as long as faults ask for it."""

    def __init__(self, faults: Faults, runner: web.ServerRunner, host: str, port: int) -> None:
        self._faults, self._runner, self._host, self._port = faults, runner, host, port
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._waiting: list[threading.Event] = []

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
            for site in list(self._runner.sites):
                await site.stop()
            return seconds
        return None if await self._open() else _AGAIN

    async def _open(self) -> bool:
        if self._runner.sites:
            return True
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            # A site that could not be started still counts.
            await site.stop()
            _log.warning("The port cannot be opened again (%s): trying.", error.strerror)
            return False
        return True

    async def leave(self) -> None:
        """Open it no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
