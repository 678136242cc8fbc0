"""Measures a campaign from CSV file to end, beside the csv module and a bare asyncio loop.

The loop sends prepared requests on the transport that the campaign uses, as many at once.

``python -m tests.benchmarks.campaign`` measures planning, running, where their time goes, peak
memory and the size of the ledger, each job in a process of its own: in SQLite and PostgreSQL,
against the sandbox and against the minimal responder. It writes ``docs/campaigns.json``.
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
# A prime below the seven thousand million possible numbers, and a factor that scatters them.
_PRIME, _FACTOR = 6_999_999_977, 4_398_042_316


def scattered_numbers(count: int) -> Iterator[str]:
    """Return that many distinct numbers in scattered order, which do not compress well."""
    return (str(13_000_000_000 + at * _FACTOR % _PRIME) for at in range(count))


def write_list(path: Path, count: int) -> None:
    """Write a CSV file with that many distinct numbers in scattered order."""
    with path.open("w") as file:
        file.write("name,phone\n")
        file.writelines(f"u{at},{number}\n" for at, number in enumerate(scattered_numbers(count)))


def _bare_interpreter_memory() -> float:
    """Return the peak memory of a Python that imports nothing, in MiB."""
    code = "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    return int(done.stdout) / 1024


def _run_job(job: str, path: str, ledger: str, endpoint: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.campaign_job", job, path, ledger, endpoint]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


@contextmanager
def _sandbox() -> Iterator[str]:
    command = [sys.executable, "-m", "yunxin_soap", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
        process.terminate()


_PARTS = {
    "read_s": "read",
    "check_s": "check",
    "write_s": "write",
    "busy_s": "busy",
    "codec_s": "codec",
    "waits_s": "idle",
    "ledger_s": "ledger",
    "commits_s": "commit",
    "exchanges": "exchanges",
    "bare_waits_s": "loop_idle",
}
"""The columns of the second table.

Planning reads the list, checks and groups its numbers, and writes the ledger. In a run, the event
loop is busy (a part of that is the codec: encoding and decoding), or it waits. Beside it, a thread
exchanges endings for the next submissions with the ledger, and commits in each exchange.
"""
_GATEWAYS = {"sandbox": _sandbox, "responder": responder}


def _ledger_size(ledger: str) -> float:
    """Return the size of a ledger in MiB."""
    if "://" not in ledger:
        return sum(each.stat().st_size for each in Path(ledger).parent.glob("l.sqlite*")) / 2**20
    import sqlalchemy as sa

    engine = sa.create_engine(ledger)
    with engine.connect() as connection:
        size = connection.scalar(sa.text("SELECT pg_database_size(current_database())"))
    engine.dispose()
    return float(size or 0) / 2**20


def _measure_campaign(ledger_kind: str, path: str, endpoint: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        ledgers = database() if ledger_kind == "postgresql" else iter([f"{folder}/l.sqlite"])
        ledger = next(ledgers)
        measured = _run_job("campaign", path, ledger, endpoint)
        measured["ledger_mib"] = _ledger_size(ledger)
        next(ledgers, None)  # drops the database
    return measured


def measure(counts: tuple[int, ...], rounds: int, log: Any) -> list[dict[str, Any]]:
    """Measure every combination, round by round, and return the medians."""
    base = _bare_interpreter_memory()
    results: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            write_list(Path(folder) / f"{count}.csv", count)
        for number in range(rounds):
            for gateway, open_gateway in _GATEWAYS.items():
                for count in counts:
                    path = f"{folder}/{count}.csv"
                    for kind in ("sqlite", "postgresql"):
                        with open_gateway() as endpoint:
                            ours = _measure_campaign(kind, path, endpoint)
                            loop = _run_job("bare", path, "", endpoint)
                        ours |= {"loop_peak": loop.pop("peak"), "base": base} | loop
                        log(f"round {number + 1}: {gateway}, {kind}, {count}: {ours}")
                        results.setdefault((gateway, kind, count), []).append(ours)
    return [
        {"gateway": gateway, "ledger": kind, "numbers": count} | _row(measured, count)
        for (gateway, kind, count), measured in results.items()
    ]


def _row(measured: list[dict[str, float]], count: int) -> dict[str, Any]:
    def median(value: Any) -> float:
        return float(statistics.median(map(value, measured)))

    return {
        "csv_s": median(lambda each: each["csv"]),
        "loop_s": median(lambda each: each["loop"]),
        "open_s": median(lambda each: each["open"]),
        "plan_s": median(lambda each: each["plan"]),
        "run_s": median(lambda each: each["run"]),
        "submissions_per_s": median(lambda each: count / SIZE / each["run"]),
        "ratio": median(lambda e: (e["plan"] + e["run"]) / (e["csv"] + e["loop"])),
        "peak_above_bare_mib": median(lambda each: each["peak"] - each["base"]),
        "ledger_mib": median(lambda each: each["ledger_mib"]),
        "parts": {
            name: median(lambda each, part=part: each[part]) for name, part in _PARTS.items()
        },
    }


def _tables(rows: list[dict[str, Any]], rounds: int) -> Iterator[Table]:
    about = ["gateway", "ledger", "numbers"]
    results = [{name: row[name] for name in row if name != "parts"} for row in rows]
    parts = [{name: row[name] for name in about} | row["parts"] for row in rows]
    for title, shown in (
        (f"Medians of {rounds} rounds", results),
        ("Where the time goes", parts),
    ):
        table = Table(*shown[0], title=title)
        for row in shown:
            table.add_row(*(f"{v:.2f}" if isinstance(v, float) else str(v) for v in row.values()))
        yield table


@click.command()
@click.option("--numbers", "counts", multiple=True, type=int, default=[10**5, 10**6, 2 * 10**6])
@click.option("--rounds", default=3, show_default=True)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=_DOCS,
    help="Folder for campaigns.json.  [default: docs]",
)
def main(counts: tuple[int, ...], rounds: int, output: Path) -> None:
    """Measure campaigns of these sizes (100,000, 1,000,000 and 2,000,000 numbers)."""
    rows = measure(counts, rounds, Console(stderr=True, style="dim").print)
    console = Console(width=160)
    for table in _tables(rows, rounds):
        console.print(table)
    output.mkdir(parents=True, exist_ok=True)
    result = {"rounds": rounds, "python": sys.version.split()[0], "campaigns": rows}
    (output / "campaigns.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
