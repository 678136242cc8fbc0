"""Runs every contender in turn, several rounds, and keeps the medians."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field

from tests.benchmarks.contenders import Contender, Load, Run, Timing, contenders
from tests.benchmarks.responder import responder

NUMBERS = (1, 500)
CONCURRENCY = (1, 8, 32)


@dataclass
class Row:
    """How long one contender's submissions took under one load."""

    contender: Contender
    numbers: int
    concurrency: int
    wall: list[float] = field(default_factory=list)
    """Seconds for one submission, one value a round."""
    cpu: list[float] = field(default_factory=list)

    @property
    def wall_us(self) -> float:
        """Median microseconds for one submission."""
        return statistics.median(self.wall) * 1e6

    @property
    def cpu_us(self) -> float:
        """Median microseconds of the process's CPU time for one submission."""
        return statistics.median(self.cpu) * 1e6

    def add(self, timing: Timing, count: int) -> None:
        """Add the timing of one round."""
        self.wall.append(timing.wall / count)
        self.cpu.append(timing.cpu / count)


def measure(*, rounds: int, turn: float, log: Callable[[str], None] = lambda _: None) -> list[Row]:
    """Measure all contenders under all loads.

    Args:
        rounds: the number of turns of each contender.
        turn: approximate seconds of one turn.
        log: called with a line on progress.
    """
    rows = []
    for numbers in NUMBERS:
        for concurrency in CONCURRENCY:
            log(f"{numbers} numbers a submission, concurrency {concurrency}")
            with ExitStack() as stack:
                stack.enter_context(_one_cpu() if concurrency == 1 else nullcontext())
                load = Load(stack.enter_context(responder()), numbers)
                racing = [
                    (contender, stack.enter_context(contender.open(load)))
                    for contender in contenders()
                    if contender.carries(numbers) and concurrency in contender.concurrencies
                ]
                rows += _race(racing, numbers, concurrency, rounds, turn)
    return rows


@contextmanager
def _one_cpu() -> Iterator[None]:
    """Run this thread, and all threads and processes that it starts, on one CPU.

    With one submission at a time, client and responder never run at once. On two CPUs each waits
    for the other's CPU to wake up. That takes longer than most contenders, and for which of them
    the kernel chooses two CPUs is chance. Systems that cannot choose a CPU measure that, too.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _race(
    racing: list[tuple[Contender, Run]], numbers: int, concurrency: int, rounds: int, turn: float
) -> list[Row]:
    rows = [Row(contender, numbers, concurrency) for contender, _ in racing]
    counts = [_count(run, concurrency, turn) for _, run in racing]
    for number in range(rounds):
        # Rotate the order, so that no contender always follows the same one.
        for index in _rotated(len(racing), number):
            _, run = racing[index]
            run(2 * concurrency, concurrency)  # replaces connections that were idle for too long
            rows[index].add(run(counts[index], concurrency), counts[index])
    return rows


def _count(run: Run, concurrency: int, turn: float) -> int:
    """Return how many submissions fill a turn, as a multiple of the concurrency."""
    trial = 3 * concurrency
    run(trial, concurrency)
    one = run(trial, concurrency).wall / trial
    return max(1, min(round(turn / one / concurrency), 4000)) * concurrency


def _rotated(count: int, by: int) -> Iterator[int]:
    return ((index + by) % count for index in range(count))
