"""`Ledger`: campaigns, and single sends with a key, over a database."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from yunxin_soap.campaign.lists import Source
from yunxin_soap.campaign.models import (
    Activity,
    Backlog,
    DecisionName,
    LanguageName,
    NumberResult,
    Plan,
    Preview,
    Progress,
    SkippedLine,
    Slice,
    State,
    Status,
    SubmissionRecord,
    Sweep,
    Timing,
)
from yunxin_soap.campaign.planning import PlanOptions, prepare_plan
from yunxin_soap.campaign.report import check_language, render_report
from yunxin_soap.campaign.running.once import OnceSends, require_client
from yunxin_soap.campaign.running.runner import Runner, RunOptions, Sender, StopEvent
from yunxin_soap.campaign.running.senders import sender_for
from yunxin_soap.campaign.running.slices import (
    SLICE_SECONDS,
    EndedSlice,
    Slices,
    StartOptions,
    check_seconds,
    decode_options,
    encode_options,
    paces_of,
)
from yunxin_soap.campaign.running.throttle import SendingHours
from yunxin_soap.campaign.running.worker import WORKER_CONCURRENCY, Worker
from yunxin_soap.campaign.storage.admin import Admin
from yunxin_soap.campaign.storage.claims import Claims
from yunxin_soap.campaign.storage.engine import as_ledger_errors, open_engine
from yunxin_soap.campaign.storage.paces import Paces
from yunxin_soap.campaign.storage.plans import Plans
from yunxin_soap.campaign.storage.reads import Reads
from yunxin_soap.campaign.storage.runners import HEARTBEAT_TIMEOUT
from yunxin_soap.campaign.storage.singles import Singles
from yunxin_soap.campaign.storage.started import Started
from yunxin_soap.campaign.storage.suppression import Suppression
from yunxin_soap.campaign.timezones import DEFAULT_TIMEZONE, parse_timezone
from yunxin_soap.environment import read_variable
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.marketing import CHINA_OFFSET, CLOSES, OPENS
from yunxin_soap.observer import Origin, sent_from
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    import sqlalchemy as sa
    from typing_extensions import Self, Unpack

    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.client import Client

_T = TypeVar("_T")
_log = logging.getLogger("yunxin_soap.campaign")


class Ledger:
    """A durable record of campaigns and single sends, and the operations on it.

    Several threads and processes may use one. Close it, or use it as a context manager.

    Args:
        url: the path of an SQLite file, or a URL, ``sqlite:///…``, ``postgresql://…``,
            ``mysql://…`` or ``mariadb://…``; default: the environment variable ``YUNXIN_LEDGER``.
        heartbeat_timeout: seconds without a heartbeat after which a runner counts as stalled, if
            its process cannot be seen from here.
        create: whether to create the ledger if it does not exist.

    Raises:
        ConfigurationError: there is no URL, or the driver of the database is not installed.
        LedgerError: the ledger cannot be opened or written, is corrupt or newer than this package,
            or the database is not a ledger.
    """

    once: OnceSends
    """Single sends, each at most once for its key."""
    pace: Paces
    """Limits that hold for all that names them, such as that of an account."""
    suppression: Suppression
    """The do-not-send list: numbers that nothing of this ledger is sent to."""

    def __init__(
        self,
        url: str | os.PathLike[str] | None = None,
        *,
        heartbeat_timeout: float = HEARTBEAT_TIMEOUT,
        create: bool = True,
    ) -> None:
        address = url or read_variable("LEDGER")
        if not address:
            raise ConfigurationError("There is no ledger: name a file, or set YUNXIN_LEDGER.")
        self._compose(open_engine(address, create=create), heartbeat_timeout)

    def _compose(self, engine: sa.Engine, heartbeat_timeout: float) -> None:
        """Make the parts over an open database."""
        self._engine = engine
        self._plans = Plans(self._engine)
        self.pace = Paces(self._engine)
        self.suppression = Suppression(self._engine)
        self._reads = Reads(self._engine, heartbeat_timeout)
        self._admin = Admin(self._engine)
        self._claims = Claims(self._engine, heartbeat_timeout)
        self._singles = Singles(self._engine, heartbeat_timeout)
        self.once = OnceSends(self._engine, self._singles, self._reads, self._admin)
        self._started = Started(self._engine, self._claims.runners)
        self._slices = Slices(self._claims, self._started, self._singles, self.pace)

    def plan(
        self,
        name: str,
        source: Source | str | int | Iterable[Any],
        message: str,
        *,
        on_progress: Callable[[int], None] = lambda _rows: None,
        on_skipped: Callable[[SkippedLine], None] | None = None,
        on_preview: Callable[[Preview], None] | None = None,
        **options: Unpack[PlanOptions],
    ) -> Plan:
        """Create a campaign, completely or not at all.

        If the ledger has a campaign with this name and content, nothing is written: a job that
        runs twice under one name sends once. Numbers on the do-not-send list are skipped. They
        still belong to the content, so that it stays the same when that list grows.

        Args:
            name: the name of the campaign.
            source: numbers, rows with a column of numbers, or a `Csv`, `Text` or `Rows`.
            message: the text; ``{name}`` in it is replaced by the column of that name, and
                ``{due:%m月%d日}`` by a date in that format.
            on_progress: called now and then with the count of rows read so far.
            on_skipped: called with each skipped line.
            on_preview: called with the finished texts before anything is written. An
                error that it raises ends the planning, and nothing is written.
            options: ``channel`` (required), ``extension``, ``signature``, ``max_recipients``,
                ``max_segments``, ``recipient_pattern``, ``strict``, ``dash_is_empty``,
                ``marketing``; see `PlanOptions`.

        Returns:
            What the campaign is.

        Raises:
            InvalidRequest: the text, the channel or another argument breaks a rule.
            ConfigurationError: the list cannot be read, lacks a column or has no number to send to.
            ContentConflict: a campaign of that name has other content.
            LedgerError: the ledger cannot be written.
        """
        suppressions = self.suppression.for_plan()
        planning = prepare_plan(
            name,
            source,
            message,
            on_progress,
            on_skipped,
            on_preview,
            suppressions=suppressions if suppressions.generation else None,
            **options,
        )
        with planning as (plan, planner), as_ledger_errors():
            return self._plans.add(plan, planner, suppressions.generation)

    def run(
        self,
        name: str,
        client: Client,
        *,
        concurrency: int = 32,
        rate_limit: float | None = None,
        numbers_rate_limit: float | None = None,
        pace: str | None = None,
        sending_hours: str | None = None,
        timezone: str = DEFAULT_TIMEZONE,
        start_at: datetime | None = None,
        isolate: bool = False,
        failure_threshold: int = 5,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        stop: threading.Event | None = None,
    ) -> Status:
        """Send the pending submissions until none is left, or the campaign is paused or stopped.

        First it marks the submissions of stalled runners as unknown. Several runners may run one
        campaign, and keep to one limit together. Ctrl-C aborts the run: what is in flight becomes
        unknown, and the ledger records that; a ledger that does not answer is given up after five
        seconds, and the log says what the next run makes unknown.

        Args:
            name: the campaign.
            client: the client that sends; the ledger does not close it.
            concurrency: submissions in flight at most. A run begins with two.
            rate_limit: submissions a second at most, over all runs of the campaign that have a
                limit; that of the run that began last holds. Default: no limit.
            numbers_rate_limit: numbers a second at most, in the same way. Default: no limit.
            pace: the pace to keep to, together with all others that name it; see `pace`. Default:
                none.
            sending_hours: the daily hours in which to send, as in ``08:00-21:00``; the run waits
                outside of them. Default: always. A campaign that was planned as marketing needs
                hours from 08:00 to 21:00 in China's time, or narrower ones.
            timezone: of the sending hours, and of a ``start_at`` that has none.
            start_at: when to begin to send; the run waits until then. Default: at once.
            isolate: whether to split a submission in halves if it is rejected for its numbers (-14
                to -17), until each bad number is in a submission of its own.
            failure_threshold: failures in a row, not sent or maybe sent, that pause the campaign.
                Ten successes cancel out one failure.
            on_progress: called with the progress after each exchange with the ledger.
            stop: once it is set, nothing more is sent, and the run ends when nothing is in flight.

        Returns:
            The state of the campaign at the end.

        Raises:
            TypeError: the client is an `AsyncClient`.
            RuntimeError: the client is closed, or an event loop is running in this thread.
            ConfigurationError: an option is out of range.
            NotInLedger: there is no campaign of that name.
            LedgerError: the ledger cannot be written, or another runner reclaimed this runner's
                submissions.
        """
        require_client(client, "run", asynchronous=False)
        _require_no_event_loop()
        options = RunOptions.parse(
            concurrency=concurrency,
            rate_limit=rate_limit,
            numbers_rate_limit=numbers_rate_limit,
            pace=pace,
            sending_hours=sending_hours,
            timezone=timezone,
            start_at=start_at,
            isolate=isolate,
            failure_threshold=failure_threshold,
        )

        async def run(sender: Sender) -> None:
            await self._run(name, sender, options, on_progress, stop)

        _run_in_loop(client, concurrency, run)
        return self.status(name)

    def start(self, name: str, *, workers: int = 2, **options: Unpack[StartOptions]) -> None:
        """Let slices work on a campaign from now on; `work_slice` is one.

        Nothing is sent by this call. A campaign that is started again gets the new options; slices
        under way drain, and the next ones have them. It stays started when it is done, so that what
        `retry` makes pending is sent, too. A pause stays.

        Args:
            name: the campaign.
            workers: how many runners work on it at once, at most.
            options: those of each run: ``concurrency``, ``rate_limit``, ``numbers_rate_limit``,
                ``pace``, ``sending_hours``, ``timezone``, ``start_at``, ``isolate``,
                ``failure_threshold``; see `StartOptions`.

        Raises:
            ConfigurationError: an option is out of range, or not for this campaign.
            NotInLedger: there is no campaign of that name, or it is cancelled.
        """
        if workers < 1:
            raise ConfigurationError(
                Sentence("workers={workers} must be a whole number from 1.", workers=repr(workers))
            )
        run_options = encode_options(options)
        self._check_options(name, decode_options(run_options))
        self._started.start(name, workers=workers, run_options=run_options)

    def stop(self, name: str) -> None:
        """Let no slice work on a campaign any more; slices under way drain soon.

        A run by hand goes on, and may begin. Safe to repeat.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        self._started.stop(name)

    def work_slice(
        self,
        name: str,
        client: Client,
        *,
        seconds: float = SLICE_SECONDS,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        stop: threading.Event | None = None,
    ) -> Slice:
        """Work on a started campaign for a while, unless enough runners do so already.

        Once its time is up, it drains: it claims nothing more, and ends when nothing is in flight.
        It ends earlier if nothing can be sent now: it waits for no sending hours, no pause, no
        retry and no other runner. `Slice.wait` says for how long that lasts.

        Args:
            name: the campaign.
            client: the client that sends; the ledger does not close it.
            seconds: how long it claims submissions.
            on_progress: called with the progress after each exchange with the ledger.
            stop: once it is set, it drains.

        Returns:
            What it sent, what is left, and when the next slice makes sense.

        Raises:
            TypeError: the client is an `AsyncClient`.
            RuntimeError: the client is closed, or an event loop is running in this thread.
            ConfigurationError: ``seconds`` is no number above 0.
            NotInLedger: there is no campaign of that name.
            LedgerError: the ledger cannot be written, or another runner reclaimed this runner's
                submissions.
        """
        require_client(client, "work_slice", asynchronous=False)
        _require_no_event_loop()
        check_seconds(seconds)
        begun = self._slices.begin(name)
        if begun is None:
            return self._slices.describe(name, None)

        async def work(sender: Sender) -> EndedSlice:
            return await self._slices.work(
                begun, sender, seconds=seconds, on_progress=on_progress, stop=stop
            )

        ended = _run_in_loop(client, begun.options.concurrency, work)
        return self._slices.describe(name, begun, ended)

    async def _work_slice(
        self,
        name: str,
        sender: Sender,
        *,
        seconds: float,
        on_progress: Callable[[Progress], None],
        stop: StopEvent | None,
    ) -> Slice:
        """Work on a campaign in this event loop, for `AsyncLedger.work_slice`."""
        check_seconds(seconds)
        begun = await asyncio.to_thread(self._slices.begin, name)
        ended = EndedSlice()
        if begun is not None:
            ended = await self._slices.work(
                begun, sender, seconds=seconds, on_progress=on_progress, stop=stop
            )
        return await asyncio.to_thread(self._slices.describe, name, begun, ended)

    def sweep(self) -> Sweep:
        """Reclaim what stalled runners left in flight anywhere, and return what should run.

        It sends nothing, and starts nothing. Call it now and then, as every ten seconds, from as
        many processes as you like: its cost grows with the runners, not with the campaigns.

        Raises:
            LedgerError: the ledger cannot be written, or is damaged.
        """
        return self._slices.sweep()

    def work(
        self,
        client: Client,
        *,
        concurrency: int = WORKER_CONCURRENCY,
        stop: threading.Event | None = None,
    ) -> None:
        """Send what is queued, and work on started campaigns, until ``stop`` is set.

        Any number of workers may do so, on any number of machines. Each sweeps the ledger every few
        seconds, looks for queued sends about once a second, and takes slices of started campaigns,
        up to four at a time, within the workers that each is started for. A ledger that cannot be
        used is waited for; the log says so. Five failures in a row, or a rejection of the account,
        pause the queue of this worker for a minute.

        Ctrl-C aborts it: what is in flight becomes unknown, and the ledger records that.

        Args:
            client: the client that sends; the ledger does not close it.
            concurrency: queued sends in flight at most. It begins with two. A campaign has its own
                ``concurrency``.
            stop: once it is set, nothing more is sent, and the call returns when nothing is in
                flight. Default: it works until it is aborted.

        Raises:
            TypeError: the client is an `AsyncClient`.
            RuntimeError: the client is closed, or an event loop is running in this thread.
            ConfigurationError: ``concurrency`` is below 1.
        """
        require_client(client, "work", asynchronous=False)
        _require_no_event_loop()
        worker = self._worker(
            client, partial(sender_for, client), concurrency, stop or threading.Event()
        )
        asyncio.run(worker.run())

    def _worker(
        self,
        client: Client | AsyncClient,
        open_sender: Callable[[int], AbstractAsyncContextManager[Sender]],
        concurrency: int,
        stop: StopEvent,
    ) -> Worker:
        """Return a worker, for `AsyncLedger.work`, too."""
        if concurrency < 1:
            raise ConfigurationError(
                Sentence(
                    "concurrency={concurrency} must be a whole number from 1.",
                    concurrency=repr(concurrency),
                )
            )
        return Worker(
            self.once,
            self._slices,
            open_sender,
            total_timeout=client.total_timeout,
            protocol=client.protocol,
            concurrency=concurrency,
            stop=stop,
        )

    async def _run(
        self,
        name: str,
        sender: Sender,
        options: RunOptions,
        on_progress: Callable[[Progress], None],
        stop: StopEvent | None,
    ) -> None:
        """Run a campaign in this event loop; `AsyncLedger.run` uses it, too."""
        campaign_id = await asyncio.to_thread(self._reads.campaign_id, name)
        await asyncio.to_thread(self._check_options, name, options)
        paces = await asyncio.to_thread(paces_of, self.pace, campaign_id, options)
        with as_ledger_errors(), sent_from(Origin(campaign=name)):
            await Runner(
                self._claims, campaign_id, sender, options, on_progress, stop, paces=paces
            ).run()

    def _check_options(self, name: str, options: RunOptions) -> None:
        self._reads.campaign_id(name)
        self.pace.check(options.pace)
        if self._reads.is_marketing(name):
            _check_marketing_hours(name, options.sending_hours)

    def campaigns(self) -> list[str]:
        """Return the names of all campaigns, the oldest first."""
        return self._reads.campaigns()

    def status(self, name: str) -> Status:
        """Return the state of a campaign.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return self._reads.status(name)

    def statuses(self) -> list[Status]:
        """Return the state of every campaign, the oldest first; one query counts them all."""
        return self._reads.statuses()

    def preview(self, name: str) -> Preview:
        """Return what a run would send now: the counts and texts of what is pending.

        What is on hold is left out, and so is what was put on the do-not-send list after the plan:
        ``plan.notes`` says how many numbers. The first text is the one that is sent first. It
        reads each pending text once, and each number if the do-not-send list has grown.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return self._reads.preview(name)

    def progress(self, name: str) -> Progress:
        """Return how far a campaign is, over all of its runs: for a display of a run elsewhere.

        It is cheaper than `status`, and still counts every submission.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return self._reads.progress(name)

    def activity(self, name: str) -> Activity:
        """Return who runs a campaign now, and what that waits for.

        It is cheap for a campaign of any size: it counts only what is in flight.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return self._reads.activity(name)

    def backlog(self) -> Backlog:
        """Return what is left to do in the whole ledger, for a monitor that asks now and then.

        It is cheap for a ledger of any size: it counts 100,000 submissions of a state at most.
        """
        return self._reads.backlog()

    def results(
        self, name: str, *, states: Collection[State] | None = None
    ) -> Iterator[NumberResult]:
        """Yield what became of each number of a campaign; purged numbers are left out.

        Args:
            name: the campaign.
            states: only the numbers in these states, such as ``[State.UNKNOWN]``. Default: all.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return self._reads.results(name, states=states)

    def timings(self, name: str) -> list[Timing]:
        """Return when each accepted or rejected submission was sent and answered.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return self._reads.timings(name)

    def skipped_lines(self, name: str) -> Iterator[SkippedLine]:
        """Yield each skipped line of a campaign's source.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return self._reads.skipped_lines(name)

    def find(self, number: str | int) -> list[SubmissionRecord]:
        """Return every submission that contains a number, with its history; the oldest first.

        It reads all submissions of the ledger.

        Raises:
            InvalidRequest: it is not a phone number.
        """
        return self._reads.find(number)

    def report(
        self, name: str, *, timezone: str = DEFAULT_TIMEZONE, language: LanguageName = "en"
    ) -> str:
        """Return a standalone HTML page about a campaign: outcomes, charts, and what to do next.

        No phone number of its list is on the page. Of the texts, it shows the first words of those
        with the most numbers, and none that only one number gets: that may hold a code or a name.
        After a purge, it shows none. The page is in Chinese and in English, with a switch.

        Args:
            name: the campaign.
            timezone: the name of the time zone of the times on the page.
            language: the language that the page opens in: ``en`` or ``zh``.

        Raises:
            ConfigurationError: there is no such time zone or language.
            NotInLedger: there is no campaign of that name.
        """
        check_language(language)
        zone = parse_timezone(timezone)
        return render_report(self._reads.figures(name, zone), zone, language)

    def resume(self, name: str) -> None:
        """End a campaign's pause; the next run sends it.

        Raises:
            NotInLedger: there is no campaign of that name, or it is cancelled.
        """
        self._admin.resume(name)

    def pause(self, name: str, *, by: str, reason: str = "") -> None:
        """Let a campaign wait until `resume`, as for an operator; its runners drain and end.

        What is in flight ends as it ends. It replaces a pause that ends by itself; one that does
        not, from whomever it is, stays. Safe to repeat, as after a crash.

        Args:
            name: the campaign.
            by: the person who pauses it; the reason of the pause names them.
            reason: why, as an addition to that.

        Raises:
            ConfigurationError: ``by`` or ``reason`` is not printable text.
            NotInLedger: there is no campaign of that name, it is done or cancelled, or it is paused
                already until somebody resumes it.
        """
        self._admin.pause(name, by=by, reason=reason)

    def cancel(
        self,
        name: str,
        *,
        by: str,
        on_progress: Callable[[int], None] = lambda _count: None,
    ) -> int:
        """Cancel a campaign: what is pending is never sent, and its runners drain and end.

        What is in flight ends as it ends; what would become pending again is cancelled, too. A
        cancelled campaign is final: `resume`, `retry` and the decision ``resend`` refuse it. Safe
        to repeat, as after a crash.

        Args:
            name: the campaign.
            by: the person who decides; the history keeps the name.
            on_progress: called now and then with the count of submissions so far.

        Returns:
            The count of submissions that were cancelled.

        Raises:
            ConfigurationError: ``by`` is not printable text.
            NotInLedger: there is no campaign of that name, or it is done.
        """
        return self._admin.cancel(name, by=by, on_progress=on_progress)

    def delete(self, name: str) -> None:
        """Delete a campaign that never sent anything, with its numbers and texts; the name is free.

        In an SQLite file, the deleted data is overwritten. A server keeps it until its next vacuum,
        and backups as long as they are kept.

        Args:
            name: the campaign.

        Raises:
            NotInLedger: there is no campaign of that name, it has begun to send, or a runner runs
                it.
            LedgerError: the deleted data is still in the SQLite file, as while another process
                reads it.
        """
        self._admin.delete(name)

    def retry(self, name: str, *, code: int | None = None, unsafe: bool = False, by: str) -> int:
        """Make rejected submissions pending again, and release texts that are on hold.

        Args:
            name: the campaign.
            code: only what was rejected with this code. Default: every code.
            unsafe: also what may have been sent, at the risk of a second copy: after -1, or after
                a code that is not in the vendor's manual.
            by: the person who decides; the history keeps the name.

        Returns:
            The count of submissions that are pending again.

        Raises:
            ConfigurationError: ``by`` is not printable text.
            NotInLedger: there is no campaign of that name, or it is cancelled.
        """
        return self._admin.retry(name, code=code, unsafe=unsafe, by=by)

    def resolve(
        self,
        name: str,
        decision: DecisionName,
        *,
        by: str,
        submission_ids: Iterable[int] | None = None,
        batch_no: str | None = None,
        even_if_alive: bool = False,
    ) -> int:
        """Decide what became of unknown submissions; nothing else changes their state.

        Args:
            name: the campaign.
            decision: ``resend`` makes them pending, at the risk of a second copy; ``accepted``
                records that they were sent; ``not_sent`` records that they were not sent: they
                count as rejected, and `retry` may then send them.
            by: the person who decides; the history keeps the name.
            submission_ids: which of them. Default: all that are unknown.
            batch_no: the vendor's batch number of an accepted one, if it is known.
            even_if_alive: also if the process that had it in flight is not known to have ended. It
                may only be suspended, and send it later.

        Returns:
            The count of submissions that were decided.

        Raises:
            ConfigurationError: the decision is none of these, or ``by`` or ``batch_no`` is not
                printable text.
            NotInLedger: there is no campaign of that name, one of the submissions is not unknown,
                they are to be sent again and the campaign is cancelled, or they might go out
                twice: one was accepted after all, or its process may still be alive.
        """
        return self._admin.resolve(
            name,
            decision,
            by=by,
            submission_ids=submission_ids,
            batch_no=batch_no,
            even_if_alive=even_if_alive,
        )

    def purge(self, *, older_than: float | timedelta) -> int:
        """Delete the numbers and texts of old campaigns and single sends; the counts stay.

        It leaves out what is pending, in flight or unknown. In an SQLite file, the deleted data is
        overwritten. A server keeps it until its next vacuum, and backups as long as they are kept.

        Args:
            older_than: the time since a submission ended, in seconds or as a `timedelta`.

        Returns:
            The count of numbers that were deleted.

        Raises:
            LedgerError: the deleted data is still in the SQLite file, as while another process
                reads it.
        """
        return self._admin.purge(older_than=older_than)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the ledger."""
        self.close()


def _run_in_loop(
    client: Client, concurrency: int, call: Callable[[Sender], Coroutine[Any, Any, _T]]
) -> _T:
    """Call a coroutine function with a sender, in an event loop of its own."""

    async def main() -> _T:
        async with sender_for(client, concurrency) as sender:
            try:
                return await call(sender)
            except asyncio.CancelledError as aborted:
                # After Ctrl-C, Python raises a KeyboardInterrupt, and may drop the cause.
                if aborted.__cause__ is not None:
                    _log.error("%s", aborted.__cause__)
                raise

    return asyncio.run(main())


def check_run(ledger: Ledger, name: str, **options: Any) -> None:
    """Check what a run of a campaign would check before it sends, and change nothing.

    Args:
        ledger: the ledger.
        name: the campaign.
        options: as `Ledger.run` takes them.

    Raises:
        ConfigurationError: an option is out of range, or not for this campaign.
        NotInLedger: there is no campaign of that name.
    """
    ledger._check_options(name, RunOptions.parse(**options))


def _check_marketing_hours(name: str, hours: SendingHours | None) -> None:
    """Check the hours of a run whose campaign is marketing.

    Raises:
        ConfigurationError: it may send at other times than the operators allow.
    """
    if hours is None or not hours.is_within(OPENS, CLOSES, CHINA_OFFSET):
        raise ConfigurationError(
            Sentence(
                "The campaign {name} is marketing, which the operators let through from "
                "{opens} to {closes} in China's time only: give "
                "sending_hours='{opens}-{closes}' or narrower ones, in {default_timezone}.",
                name=repr(name),
                opens=f"{OPENS:%H:%M}",
                closes=f"{CLOSES:%H:%M}",
                default_timezone=DEFAULT_TIMEZONE,
            )
        )


def _require_no_event_loop() -> None:
    """Raise `RuntimeError` in a thread whose event loop runs: `run` would block it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("An event loop is running in this thread: use AsyncLedger.")
