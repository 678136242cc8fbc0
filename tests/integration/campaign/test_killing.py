"""A few of the campaigns of `killing`, which makes as many as one likes."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_run_killed_processes_send_nothing_twice(kind: str, request: pytest.FixtureRequest) -> None:
    """Campaigns whose processes are killed send nothing twice and lose nothing."""
    if kind == "postgresql":
        request.getfixturevalue("postgresql_server")
    # In a process of its own, which forks and so must have no threads.
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.campaign.killing", "--runs", "4", "--kind", kind],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No number was accepted twice, and none is missing." in done.stdout
    assert "submissions in flight" in done.stdout
