"""The progress of a campaign's run: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, cast

import click

from yunxin_soap.campaign import State
from yunxin_soap.cli.output import discard_rest, format_local_time, pluralize

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.campaign import AsyncLedger, Progress, Status

_LINE_INTERVAL = 10.0
"""Seconds between two lines, unless the reason of a pause changes."""
_OnProgress = Callable[["Progress"], None]


def run_with_progress(
    ledger: AsyncLedger, name: str, client: AsyncClient, *, bar: bool, **options: Any
) -> Status:
    """Run a campaign, show its progress, and let signals stop it.

    Args:
        ledger: the ledger; it is closed at the end.
        name: the campaign.
        client: sends; it is closed at the end.
        bar: whether a terminal gets a bar.
        options: as `AsyncLedger.run`.
    """

    async def main() -> Status:
        async with ledger, client:
            before = await ledger.status(name)
            left = before.numbers[State.PENDING] + before.numbers[State.SUBMITTING]
            stop = asyncio.Event()
            with _progress_display(left, bar=bar) as on_progress:
                run = asyncio.create_task(
                    ledger.run(name, client, on_progress=on_progress, stop=stop, **options)
                )
                _stop_on_signals(run, stop)
                with contextlib.suppress(asyncio.CancelledError):
                    await run
            return await ledger.status(name)

    return asyncio.run(main())


def _stop_on_signals(run: asyncio.Task[Status], stop: asyncio.Event) -> None:
    """Drain a run at the first signal, and abort it at the second."""

    def on_signal() -> None:
        if stop.is_set():
            run.cancel()
        else:
            stop.set()
            _print_line(
                "Stopping once the submissions in flight have ended. Press Ctrl-C again to stop at"
                " once: submissions in flight become unknown."
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
    click.echo(text, file=cast("IO[str]", ResilientStderr()))


@contextlib.contextmanager
def _progress_display(left: int, *, bar: bool) -> Iterator[_OnProgress]:
    if bar and sys.stderr.isatty():
        with _bar(left) as on_progress:
            yield on_progress
    else:
        yield ProgressLines(left)


@contextlib.contextmanager
def _bar(left: int) -> Iterator[_OnProgress]:
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
    task = bar.add_task("", total=left)
    began = time.monotonic()

    def on_progress(progress: Progress) -> None:
        bar.update(task, completed=_ended(progress))
        # The text has lines of its own: on the bar's line it would leave no space for the bar.
        live.update(Group(bar, Text(_describe(progress, time.monotonic() - began))))

    with Live(bar, console=Console(file=cast("IO[str]", ResilientStderr()))) as live:
        yield on_progress


class ProgressLines:
    """Prints the progress as a line every ten seconds, and when the reason to wait changes.

    Args:
        left: the count of numbers that the run starts with.
        write: prints a line.
        clock: returns seconds, as `time.monotonic` does.
    """

    def __init__(
        self,
        left: int,
        *,
        write: Callable[[str], None] = _print_line,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left, self._write, self._clock = left, write, clock
        self._began = self._last = clock()
        self._reason = ""

    def __call__(self, progress: Progress) -> None:
        """Print a line if it is time for one."""
        now = self._clock()
        if now - self._last < _LINE_INTERVAL and progress.reason == self._reason:
            return
        self._last, self._reason = now, progress.reason
        text = _describe(progress, now - self._began)
        self._write(f"{_ended(progress)} of {self._left} numbers: {text}")


def _ended(progress: Progress) -> int:
    return progress.accepted + progress.rejected + progress.unknown


def _describe(progress: Progress, seconds: float) -> str:
    rate = _ended(progress) / max(0.001, seconds)
    text = (
        f"{progress.accepted} accepted, {progress.rejected} rejected, {progress.unknown} unknown,"
        f" {pluralize(progress.in_flight, 'submission')} in flight, {rate:.0f} numbers/s"
    )
    if not progress.reason:
        return text
    if progress.until is None:
        return f"{text}; paused: {progress.reason}"
    return f"{text}; waiting until {format_local_time(progress.until)}: {progress.reason}"
