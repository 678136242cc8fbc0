"""Lets a runner, which is asynchronous, send by an ordinary `Client`."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import functools
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from yunxin_soap.campaign.running.runner import LeftRunning, Sender
from yunxin_soap.transport.sync import HttpTransport

if TYPE_CHECKING:
    from yunxin_soap.client import Client
    from yunxin_soap.message import Submission
    from yunxin_soap.results import Receipt


@asynccontextmanager
async def sender_for(client: Client, concurrency: int) -> AsyncIterator[Sender]:
    """Give a sender for the time of a run: an `AsyncClient`, or the client itself in threads.

    An `AsyncClient` with the same settings keeps many submissions in flight at the least cost. A
    client that sends in its own way, by another transport or another `submit`, is called in
    threads.

    Args:
        client: it stays open.
        concurrency: submissions in flight at most.
    """
    if _sends_as_usual(client):
        from yunxin_soap.async_client import AsyncClient

        settings = client.settings
        if settings.max_connections < concurrency:
            # A submission that has begun must not wait for a connection.
            settings = dataclasses.replace(settings, max_connections=concurrency)
        async with AsyncClient.from_settings(settings) as sender:
            yield sender
        return
    threads = ThreadSender(client, concurrency)
    try:
        yield threads
    finally:
        threads.close()


def _sends_as_usual(client: Client) -> bool:
    from yunxin_soap.client import Client

    submit = getattr(client.submit, "__func__", None)
    return type(client._transport) is HttpTransport and submit is Client.submit


class ThreadSender:
    """Sends by a `Client` in threads.

    Args:
        client: sends; it stays open.
        concurrency: the count of threads.
    """

    def __init__(self, client: Client, concurrency: int) -> None:
        self._client = client
        self._threads = ThreadPoolExecutor(concurrency, "yunxin-soap sender")

    async def submit(
        self, submission: Submission, /, *, valid_until: float | None = None
    ) -> Receipt:
        """Send a submission.

        Args:
            submission: what to send.
            valid_until: as in `Client.submit`.

        Raises:
            asyncio.CancelledError: the task was cancelled; its ``__cause__`` is an
                `LeftRunning` if the call had begun, since a thread cannot be cancelled.
        """
        # A thread does not see what the runner notes about the submission, unless it is given it.
        send = functools.partial(self._client.submit, submission, valid_until=valid_until)
        call = self._threads.submit(contextvars.copy_context().run, send)
        try:
            return await asyncio.wrap_future(call)
        except asyncio.CancelledError as cancelled:
            if call.cancelled():
                raise
            if call.done():  # its outcome is known, although this task did not get it in time
                return call.result()
            raise cancelled from LeftRunning("The run ended while this was in flight.")

    def close(self) -> None:
        """End the threads, each once its call has returned."""
        self._threads.shutdown(wait=False, cancel_futures=True)
