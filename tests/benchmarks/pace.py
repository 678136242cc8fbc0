"""Measures how exactly several processes keep to one pace.

``python -m tests.benchmarks.pace`` lets four processes send one campaign at 50, 500 and 5,000
submissions a second, with a ledger in PostgreSQL and no network, and writes ``docs/pace.json``: the
mean rate, and the most that was sent in any second, each in relation to the pace. Both are of the
time in which all processes send.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.benchmarks.campaign import scattered_numbers
from tests.support.postgresql import database
from yunxin_soap.campaign import Ledger

_DOCS = Path(__file__).parents[2] / "docs"
MEAN, SECOND = 0.01, 0.10
"""The promise: how much the mean, and any second, may differ from the pace."""
_AHEAD = 0.3
"""Seconds of submissions that a process has in flight, or that wait for their slots."""


def measure(url: str, rate: float, seconds: float, processes: int) -> dict[str, float]:
    """Send at a pace by several processes, and return how exactly they kept to it."""
    count = int(rate * seconds)
    with Ledger(url) as ledger:
        ledger.plan("a", scattered_numbers(count), "您好【签名】", channel=37, max_recipients=1)
        ledger.pace.set("p", rate=rate)
    concurrency = max(32, int(rate / processes * _AHEAD))
    with tempfile.TemporaryDirectory() as folder:
        go = Path(folder) / "go"
        command = [sys.executable, "-m", "tests.benchmarks.pace_job", url, "p", str(concurrency)]
        started = [
            subprocess.Popen([*command, str(go)], stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        try:
            for each in started:
                assert each.stdout is not None
                each.stdout.readline()
            go.touch()
            answers = [json.loads(each.communicate()[0]) for each in started]
        finally:
            for each in started:
                each.kill()
    sent = [sorted(each["sent"]) for each in answers]
    assert sum(map(len, sent)) == count
    busy = [each for each in sent if each]
    begin, end = max(each[0] for each in busy), min(each[-1] for each in busy)
    times = sorted(at for each in busy for at in each if begin <= at <= end)
    return {
        "rate": rate,
        "processes": processes,
        "seconds": end - begin,
        "submissions": len(times),
        "mean": (len(times) - 1) / (times[-1] - times[0]) / rate,
        "most_in_a_second": most_in_a_second(times) / rate,
        "cpu_s": sum(each["cpu_s"] for each in answers),
    }


def most_in_a_second(times: list[float]) -> int:
    """Return the most of some times, in ascending order, in any second."""
    most = start = 0
    for index, at in enumerate(times):
        while times[start] <= at - 1:
            start += 1
        most = max(most, index - start + 1)
    return most


@click.command()
@click.option("--rate", "rates", type=float, multiple=True, default=(50.0, 500.0, 5000.0))
@click.option("--seconds", default=10.0, show_default=True, help="How long to send, about.")
@click.option("--processes", default=4, show_default=True)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=_DOCS,
    help="Folder for pace.json.  [default: docs]",
)
def main(rates: tuple[float, ...], seconds: float, processes: int, output: Path) -> None:
    """Measure how exactly several processes keep to one pace."""
    rows = [measure(url, rate, seconds, processes) for rate in rates for url in database()]
    table = Table("pace", "submissions", "mean / pace", "any second / pace", "promise", "CPU")
    for row in rows:
        keeps = abs(row["mean"] - 1) <= MEAN and row["most_in_a_second"] <= 1 + SECOND
        table.add_row(
            f"{row['rate']:g}/s × {row['processes']}",
            str(row["submissions"]),
            f"{row['mean']:.2%}",
            f"{row['most_in_a_second']:.2%}",
            "kept" if keeps else "broken",
            f"{row['cpu_s']:.1f} s",
        )
    Console().print(table)
    output.mkdir(parents=True, exist_ok=True)
    (output / "pace.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
