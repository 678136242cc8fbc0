"""Runs every contender in turn, several rounds, and keeps the medians."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.benchmarks.contenders import Contender, Load, Run, Timing, contenders

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


def measure(
    url: str, *, rounds: int, turn: float, log: Callable[[str], None] = lambda _: None
) -> list[Row]:
    """Measure all contenders under all loads.

    Args:
        url: the responder's address.
        rounds: the number of turns of each contender.
        turn: approximate seconds of one turn.
        log: called with a line on progress.
    """
    rows = []
    for numbers in NUMBERS:
        with ExitStack() as stack:
            runs = [
                (contender, stack.enter_context(contender.open(Load(url, numbers))))
                for contender in contenders()
                if contender.carries(numbers)
            ]
            for concurrency in CONCURRENCY:
                log(f"{numbers} numbers a submission, concurrency {concurrency}")
                racing = [pair for pair in runs if concurrency in pair[0].concurrencies]
                rows += _race(racing, numbers, concurrency, rounds, turn)
    return rows


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
