"""Runs a campaign: claims a few submissions, sends them, records how they ended, and repeats."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from yunxin_soap.campaign.models import (
    CampaignState,
    ClaimedSubmission,
    Ending,
    Pause,
    Progress,
    State,
    check_rate,
)
from yunxin_soap.campaign.running.decisions import (
    CircuitBreaker,
    Decision,
    decide,
    ending_of,
)
from yunxin_soap.campaign.running.ledger_thread import LedgerThread
from yunxin_soap.campaign.running.throttle import ConcurrencyWindow, SendingHours
from yunxin_soap.campaign.storage.claims import LOCKED_WAIT, ClaimResult, Claims
from yunxin_soap.campaign.storage.dialects import driver_message, is_full, is_transient
from yunxin_soap.campaign.storage.engine import FREE_SOME_SPACE, OUTAGE_TIMEOUT
from yunxin_soap.campaign.storage.runners import RunnerIdentity, RunnerReclaimed
from yunxin_soap.campaign.timezones import DEFAULT_TIMEZONE, parse_timezone
from yunxin_soap.clock import lease_clock
from yunxin_soap.errors import ConfigurationError, LedgerError, NotSent, OutcomeUnknown, SendError
from yunxin_soap.observer import ORIGIN, Origin
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from yunxin_soap.message import Submission
    from yunxin_soap.results import Receipt

_log = logging.getLogger("yunxin_soap.campaign")
ABORT_TIMEOUT = 5.0
"""Seconds to wait for a ledger that does not answer, or is not reachable, when a run is aborted."""
_COMMIT_DELAY = 0.005
"""Seconds to collect endings before they are recorded together."""
_USED_SHARE_OF_LEASE = 0.9
"""How much of a lease may pass before a submission must have begun.

The rest is for what no look at a clock can see: the moment between the look and the first byte, and
clocks that run at different speeds.
"""
_SHOWN_WAIT = 1.0
"""Seconds that a wait for a retry lasts at least to be told, and that two ends of a wait differ."""
_POLL_OTHERS = 1.0
"""Seconds between two looks at what other runners have left in flight."""
NOT_DUE = "what was not sent is tried again then"
"""Why a campaign waits whose pending submissions are not due."""
_DISK_IS_FULL = Sentence(
    "the disk of the ledger is full: free some space, then resume the campaign"
)
_LOOK_BACK = 10.0
"""Seconds between two looks for what became pending among what was claimed before."""
_FIRST_LOOK = 0.05
"""Seconds until the next look for something to claim, if there was nothing; then twice as long."""
_LAST_LOOK = 1.0
"""The longest of these, while something is in flight."""
_SILENCE = 20.0
"""Seconds without an answer of the ledger after which the log says so, again and again."""
_CHECK_ANSWER = 0.5
"""Seconds between two looks whether a run that waits for an answer is to end."""
_LOOK_AT_PACE = 1.0
"""The most seconds until the next look at a pace: somebody may change it."""
_POLL_STOP = 0.1
"""Seconds between two looks at a stop event; the runner also looks at it before each claim."""


_Wait = tuple[str, datetime | None]
"""Why a run waits, and until when."""


class Sender(Protocol):
    """Sends a submission; `AsyncClient` is one."""

    async def submit(
        self, submission: Submission, /, *, valid_until: float | None = None
    ) -> Receipt:
        """Send it once, unless its first byte cannot leave before ``valid_until``."""


class LeftRunning(OutcomeUnknown):
    """The submission was cancelled, and a thread may still send it."""


class _NoAnswer(LedgerError):
    """The ledger did not answer before a run that is to end had waited long enough."""


class StopEvent(Protocol):
    """A `threading.Event` or an `asyncio.Event`."""

    def is_set(self) -> bool:
        """Return whether the run is to stop."""


@dataclass(frozen=True)
class RunOptions:
    """How to run a campaign. The arguments are those of `Ledger.run`.

    Raises:
        ConfigurationError: a number is too low.
    """

    concurrency: int = 32
    rate_limit: float | None = None
    numbers_rate_limit: float | None = None
    pace: str | None = None
    sending_hours: SendingHours | None = None
    start_at: datetime | None = None
    isolate: bool = False
    failure_threshold: int = 5

    @classmethod
    def parse(
        cls,
        *,
        sending_hours: str | None = None,
        timezone: str = DEFAULT_TIMEZONE,
        start_at: datetime | None = None,
        **numbers: Any,
    ) -> RunOptions:
        """Check the arguments of `Ledger.run`.

        Raises:
            ConfigurationError: one of them is not valid.
        """
        zone = parse_timezone(timezone)
        hours = None if sending_hours is None else SendingHours.parse(sending_hours, timezone)
        if start_at is not None and start_at.tzinfo is None:
            start_at = start_at.replace(tzinfo=zone)
        return cls(sending_hours=hours, start_at=start_at, **numbers)

    def start_wait(self) -> float:
        """Return the seconds until a run may begin to send."""
        return 0.0 if self.start_at is None else max(0.0, self.start_at.timestamp() - time.time())

    def hours_wait(self) -> float:
        """Return the seconds until it may send, by its start and by the sending hours after it."""
        start, hours = self.start_wait(), self.sending_hours
        return start + (0.0 if hours is None else hours.wait(time.time() + start))

    def describe_hours_wait(self) -> str:
        """Return why it may not send now, for people to read."""
        if self.start_wait() > 0:
            return "the run starts then"
        return f"it is outside the sending hours, {self.sending_hours}"

    def __post_init__(self) -> None:
        """Check the numbers."""
        for option, value in (
            ("concurrency", self.concurrency),
            ("failure_threshold", self.failure_threshold),
        ):
            if value < 1:
                raise ConfigurationError(
                    Sentence(
                        "{option}={value} must be a whole number from 1.",
                        option=option,
                        value=repr(value),
                    )
                )
        check_rate("rate_limit", self.rate_limit)
        check_rate("numbers_rate_limit", self.numbers_rate_limit)


@dataclass(frozen=True)
class SliceLimits:
    """What makes a run a slice: it ends soon, and waits for nothing but what it has in flight."""

    run_options: str
    """It claims only while the campaign is started with these options."""
    seconds: float
    """It claims nothing more after so many seconds."""


class Runner:
    """One run of one campaign.

    Args:
        claims: the ledger.
        campaign_id: the campaign.
        sender: sends; the runner does not close it.
        options: how to run.
        on_progress: called after each exchange with the ledger.
        stop: once it is set, the runner claims nothing more, and ends when nothing is in flight.
        outage_timeout: seconds to wait for a ledger that is not reachable; and for one that does
            not answer, from the moment when the run is to stop. Until then it waits for an answer
            without a limit.
        limits: those of a slice; None: run until nothing is left.
        paces: the ids of the paces to keep to, in ascending order.
    """

    def __init__(
        self,
        claims: Claims,
        campaign_id: int,
        sender: Sender,
        options: RunOptions,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        stop: StopEvent | None = None,
        *,
        outage_timeout: float = OUTAGE_TIMEOUT,
        limits: SliceLimits | None = None,
        paces: Sequence[int] = (),
    ) -> None:
        self.ended = 0
        """How many submissions have ended."""
        self._limits = limits
        self._ends_at = math.inf
        """When a slice begins nothing more, by the monotonic clock."""
        self._claims, self._campaign, self._sender = claims, campaign_id, sender
        self._options, self._on_progress = options, on_progress
        self._stop = threading.Event() if stop is None else stop
        self._window = ConcurrencyWindow(options.concurrency)
        self._breaker = CircuitBreaker(options.failure_threshold)
        self._paces = paces
        self._look_at_pace = 0.0
        """When to look for slots of the paces again, by the monotonic clock."""
        self.pace_wait: tuple[float, str] | None = None
        """Seconds until there is a slot, and what a slice that has ended would have waited for."""
        self._in_flight: dict[int, asyncio.Task[None]] = {}
        self._started: dict[int, tuple[ClaimedSubmission, float]] = {}
        """Those in flight that may have been sent, and when."""
        self._endings: list[Ending] = []
        self._pause: Pause | None = None
        self._found_from = 0
        self._looked_back = 0.0
        self._look_at, self._look_interval = 0.0, 0.0
        self._is_certain = False
        """Whether the runner knows what it holds in the ledger."""
        self._draining_since = math.inf
        """When the runner was told to begin nothing more, by the monotonic clock."""
        self._failure: BaseException | None = None
        self._valid_until = 0.0
        """The time by `lease_clock` from which on nothing more may be begun."""
        self._outage_timeout = outage_timeout
        self._given_up = False
        """Whether the last call of the ledger was given up without an answer."""
        self._claiming = 0
        """How many submissions it may have claimed without knowing it."""
        self._may_still_send = False
        """Whether a thread was left that may still send."""
        self._numbers = dict.fromkeys((State.ACCEPTED, State.REJECTED, State.UNKNOWN), 0)
        self._noted_wait: _Wait = ("", None)
        """What the ledger says that this runner waits for."""

    async def run(self) -> bool:
        """Send until nothing is left, the campaign is paused, or the run is stopped.

        Whoever cancels it aborts the run: what is in flight becomes unknown, and is recorded.

        Returns:
            Whether it ran. A slice does not if enough runners work on the campaign.

        Raises:
            LedgerError: the ledger cannot be written, it is damaged, or another runner reclaimed
                this one's submissions.
            asyncio.CancelledError: the run was cancelled. Its cause is a `LedgerError` if the
                ledger could not record how its submissions ended.
        """
        self._identity = RunnerIdentity.new()
        self._wake_up = asyncio.Event()
        if self._limits is not None:
            self._ends_at = time.monotonic() + self._limits.seconds
        self._thread = LedgerThread()
        watch = asyncio.create_task(self._watch_stop())
        try:
            if not await self._register():
                return False
            try:
                await self._loop()
            except BaseException as error:
                self._failure = error
                if isinstance(error, RunnerReclaimed):
                    await self._drain()
                self._abort()
                unrecorded = await self._record_last()
                if unrecorded is None:
                    raise
                if isinstance(error, LedgerError):  # more submissions have ended since it was made
                    raise unrecorded from None
                raise error from unrecorded
            finally:
                await self._unregister()
        finally:
            watch.cancel()
            if not self._may_still_send:
                self._identity.end()
            self._thread.close()
        return True

    async def _register(self) -> bool:
        """Register this runner, unless it is a slice's and enough runners are alive."""
        runners = self._claims.runners
        if self._limits is None:
            await self._in_thread(runners.register, self._identity, self._campaign)
            return True
        options = self._limits.run_options
        if not await self._in_thread(runners.join, self._identity, self._campaign, options):
            return False
        await self._in_thread(runners.tidy, self._campaign)
        return True

    async def _loop(self) -> None:
        while True:
            result = await self._exchange()
            slots = self._note_slots(result)
            for claimed in result.claimed:
                task = asyncio.create_task(self._send(claimed, slots.get(claimed.id)))
                task.add_done_callback(lambda _task: self._wake_up.set())
                self._in_flight[claimed.id] = task
            self._is_certain = True
            progress = self._progress(result)
            await self._note_wait(progress)
            self._report(progress)
            if not self._in_flight and not self._endings:
                if self._failure is not None:
                    raise self._failure
                if self._is_draining():
                    return
                if result.wait is None and self._pause is None and not result.others_in_flight:
                    return
                if self._limits is not None and self._pause is None and self._has_to_wait(result):
                    return
            await self._sleep(result)

    def _has_to_wait(self, result: ClaimResult) -> bool:
        """Return whether nothing can be sent now: the rest is not due, or others send it."""
        if result.slots is not None and result.slots.awaited:
            # A slot comes soon, but with a very low limit.
            if time.monotonic() + (wait := result.wait or 0.0) < self._ends_at:
                return False
            self.pace_wait = wait, _awaits(result.slots.awaited)
            return True
        if result.others_in_flight and result.wait is None:
            return True
        return (result.wait or 0.0) > LOCKED_WAIT or self._options.hours_wait() > 0

    async def _watch_stop(self) -> None:
        """Wake the runner up once it is to stop."""
        while not self._is_to_stop():  # noqa: ASYNC110 - a threading.Event can only be polled
            await asyncio.sleep(_POLL_STOP)
        self._begin_to_drain()  # whatever becomes of the event
        self._wake_up.set()

    def _is_to_stop(self) -> bool:
        return self._stop.is_set() or time.monotonic() >= self._ends_at

    def _is_draining(self) -> bool:
        """Return whether nothing more is to be claimed, so that what is in flight can end."""
        if self._is_to_stop():
            self._begin_to_drain()
        return self._draining_since < math.inf

    def _begin_to_drain(self) -> None:
        """Claim nothing more."""
        self._draining_since = min(self._draining_since, time.monotonic())

    async def _drain(self) -> None:
        """Wait until what is in flight has ended, or the run is cancelled; begin nothing more."""
        self._begin_to_drain()
        if self._in_flight:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(list(self._in_flight.values()))

    def _abort(self) -> None:
        """Cancel what is in flight."""
        self._outage_timeout = min(self._outage_timeout, ABORT_TIMEOUT)
        self._begin_to_drain()
        for task in list(self._in_flight.values()):
            task.cancel()

    def _note_slots(self, result: ClaimResult) -> dict[int, float]:
        """Return when to send what was claimed, if this runner keeps to a pace."""
        if result.slots is None:
            return {}
        # Somebody may change the pace meanwhile.
        soon = time.monotonic() + _LOOK_AT_PACE
        self._look_at_pace = min(soon, result.slots.look_at)
        ids = [each.id for each in result.claimed]
        return dict(zip(ids, result.slots.begin_at, strict=True))

    def _limit(self) -> int:
        """Return how many submissions may be claimed now."""
        if self._is_draining() or self._pause is not None or self._options.hours_wait() > 0:
            return 0
        now = time.monotonic()
        if self._look_wait(now) > 0 or now < self._look_at_pace:
            return 0
        return max(0, self._window.size(now) - len(self._in_flight))

    def _look_wait(self, now: float) -> float:
        """Return the seconds until it looks for more, after it found nothing.

        To find nothing takes long in a large campaign.
        """
        return max(0.0, self._look_at - now) if self._in_flight else 0.0

    def _note_look(self, *, found: bool) -> None:
        """Note whether it found something to claim."""
        self._look_interval = (
            0.0 if found else min(_LAST_LOOK, max(_FIRST_LOOK, 2 * self._look_interval))
        )
        self._look_at = time.monotonic() + self._look_interval

    async def _sleep(self, result: ClaimResult) -> None:
        """Wait for an ending, for the next submission that may be claimed, or for a heartbeat."""
        wait = self._claims.runners.heartbeat_timeout / 3
        now = time.monotonic()
        if not self._is_draining() and len(self._in_flight) < self._window.size(now):
            # The next look at the pace may be earlier than its slot.
            is_paced = result.slots is not None and result.slots.awaited
            ready = 0.0 if is_paced else result.wait
            if ready is None and result.others_in_flight:
                ready = _POLL_OTHERS
            if ready is not None:
                hours, slots = self._options.hours_wait(), self._look_at_pace - now
                wait = min(wait, max(ready, hours, slots, self._look_wait(now)))
        if not self._endings and wait > 0:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake_up.wait(), wait)
        if 0 < len(self._endings) < len(self._in_flight):
            # A commit costs a few milliseconds, whether it records one ending or many.
            await asyncio.sleep(_COMMIT_DELAY)
        self._wake_up.clear()

    async def _send(self, claimed: ClaimedSubmission, slot: float | None) -> None:
        """Send one submission in its slot, and note how it ended, whatever happens."""
        waited = None if slot is None else max(0.0, slot - time.monotonic())
        if waited:
            await asyncio.sleep(waited)
        began_at = time.monotonic()
        self._started[claimed.id] = claimed, began_at
        ORIGIN.set(Origin(ORIGIN.get().campaign, claimed.id, claimed.attempts, waited))
        decision = await self._send_and_decide(claimed, began_at)
        self._endings.append(decision.ending)
        del self._started[claimed.id]
        self._in_flight.pop(claimed.id, None)
        if decision.failed:
            self._window.failed()
        else:
            ended_at = decision.ending.ended_at
            self._window.succeeded(ended_at - began_at, ended_at)
        pause = decision.pause or self._breaker.count(decision.ending.state, failed=decision.failed)
        # A timed pause must not replace a pause that waits for an operator.
        if pause is not None and (self._pause is None or self._pause.seconds is not None):
            self._pause = pause

    async def _send_and_decide(self, claimed: ClaimedSubmission, began_at: float) -> Decision:
        # Heartbeats may move the end of the lease while the submission waits for a connection. The
        # end that is known now is the safe one.
        valid_until = self._valid_until
        try:
            receipt = await self._sender.submit(claimed.submission, valid_until=valid_until)
        except SendError as error:
            decision = decide(
                error,
                claimed,
                began_at=began_at,
                ended_at=time.monotonic(),
                isolate=self._options.isolate,
            )
            if isinstance(error, NotSent) and lease_clock() >= valid_until:
                # The lease ran out first, which is no failure of the gateway.
                return Decision(replace(decision.ending, retry_after=0.0))
            return decision
        except asyncio.CancelledError as cancelled:
            self._may_still_send |= isinstance(cancelled.__cause__, LeftRunning)
            return Decision(
                ending_of(cancelled, claimed, began_at=began_at, ended_at=time.monotonic())
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends with it
            self._failure = error
            self._begin_to_drain()
            ended_at = time.monotonic()
            return Decision(
                ending_of(error, claimed, began_at=began_at, ended_at=ended_at), failed=True
            )
        ended_at = time.monotonic()
        return Decision(
            Ending(claimed, State.ACCEPTED, began_at, ended_at, batch_no=receipt.batch_no)
        )

    async def _exchange(self, *, is_last: bool = False) -> ClaimResult:
        """Record what ended and claim what is next; retry while the ledger is not reachable."""
        give_up_at = time.monotonic() + self._outage_timeout
        backoff = 0.1
        while True:
            self._account_for_dead_tasks()
            endings, pause, began = list(self._endings), self._pause, lease_clock()
            if any(each.state in (State.PENDING, State.SPLIT) for each in endings):
                self._note_look(found=True)
            limit, is_certain, self._is_certain = self._limit(), self._is_certain, False
            claims_soon = time.monotonic() < self._look_at_pace
            self._claiming = max(self._claiming, limit)
            exchange = functools.partial(
                self._claims.exchange,
                endings=endings,
                in_flight=set(self._in_flight),
                limit=limit,
                lowest=self._lowest(),
                pause=pause,
                is_certain=is_certain,
                may_still_send=is_last and self._may_still_send,
                run_options=None if self._limits is None else self._limits.run_options,
                paces=self._paces,
                claims_soon=claims_soon,
            )
            try:
                result: ClaimResult = await self._in_thread(
                    exchange, self._identity, self._campaign
                )
            except RunnerReclaimed:
                del self._endings[: len(endings)]  # they are in the history
                raise
            except _NoAnswer:
                raise self._unrecorded("it does not answer") from None
            except sa.exc.DBAPIError as error:
                await self._wait_for_ledger(error, give_up_at, backoff)
                backoff = min(5.0, backoff * 2)
                continue
            lease = self._claims.runners.heartbeat_timeout
            self._valid_until = began + lease * _USED_SHARE_OF_LEASE
            del self._endings[: len(endings)]
            self._claiming = 0
            if result.damage is not None:
                # What is in flight is recorded, too, before the run ends with it.
                self._failure = self._failure or result.damage
                self._begin_to_drain()
            # With nothing pending, there is nothing to pause, unless what is in flight comes back.
            is_settled = result.state is CampaignState.PAUSED or not self._in_flight
            if self._pause is pause and is_settled:
                self._pause = None
                if pause is not None:
                    _log_pause(pause)
            self._count(endings)
            if limit > 0:
                self._note_look(found=bool(result.claimed))
                self._found_from = min((each.id for each in result.claimed), default=0)
            return result

    async def _wait_for_ledger(
        self, error: sa.exc.DBAPIError, give_up_at: float, backoff: float
    ) -> None:
        """Wait until an exchange that failed may be repeated.

        Raises:
            LedgerError: waiting does not help, or has lasted long enough.
        """
        if is_full(error) and (had_reserve := self._claims.make_room()) is not None:
            self._pause = Pause(_DISK_IS_FULL)  # so nothing more is claimed
            if had_reserve:
                return
        hint = FREE_SOME_SPACE if is_full(error) else ""
        if not is_transient(error) or time.monotonic() >= give_up_at:
            raise self._unrecorded(driver_message(error), hint) from None
        _log.warning("The ledger cannot be written (%s): retrying.%s", driver_message(error), hint)
        await asyncio.sleep(backoff)

    def _lowest(self) -> int:
        """Return the id to claim from: everything before it was claimed, or is not due yet.

        Now and then it is 0, for what has become pending or due since.
        """
        now = time.monotonic()
        if now >= self._looked_back + _LOOK_BACK:
            self._looked_back, self._found_from = now, 0
        return self._found_from

    def _account_for_dead_tasks(self) -> None:
        """Record an unknown outcome for every task that died after it may have sent."""
        for number, task in list(self._in_flight.items()):
            if not task.done():
                continue
            del self._in_flight[number]
            # A task that was cancelled before it began has sent nothing: the ledger takes its
            # submission back.
            self._is_certain = False
            if started := self._started.pop(number, None):
                claimed, began_at = started
                reason = "the run broke off while it was in flight"
                self._endings.append(
                    Ending(claimed, State.UNKNOWN, began_at, time.monotonic(), reason)
                )
                self._failure = self._failure or (None if task.cancelled() else task.exception())
                self._begin_to_drain()

    def _count(self, endings: list[Ending]) -> None:
        for each in endings:
            if each.state in self._numbers:
                self._numbers[each.state] += each.claimed.size
            self.ended += 1

    def _wait(self, result: ClaimResult) -> tuple[str, float | None]:
        """Return why this run waits, and for how many seconds; None if that has no end."""
        if result.reason or result.wait is None or self._is_draining():
            return result.reason, result.wait
        if (wait := self._options.hours_wait()) > 0:
            return self._options.describe_hours_wait(), wait
        if result.wait >= _SHOWN_WAIT and not self._in_flight and result.slots is not None:
            return _awaits(result.slots.awaited), result.wait
        if result.wait >= _SHOWN_WAIT and not self._in_flight:
            return NOT_DUE, result.wait
        return "", None

    async def _note_wait(self, progress: Progress) -> None:
        """Let others read in the ledger what this runner waits for, if that has changed.

        The row of the campaign says why all of it waits.
        """
        wait: _Wait = ("", None)
        if progress.state is CampaignState.OPEN:
            wait = progress.reason, progress.until
        if self._is_draining() or _is_same_wait(wait, self._noted_wait):
            return
        # It is for display only: the next exchange says what is wrong with the ledger.
        with contextlib.suppress(sa.exc.DBAPIError, _NoAnswer):
            await self._in_thread(self._claims.runners.note_wait, self._identity, *wait)
            self._noted_wait = wait

    def _progress(self, result: ClaimResult) -> Progress:
        reason, wait = self._wait(result)
        until = None
        if reason and wait is not None:
            until = datetime.fromtimestamp(time.time() + wait, timezone.utc)
        return Progress(
            accepted=self._numbers[State.ACCEPTED],
            rejected=self._numbers[State.REJECTED],
            unknown=self._numbers[State.UNKNOWN],
            in_flight=len(self._in_flight),
            submissions=self.ended,
            state=result.state,
            reason=reason,
            until=until,
            waiting_for=result.waiting_for,
        )

    def _report(self, progress: Progress) -> None:
        """Call the progress callback."""
        try:
            self._on_progress(progress)
        except Exception as error:  # noqa: BLE001 - the run ends with it
            # A failing progress callback must not lose results in flight: drain, then raise.
            self._failure = self._failure or error
            self._begin_to_drain()

    def _unrecorded(self, cause: str, hint: str = "") -> LedgerError:
        """Return what is not recorded, and so becomes unknown."""
        accepted = [
            f"submission {each.claimed.id} as {each.batch_no}"
            for each in self._endings
            if each.batch_no
        ]
        known = claimed = ""
        if accepted:
            known = Sentence(
                ", of which the gateway accepted {accepted}", accepted=", ".join(accepted)
            )
        if self._claiming:
            claimed = Sentence("; up to {claiming} more may be claimed", claiming=self._claiming)
        return LedgerError(
            Sentence(
                "The ledger cannot be written ({cause}): {in_flight} submissions are in flight, and"
                " {ended} ended unrecorded{known}{claimed}. They may have been sent; the next"
                " run makes them unknown.{hint}",
                cause=cause,
                in_flight=len(self._in_flight),
                ended=len(self._endings),
                known=known,
                claimed=claimed,
                hint=hint,
            )
        )

    async def _record_last(self) -> LedgerError | None:
        """Wait for the cancelled submissions, and record them; return why that is not possible.

        To cancel the run again does not end this: what ended must be recorded, and the wait for
        the ledger is short.
        """
        last = asyncio.ensure_future(self._exchange_last())
        while not last.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([last])
        try:
            last.result()
        except LedgerError as error:
            return error
        return None

    async def _exchange_last(self) -> None:
        if self._in_flight:
            await asyncio.wait(list(self._in_flight.values()))
        await self._exchange(is_last=True)

    async def _unregister(self) -> None:
        if self._given_up:  # the thread still waits for the ledger
            return
        try:
            unregister = functools.partial(
                self._claims.runners.unregister, may_still_send=self._may_still_send
            )
            await self._in_thread(unregister, self._identity)
            await self._in_thread(self._claims.finish, self._campaign)
        except (sa.exc.SQLAlchemyError, _NoAnswer) as error:
            if self._failure is None:  # or the failure names the cause already
                _log.warning("The ledger cannot be written (%s).", driver_message(error))

    async def _in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call the ledger in its thread, and wait for its answer.

        Raises:
            _NoAnswer: the run is to end, and has waited long enough for the answer.
        """
        answer = asyncio.wrap_future(self._thread.submit(call, *args))
        began = time.monotonic()
        said_at, said_limit = began, False
        try:
            while not (await asyncio.wait([answer], timeout=_CHECK_ANSWER))[0]:
                now = time.monotonic()
                waited, is_to_end = now - began, self._is_draining()
                if is_to_end:
                    left = max(began, self._draining_since) + self._outage_timeout - now
                    if left <= 0:
                        self._given_up = True
                        raise _NoAnswer(f"The ledger has not answered for {waited:.0f} s.")
                if is_to_end and not said_limit:
                    said_limit, said_at = True, now
                    _log.warning(
                        "The ledger has not answered for %.0f s: trying for %.0f s more to record"
                        " what has ended.",
                        waited,
                        left,
                    )
                elif now - said_at >= _SILENCE:
                    said_at = now
                    _log.warning(
                        "The ledger has not answered for %.0f s: waiting for it. (To kill this"
                        " process makes what it has in flight unknown.)",
                        waited,
                    )
        except (asyncio.CancelledError, _NoAnswer):
            answer.cancel()  # unless it has begun
            raise
        self._given_up = False
        return answer.result()


def _log_pause(pause: Pause) -> None:
    """Log that the campaign is paused: as an error if a person must act."""
    name = ORIGIN.get().campaign
    _log.log(
        logging.ERROR if pause.seconds is None else logging.INFO,
        "The campaign %r is paused %s: %s",
        name,
        "until it is resumed" if pause.seconds is None else f"for {pause.seconds:.0f} s",
        pause.logged_reason,
        extra={"campaign": name},
    )


def _awaits(pace: str) -> str:
    """Return why a run waits for a slot, for people to read."""
    return f"{pace} allows the next submission then"


def _is_same_wait(one: _Wait, other: _Wait) -> bool:
    """Return whether two waits have one reason, and one end as far as clocks can tell."""
    (reason, until), (other_reason, other_until) = one, other
    if reason != other_reason or until is None or other_until is None:
        return (reason, until) == (other_reason, other_until)
    return abs((until - other_until).total_seconds()) <= _SHOWN_WAIT
