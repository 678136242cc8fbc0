"""The command: measures, prints tables, and writes the JSON and the picture."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from tests.benchmarks import report
from tests.benchmarks.codec import costs
from tests.benchmarks.measure import measure
from tests.benchmarks.responder import responder
from tests.benchmarks.sandbox import capacities
from tests.benchmarks.startup import starts

_DOCS = Path(__file__).parents[2] / "docs"


@click.command()
@click.option("--rounds", default=15, show_default=True, help="Turns for each contender.")
@click.option("--turn", default=0.15, show_default=True, help="Seconds of one turn, about.")
@click.option("--starts", "runs", default=20, show_default=True, help="Runs of each start.")
@click.option("--submits", default=100_000, show_default=True, help="To the sandbox itself.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=_DOCS,
    help="Where benchmarks.json and benchmarks.svg go.  [default: docs]",
)
def main(rounds: int, turn: float, runs: int, submits: int, output: Path) -> None:
    """Measure what a submit costs, beside other clients and the bare exchange.

    PHP's SoapClient and Node's soap take part if they are installed.
    """
    progress = Console(stderr=True, style="dim")
    with responder() as url:
        rows = measure(url, rounds=rounds, turn=turn, say=progress.print)
    progress.print("encoding and decoding")
    codec = costs(rounds=rounds)
    progress.print("starting")
    started = starts(runs=runs)
    progress.print("the sandbox")
    capacity = capacities(rounds=rounds, submits=submits)
    result = report.Report(rounds, submits, rows, codec, started, capacity)
    result.show(Console(width=report.WIDTH))
    output.mkdir(parents=True, exist_ok=True)
    (output / "benchmarks.json").write_text(json.dumps(result.as_json(), indent=1) + "\n")
    (output / "benchmarks.svg").write_text(result.as_svg() + "\n", "utf-8")


if __name__ == "__main__":
    main()
