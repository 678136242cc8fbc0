"""Formats the results as tables, as JSON, and as a picture of the tables."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tests.benchmarks import codec, startup
from tests.benchmarks.contenders import BARE_PROTOCOL, BARE_SOCKET, versions
from tests.benchmarks.measure import CONCURRENCY, NUMBERS, Row
from tests.benchmarks.sandbox import CONNECTIONS, ServerResult
from tests.benchmarks.startup import Start
from tests.support import terminal_picture

WIDTH = 116


@dataclass(frozen=True)
class Target:
    """A promised limit, and the measured value."""

    name: str
    value: float | None
    """None if a program that the limit is about is not installed."""
    limit: float
    at_least: bool = False
    unit: str = "×"

    @property
    def within_limit(self) -> bool | None:
        """Whether the value is within the limit; None if it was not measured."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True)
class Report:
    """All results of one run."""

    rounds: int
    submissions: int
    """Sent to the sandbox."""
    rows: list[Row]
    codec: dict[str, float]
    starts: dict[str, Start]
    servers: dict[str, ServerResult]

    def _row(self, key: str, numbers: int, concurrency: int) -> Row | None:
        for row in self.rows:
            if (row.contender.key, row.numbers, row.concurrency) == (key, numbers, concurrency):
                return row
        return None

    def _ratio(self, key: str, other: str, numbers: int, concurrency: int) -> float | None:
        ours, theirs = self._row(key, numbers, concurrency), self._row(other, numbers, concurrency)
        return ours.wall_us / theirs.wall_us if ours and theirs else None

    @property
    def targets(self) -> list[Target]:
        """The limits that the project promises, and the measured values."""
        client, async_client = "yunxin_soap.Client, soap", "yunxin_soap.AsyncClient, soap"
        socket, protocol = f"{BARE_SOCKET}, soap", f"{BARE_PROTOCOL}, soap"
        return [
            Target(
                "Client, × 1: time relative to PHP's SoapClient",
                self._ratio(client, "PHP SoapClient, soap", 1, 1),
                1.6,
            ),
            Target(
                "Client, × 1: time relative to a bare socket",
                self._ratio(client, socket, 1, 1),
                2.2,
            ),
            Target(
                "Client, × 1: time relative to zeep",
                self._ratio(client, "zeep, soap", 1, 1),
                0.08,
            ),
            Target(
                "AsyncClient, × 32: time relative to a bare asyncio.Protocol",
                self._ratio(async_client, protocol, 1, 32),
                2.6,
            ),
            Target(
                "AsyncClient, × 32: submissions a second relative to zeep.AsyncClient",
                self._ratio("zeep.AsyncClient, soap", async_client, 1, 32),
                40,
                at_least=True,
            ),
            Target(
                "Client, × 8: time relative to urllib3 with prepared bytes",
                self._ratio(client, "urllib3, prepared bytes, soap", 1, 8),
                0.5,
            ),
            Target(
                "Client, × 1, 500 numbers: time relative to urllib3 with prepared bytes",
                self._ratio(client, "urllib3, prepared bytes, soap", 500, 1),
                0.55,
            ),
            Target(
                "AsyncClient, × 32, 500 numbers: time relative to aiohttp with prepared bytes",
                self._ratio(async_client, "aiohttp, prepared bytes, soap", 500, 32),
                1.18,
            ),
            Target(
                "encode + decode: time relative to zeep's own",
                self.codec[codec.OURS] / self.codec[codec.ZEEP],
                0.1,
            ),
            Target(
                "send() without a network: time relative to zeep's own",
                self.codec[codec.SEND] / self.codec[codec.ZEEP],
                0.037,
            ),
            Target(
                "send() without a network, 500 numbers: time a number",
                self.codec[codec.SEND_MANY] / codec.MANY,
                0.15,
                unit=" µs",
            ),
            Target(
                "import yunxin_soap: time above a bare interpreter",
                self.starts[startup.IMPORT].above_bare,
                40,
                unit=" ms",
            ),
        ]

    def tables(self) -> list[Table]:
        """Return all results as tables."""
        return [
            *map(self._submission_table, NUMBERS),
            self.targets_table(),
            self._codec_table(),
            self._starts_table(),
            self._servers_table(),
        ]

    def _submission_table(self, numbers: int) -> Table:
        shape = "1 number" if numbers == 1 else f"{numbers} numbers"
        table = _table(f"One submission to {shape}: time relative to the limit", "")
        for concurrency in CONCURRENCY:
            table.add_column(f"× {concurrency}", justify="right", style="bold")
            table.add_column("µs", justify="right", style="dim")
            table.add_column("CPU", justify="right", style="dim")
        # Each concurrency has contenders of its own.
        seen = {row.contender.key: row.contender for row in self.rows if row.numbers == numbers}
        for contender in seen.values():
            cells = [contender.key]
            for concurrency in CONCURRENCY:
                row = self._row(contender.key, numbers, concurrency)
                if row is None:
                    cells += ["", "", ""]
                    continue
                ratio = self._ratio(contender.key, contender.limit, numbers, concurrency)
                bare = "" if ratio is None else f"{ratio:.2f}"
                cells += [bare, f"{row.wall_us:.0f}", f"{row.cpu_us:.0f}"]
            ours = contender.name.startswith("yunxin_soap")
            table.add_row(*cells, style="bold green" if ours else None)
        table.caption = (
            "× 8: eight submissions at once; time relative to a bare socket or, for asynchronous"
            " clients, to a bare asyncio.Protocol, which do no more than exchange the same bytes."
            " µs: median microseconds. CPU: microseconds of CPU time of the client's process."
            " × 1 runs on one CPU, together with the responder."
        )
        return table

    def targets_table(self) -> Table:
        """Return the promised limits as a table."""
        table = _table("Promised limits", "", "measured", "promised", "")
        for target in self.targets:
            table.add_row(
                target.name,
                "not measured" if target.value is None else f"{target.value:.3g}{target.unit}",
                f"{'at least' if target.at_least else 'at most'} {target.limit:g}{target.unit}",
                {True: "yes", False: "NO", None: ""}[target.within_limit],
            )
        return table

    def _codec_table(self) -> Table:
        table = _table("Without a network, SOAP 1.1", "", "median microseconds")
        for name, cost in self.codec.items():
            table.add_row(name, f"{cost:.1f}")
        return table

    def _starts_table(self) -> Table:
        table = _table("Starting", "", "median ms", "above bare")
        for name, start in self.starts.items():
            table.add_row(name, f"{start.total:.0f}", f"{start.above_bare:.0f}")
        return table

    def _servers_table(self) -> Table:
        table = _table(
            f"The sandbox: {self.submissions:,} submissions over {CONNECTIONS} connections",
            "",
            "median microseconds",
            "vs. bare",
            "memory, MiB",
        )
        bare = next(iter(self.servers.values()))
        for name, server in self.servers.items():
            memory = server.memory_mib
            table.add_row(
                name,
                f"{server.microseconds:.0f}",
                f"{server.microseconds / bare.microseconds:.2f}",
                "" if memory is None else f"{memory:.0f}",
            )
        return table

    def as_json(self) -> dict[str, Any]:
        """Return all results as JSON values: medians, and the range of the rounds."""
        return {
            "machine": _machine(),
            "versions": versions(),
            "rounds": self.rounds,
            "submissions": [
                {
                    "contender": row.contender.name,
                    "protocol": row.contender.protocol,
                    "numbers": row.numbers,
                    "concurrency": row.concurrency,
                    "wall_us": round(row.wall_us, 1),
                    "cpu_us": round(row.cpu_us, 1),
                    "submissions_per_second": round(1e6 / row.wall_us),
                    "wall_us_range": [round(f(row.wall) * 1e6, 1) for f in (min, max)],
                }
                for row in self.rows
            ],
            "codec_us": {name: round(cost, 2) for name, cost in self.codec.items()},
            "start_ms": {name: round(start.total, 1) for name, start in self.starts.items()},
            "sandbox": {
                "submissions": self.submissions,
                **{name: asdict(server) for name, server in self.servers.items()},
            },
            "targets": [
                {
                    "name": target.name,
                    "measured": None if target.value is None else round(target.value, 4),
                    "at_least" if target.at_least else "at_most": target.limit,
                    "within_limit": target.within_limit,
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
        """Return the tables as an SVG picture."""
        return terminal_picture.draw(self.show, WIDTH, "python -m tests.benchmarks")


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
