"""`Ledger`: campaigns and once-only sends over a database; the package's facade."""

from __future__ import annotations

import asyncio
import inspect
import math
import os
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict

from yunxin_soap.campaign import models
from yunxin_soap.campaign.lists import Source
from yunxin_soap.campaign.models import Plan, SkippedLine
from yunxin_soap.campaign.planning import PlanOptions, prepare_plan
from yunxin_soap.campaign.report import render_report
from yunxin_soap.campaign.running import once
from yunxin_soap.campaign.running.runner import Options, Progress, Runner
from yunxin_soap.campaign.running.throttle import DEFAULT_ZONE, Hours
from yunxin_soap.campaign.storage.admin import Decisions
from yunxin_soap.campaign.storage.claims import Store
from yunxin_soap.campaign.storage.engine import open_engine, reported
from yunxin_soap.campaign.storage.plans import Intake
from yunxin_soap.campaign.storage.reads import Status
from yunxin_soap.campaign.storage.runners import LEASE
from yunxin_soap.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.client import Client
    from yunxin_soap.results import Receipt


class RunOptions(TypedDict, total=False):
    """How a campaign is worked off; see `Ledger.run_async`."""

    concurrency: int
    rate_limit: float | None
    numbers_rate_limit: float | None
    sending_hours: str | None
    timezone: str
    isolate: bool
    failure_threshold: int
    on_progress: Callable[[Progress], None]
    started: Callable[[Runner], None]


class Ledger(Decisions):
    """A durable record of campaigns and once-only sends, and what works on it.

    Safe to use from several threads and processes. Close it, or use it as a context manager.

    Args:
        where: the path of an SQLite file, which is made if it is not there, or a URL,
            ``sqlite:///…`` or ``postgresql://…``; ``YUNXIN_LEDGER`` if it is left out.
        heartbeat_timeout: seconds without a heartbeat after which a runner counts as dead, where
            its process cannot be seen from here.
        create: whether it is made if it is not there.

    Raises:
        LedgerError: it cannot be opened or written, is corrupt, no ledger, or a newer one.
    """

    def __init__(
        self,
        where: str | os.PathLike[str] | None = None,
        *,
        heartbeat_timeout: float = LEASE,
        create: bool = True,
    ) -> None:
        place = where or os.environ.get("YUNXIN_LEDGER")
        if not place:
            raise ConfigurationError("There is no ledger: name a file, or set YUNXIN_LEDGER.")
        super().__init__(open_engine(place, create=create))
        self._lease = heartbeat_timeout

    def plan(
        self,
        name: str,
        source: Source | str | int | Iterable[Any],
        message: str,
        *,
        on_progress: Callable[[int], None] = lambda _rows: None,
        on_skipped: Callable[[SkippedLine], None] | None = None,
        **options: Unpack[PlanOptions],
    ) -> Plan:
        """Make a campaign, whole or not at all; one of the same name and content is returned.

        Args:
            name: of the campaign; a job that runs twice under one name sends once.
            source: numbers, rows with a column of numbers, or a `Csv`, `Text` or `Rows`.
            message: the text; ``{name}`` in it is filled from the column of that name.
            on_progress: called now and then with the rows read so far.
            on_skipped: called with each line of which no submit is made.
            options: the rest of `Planner`: ``channel``, ``extension``, ``signature``,
                ``max_recipients``, ``recipient_pattern``, ``strict``.

        Raises:
            InvalidRequest: the text, the channel or another argument breaks a rule.
            ConfigurationError: the list cannot be read, lacks a column or has no number.
            ContentConflict: there is one of that name with other content.
            LedgerError: the ledger cannot be written.
        """
        planning = prepare_plan(name, source, message, on_progress, on_skipped, **options)
        with planning as (plan, planner), reported():
            return Intake(self._engine).add(plan, planner)

    def run(self, name: str, client: AsyncClient, **options: Unpack[RunOptions]) -> Status:
        """Work a campaign off, in an event loop of its own; the rest is as `run_async`.

        Args:
            name: the campaign.
            client: an `AsyncClient` that was not used yet; it is closed at the end.
            options: as `run_async`.

        Raises:
            TypeError: the client is a `Client`.
            RuntimeError: an event loop runs in this thread already.
        """
        _check(client, "run", AsyncClient=True)
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("An event loop runs in this thread: await run_async().")

        async def main() -> Status:
            async with client:
                return await self.run_async(name, client, **options)

        return asyncio.run(main())

    async def run_async(
        self,
        name: str,
        client: AsyncClient,
        *,
        concurrency: int = 32,
        rate_limit: float | None = None,
        numbers_rate_limit: float | None = None,
        sending_hours: str | None = None,
        timezone: str = DEFAULT_ZONE,
        isolate: bool = False,
        failure_threshold: int = 5,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        started: Callable[[Runner], None] = lambda _runner: None,
    ) -> Status:
        """Send what is pending, until nothing is left, the campaign is paused, or it is stopped.

        What a runner that died left under way becomes unknown first. Several runners may work on
        one campaign, each with its own pace.

        Args:
            name: the campaign.
            client: sends; it is left open.
            in_flight: submits under way at once, at most; it starts with few.
            rate: submits a second, at most.
            numbers_rate_limit: numbers a second, at most.
            between: allowed hours, as in ``08:00-21:00``; outside of them it waits.
            zone: of those hours, by name.
            isolate: whether a submit that is refused for its numbers (-14 to -17) is split in
                halves, until the bad ones stand alone.
            breaker: so many submits in a row that were not sent, or may have been, pause it; more,
                where others succeed between: ten make up for one.
            on_progress: called with the progress after each exchange with the ledger.
            started: called with the runner, by which it can be stopped from outside.

        Returns:
            Where it stands at the end.

        Raises:
            NotInLedger: there is no such campaign.
            LedgerError: the ledger cannot be written, or others gave this runner up.
        """
        _check(client, "run_async", AsyncClient=True)
        for option, value, least in (
            ("concurrency", concurrency, 1),
            ("failure_threshold", failure_threshold, 1),
        ):
            if value < least:
                raise ConfigurationError(f"{option}={value!r} must be a whole number from 1.")
        for option, limit in (
            ("rate_limit", rate_limit),
            ("numbers_rate_limit", numbers_rate_limit),
        ):
            if limit is not None and not 0 < limit < math.inf:
                raise ConfigurationError(f"{option}={limit!r} must be a number above 0.")
        hours = None if sending_hours is None else Hours.parse(sending_hours, timezone)
        found = await asyncio.to_thread(self._named, name)
        runner = Runner(
            Store(self._engine, self._lease),
            found.id,
            client,
            Options(concurrency, rate_limit, numbers_rate_limit, hours, isolate, failure_threshold),
            on_progress,
        )
        started(runner)
        with reported():
            await runner.run()
        return await asyncio.to_thread(self.status, name)

    def send_once(
        self, client: Client, key: str, recipients: str | int | Iterable[str | int], message: str
    ) -> Receipt:
        """Send one submit, once for each key, whoever asks and however often.

        The first call sends. Every later one with that key, from any process, returns the same
        receipt or raises the same outcome; one that comes while the first is under way waits for
        it. If the first one died in between, the outcome is unknown. What was *not sent* is tried
        again by the next call, and what was refused once `retry_once` allows it.

        Args:
            client: sends.
            key: names what is sent, such as ``order-42-shipped``.
            recipients: as `Client.send`.
            message: as `Client.send`.

        Raises:
            ContentConflict: the key was used for other recipients or another text.
            InvalidRequest, NotSent, Rejected, OutcomeUnknown: as `Client.send`.
            LedgerError: the ledger cannot be written; it says whether anything was sent.
        """
        _check(client, "send_once", AsyncClient=False)
        sending = once.Sending(Store(self._engine, self._lease), self._engine, key)
        with reported():
            return sending.send(client, client.check(recipients, message))

    async def send_once_async(
        self,
        client: AsyncClient,
        key: str,
        recipients: str | int | Iterable[str | int],
        message: str,
    ) -> Receipt:
        """Do the same as `send_once`, from asyncio."""
        _check(client, "send_once_async", AsyncClient=True)
        sending = once.Sending(Store(self._engine, self._lease), self._engine, key)
        with reported():
            return await sending.send_async(client, await client.check(recipients, message))

    def report(self, name: str) -> str:
        """Return a standalone HTML page about a campaign, with charts; no number or text is in it.

        Raises:
            NotInLedger: there is none of that name.
        """
        found = self.status(name)
        status = models.Status(
            name=found.name,
            state=found.state,
            reason=found.reason,
            paused_until=None,
            created_at=_datetime(found.created_at),
            planned=found.planned,
            skipped=found.refused,
            numbers=found.numbers,
            submissions=found.submits,
            codes=found.codes,
            on_hold=found.held,
        )
        timings = [
            models.Timing(_datetime(sent), _datetime(ended), size)
            for sent, ended, size in self.times(name)
        ]
        return render_report(status, timings, DEFAULT_ZONE)

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
        """Close it."""
        self.close()


def _check(client: Client | AsyncClient, method: str, *, AsyncClient: bool) -> None:  # noqa: N803
    if inspect.iscoroutinefunction(client.send) is not AsyncClient:
        wanted = "an AsyncClient" if AsyncClient else "a Client"
        raise TypeError(f"Ledger.{method} needs {wanted}, got {type(client).__name__}.")


def _datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
