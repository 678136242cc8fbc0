"""What a run of a campaign shows while it goes on: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, cast

import click

from yunxin_soap.campaign import State
from yunxin_soap.cli.options import counted, local_time

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.campaign import Ledger, Progress, Status
    from yunxin_soap.campaign.running.runner import Runner

_EVERY = 10.0
"""Seconds between two lines."""
_Told = Callable[["Progress"], None]


def run_shown(
    ledger: Ledger, name: str, client: AsyncClient, *, bar: bool, **options: Any
) -> Status:
    """Run a campaign, show how far it is, and let Ctrl-C stop it.

    Args:
        ledger: the ledger.
        name: the campaign.
        client: sends.
        bar: whether a terminal gets a bar.
        options: as `Ledger.run_async`.
    """
    before = ledger.status(name)
    left = before.numbers[State.PENDING] + before.numbers[State.SUBMITTING]

    async def main() -> Status:
        async with client:
            with _shown(left, bar=bar) as told:
                return await ledger.run_async(
                    name, client, on_progress=told, started=_interruptible, **options
                )

    return asyncio.run(main())


def _interruptible(runner: Runner) -> None:
    """Drain at the first Ctrl-C, and end at the second."""
    asked: list[int] = []

    def interrupted() -> None:
        asked.append(1)
        if len(asked) == 1:
            runner.stop()
            _say("Stopping once what is under way has ended; again to stop now.")
        else:
            runner.abort()

    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # not on Windows
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:  # nohup
        numbers.append(hang_up)
    for number in numbers:
        # Windows has no such handlers: there Ctrl-C ends it at once.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, interrupted)


class _Watched:
    """Standard error, until nobody watches any more: then the campaign goes on without."""

    def write(self, text: str) -> None:
        """Write, and pass over that the terminal or the other end of the pipe is gone."""
        self._try(lambda: sys.stderr.write(text))

    def flush(self) -> None:
        """Do the same for what was held back."""
        self._try(sys.stderr.flush)

    def __getattr__(self, name: str) -> Any:
        """Leave the rest to standard error."""
        return getattr(sys.stderr, name)

    @staticmethod
    def _try(call: Callable[[], object]) -> None:
        try:
            call()
        except OSError:
            # Also for what is written at the very end, which would change the exit status.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _say(text: str) -> None:
    click.echo(text, file=cast("IO[str]", _Watched()))


@contextlib.contextmanager
def _shown(left: int, *, bar: bool) -> Iterator[_Told]:
    if bar and sys.stderr.isatty():
        with _bar(left) as told:
            yield told
    else:
        yield _lines(left)


@contextlib.contextmanager
def _bar(left: int) -> Iterator[_Told]:
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

    def told(progress: Progress) -> None:
        bar.update(task, completed=_done(progress))
        # On lines of its own: it would leave no room for the bar.
        live.update(Group(bar, Text(_what(progress, began))))

    with Live(bar, console=Console(file=cast("IO[str]", _Watched()))) as live:
        yield told


def _lines(left: int) -> _Told:
    began = time.monotonic()
    last = [began]
    reason = [""]

    def told(progress: Progress) -> None:
        now = time.monotonic()
        if now - last[0] < _EVERY and progress.reason == reason[0]:
            return
        last[0], reason[0] = now, progress.reason
        _say(f"{_done(progress)} of {left} numbers: {_what(progress, began)}")

    return told


def _done(progress: Progress) -> int:
    return progress.accepted + progress.rejected + progress.unknown


def _what(progress: Progress, began: float) -> str:
    rate = _done(progress) / max(0.001, time.monotonic() - began)
    text = (
        f"{progress.accepted} accepted, {progress.rejected} rejected, {progress.unknown} unknown,"
        f" {counted(progress.in_flight, 'submit')} in flight, {rate:.0f} numbers/s"
    )
    if not progress.reason:
        return text
    if progress.until is None:
        return f"{text}; paused: {progress.reason}"
    return f"{text}; waiting until {local_time(progress.until)}: {progress.reason}"
