"""A worker: sends what is queued and works on started campaigns, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yunxin_soap.campaign.models import Pause, State
from yunxin_soap.campaign.running.decisions import (
    TOO_MANY_REQUESTS_PAUSE,
    UNREACHABLE_PAUSE,
    CircuitBreaker,
)
from yunxin_soap.campaign.running.ledger_thread import LedgerThread
from yunxin_soap.campaign.running.once import OnceSend, OnceSends
from yunxin_soap.campaign.running.runner import Sender, StopEvent
from yunxin_soap.campaign.running.slices import SLICE_SECONDS, Slices
from yunxin_soap.campaign.running.throttle import ConcurrencyWindow
from yunxin_soap.campaign.storage.column_types import LedgerDamaged
from yunxin_soap.campaign.storage.engine import as_ledger_errors
from yunxin_soap.codes import TOO_MANY_REQUESTS, Category
from yunxin_soap.errors import (
    ConfigurationError,
    LedgerError,
    NotSent,
    OutcomeUnknown,
    Rejected,
    SendError,
)

if TYPE_CHECKING:
    from yunxin_soap.message import Submission
    from yunxin_soap.operation import ProtocolName
    from yunxin_soap.results import Receipt

_log = logging.getLogger("yunxin_soap.campaign")
WORKER_CONCURRENCY = 16
"""Queued sends in flight at most, unless the caller says otherwise."""
_POLL_PACED = 0.1
"""Seconds between two looks at the queue while some of it waits for the slots of a pace."""
_PACED = 5.0
"""Seconds for which that is so, from the last send on that found no slot."""
_POLL_QUEUE = 1.0
"""Seconds between two looks at the queue while it is empty."""
_SWEEP = 5.0
"""Seconds between two sweeps."""
_POLL_STOP = 0.1
"""Seconds between two looks at a stop event."""
_MAX_SLICES = 4
"""Campaigns that a worker works on at once, at most."""
_OLDEST = 16
"""From how many of the oldest due sends for each free place some are chosen at random.

Workers that all began with the oldest one would get in each other's way.
"""
_REST = 5.0
"""Seconds until a campaign gets another slice after one that sent nothing, at least."""
_MAX_REST = 60.0
"""The same, at most: an operator may resume it, or start it again."""
_SEND_REST = 2.0
"""Seconds until a send is tried again that the ledger could not claim or record."""
_DAMAGE_REST = 600.0
"""The same, if a person has to correct the ledger before."""
_FIRST_OUTAGE, _LAST_OUTAGE = 1.0, 30.0
"""Seconds until the next try if the ledger cannot be used; then twice as long, up to the last."""
_ACCOUNT = frozenset({Category.CREDENTIALS, Category.BALANCE})
"""The causes of a rejection that every other send would be rejected for, too."""
_FAILURE_THRESHOLD = 5
"""Failures in a row, not sent or maybe sent, after which the worker pauses its queue."""


@dataclass(frozen=True)
class QueueSender:
    """Sends queued sends by a sender, with the settings of the caller's client."""

    sender: Sender
    total_timeout: float
    protocol: ProtocolName

    async def submit(
        self, submission: Submission, /, *, valid_until: float | None = None
    ) -> Receipt:
        """Send it once, unless its first byte cannot leave before ``valid_until``."""
        return await self.sender.submit(submission, valid_until=valid_until)


class Worker:
    """Sends what is queued and takes slices of started campaigns.

    Args:
        once: sends what is queued.
        slices: works on campaigns, and sweeps.
        open_sender: gives a sender for so many submissions in flight.
        total_timeout: the client's.
        protocol: the client's.
        concurrency: queued sends in flight at most.
        stop: once it is set, the worker begins nothing more, and ends when nothing is in flight.
    """

    def __init__(
        self,
        once: OnceSends,
        slices: Slices,
        open_sender: Callable[[int], AbstractAsyncContextManager[Sender]],
        *,
        total_timeout: float,
        protocol: ProtocolName,
        concurrency: int,
        stop: StopEvent,
    ) -> None:
        self._once, self._slices = once, slices
        self._open_sender, self._stop = open_sender, stop
        self._total_timeout, self._protocol = total_timeout, protocol
        self._concurrency = concurrency
        self._due: deque[str] = deque()
        self._sends: dict[str, asyncio.Task[None]] = {}
        self._campaigns: dict[str, asyncio.Task[None]] = {}
        self._wanted: list[str] = []
        self._rests: dict[str, float] = {}
        """When a campaign may get another slice, by the monotonic clock."""
        self._send_rests: dict[str, float] = {}
        """When a send that the ledger failed for may be tried again, by the same clock."""
        self._poll_at = self._sweep_at = self._resume_at = 0.0
        self._paced_until = 0.0
        """Until when the queue is looked at often, by the same clock."""
        self._outage = 0.0
        """Seconds of the last wait for a ledger that could not be used; 0 if it could be."""
        self._begin_slowly()

    async def run(self) -> None:
        """Work until the stop event is set and nothing is in flight any more.

        Whoever cancels it aborts the work: what is in flight becomes unknown, and is recorded.
        """
        self._wake_up = asyncio.Event()
        self._thread = LedgerThread()
        watch = asyncio.create_task(self._watch_stop())
        try:
            async with self._open_sender(self._concurrency) as sender:
                self._client = QueueSender(sender, self._total_timeout, self._protocol)
                try:
                    await self._loop()
                finally:
                    await self._abort()
        finally:
            watch.cancel()
            self._thread.close()

    async def _loop(self) -> None:
        _log.info("The worker has begun.")
        while not self._stop.is_set():
            now = time.monotonic()
            if now >= self._sweep_at:
                await self._look(self._sweep)
            elif now >= self._poll_at and not self._due:
                await self._look(self._poll)
            if not self._stop.is_set():
                self._begin()
                await self._sleep()
        if in_flight := [*self._sends.values(), *self._campaigns.values()]:
            _log.info("The worker stops once what it has in flight has ended.")
            await asyncio.wait(in_flight)
        _log.info("The worker has ended.")

    async def _abort(self) -> None:
        """Cancel what is in flight, and wait until that is recorded."""
        tasks = [*self._sends.values(), *self._campaigns.values()]
        for task in tasks:
            task.cancel()
        while left := [task for task in tasks if not task.done()]:
            # To cancel the worker again does not end this.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(left)

    async def _watch_stop(self) -> None:
        """Wake the worker up once it is to stop."""
        while not self._stop.is_set():  # noqa: ASYNC110 - a threading.Event can only be polled
            await asyncio.sleep(_POLL_STOP)
        self._wake_up.set()

    async def _sleep(self) -> None:
        """Wait until something ends, or until the next look at the ledger."""
        now, look_at = time.monotonic(), self._sweep_at
        if not self._due:
            look_at = min(look_at, self._poll_at)
        elif now < self._resume_at:
            look_at = min(look_at, self._resume_at)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake_up.wait(), max(0.0, look_at - now))
        self._wake_up.clear()

    async def _look(self, look: Callable[[], list[str]]) -> None:
        """Look at the ledger, unless it cannot be used; then wait, and look again."""
        answer = asyncio.wrap_future(self._thread.submit(look))
        # A server that does not answer must not keep a worker that is to stop.
        while not answer.done() and not self._stop.is_set():
            await asyncio.wait([answer], timeout=_POLL_STOP)
        if not answer.done():
            answer.cancel()
            return
        now = time.monotonic()
        try:
            keys = answer.result()
        except LedgerError as error:
            self._outage = min(_LAST_OUTAGE, max(_FIRST_OUTAGE, 2 * self._outage))
            self._poll_at = self._sweep_at = now + self._outage
            _log.warning("%s The worker tries again in %.0f s.", error, self._outage)
            return
        if self._outage:
            self._outage = 0.0
            _log.warning("The ledger can be used again.")
        self._send_rests = {key: at for key, at in self._send_rests.items() if at > now}
        new = [key for key in keys if key not in self._sends and key not in self._send_rests]
        wanted = 4 * self._concurrency
        self._due = deque(random.sample(new, min(len(new), wanted)))
        # Once these are sent, there may be more.
        poll = _POLL_PACED if now < self._paced_until else _POLL_QUEUE
        self._poll_at = now if new else now + poll
        if look == self._sweep:
            self._sweep_at = now + _SWEEP

    def _poll(self) -> list[str]:
        return list(self._slices.due_keys(_OLDEST * self._concurrency))

    def _sweep(self) -> list[str]:
        swept = self._slices.sweep()
        # Those that waited longest come first.
        self._wanted = sorted(swept.wanted, key=lambda name: self._rests.get(name, 0.0))
        return list(swept.due_keys[: _OLDEST * self._concurrency])

    def _begin(self) -> None:
        """Begin what there is place for."""
        now = time.monotonic()
        while self._due and now >= self._resume_at and len(self._sends) < self._window.size(now):
            key = self._due.popleft()
            self._sends[key] = self._task(self._send(key), self._sends, key)
        for name in self._wanted:
            is_free = name not in self._campaigns and now >= self._rests.get(name, 0.0)
            if is_free and len(self._campaigns) < _MAX_SLICES:
                self._campaigns[name] = self._task(self._work_on(name), self._campaigns, name)

    def _task(self, work: Any, tasks: dict[str, asyncio.Task[None]], name: str) -> Any:
        def ended(_task: asyncio.Task[None]) -> None:
            del tasks[name]
            self._wake_up.set()

        task = asyncio.create_task(work)
        task.add_done_callback(ended)
        return task

    async def _send(self, key: str) -> None:
        """Send what is queued with a key, unless another worker does."""
        began_at = time.monotonic()
        send: OnceSend | None = None
        try:
            with as_ledger_errors():
                send = self._once.begin(key)
                was_sent = await send.send_due(self._client)
        except SendError as error:
            self._weigh(error, began_at)
        except LedgerError as error:
            # Not the key, which may be personal data.
            _log.error("A queued send: %s", error, extra=_about(send))
            rest = _DAMAGE_REST if isinstance(error, LedgerDamaged) else _SEND_REST
            self._send_rests[key] = time.monotonic() + rest
        except Exception:  # noqa: BLE001 - one send must not end the worker
            _log.exception("A queued send failed.", extra=_about(send))
            self._send_rests[key] = time.monotonic() + _DAMAGE_REST
        else:
            if was_sent:
                self._succeeded(began_at)
            elif send.slot_wait is not None:  # its pace has no slot for it
                now = time.monotonic()
                self._send_rests[key] = now + send.slot_wait
                self._paced_until = now + _PACED

    def _weigh(self, error: SendError, began_at: float) -> None:
        """Slow down, or pause the queue, for a failure that others would share."""
        pause: Pause | None = None
        if isinstance(error, (NotSent, OutcomeUnknown)):
            self._window.failed()
            state = State.PENDING if isinstance(error, NotSent) else State.UNKNOWN
            pause = self._breaker.count(state, failed=True)
        elif isinstance(error, Rejected):
            if error.category in _ACCOUNT:
                pause = Pause(str(error), may_quote=error.code is None)
            elif error.http_status == TOO_MANY_REQUESTS:
                pause = Pause(str(error), TOO_MANY_REQUESTS_PAUSE, may_quote=True)
            else:
                self._succeeded(began_at)  # the gateway answers
        if pause is not None:
            seconds = pause.seconds or UNREACHABLE_PAUSE
            self._resume_at = time.monotonic() + seconds
            self._begin_slowly()
            _log.error(
                "The worker sends nothing of the queue for %.0f s: %s",
                seconds,
                pause.logged_reason,
            )

    def _succeeded(self, began_at: float) -> None:
        now = time.monotonic()
        self._window.succeeded(now - began_at, now)
        self._breaker.count(State.ACCEPTED, failed=False)

    def _begin_slowly(self) -> None:
        self._window = ConcurrencyWindow(self._concurrency)
        self._breaker = CircuitBreaker(_FAILURE_THRESHOLD)

    async def _work_on(self, name: str) -> None:
        """Take a slice of a campaign."""
        rest = _REST
        try:
            begun = await asyncio.to_thread(self._slices.begin, name)
            if begun is None:
                return
            async with self._open_sender(begun.options.concurrency) as sender:
                ended = await self._slices.work(
                    begun,
                    sender,
                    seconds=SLICE_SECONDS,
                    on_progress=lambda _progress: None,
                    stop=self._stop,
                )
            done = await asyncio.to_thread(self._slices.describe, name, begun, ended)
            rest = 0.0 if ended.sent else min(_MAX_REST, max(_REST, done.wait or 0.0))
        except (LedgerError, ConfigurationError) as error:
            _log.error("A slice of the campaign %r: %s", name, error, extra={"campaign": name})
        except Exception:  # noqa: BLE001 - one campaign must not end the worker
            _log.exception("A slice of the campaign %r failed.", name, extra={"campaign": name})
        finally:
            self._rests[name] = time.monotonic() + rest
            self._sweep_at = min(self._sweep_at, self._rests[name])


def _about(send: OnceSend | None) -> dict[str, int | None]:
    """Return the attributes of a log record about a queued send."""
    return {"submission_id": None if send is None else send.submission_id}
