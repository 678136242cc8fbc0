"""A campaign from its CSV file to done, beside a bare aiohttp loop over ready-made bodies.

``python -m tests.benchmarks.campaign`` measures each in processes of their own, in turn: reading
and planning, running, peak memory, the size of the ledger; in SQLite and PostgreSQL, against the
sandbox and against the responder, which does next to nothing. It writes ``docs/campaigns.json``.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tests.benchmarks.campaign_job import SIZE
from tests.benchmarks.responder import responder
from tests.support.postgresql import database

_DOCS = Path(__file__).parents[2] / "docs"
# A prime below the seven thousand million numbers that there are, and a factor that scatters them.
_PRIME, _FACTOR = 6_999_999_977, 4_398_042_316


def write_list(path: Path, count: int) -> None:
    """Write a CSV file with so many numbers, all different, in no order."""
    with path.open("w") as file:
        file.write("name,phone\n")
        file.writelines(f"u{at},{13_000_000_000 + at * _FACTOR % _PRIME}\n" for at in range(count))


def _bare_interpreter() -> float:
    """Return the peak memory of one, in MiB."""
    code = "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    return int(done.stdout) / 1024


def _in_a_process(job: str, path: str, where: str, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.campaign_job", job, path, where, url]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


@contextmanager
def _sandbox() -> Iterator[str]:
    command = [sys.executable, "-m", "yunxin_soap", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split(": ")[1].strip()
        process.terminate()


_PEERS = {"sandbox": _sandbox, "responder": responder}


def _size(where: str) -> float:
    """Return the MiB of a ledger."""
    if "://" not in where:
        return sum(each.stat().st_size for each in Path(where).parent.glob("l.sqlite*")) / 2**20
    import sqlalchemy as sa

    engine = sa.create_engine(where)
    with engine.connect() as connection:
        size = connection.scalar(sa.text("SELECT pg_database_size(current_database())"))
    engine.dispose()
    return float(size or 0) / 2**20


def _once(kind: str, path: str, url: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        servers = database() if kind == "postgresql" else iter([f"{folder}/l.sqlite"])
        where = next(servers)
        measured = _in_a_process("campaign", path, where, url)
        measured["ledger"] = _size(where)
        next(servers, None)
    return measured


def measure(counts: tuple[int, ...], rounds: int, say: Any) -> list[dict[str, Any]]:
    """Measure every combination, in turn, and return the medians."""
    bare = _bare_interpreter()
    found: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            write_list(Path(folder) / f"{count}.csv", count)
        for number in range(rounds):
            for peer, open_peer in _PEERS.items():
                for count in counts:
                    path = f"{folder}/{count}.csv"
                    for kind in ("sqlite", "postgresql"):
                        with open_peer() as url:
                            ours = _once(kind, path, url)
                            loop = _in_a_process("bare", path, "", url)
                        ours |= {"csv": loop["csv"], "loop": loop["loop"], "base": bare}
                        say(f"round {number + 1}: {peer}, {kind}, {count}: {ours}")
                        found.setdefault((peer, kind, count), []).append(ours)
    return [
        {"peer": peer, "ledger_in": kind, "numbers": count} | _row(measured, count)
        for (peer, kind, count), measured in found.items()
    ]


def _row(measured: list[dict[str, float]], count: int) -> dict[str, float]:
    def median(value: Any) -> float:
        return float(statistics.median(map(value, measured)))

    return {
        "csv_s": median(lambda each: each["csv"]),
        "loop_s": median(lambda each: each["loop"]),
        "plan_s": median(lambda each: each["plan"]),
        "run_s": median(lambda each: each["run"]),
        "submits_per_s": median(lambda each: count / SIZE / each["run"]),
        "ratio": median(lambda e: (e["plan"] + e["run"]) / (e["csv"] + e["loop"])),
        "peak_above_bare_mib": median(lambda each: each["peak"] - each["base"]),
        "ledger_mib": median(lambda each: each["ledger"]),
    }


@click.command()
@click.option("--numbers", "counts", multiple=True, type=int, default=[10**5, 10**6, 2 * 10**6])
@click.option("--rounds", default=3, show_default=True)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=_DOCS,
    help="Where campaigns.json goes.  [default: docs]",
)
def main(counts: tuple[int, ...], rounds: int, output: Path) -> None:
    """Measure campaigns of so many numbers each (100,000, 1,000,000 and 2,000,000)."""
    rows = measure(counts, rounds, Console(stderr=True, style="dim").print)
    columns = [*rows[0]]
    table = Table(*columns, title=f"Medians of {rounds} rounds")
    for row in rows:
        values = [row[name] for name in columns]
        table.add_row(*(f"{each:.2f}" if isinstance(each, float) else str(each) for each in values))
    Console(width=160).print(table)
    output.mkdir(parents=True, exist_ok=True)
    result = {"rounds": rounds, "python": sys.version.split()[0], "campaigns": rows}
    (output / "campaigns.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
