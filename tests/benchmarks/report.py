"""The figures as tables, as JSON, and as a picture of the tables."""

from __future__ import annotations

import io
import os
import platform
import re
from dataclasses import asdict, dataclass
from typing import Any

import rich._export_format
from rich import box
from rich.console import Console
from rich.table import Table

from tests.benchmarks import codec, startup
from tests.benchmarks.contenders import versions
from tests.benchmarks.measure import IN_FLIGHT, NUMBERS, Row
from tests.benchmarks.sandbox import CONNECTIONS, Capacity
from tests.benchmarks.startup import Start

WIDTH = 116
# rich would fetch its font from elsewhere.
_SVG = re.sub(
    r"\s*@font-face \{\{.*?\}\}", "", rich._export_format.CONSOLE_SVG_FORMAT, flags=re.DOTALL
)


@dataclass(frozen=True)
class Target:
    """A promise, and what was measured."""

    what: str
    value: float
    limit: float
    at_least: bool = False
    unit: str = "×"

    @property
    def kept(self) -> bool:
        """Whether it holds."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Report:
    """All figures of one run."""

    rounds: int
    submits: int
    """To the sandbox."""
    rows: list[Row]
    codec: dict[str, float]
    starts: dict[str, Start]
    capacities: dict[str, Capacity]

    def _row(self, key: str, numbers: int, in_flight: int) -> Row | None:
        for row in self.rows:
            if (row.contender.key, row.numbers, row.in_flight) == (key, numbers, in_flight):
                return row
        return None

    def _ratio(self, key: str, other: str, numbers: int, in_flight: int) -> float:
        ours, theirs = self._row(key, numbers, in_flight), self._row(other, numbers, in_flight)
        return ours.wall_us / theirs.wall_us if ours and theirs else float("nan")

    @property
    def targets(self) -> list[Target]:
        """What the project promises of its speed."""
        client, async_client = "yunxin_soap.Client, soap", "yunxin_soap.AsyncClient, soap"
        return [
            Target(
                "Client, 1 in flight: time of zeep's",
                self._ratio(client, "zeep, soap", 1, 1),
                0.45,
            ),
            Target(
                "Client, 1 in flight: time of urllib3's with ready bytes",
                self._ratio(client, "urllib3, ready bytes, soap", 1, 1),
                1.25,
            ),
            Target(
                "AsyncClient, 32 in flight: submits a second of zeep.AsyncClient's",
                self._ratio("zeep.AsyncClient, soap", async_client, 1, 32),
                10,
                at_least=True,
            ),
            Target(
                "AsyncClient, 32 in flight: time of aiohttp's with ready bytes",
                self._ratio(async_client, "aiohttp, ready bytes, soap", 1, 32),
                1.5,
            ),
            Target(
                "encode + decode: time of zeep's create_message + process_reply",
                self.codec[codec.OURS] / self.codec[codec.ZEEP],
                0.1,
            ),
            Target(
                "import yunxin_soap: above a bare interpreter",
                self.starts[startup.IMPORT].above_bare,
                40,
                unit=" ms",
            ),
        ]

    def tables(self) -> list[Table]:
        """Return everything a reader wants to see."""
        return [
            *map(self._submit_table, NUMBERS),
            self._targets_table(),
            self._codec_table(),
            self._starts_table(),
            self._capacities_table(),
        ]

    def _submit_table(self, numbers: int) -> Table:
        shape = "1 number" if numbers == 1 else f"{numbers} numbers"
        table = _table(f"One submit to {shape}: median microseconds", "")
        for in_flight in IN_FLIGHT:
            table.add_column(f"{in_flight} in flight", justify="right")
            table.add_column("CPU", justify="right", style="dim")
            table.add_column("× bare", justify="right", style="cyan")
        seen = dict.fromkeys(row.contender for row in self.rows if row.numbers == numbers)
        for contender in seen:
            cells = [contender.key]
            for in_flight in IN_FLIGHT:
                row = self._row(contender.key, numbers, in_flight)
                if row is None:
                    cells += ["", "", ""]
                    continue
                ratio = self._ratio(contender.key, contender.floor, numbers, in_flight)
                bare = "" if ratio != ratio else f"{ratio:.2f}"  # nan: there is none
                cells += [f"{row.wall_us:.0f}", f"{row.cpu_us:.0f}", bare]
            ours = contender.name.startswith("yunxin_soap")
            table.add_row(*cells, style="bold green" if ours else None)
        table.caption = (
            "CPU: of the client's process. × bare: beside the same bytes, made once, sent through"
            " urllib3 or aiohttp alone."
        )
        return table

    def _targets_table(self) -> Table:
        table = _table("Promised and measured", "", "measured", "promised", "")
        for target in self.targets:
            table.add_row(
                target.what,
                f"{target.value:.2f}{target.unit}",
                f"{'at least' if target.at_least else 'at most'} {target.limit:g}{target.unit}",
                "yes" if target.kept else "NO",
            )
        return table

    def _codec_table(self) -> Table:
        table = _table("Without a network, 1 number, SOAP 1.1", "", "median microseconds")
        for name, cost in self.codec.items():
            table.add_row(name, f"{cost:.1f}")
        return table

    def _starts_table(self) -> Table:
        table = _table("Starting", "", "median ms", "above bare")
        for name, start in self.starts.items():
            table.add_row(name, f"{start.whole:.0f}", f"{start.above_bare:.0f}")
        return table

    def _capacities_table(self) -> Table:
        table = _table(
            f"The sandbox, {CONNECTIONS} in flight, {self.submits:,} submits",
            "",
            "median microseconds",
            "× bare",
            "memory, MiB",
        )
        bare = next(iter(self.capacities.values()))
        for name, capacity in self.capacities.items():
            memory = capacity.memory_mib
            table.add_row(
                name,
                f"{capacity.microseconds:.0f}",
                f"{capacity.microseconds / bare.microseconds:.2f}",
                "" if memory is None else f"{memory:.0f}",
            )
        return table

    def as_json(self) -> dict[str, Any]:
        """Return all of it for a machine, the medians of every cell and the range of its rounds."""
        return {
            "machine": _machine(),
            "versions": versions(),
            "rounds": self.rounds,
            "submits": [
                {
                    "contender": row.contender.name,
                    "port": row.contender.port,
                    "numbers": row.numbers,
                    "in_flight": row.in_flight,
                    "wall_us": round(row.wall_us, 1),
                    "cpu_us": round(row.cpu_us, 1),
                    "submits_per_second": round(1e6 / row.wall_us),
                    "wall_us_range": [round(f(row.wall) * 1e6, 1) for f in (min, max)],
                }
                for row in self.rows
            ],
            "codec_us": {name: round(cost, 2) for name, cost in self.codec.items()},
            "start_ms": {name: round(start.whole, 1) for name, start in self.starts.items()},
            "sandbox": {
                "submits": self.submits,
                **{name: asdict(capacity) for name, capacity in self.capacities.items()},
            },
            "targets": [
                {
                    "what": target.what,
                    "measured": round(target.value, 3),
                    "at_least" if target.at_least else "at_most": target.limit,
                    "kept": target.kept,
                }
                for target in self.targets
            ],
        }

    def show(self, console: Console) -> None:
        """Print the tables."""
        for table in self.tables():
            console.print(table, "")
        software = ", ".join(f"{name} {number}" for name, number in versions().items())
        machine = _machine()
        console.print(
            f"{self.rounds} rounds; {machine['cores']} cores, {machine['python']};\n{software}",
            style="dim",
        )

    def as_svg(self) -> str:
        """Return a picture of the tables."""
        console = Console(record=True, width=WIDTH, file=io.StringIO())
        self.show(console)
        return console.export_svg(title="python -m tests.benchmarks", code_format=_SVG)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(
            column, justify="right" if number and column else "left", no_wrap=not number
        )
    return table


def _machine() -> dict[str, Any]:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {"cores": os.cpu_count(), "system": platform.system(), "python": python}
