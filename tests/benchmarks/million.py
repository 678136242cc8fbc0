"""Measures whether a large campaign on PostgreSQL is as fast at its end as at its start.

``python -m tests.benchmarks.million`` plans a million submissions of ten numbers each and runs them
against the minimal responder. It prints the rate of each tenth, and the CPU time of the runner and
of the server for a submission, of this package and of others that are given by ``--package``.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tests.benchmarks.responder import responder
from tests.support.postgresql import database

_ROOT = Path(__file__).parents[2]


def _run(package: Path, count: int) -> dict[str, Any]:
    ledgers = database()
    try:
        with responder() as endpoint:
            done = subprocess.run(
                [
                    sys.executable,
                    str(_ROOT / "tests/benchmarks/million_job.py"),
                    next(ledgers),
                    endpoint,
                    str(count),
                ],
                env={**os.environ, "PYTHONPATH": str(package)},
                stdout=subprocess.PIPE,
                check=True,
            )
    finally:
        next(ledgers, None)  # drops the database
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _tenths(marks: list[list[float]]) -> list[tuple[float, float, float]]:
    """Return the submissions a second, and both CPU times of one in ms, of each tenth."""
    found = []
    for first, last in itertools.pairwise(marks):
        count, seconds, runner, server = (b - a for a, b in zip(first, last, strict=True))
        found.append((count / seconds, runner / count * 1000, server / count * 1000))
    return found


@click.command()
@click.option("--submissions", "count", default=1_000_000, show_default=True)
@click.option(
    "--package",
    "packages",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with another version of yunxin_soap to measure, too.",
)
def main(count: int, packages: tuple[Path, ...]) -> None:
    """Measure a large campaign, planned and run on PostgreSQL."""
    console = Console(width=110)
    for package in (_ROOT, *packages):
        measured = _run(package.resolve(), count)
        marks = measured["marks"]
        tenths = _tenths(marks)
        table = Table(
            "tenth",
            "submissions/s",
            "runner, ms CPU",
            "server, ms CPU",
            title=f"{package.name}: {count:,} submissions, planned in {measured['planned']:.0f} s",
        )
        whole = _tenths([marks[0], marks[-1]])[0]
        rows = [(str(number), *tenth) for number, tenth in enumerate(tenths, 1)]
        rows.append(("all", *whole))
        for name, rate, runner, server in rows:
            table.add_row(name, f"{rate:.0f}", f"{runner:.3f}", f"{server:.3f}")
        console.print(table)
        console.print(
            f"last tenth / first tenth: {tenths[-1][0] / tenths[0][0]:.2f};"
            f" CPU of a submission: {sum(whole[1:]):.3f} ms"
        )


if __name__ == "__main__":
    main()
