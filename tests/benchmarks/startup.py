"""Measures how long commands take to start, each in a new process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

BARE = "python, nothing imported"
IMPORT = "import yunxin_soap"

_COMMANDS = {
    BARE: ["-c", ""],
    IMPORT: ["-c", "import yunxin_soap"],
    "yunxin-soap --help": ["-m", "yunxin_soap", "--help"],
    "the first Client, built": ["-c", "from yunxin_soap import Client; Client('demo', 'demo')"],
    "import zeep": ["-c", "import zeep"],
    "import aiohttp": ["-c", "import aiohttp"],
}


@dataclass(frozen=True)
class Start:
    """Median milliseconds of one command."""

    total: float
    above_bare: float
    """More than a Python that imports nothing."""


def measure_starts(*, runs: int) -> dict[str, Start]:
    """Run each command that many times, in turn, and return the medians."""
    times: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(runs):
        for name, arguments in _COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            times[name].append((time.perf_counter() - start) * 1e3)
    bare = statistics.median(times[BARE])
    return {
        name: Start(statistics.median(values), statistics.median(values) - bare)
        for name, values in times.items()
    }
