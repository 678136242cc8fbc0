"""Works off a campaign: commits itself to a few submits, sends them, records how they ended."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import CampaignState, State
from yunxin_soap.campaign.running.decisions import Breaker, react
from yunxin_soap.campaign.running.throttle import Hours, Rate, Window
from yunxin_soap.campaign.storage.claims import Store
from yunxin_soap.campaign.storage.engine import OUTAGE, may_pass, why
from yunxin_soap.campaign.storage.runner_identity import Owner
from yunxin_soap.campaign.storage.runners import LostLease
from yunxin_soap.campaign.turns import Pause, Result, Turn, Work
from yunxin_soap.errors import LedgerError, OutcomeUnknown, SendError
from yunxin_soap.message import Submission

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient

_log = logging.getLogger("yunxin_soap.campaign")
_LAST_WORDS = 5.0
"""Seconds for which it is waited to record what is left when a run breaks off."""
_GATHER = 0.005
"""Seconds for which results are gathered before they are recorded together."""
_OTHERS = 1.0
"""Seconds between two looks at what other runners have left to do."""


@dataclass(frozen=True)
class Options:
    """How a campaign is worked off; the arguments are those of `Ledger.run`."""

    concurrency: int = 32
    rate_limit: float | None = None
    numbers_rate_limit: float | None = None
    hours: Hours | None = None
    isolate: bool = False
    failure_threshold: int = 5


@dataclass(frozen=True)
class Progress:
    """What a runner did so far, in numbers; it holds no personal data."""

    accepted: int
    rejected: int
    unknown: int
    in_flight: int
    """Submits, not numbers."""
    submits: int
    """Submits that ended."""
    state: CampaignState
    reason: str
    """Why the campaign waits, or this runner for its hours, if they do."""
    until: float | None
    """When that ends, in seconds since 1970."""


class Runner:
    """One run of one campaign.

    Args:
        store: the ledger's statements.
        campaign_id: which campaign.
        client: sends.
        options: how.
        on_progress: called after each exchange with the ledger.
    """

    def __init__(
        self,
        store: Store,
        campaign_id: int,
        client: AsyncClient,
        options: Options,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        self._store, self._campaign, self._client = store, campaign_id, client
        self._options, self._told = options, on_progress
        self._window = Window(options.concurrency)
        self._breaker = Breaker(options.failure_threshold)
        self._rates = [
            Rate(each)
            for each in (options.rate_limit, options.numbers_rate_limit)
            if each is not None
        ]
        self._flying: dict[int, asyncio.Task[None]] = {}
        self._begun: dict[int, Work] = {}
        """Those of the flying that may have left."""
        self._results: list[Result] = []
        self._pause: Pause | None = None
        self._draining = False
        self._failure: BaseException | None = None
        self._valid_until = 0.0
        self._patience = OUTAGE
        self._numbers = dict.fromkeys((State.ACCEPTED, State.REJECTED, State.UNKNOWN), 0)
        self._ended = 0
        self.buried = 0
        """Submits that dead runners had left under way; they are unknown now."""

    def stop(self) -> None:
        """Begin nothing more, and end once what is under way has ended."""
        self._draining = True
        self._wake()

    def abort(self) -> None:
        """End now: what is under way becomes unknown."""
        self._patience = _LAST_WORDS
        self.stop()
        for task in list(self._flying.values()):
            task.cancel()

    async def run(self) -> Turn:
        """Send until nothing is left, the campaign is paused, or it is stopped.

        Raises:
            LedgerError: the ledger cannot be written, or this runner was given up by others.
        """
        self._owner = Owner.new()
        self._awake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "yunxin-soap ledger")
        try:
            self.buried = await self._in_thread(self._store.join, self._owner, self._campaign)
            try:
                return await self._work()
            except BaseException as error:
                self._failure = error
                self.abort()
                unrecorded = await self._end()
                if unrecorded is None:
                    raise
                if isinstance(error, LedgerError):  # it said less: some have ended since
                    raise unrecorded from None
                _log.error("%s", unrecorded)
                raise
            finally:
                await self._leave()
        finally:
            self._owner.end()
            self._thread.shutdown(wait=False)

    async def _work(self) -> Turn:
        while True:
            turn = await self._exchange()
            for work in turn.work:
                for rate, amount in zip(self._rates, self._amounts(work), strict=True):
                    rate.spend(amount, time.monotonic())
                task = asyncio.create_task(self._send(work))
                task.add_done_callback(lambda _task: self._wake())
                self._flying[work.id] = task
            self._tell(turn)
            if not self._flying and not self._results:
                if self._failure is not None:
                    raise self._failure
                if self._draining:
                    return turn
                if turn.wait is None and self._pause is None and not turn.others:
                    return turn
            await self._sleep(turn)

    def _amounts(self, work: Work) -> list[int]:
        options = self._options
        amounts = [] if options.rate_limit is None else [1]
        return amounts if options.numbers_rate_limit is None else [*amounts, work.size]

    def _wanted(self) -> int:
        if self._draining or self._pause is not None or self._hours_wait() > 0:
            return 0
        now = time.monotonic()
        free = self._window.size - len(self._flying)
        if self._options.numbers_rate_limit is not None:
            free = min(free, 1)  # how many numbers the next has is not known before
        return max(0, min([free, *(rate.allowed(now) for rate in self._rates)]))

    def _hours_wait(self) -> float:
        hours = self._options.hours
        return 0.0 if hours is None else hours.wait(time.time())

    async def _sleep(self, turn: Turn) -> None:
        """Wait until there may be something to do: a result, or a submit that may go."""
        until = self._store.lease / 3  # to be heard of
        if not self._draining and len(self._flying) < self._window.size:
            ready = turn.wait
            if ready is None and turn.others:
                ready = _OTHERS
            if ready is not None:
                rates = (rate.wait(time.monotonic()) for rate in self._rates)
                until = min(until, max(ready, self._hours_wait(), *rates))
        if not self._results and until > 0:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._awake.wait(), until)
        if 0 < len(self._results) < len(self._flying):
            # A commit costs a few milliseconds, whether it records one or many.
            await asyncio.sleep(_GATHER)
        self._awake.clear()

    def _wake(self) -> None:
        self._awake.set()

    async def _send(self, work: Work) -> None:
        """Send one submit, and note how it ended: whatever happens, it ends in a result."""
        self._begun[work.id] = work
        sent_at, began = time.time(), time.monotonic()
        pause = None
        state, batch_no, code, reason, safe = State.UNKNOWN, None, None, "", False
        wait, stop_text, failed = 0.0, False, False
        try:
            if began >= self._valid_until:
                # Others may have given this runner up meanwhile.
                state, reason, safe = State.PENDING, "not sent: the ledger answered too late", True
            else:
                receipt = await self._client.submit(
                    Submission(
                        recipients=tuple(work.numbers.split(",")),
                        message=work.message,
                        channel=work.channel,
                        extension=work.extension,
                    )
                )
                state, batch_no = State.ACCEPTED, receipt.batch_no
        except SendError as error:
            reaction = react(
                error, attempts=work.attempts, size=work.size, isolate=self._options.isolate
            )
            state, code, reason = reaction.state, reaction.code, reaction.reason
            safe, wait, stop_text = reaction.safe, reaction.wait, reaction.stop_text
            failed, pause = reaction.failed, reaction.pause
        except asyncio.CancelledError as cancelled:
            sent = isinstance(cancelled.__cause__, OutcomeUnknown)
            state = State.UNKNOWN if sent else State.PENDING
            reason, safe = "the run was ended with it under way", not sent
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends with it
            self._failure, self._draining = error, True
            reason, failed = f"the run ended with {type(error).__name__}", True
        self._results.append(
            Result(
                work,
                state,
                sent_at,
                sent_at + time.monotonic() - began,
                batch_no,
                code,
                reason,
                safe,
                wait,
                stop_text,
            )
        )
        del self._begun[work.id]
        self._flying.pop(work.id, None)
        if failed:
            self._window.failed()
        else:
            self._window.succeeded()
        pause = pause or self._breaker.count(state, failed=failed)
        if pause is not None and (self._pause is None or self._pause.seconds is not None):
            self._pause = pause

    async def _exchange(self) -> Turn:
        """Record what ended and get what is next, once the ledger can be written."""
        asked = time.monotonic()
        pause_between = 0.1
        while True:
            self._account_for_the_ended()
            results, pause, began = list(self._results), self._pause, time.monotonic()
            exchange = functools.partial(
                self._store.exchange,
                results=results,
                flying=set(self._flying),
                want=self._wanted(),
                pause=pause,
            )
            try:
                turn: Turn = await self._in_thread(exchange, self._owner, self._campaign)
            except LostLease:
                del self._results[: len(results)]  # they are in the history
                raise
            except sa.exc.DBAPIError as error:
                if not may_pass(error) or time.monotonic() >= asked + self._patience:
                    raise self._unrecorded(error) from None
                _log.warning("The ledger cannot be written (%s): trying again.", why(error))
                await asyncio.sleep(pause_between)
                pause_between = min(5.0, pause_between * 2)
                continue
            self._valid_until = began + self._store.lease
            del self._results[: len(results)]
            if self._pause is pause:
                self._pause = None
            self._count(results)
            return turn

    def _account_for_the_ended(self) -> None:
        """Have every task that ended without a word end in a result, if it may have sent."""
        for number, task in list(self._flying.items()):
            if not task.done():
                continue
            del self._flying[number]
            # One that was cancelled before it began has sent nothing, and the ledger takes it back.
            if work := self._begun.pop(number, None):
                now = time.time()
                reason = "the run broke off with it under way"
                self._results.append(Result(work, State.UNKNOWN, now, now, reason=reason))
                self._failure = self._failure or (None if task.cancelled() else task.exception())
                self._draining = True

    def _count(self, results: list[Result]) -> None:
        for each in results:
            if each.state in self._numbers:
                self._numbers[each.state] += each.work.size
            self._ended += 1

    def _tell(self, turn: Turn) -> None:
        reason, wait = turn.reason, turn.wait
        if not reason and not self._draining and (wait := self._hours_wait()) > 0:
            reason = f"it is outside the allowed hours, {self._options.hours}"
        progress = Progress(
            accepted=self._numbers[State.ACCEPTED],
            rejected=self._numbers[State.REJECTED],
            unknown=self._numbers[State.UNKNOWN],
            in_flight=len(self._flying),
            submits=self._ended,
            state=turn.state,
            reason=reason,
            until=time.time() + wait if reason and wait is not None else None,
        )
        try:
            self._told(progress)
        except Exception as error:  # noqa: BLE001 - the run ends with it
            # What only shows must not make anything unknown: what is under way may end.
            self._failure = self._failure or error
            self.stop()

    def _unrecorded(self, error: sa.exc.DBAPIError) -> LedgerError:
        accepted = [f"submit {r.work.id} as {r.batch_no}" for r in self._results if r.batch_no]
        return LedgerError(
            f"The ledger cannot be written ({why(error)}): {len(self._flying)} submits are under"
            f" way, and {len(self._results)} ended unrecorded"
            + (f", of which the gateway accepted {', '.join(accepted)}" if accepted else "")
            + ". The next run makes them unknown."
        )

    async def _end(self) -> LedgerError | None:
        """Wait for what was cancelled, and record it; return why that cannot be done."""
        if self._flying:
            await asyncio.wait(list(self._flying.values()))
        try:
            await asyncio.shield(self._exchange())
        except LedgerError as error:
            return error
        return None

    async def _leave(self) -> None:
        try:
            await self._in_thread(self._store.leave, self._owner)
            await self._in_thread(self._store.finish, self._campaign)
        except sa.exc.SQLAlchemyError as error:
            if self._failure is None:  # or it is said already
                _log.warning("The ledger cannot be written (%s).", why(error))

    async def _in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)
