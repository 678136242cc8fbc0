"""The thread in which a runner calls the ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any


class LedgerThread:
    """Calls functions, one after the other, in a thread of their own.

    Unlike those of a `ThreadPoolExecutor`, the thread does not keep the process alive: a database
    that never answers must not keep a process that is told to end.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._work, name="yunxin-soap ledger", daemon=True).start()

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        """Call a function once those before it have returned; to cancel the future prevents that.

        Args:
            call: the function.
            args: its arguments.
        """
        future: Future[Any] = Future()
        self._calls.put((future, partial(call, *args)))
        return future

    def close(self) -> None:
        """End the thread once every call has returned."""
        self._calls.put(None)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            if future.set_running_or_notify_cancel():
                try:
                    result = call()
                except BaseException as error:  # noqa: BLE001 - the caller gets it
                    future.set_exception(error)
                else:
                    future.set_result(result)
            del item, future, call  # keep nothing alive while it waits
