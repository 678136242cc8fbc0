"""Measures what a submission costs, by its count of numbers: CPU, and room in the database.

``python -m tests.benchmarks.scale`` plans and runs a campaign for each size on SQLite, PostgreSQL
and MariaDB against the minimal responder, and against a sandbox that takes its time. The figures of
docs/design/scale.md are from it. Other work on the machine changes the rates; CPU and room hardly.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tests.benchmarks.responder import responder
from tests.support.mariadb import mariadb_database
from tests.support.postgresql import database

_CASES = ((0, 20_000), (1, 20_000), (10, 20_000), (500, 2_000))
"""Numbers of a submission, and submissions. 0: one number, with its own text."""
_COLUMNS = (
    "ledger",
    "numbers",
    "submissions/s",
    "runner, ms",
    "server, ms",
    "bytes",
    "of numbers",
    "of texts",
    "log",
    "plan, ms",
    "purge, ms",
)
"""What one submission costs: CPU of the runner, of the server and of the plan, and the time of a
purge. The log is of all the server's databases."""


@contextmanager
def _ledger(kind: str) -> Iterator[str]:
    """Make a ledger for the time of a ``with`` block, and yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        addresses: Iterator[str] = {
            "sqlite": lambda: iter([f"{folder}/l.sqlite"]),
            "postgresql": database,
            "mariadb": mariadb_database,
        }[kind]()
        try:
            yield next(addresses)
        finally:
            next(addresses, None)  # drops the database


@contextmanager
def _slow_sandbox(seconds: float) -> Iterator[str]:
    command = [sys.executable, "-m", "yunxin_soap", "sandbox", "--port", "0"]
    command += ["--fault", f"delay:seconds={seconds},times=1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


def _run(ledger: str, endpoint: str, size: int, count: int, concurrency: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.scale_job", ledger, endpoint]
    command += map(str, (size, count, concurrency))
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _costs(console: Console, cases: list[tuple[int, int]], kinds: list[str]) -> None:
    for kind in kinds:
        table = Table(*_COLUMNS)
        for size, count in cases:
            with _ledger(kind) as ledger, responder() as endpoint:
                measured = _run(ledger, endpoint, size, count, 32)
            server, log = measured["server"], measured["log"]
            table.add_row(
                kind,
                str(size or "own text"),
                f"{count / measured['seconds']:.0f}",
                f"{measured['runner'] / count * 1000:.3f}",
                "" if server is None else f"{server / count * 1000:.3f}",
                f"{measured['bytes'] / count:.0f}",
                f"{measured['recipients_bytes'] / count:.0f}",
                f"{measured['content_bytes'] / count:.0f}",
                "" if log is None else f"{log / count:.0f}",
                f"{measured['planning'] / count * 1000:.3f}",
                f"{measured['purging'] / count * 1000:.3f}",
            )
        console.print(table)


def _latency(console: Console) -> None:
    table = Table("gateway's time, s", "concurrency", "submissions/s", "concurrency / time")
    for seconds, concurrency in ((0.2, 32), (0.2, 128), (1.0, 128)):
        count = max(300, int(8 * concurrency / seconds))
        with _ledger("postgresql") as ledger, _slow_sandbox(seconds) as endpoint:
            measured = _run(ledger, endpoint, 1, count, concurrency)
        rate = count / measured["seconds"]
        table.add_row(str(seconds), str(concurrency), f"{rate:.0f}", f"{concurrency / seconds:.0f}")
    console.print(table)


@click.command()
@click.option("--divide", default=1, show_default=True, help="Measure so many times less.")
@click.option("--kind", "kinds", multiple=True, default=("sqlite", "postgresql", "mariadb"))
@click.option("--latency/--no-latency", default=True, show_default=True)
def main(divide: int, kinds: tuple[str, ...], latency: bool) -> None:
    """Measure what submissions of 1, 10 and 500 numbers cost."""
    console = Console(width=140)
    _costs(console, [(size, count // divide) for size, count in _CASES], [*kinds])
    if latency:
        _latency(console)


if __name__ == "__main__":
    main()
