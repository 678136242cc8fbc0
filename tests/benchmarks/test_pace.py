"""The benchmark of a pace runs; no test checks how exactly a busy machine keeps to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.pace import most_in_a_second


def test_pace_benchmark_writes_what_it_measured(tmp_path: Path, postgresql_server: None) -> None:
    """A small run prints its table, and writes the same as JSON."""
    command = [sys.executable, "-m", "tests.benchmarks.pace", "--rate=40", "--seconds=1"]
    done = subprocess.run(
        [*command, "--processes=2", "--output", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "pace.json").read_text())
    assert (row["rate"], row["processes"]) == (40.0, 2)
    assert row["mean"] > 0
    assert "40/s × 2" in done.stdout


def test_most_in_a_second_counts_a_sliding_window() -> None:
    """The second that counts may begin at any time."""
    assert most_in_a_second([0.0, 0.6, 0.9, 1.3, 1.5, 3.0]) == 4
    assert most_in_a_second([0.0, 1.0, 2.0]) == 1
