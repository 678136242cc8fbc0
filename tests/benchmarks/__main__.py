"""The command: runs all benchmarks, prints tables, and writes benchmarks.json and .svg."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from tests.benchmarks import chart, report
from tests.benchmarks.codec import measure_codec
from tests.benchmarks.measure import measure
from tests.benchmarks.sandbox import measure_servers
from tests.benchmarks.startup import measure_starts

_DOCS = Path(__file__).parents[2] / "docs"


@click.command()
@click.option(
    "--rounds", default=15, show_default=True, help="Rounds; each contender has one turn a round."
)
@click.option("--turn", default=0.15, show_default=True, help="Approximate seconds of one turn.")
@click.option(
    "--starts", "runs", default=20, show_default=True, help="How often to start each command."
)
@click.option(
    "--submissions", default=100_000, show_default=True, help="Submissions to the sandbox."
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=_DOCS,
    help="Folder for benchmarks.json, benchmarks.svg and speed.svg.  [default: docs]",
)
def main(rounds: int, turn: float, runs: int, submissions: int, output: Path) -> None:
    """Measure a submission beside other clients, the bare HTTP libraries and bare sockets.

    PHP's SoapClient and Node's soap take part if they are installed.
    """
    progress = Console(stderr=True, style="dim")
    rows = measure(rounds=rounds, turn=turn, log=progress.print)
    progress.print("encoding and decoding")
    codec_times = measure_codec(rounds=rounds)
    progress.print("starting processes")
    start_times = measure_starts(runs=runs)
    progress.print("the sandbox")
    servers = measure_servers(rounds=rounds, submissions=submissions)
    result = report.Report(rounds, submissions, rows, codec_times, start_times, servers)
    result.show(Console(width=report.WIDTH))
    output.mkdir(parents=True, exist_ok=True)
    (output / "benchmarks.json").write_text(json.dumps(result.as_json(), indent=1) + "\n")
    (output / "benchmarks.svg").write_text(result.as_svg() + "\n", "utf-8")
    (output / "speed.svg").write_text(chart.draw(result.as_json()), "utf-8")


if __name__ == "__main__":
    main()
