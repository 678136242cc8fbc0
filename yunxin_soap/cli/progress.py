"""The progress of a campaign's run: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar, cast

import click

from yunxin_soap.campaign import CampaignState, Progress, State
from yunxin_soap.cli.language import tr, translate_stored
from yunxin_soap.cli.output import (
    describe_lease,
    describe_wait,
    discard_rest,
    pluralize,
    printable,
    them,
)
from yunxin_soap.errors import LedgerError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.campaign import ActiveRunner, Activity, AsyncLedger, Ledger, Status

_T = TypeVar("_T")
_LINE_INTERVAL = 10.0
"""Seconds between two lines while numbers end."""
_MAX_LINE_INTERVAL = 600.0
"""Seconds between two lines at most, while nothing changes."""
_WATCH_INTERVAL = 1.0
"""Seconds between two looks at a run elsewhere, if a look takes no time."""
_WATCH_REST = 20.0
"""How many times as long as a look the pause after it is at least."""
_MAX_WATCH_INTERVAL = 60.0
"""Seconds between two looks at most, and between two counts while nothing moves."""
_Counts = tuple[int, ...]
_Waits = tuple[str, tuple[str, ...]]


class _Show(Protocol):
    """Shows the progress."""

    def __call__(self, progress: Progress, *, is_last: bool = False) -> None:
        """Show it; the last one is what the ledger says at the end."""


def run_with_progress(
    ledger: AsyncLedger,
    name: str,
    client: AsyncClient,
    zone: ZoneInfo,
    *,
    bar: bool,
    **options: Any,
) -> Status:
    """Run a campaign, show its progress, and let signals stop it.

    Args:
        ledger: the ledger; it is closed at the end.
        name: the campaign.
        client: sends; it is closed at the end.
        zone: the time zone of the times that are shown.
        bar: whether a terminal gets a bar.
        options: as `AsyncLedger.run`.
    """

    async def main() -> Status:
        async with ledger, client:
            before = await ledger.status(name)
            stop = asyncio.Event()
            with _progress_display(before, zone, bar=bar) as show:
                run = asyncio.create_task(
                    end_of(
                        ledger.run(
                            name,
                            client,
                            on_progress=lambda progress: show(_count_on(before, progress)),
                            stop=stop,
                            **options,
                        )
                    )
                )
                stop_on_signals(run, stop)
                with contextlib.suppress(asyncio.CancelledError):
                    await run
                # Other runs and operators have changed the counts, too.
                status = await ledger.status(name)
                show(_progress_of(status), is_last=True)
            return status

    return asyncio.run(main())


def _progress_of(status: Status) -> Progress:
    """Return the progress of all runs of a campaign, from its status."""
    left = status.submissions[State.PENDING] + status.submissions[State.SUBMITTING]
    return Progress(
        accepted=status.numbers[State.ACCEPTED],
        rejected=status.numbers[State.REJECTED],
        unknown=status.numbers[State.UNKNOWN],
        in_flight=status.submissions[State.SUBMITTING],
        submissions=sum(status.submissions.values()) - left,
        state=status.state,
        reason=status.reason,
        until=status.paused_until,
    )


async def end_of(run: Awaitable[_T]) -> _T:
    """Wait for a run; if it was aborted, and the ledger could not record that, raise the reason."""
    try:
        return await run
    except asyncio.CancelledError as aborted:
        if isinstance(aborted.__cause__, LedgerError):
            raise aborted.__cause__ from None
        raise


def _count_on(before: Status, progress: Progress) -> Progress:
    """Add to the progress of a run what was done before it."""
    return replace(
        progress,
        accepted=before.numbers[State.ACCEPTED] + progress.accepted,
        rejected=before.numbers[State.REJECTED] + progress.rejected,
        unknown=before.numbers[State.UNKNOWN] + progress.unknown,
    )


def watch(ledger: Ledger, name: str, zone: ZoneInfo, *, bar: bool) -> Status:
    """Show the progress of a campaign that runs elsewhere, until it ends, or nobody runs it.

    Args:
        ledger: the ledger.
        name: the campaign.
        zone: the time zone of the times that are shown.
        bar: whether a terminal gets a bar.
    """
    before = ledger.status(name)
    for line in _who_runs(before, zone):
        _print_line(line)
    was_run = bool(_live(before.runners))
    last: Activity | None = None
    counted_at, submissions = 0.0, 0
    with _progress_display(before, zone, bar=bar, at_once=True) as show:
        while True:
            asked_at = time.monotonic()
            activity = ledger.activity(name)
            moves = last is None or _moves(last, activity)
            if moves or asked_at >= counted_at + _MAX_WATCH_INTERVAL:
                progress = ledger.progress(name)
                was_run = was_run or (last is not None and progress.submissions != submissions)
                counted_at, submissions = asked_at, progress.submissions
            show(progress)
            waits_for_operator = progress.state is CampaignState.PAUSED and progress.until is None
            has_ended = progress.state in (CampaignState.DONE, CampaignState.CANCELLED)
            runs = bool(_live(activity.runners))
            # What a process that has ended left in flight ends only with the next run.
            is_over = (has_ended or waits_for_operator) and not (runs and progress.in_flight)
            is_left = was_run and not moves and not runs
            if is_over or is_left:
                status = ledger.status(name)
                show(_progress_of(status), is_last=True)
                return status
            was_run = was_run or runs
            last = activity
            took = time.monotonic() - asked_at
            # The counting of a large campaign must not burden its database.
            time.sleep(min(max(_WATCH_INTERVAL, took * _WATCH_REST), _MAX_WATCH_INTERVAL))


def _who_runs(status: Status, zone: ZoneInfo) -> Iterator[str]:
    """Yield a sentence for each process that runs a campaign, or left submissions in flight."""
    name = status.name
    for process, count in status.left_behind.items():
        yield (
            tr(
                "{process} has ended with {submissions} in flight: the next run makes {them} "
                "unknown.",
                process=process,
                submissions=pluralize(count, "submission"),
                them=them(count),
            )
        )
    for each in status.runners:
        if not each.is_stalled:
            held = tr(
                "{submissions} in flight", submissions=pluralize(each.in_flight, "submission")
            )
            lease = f": {held}, {describe_lease(each, zone)}" if each.in_flight else ""
            yield tr("{each} runs {name}{lease}.", each=each, name=name, lease=lease)
        elif each.in_flight:
            yield (
                tr(
                    "{each} sends no heartbeat any more, and has {submissions} in flight: the next "
                    "run makes {them} unknown.",
                    each=each,
                    submissions=pluralize(each.in_flight, "submission"),
                    them=them(each.in_flight),
                )
            )
    if status.state is CampaignState.OPEN and not _live(status.runners):
        yield tr("Nobody runs {name}: waiting for a run.", name=name)


def _live(runners: Iterable[ActiveRunner]) -> list[ActiveRunner]:
    """Return the runners that still send heartbeats, as far as is known."""
    return [each for each in runners if not each.is_stalled]


def _moves(last: Activity, activity: Activity) -> bool:
    """Return whether the counts of a campaign may have changed between two looks."""
    if any(each.in_flight and not each.is_stalled for each in activity.runners):
        return True
    before, after = (
        (
            each.state,
            each.reason,
            each.until,
            # The ends of leases move with every heartbeat.
            [replace(one, counts_as_stalled_at=one.started_at) for one in each.runners],
        )
        for each in (last, activity)
    )
    return before != after


def stop_on_signals(run: asyncio.Task[Any], stop: asyncio.Event) -> None:
    """Drain a run, or a worker, at the first signal, and abort it at the second."""

    def on_signal() -> None:
        if stop.is_set():
            run.cancel()
        else:
            stop.set()
            _print_line(
                tr(
                    "Stopping once the submissions in flight have ended. Press Ctrl-C again to stop"
                    " at once: submissions in flight become unknown."
                )
            )

    loop = asyncio.get_running_loop()
    signals = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # missing on Windows
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:  # nohup
        signals.append(hang_up)
    for each in signals:
        # Windows event loops have no signal handlers: there Ctrl-C ends the run at once.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(each, on_signal)


class ResilientStderr:
    """Standard error that outlives its reader: the campaign continues without a display.

    Once a write fails, because the terminal or the other end of the pipe is gone, the rest is
    discarded.
    """

    def write(self, text: str) -> None:
        """Write, and ignore a failure."""
        self._attempt(lambda: sys.stderr.write(text))

    def flush(self) -> None:
        """Flush, and ignore a failure."""
        self._attempt(sys.stderr.flush)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of standard error."""
        return getattr(sys.stderr, name)

    @staticmethod
    def _attempt(call: Callable[[], object]) -> None:
        try:
            call()
        except OSError:
            # A failing flush at exit would change the exit status.
            discard_rest(sys.stderr)


def _print_line(text: str) -> None:
    click.echo(printable(text), file=cast("IO[str]", ResilientStderr()))


@contextlib.contextmanager
def _progress_display(
    before: Status, zone: ZoneInfo, *, bar: bool, at_once: bool = False
) -> Iterator[_Show]:
    """Show the progress.

    Args:
        before: the status at the start.
        zone: the time zone of the times that are shown.
        bar: whether a terminal gets a bar.
        at_once: whether the first line comes at once where there is no bar.
    """
    done = sum(before.numbers[each] for each in (State.ACCEPTED, State.REJECTED, State.UNKNOWN))
    # The whole campaign, but for what is never sent: else the bar would never be full.
    total = before.planned - before.numbers[State.SUPPRESSED] - before.numbers[State.CANCELLED]
    if bar and sys.stderr.isatty():
        with _bar(total, done, zone) as show:
            yield show
    else:
        yield ProgressLines(total, done, zone, at_once=at_once)


@contextlib.contextmanager
def _bar(planned: int, done: int, zone: ZoneInfo) -> Iterator[_Show]:
    from rich import progress as rich
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    columns = (
        rich.TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        rich.BarColumn(),
        rich.TimeRemainingColumn(),
    )
    bar = rich.Progress(*columns)
    task = bar.add_task("", total=planned, completed=done)
    began = time.monotonic()

    def show(progress: Progress, *, is_last: bool = False) -> None:
        bar.update(task, completed=_ended(progress))
        # The text has lines of its own: on the bar's line it would leave no space for the bar.
        rate = _rate(progress, done, time.monotonic() - began)
        live.update(Group(bar, Text(printable(_describe(progress, rate, zone)))))

    with Live(bar, console=Console(file=cast("IO[str]", ResilientStderr()))) as live:
        yield show


class ProgressLines:
    """Prints the progress as a line every ten seconds, and when what it waits for changes.

    While nothing changes, the next line comes after twice as long as the one before, and says for
    how long that has been so.

    Args:
        planned: the count of the campaign's numbers.
        done: how many of them had ended when the run began, or the watching of it.
        zone: the time zone of the times that are shown.
        at_once: whether the first line comes at once, and not after ten seconds.
        write: prints a line.
        clock: returns seconds, as `time.monotonic` does.
    """

    def __init__(
        self,
        planned: int,
        done: int,
        zone: ZoneInfo,
        *,
        at_once: bool = False,
        write: Callable[[str], None] = _print_line,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._planned, self._done, self._zone = planned, done, zone
        self._write, self._clock = write, clock
        self._began = self._last = self._changed = clock()
        self._interval = _LINE_INTERVAL
        self._is_due = at_once
        self._counts: _Counts = ()
        self._waits: _Waits = ("", ())

    def __call__(self, progress: Progress, *, is_last: bool = False) -> None:
        """Print a line if it is time for one, or if what the last line said is not so any more."""
        now = self._clock()
        counts, waits = _counts(progress), _waits(progress)
        is_same = (counts, waits) == (self._counts, self._waits)
        interval = self._interval if is_same else _LINE_INTERVAL
        if is_last:
            if not self._counts or counts == self._counts[: len(counts)]:
                return
        elif not self._is_due and waits == self._waits and now - self._last < interval:
            return
        text = _describe(progress, _rate(progress, self._done, now - self._began), self._zone)
        if is_same:
            self._interval = min(2 * self._interval, _MAX_LINE_INTERVAL)
            text = tr(
                "{text}; no change for {seconds} s",
                text=text.rstrip("."),
                seconds=f"{now - self._changed:.0f}",
            )
        else:
            self._interval, self._changed = _LINE_INTERVAL, now
        self._last, self._counts, self._waits, self._is_due = now, counts, waits, False
        self._write(
            tr(
                "{ended} of {planned} numbers: {text}",
                ended=_ended(progress),
                planned=self._planned,
                text=text,
            )
        )


def _counts(progress: Progress) -> _Counts:
    """Return what changes as numbers end."""
    others = (each.in_flight for each in progress.waiting_for)
    return progress.accepted, progress.rejected, progress.unknown, progress.in_flight, *others


def _waits(progress: Progress) -> _Waits:
    """Return why a run waits, and for whom."""
    return progress.reason, tuple(str(each) for each in progress.waiting_for)


def _ended(progress: Progress) -> int:
    return progress.accepted + progress.rejected + progress.unknown


def _rate(progress: Progress, done: int, seconds: float) -> float:
    """Return the numbers a second since `done` of them had ended."""
    return max(0, _ended(progress) - done) / max(0.001, seconds)


def _describe(progress: Progress, rate: float, zone: ZoneInfo) -> str:
    text = tr(
        "{accepted} accepted, {rejected} rejected, {unknown} unknown, {submissions} in "
        "flight, {rate} numbers/s",
        accepted=progress.accepted,
        rejected=progress.rejected,
        unknown=progress.unknown,
        submissions=pluralize(progress.in_flight, "submission"),
        rate=f"{rate:.0f}",
    )
    if progress.waiting_for:
        others = ", ".join(_describe_runner(each, zone) for each in progress.waiting_for)
        text += tr("; waiting for {others}", others=others)
    if not progress.reason:
        return text
    if progress.state is CampaignState.CANCELLED:
        return tr(
            "{text}; cancelled: {reason}", text=text, reason=translate_stored(progress.reason)
        )
    if progress.until is None:
        return tr("{text}; paused: {reason}", text=text, reason=translate_stored(progress.reason))
    return f"{text}; {describe_wait(progress.reason, progress.until, zone)}"


def _describe_runner(runner: ActiveRunner, zone: ZoneInfo) -> str:
    return tr(
        "{submissions} of {runner}, {lease}",
        submissions=pluralize(runner.in_flight, "submission"),
        runner=runner,
        lease=describe_lease(runner, zone),
    )
