"""Runs every contender in turn, again and again, and keeps the medians."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.benchmarks.contenders import Contender, Load, Run, Timing, contenders

NUMBERS = (1, 500)
IN_FLIGHT = (1, 8, 32)


@dataclass
class Row:
    """What one contender's submits took, in one shape of load."""

    contender: Contender
    numbers: int
    in_flight: int
    wall: list[float] = field(default_factory=list)
    """Seconds for one submit, one value a round."""
    cpu: list[float] = field(default_factory=list)

    @property
    def wall_us(self) -> float:
        """Median microseconds for one submit."""
        return statistics.median(self.wall) * 1e6

    @property
    def cpu_us(self) -> float:
        """Median microseconds of the process's own CPU time for one submit."""
        return statistics.median(self.cpu) * 1e6

    def add(self, timing: Timing, count: int) -> None:
        """Add one round."""
        self.wall.append(timing.wall / count)
        self.cpu.append(timing.cpu / count)


def measure(
    url: str, *, rounds: int, turn: float, say: Callable[[str], None] = lambda _: None
) -> list[Row]:
    """Measure all contenders in all shapes of load.

    Args:
        url: the responder's.
        rounds: how often each has its turn.
        turn: seconds that one turn takes, about.
        say: told what is going on.
    """
    rows = []
    for numbers in NUMBERS:
        with ExitStack() as stack:
            opened = [
                (contender, stack.enter_context(contender.open(Load(url, numbers))))
                for contender in contenders()
                if contender.carries(numbers)
            ]
            for in_flight in IN_FLIGHT:
                say(f"{numbers} in a submit, {in_flight} in flight")
                racing = [pair for pair in opened if in_flight in pair[0].in_flight]
                rows += _race(racing, numbers, in_flight, rounds, turn)
    return rows


def _race(
    racing: list[tuple[Contender, Run]], numbers: int, in_flight: int, rounds: int, turn: float
) -> list[Row]:
    rows = [Row(contender, numbers, in_flight) for contender, _ in racing]
    counts = [_count(run, in_flight, turn) for _, run in racing]
    for number in range(rounds):
        # Each begins a round once before any does so again.
        for place in _turned(len(racing), number):
            _, run = racing[place]
            run(2 * in_flight, in_flight)  # connections that had been idle for too long
            rows[place].add(run(counts[place], in_flight), counts[place])
    return rows


def _count(run: Run, in_flight: int, turn: float) -> int:
    """Return how many submits fill a turn; a multiple of those in flight."""
    trial = 3 * in_flight
    run(trial, in_flight)
    one = run(trial, in_flight).wall / trial
    return max(1, min(round(turn / one / in_flight), 4000)) * in_flight


def _turned(count: int, by: int) -> Iterator[int]:
    return ((place + by) % count for place in range(count))
