"""`AsyncLedger`: `Ledger` for asyncio. Everything that uses the database runs in a thread."""

from __future__ import annotations

import asyncio
import os
import re
import warnings
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from yunxin_soap import message as rules
from yunxin_soap.campaign.ledger import Ledger
from yunxin_soap.campaign.lists import Source
from yunxin_soap.campaign.models import (
    DEFAULT_EXPIRES_IN,
    Activity,
    Backlog,
    DecisionName,
    LanguageName,
    NumberResult,
    Pace,
    Plan,
    Preview,
    Progress,
    SkippedLine,
    Slice,
    State,
    Status,
    SubmissionRecord,
    SuppressedNumber,
    Sweep,
    Timing,
)
from yunxin_soap.campaign.planning import PlanOptions
from yunxin_soap.campaign.running.once import check_queued, require_client
from yunxin_soap.campaign.running.runner import RunOptions
from yunxin_soap.campaign.running.slices import SLICE_SECONDS, StartOptions
from yunxin_soap.campaign.running.worker import WORKER_CONCURRENCY
from yunxin_soap.campaign.storage.engine import as_ledger_errors
from yunxin_soap.campaign.storage.outbox import async_connection_of
from yunxin_soap.campaign.storage.runners import HEARTBEAT_TIMEOUT
from yunxin_soap.campaign.timezones import DEFAULT_TIMEZONE
from yunxin_soap.message import MAINLAND_MOBILE

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.campaign.storage.outbox import AsyncTransaction
    from yunxin_soap.results import Receipt

_P = ParamSpec("_P")
_T = TypeVar("_T")
_ROWS = 1000
"""Rows that one thread reads together."""


class AsyncLedger:
    """A durable record of campaigns and single sends, for asyncio: the methods of `Ledger`.

    Several tasks and processes may use one. Close it, or use it as an asynchronous context manager.
    The ledger is opened, in a thread, by the first call or on entering; errors in its address are
    raised there.

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

    once: AsyncOnceSends
    """Single sends, each at most once for its key."""
    pace: AsyncPaces
    """Limits that hold for all that names them, such as that of an account."""
    suppression: AsyncSuppression
    """The do-not-send list: numbers that nothing of this ledger is sent to."""

    def __init__(
        self,
        url: str | os.PathLike[str] | None = None,
        *,
        heartbeat_timeout: float = HEARTBEAT_TIMEOUT,
        create: bool = True,
    ) -> None:
        self._opener = _Opener(
            partial(Ledger, url, heartbeat_timeout=heartbeat_timeout, create=create)
        )
        self.once = AsyncOnceSends(self._opener)
        self.pace = AsyncPaces(self._opener)
        self.suppression = AsyncSuppression(self._opener)

    async def plan(
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
            on_progress: called now and then, in a thread, with the count of rows read so far.
            on_skipped: called, in a thread, with each skipped line.
            on_preview: called, in a thread, with the finished texts before anything is written. An
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
        return await self._opener.call(
            Ledger.plan,
            name,
            source,
            message,
            on_progress=on_progress,
            on_skipped=on_skipped,
            on_preview=on_preview,
            **options,
        )

    async def run(
        self,
        name: str,
        client: AsyncClient,
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
        stop: asyncio.Event | None = None,
    ) -> Status:
        """Send the pending submissions until none is left, or the campaign is paused or stopped.

        First it marks the submissions of stalled runners as unknown. Several runners may run one
        campaign, and keep to one limit together. Cancelling the task aborts the run: what is in
        flight becomes unknown, and the ledger records that; a ledger that does not answer is given
        up after five seconds, and the cause of the `CancelledError` says what the next run makes
        unknown.

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
            TypeError: the client is a `Client`.
            RuntimeError: the client is closed.
            ConfigurationError: an option is out of range.
            NotInLedger: there is no campaign of that name.
            LedgerError: the ledger cannot be written, or another runner reclaimed this runner's
                submissions.
        """
        require_client(client, "run", asynchronous=True)
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
        ledger = await self._opener.ledger()
        await ledger._run(name, client, options, on_progress, stop)
        return await self.status(name)

    async def start(self, name: str, *, workers: int = 2, **options: Unpack[StartOptions]) -> None:
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
        await self._opener.call(Ledger.start, name, workers=workers, **options)

    async def stop(self, name: str) -> None:
        """Let no slice work on a campaign any more; slices under way drain soon.

        A run by hand goes on, and may begin. Safe to repeat.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        await self._opener.call(Ledger.stop, name)

    async def work_slice(
        self,
        name: str,
        client: AsyncClient,
        *,
        seconds: float = SLICE_SECONDS,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        stop: asyncio.Event | None = None,
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
            TypeError: the client is a `Client`.
            RuntimeError: the client is closed.
            ConfigurationError: ``seconds`` is no number above 0.
            NotInLedger: there is no campaign of that name.
            LedgerError: the ledger cannot be written, or another runner reclaimed this runner's
                submissions.
        """
        require_client(client, "work_slice", asynchronous=True)
        ledger = await self._opener.ledger()
        return await ledger._work_slice(
            name, client, seconds=seconds, on_progress=on_progress, stop=stop
        )

    async def sweep(self) -> Sweep:
        """Reclaim what stalled runners left in flight anywhere, and return what should run.

        It sends nothing, and starts nothing. Call it now and then, as every ten seconds, from as
        many processes as you like: its cost grows with the runners, not with the campaigns.

        Raises:
            LedgerError: the ledger cannot be written, or is damaged.
        """
        return await self._opener.call(Ledger.sweep)

    async def work(
        self,
        client: AsyncClient,
        *,
        concurrency: int = WORKER_CONCURRENCY,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Send what is queued, and work on started campaigns, until ``stop`` is set.

        Any number of workers may do so, on any number of machines. Each sweeps the ledger every few
        seconds, looks for queued sends about once a second, and takes slices of started campaigns,
        up to four at a time, within the workers that each is started for. A ledger that cannot be
        used is waited for; the log says so. Five failures in a row, or a rejection of the account,
        pause the queue of this worker for a minute.

        Cancelling the task aborts it: what is in flight becomes unknown, and the ledger records
        that.

        Args:
            client: the client that sends; the ledger does not close it.
            concurrency: queued sends in flight at most. It begins with two. A campaign has its own
                ``concurrency``.
            stop: once it is set, nothing more is sent, and the call returns when nothing is in
                flight. Default: it works until it is aborted.

        Raises:
            TypeError: the client is a `Client`.
            RuntimeError: the client is closed.
            ConfigurationError: ``concurrency`` is below 1.
        """
        require_client(client, "work", asynchronous=True)
        ledger = await self._opener.ledger()
        worker = ledger._worker(
            client, lambda _concurrency: nullcontext(client), concurrency, stop or asyncio.Event()
        )
        await worker.run()

    async def campaigns(self) -> list[str]:
        """Return the names of all campaigns, the oldest first."""
        return await self._opener.call(Ledger.campaigns)

    async def status(self, name: str) -> Status:
        """Return the state of a campaign.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return await self._opener.call(Ledger.status, name)

    async def statuses(self) -> list[Status]:
        """Return the state of every campaign, the oldest first; one query counts them all."""
        return await self._opener.call(Ledger.statuses)

    async def preview(self, name: str) -> Preview:
        """Return what a run would send now: the counts and texts of what is pending.

        What is on hold is left out, and so is what was put on the do-not-send list after the plan:
        ``plan.notes`` says how many numbers. The first text is the one that is sent first. It
        reads each pending text once, and each number if the do-not-send list has grown.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return await self._opener.call(Ledger.preview, name)

    async def progress(self, name: str) -> Progress:
        """Return how far a campaign is, over all of its runs: for a display of a run elsewhere.

        It is cheaper than `status`, and still counts every submission.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return await self._opener.call(Ledger.progress, name)

    async def activity(self, name: str) -> Activity:
        """Return who runs a campaign now, and what that waits for.

        It is cheap for a campaign of any size: it counts only what is in flight.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return await self._opener.call(Ledger.activity, name)

    async def backlog(self) -> Backlog:
        """Return what is left to do in the whole ledger, for a monitor that asks now and then.

        It is cheap for a ledger of any size: it counts 100,000 submissions of a state at most.
        """
        return await self._opener.call(Ledger.backlog)

    def results(
        self, name: str, *, states: Collection[State] | None = None
    ) -> AsyncIterator[NumberResult]:
        """Yield what became of each number of a campaign; purged numbers are left out.

        Args:
            name: the campaign.
            states: only the numbers in these states, such as ``[State.UNKNOWN]``. Default: all.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return self._opener.rows(Ledger.results, name, states=states)

    async def timings(self, name: str) -> list[Timing]:
        """Return when each accepted or rejected submission was sent and answered.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return await self._opener.call(Ledger.timings, name)

    def skipped_lines(self, name: str) -> AsyncIterator[SkippedLine]:
        """Yield each skipped line of a campaign's source.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        return self._opener.rows(Ledger.skipped_lines, name)

    async def find(self, number: str | int) -> list[SubmissionRecord]:
        """Return every submission that contains a number, with its history; the oldest first.

        It reads all submissions of the ledger.

        Raises:
            InvalidRequest: it is not a phone number.
        """
        return await self._opener.call(Ledger.find, number)

    async def report(
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
        return await self._opener.call(Ledger.report, name, timezone=timezone, language=language)

    async def resume(self, name: str) -> None:
        """End a campaign's pause; the next run sends it.

        Raises:
            NotInLedger: there is no campaign of that name, or it is cancelled.
        """
        await self._opener.call(Ledger.resume, name)

    async def pause(self, name: str, *, by: str, reason: str = "") -> None:
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
        await self._opener.call(Ledger.pause, name, by=by, reason=reason)

    async def cancel(
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
            on_progress: called now and then, in a thread, with the count of submissions so far.

        Returns:
            The count of submissions that were cancelled.

        Raises:
            ConfigurationError: ``by`` is not printable text.
            NotInLedger: there is no campaign of that name, or it is done.
        """
        return await self._opener.call(Ledger.cancel, name, by=by, on_progress=on_progress)

    async def delete(self, name: str) -> None:
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
        await self._opener.call(Ledger.delete, name)

    async def retry(
        self, name: str, *, code: int | None = None, unsafe: bool = False, by: str
    ) -> int:
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
        return await self._opener.call(Ledger.retry, name, code=code, unsafe=unsafe, by=by)

    async def resolve(
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
        return await self._opener.call(
            Ledger.resolve,
            name,
            decision,
            by=by,
            submission_ids=submission_ids,
            batch_no=batch_no,
            even_if_alive=even_if_alive,
        )

    async def purge(self, *, older_than: float | timedelta) -> int:
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
        return await self._opener.call(Ledger.purge, older_than=older_than)

    async def close(self) -> None:
        """Close the connections to the database."""
        await self._opener.close()

    async def __aenter__(self) -> Self:
        """Open the ledger, and return it."""
        await self._opener.ledger()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the ledger."""
        await self.close()


class AsyncOnceSends:
    """Single sends with a key, for asyncio: `AsyncLedger.once`.

    Args:
        opener: opens the ledger.
    """

    def __init__(self, opener: _Opener) -> None:
        self._opener = opener

    async def send(
        self,
        client: AsyncClient,
        key: str,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int | None = None,
        extension: str | int | None = None,
        literal: bool = False,
        pace: str | None = None,
    ) -> Receipt:
        """Send one submission, at most once for each key, however often it is called.

        The first call sends. Every later call with that key, from any process, returns the same
        receipt or raises the same outcome; a call that comes while the first is in flight waits
        for it. If the process of the first call died in between, the outcome is unknown. If the
        outcome is *not sent*, the next call tries again; if it is *rejected*, the next call tries
        again once `retry` allows it.

        The rules for marketing are not checked: send it by a campaign that is planned as such.

        Args:
            client: the client that sends.
            key: names what is sent, such as ``order-42-shipped``.
            recipients: as `AsyncClient.send`.
            message: as `AsyncClient.send`.
            channel: as `AsyncClient.send`.
            extension: as `AsyncClient.send`.
            literal: as `AsyncClient.send`.
            pace: the pace to keep to, together with all others that name it: it waits for its turn,
                and then sends. Default: none.

        Returns:
            The receipt of the call that sent.

        Raises:
            ConfigurationError: the key is empty or not printable, or there is no such pace.
            ContentConflict: the key was used for other recipients, text, channel or extension.
            InvalidRequest: a rule is broken; nothing was sent.
            RecipientsSuppressed: a number is on the do-not-send list; nothing was sent, and the key
                stays as it was.
            NotSent: nothing can have reached the gateway; the next call tries again.
            Rejected: the gateway rejected it.
            OutcomeUnknown: it may have been sent.
            LedgerError: the ledger cannot be written; the message says whether it was sent.
            RuntimeError: the client is closed.
            asyncio.CancelledError: the task was cancelled; the ledger has recorded the outcome.
        """
        require_client(client, "once.send", asynchronous=True)
        checked = await client.check(
            recipients, message, channel=channel, extension=extension, literal=literal
        )
        ledger = await self._opener.ledger()
        with as_ledger_errors():
            return await ledger.once.begin(key, pace).send_async(client, checked)

    async def enqueue(
        self,
        key: str,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int,
        extension: str | int = "",
        signature: str | None = None,
        max_recipients: int = rules.DEFAULT_MAX_RECIPIENTS,
        max_segments: int = rules.DEFAULT_MAX_SEGMENTS,
        recipient_pattern: str | re.Pattern[str] = rules.MAINLAND_MOBILE,
        literal: bool = False,
        expires_in: float | timedelta = DEFAULT_EXPIRES_IN,
        pace: str | None = None,
        connection: AsyncTransaction | None = None,
    ) -> bool:
        """Queue one submission: `Ledger.work` or `send_queued` sends it, at most once for its key.

        With the connection or session of the application it is part of the application's own
        transaction: an order and its notice are committed together, or neither is. After a rollback
        the key is as if it had never been used. The ledger must then be in the database of the
        application.

        *Not sent*, and what the gateway rejects for a cause that a campaign would wait for (no
        channel, outside its hours, balance, account), is tried again until it expires. Then it is
        cancelled. What else is rejected, or is unknown, stays for a person: see `retry` and
        `resolve`. If one of its numbers is put on the do-not-send list meanwhile, all of it is
        suppressed: give each person a key.

        It warns (`UserWarning`) of the message as `AsyncClient.check` does.

        Args:
            key: names what is sent, such as ``order-42-shipped``.
            recipients: as `AsyncClient.send`.
            message: the text, with its signature unless ``signature`` is given.
            channel: the channel number, such as 37.
            extension: the extension number. Default: none.
            signature: appended to a message that has none.
            max_recipients: the most numbers, from 1 to 1000.
            max_segments: the most segments of the text, from 1 to 255.
            recipient_pattern: the pattern that a normalised number must match. Default: mainland
                mobile numbers. Whatever it allows, a number has only digits, with at most a +.
            literal: whether to send what looks like an unfilled placeholder as it is.
            expires_in: the time in which it may be sent, in seconds or as a `timedelta`; above 0.
                Default: a day.
            pace: the pace that it is sent at. Default: none.
            connection: an `AsyncConnection` or `AsyncSession` of SQLAlchemy, in a transaction.
                Default: a transaction of its own.

        Returns:
            Whether it is queued now. False: the key was used for the same content before, whatever
            became of it. What `send` could not send, or has in flight, is queued: a worker sends it
            if it was not sent.

        Raises:
            ConfigurationError: the key is empty or not printable, ``expires_in`` is out of range,
                there is no such pace, or the connection does not lead to this ledger or is in
                autocommit mode.
            ContentConflict: the key was used for other recipients, text, channel or extension.
            InvalidRequest: a rule is broken.
            RecipientsSuppressed: a number is on the do-not-send list.
            LedgerError: the ledger cannot be written. In a transaction of the application, errors
                of the database are raised as they are.
            TypeError: the connection is of another kind.
        """
        given, seconds = check_queued(
            key,
            recipients,
            message,
            channel=channel,
            extension=extension,
            signature=signature,
            max_recipients=max_recipients,
            max_segments=max_segments,
            recipient_pattern=recipient_pattern,
            literal=literal,
            expires_in=expires_in,
        )
        for note in given.notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        ledger = await self._opener.ledger()
        outbox = ledger.once.outbox
        add = partial(outbox.add_within, key=key, given=given, expires_in=seconds, pace=pace)
        if connection is None:
            return await asyncio.to_thread(outbox.add, key, given, expires_in=seconds, pace=pace)
        own = await async_connection_of(connection)
        await asyncio.to_thread(lambda: outbox.ledger_id)  # a query of the ledger's own
        return await own.run_sync(add)

    async def send_queued(self, client: AsyncClient, key: str) -> Receipt:
        """Send what was queued with a key, now and at most once; its content is in the ledger.

        If it was sent before, it returns the same receipt or raises the same outcome; while another
        call has it in flight, it waits for that.

        Args:
            client: the client that sends.
            key: the key that it was queued with.

        Returns:
            The receipt of the call that sent.

        Raises:
            NotInLedger: nothing was queued with that key.
            SendExpired: it was not sent before it expired, so it is cancelled.
            RecipientsSuppressed: a number was put on the do-not-send list, so it is suppressed.
            NotSent: nothing can have reached the gateway, or its pace had no slot for five seconds.
                It stays queued, for a later time.
            InvalidRequest: the client's protocol cannot carry it; it stays queued.
            Rejected: the gateway rejected it. For a cause that may pass or that concerns more than
                this send, as its balance, it stays queued for a later time.
            OutcomeUnknown: it may have been sent.
            LedgerError: the ledger cannot be written; the message says whether it was sent.
            RuntimeError: the client is closed.
            asyncio.CancelledError: the task was cancelled; the ledger has recorded the outcome.
        """
        require_client(client, "once.send_queued", asynchronous=True)
        ledger = await self._opener.ledger()
        with as_ledger_errors():
            return await ledger.once.begin(key).send_async(client, None)

    async def counts(self) -> dict[State, int]:
        """Return the count of single sends in each state."""
        return await self._opener.call(lambda ledger: ledger.once.counts())

    def keys(self, state: State, *, can_retry: bool = False) -> AsyncIterator[str]:
        """Yield the keys of the single sends in a state, the oldest first.

        Args:
            state: such as ``State.UNKNOWN``.
            can_retry: only of those that `retry` takes without ``unsafe``: what is purged, or may
                have been sent, is left out.
        """
        return self._opener.rows(
            lambda ledger, of: ledger.once.keys(of, can_retry=can_retry), state
        )

    async def retry(self, key: str, *, unsafe: bool = False, by: str) -> None:
        """Let the next `send` with this key send again after a rejection, as after a top-up.

        What was queued is due at once, also if it only waits to be tried again; if it has expired,
        it has another day.

        Args:
            key: the key of the send.
            unsafe: also if it may have been sent, at the risk of a second copy.
            by: the person who decides; the history keeps the name.

        Raises:
            ConfigurationError: ``by`` is not printable text.
            NotInLedger: no send with that key was rejected so, or it was purged.
        """
        await self._opener.call(lambda ledger: ledger.once.retry(key, unsafe=unsafe, by=by))

    async def resolve(
        self,
        key: str,
        decision: DecisionName,
        *,
        by: str,
        batch_no: str | None = None,
        even_if_alive: bool = False,
    ) -> None:
        """Decide what became of an unknown send; nothing else changes its state.

        Args:
            key: the key of the send.
            decision: ``resend`` lets the next `send` with this key send again, or a worker what was
                queued, at the risk of a second copy; ``accepted`` records that it was sent;
                ``not_sent`` records that it was not sent: it counts as rejected, and `retry` lets
                the next `send` send it.
            by: the person who decides; the history keeps the name.
            batch_no: the vendor's batch number of an accepted one, if it is known.
            even_if_alive: also if the process that had it in flight is not known to have ended. It
                may only be suspended, and send it later.

        Raises:
            ConfigurationError: the decision is none of these, or ``by`` or ``batch_no`` is not
                printable text.
            NotInLedger: no send with that key is unknown, or it might go out twice: it was
                accepted after all, or its process may still be alive.
        """
        await self._opener.call(
            lambda ledger: ledger.once.resolve(
                key, decision, by=by, batch_no=batch_no, even_if_alive=even_if_alive
            )
        )


class AsyncPaces:
    """Named limits of a ledger, for asyncio: `AsyncLedger.pace`.

    Args:
        opener: opens the ledger.
    """

    def __init__(self, opener: _Opener) -> None:
        self._opener = opener

    async def set(
        self, name: str, *, rate: float | None = None, numbers_rate: float | None = None
    ) -> None:
        """Create a pace, or change it: what runs by it follows within a second or so.

        Args:
            name: its name, such as ``account-37``.
            rate: submissions a second, at most. None: no limit.
            numbers_rate: numbers a second, at most. None: no limit. A submission is never split to
                fit; a large one delays the next.

        Raises:
            ConfigurationError: the name is empty or not printable, or a limit is out of range.
            LedgerError: the ledger cannot be written.
        """
        await self._opener.call(
            lambda ledger: ledger.pace.set(name, rate=rate, numbers_rate=numbers_rate)
        )

    async def remove(self, name: str) -> None:
        """Remove a pace. A run by hand that names it ends with an error.

        Args:
            name: its name.

        Raises:
            NotInLedger: there is no such pace, or a started campaign or a queued send names it.
            LedgerError: the ledger cannot be written.
        """
        await self._opener.call(lambda ledger: ledger.pace.remove(name))

    async def list(self) -> tuple[Pace, ...]:
        """Return the paces, in the order of their names."""
        return await self._opener.call(lambda ledger: ledger.pace.list())


class AsyncSuppression:
    """The do-not-send list, for asyncio: `AsyncLedger.suppression`.

    Args:
        opener: opens the ledger.
    """

    def __init__(self, opener: _Opener) -> None:
        self._opener = opener

    async def add(
        self,
        numbers: Source | str | int | Iterable[Any],
        *,
        by: str,
        reason: str = "",
        hashed: bool = False,
        recipient_pattern: str | re.Pattern[str] = MAINLAND_MOBILE,
        on_skipped: Callable[[SkippedLine], None] | None = None,
    ) -> int:
        """Put numbers on the do-not-send list.

        Once it returns, no submission that is claimed later contains one of them. What is in flight
        at that moment may still be sent. Safe to repeat, as after a crash: what is on the list
        stays as it is.

        Args:
            numbers: numbers, rows with a column of numbers, or a `Csv`, `Text` or `Rows`.
            by: the person who decides; the list keeps the name.
            reason: why, for those who read a skipped line or a history.
            hashed: whether to keep only a keyed hash of each number, also of one that is on the
                list already; its reason stays. The key is in the ledger: whoever reads only the
                list learns no number; whoever has the whole ledger can try all numbers that there
                are.
            recipient_pattern: the pattern that a normalised number must match. Default: mainland
                mobile numbers.
            on_skipped: called, in a thread, with each line that has no valid number. Default: such
                a line is an error, and nothing is added. It always is if no line has one.

        Returns:
            The count of numbers that were not on the list before.

        Raises:
            InvalidRequest: a line has no valid number, and there is no ``on_skipped``; or lines
                have something else, and none has a number.
            ConfigurationError: the source cannot be read, or ``by`` or ``reason`` is not printable
                text.
            LedgerError: the ledger cannot be written.
        """
        return await self._opener.call(
            lambda ledger: ledger.suppression.add(
                numbers,
                by=by,
                reason=reason,
                hashed=hashed,
                recipient_pattern=recipient_pattern,
                on_skipped=on_skipped,
            )
        )

    async def remove(
        self,
        numbers: Source | str | int | Iterable[Any],
        *,
        recipient_pattern: str | re.Pattern[str] = MAINLAND_MOBILE,
    ) -> int:
        """Take numbers off the do-not-send list, so that later plans contain them again.

        What a campaign has left out stays left out.

        Args:
            numbers: numbers, rows with a column of numbers, or a `Csv`, `Text` or `Rows`.
            recipient_pattern: the pattern that a normalised number must match. Default: mainland
                mobile numbers.

        Returns:
            The count of numbers that were on the list.

        Raises:
            InvalidRequest: a line has no valid number; nothing was removed.
            ConfigurationError: the source cannot be read.
            LedgerError: the ledger cannot be written.
        """
        return await self._opener.call(
            lambda ledger: ledger.suppression.remove(numbers, recipient_pattern=recipient_pattern)
        )

    def entries(self) -> AsyncIterator[SuppressedNumber]:
        """Yield what is on the do-not-send list, the oldest first."""
        return self._opener.rows(lambda ledger: ledger.suppression.entries())


class _Opener:
    """Opens a ledger once, in a thread, and calls it in threads.

    Args:
        open_ledger: opens it.
    """

    def __init__(self, open_ledger: Callable[[], Ledger]) -> None:
        self._open = open_ledger
        self._opening: asyncio.Task[Ledger] | None = None

    async def ledger(self) -> Ledger:
        # All tasks share one opening; to cancel one of them does not end it.
        if self._opening is None:
            self._opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            return await asyncio.shield(self._opening)
        except Exception:
            self._opening = None  # the next call tries again
            raise

    async def call(
        self, method: Callable[Concatenate[Ledger, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        return await asyncio.to_thread(method, await self.ledger(), *args, **kwargs)

    async def rows(
        self,
        method: Callable[Concatenate[Ledger, _P], Iterator[_T]],
        *args: _P.args,
        **options: _P.kwargs,
    ) -> AsyncIterator[_T]:
        rows = method(await self.ledger(), *args, **options)
        while part := await asyncio.to_thread(lambda: list(islice(rows, _ROWS))):
            for row in part:
                yield row

    async def close(self) -> None:
        if self._opening is not None:
            await self.call(Ledger.close)
