"""Each attack once on each database. `killing` plays as many rounds as one likes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.campaign.killing.attacks import ATTACKS
from tests.support.services import skip_or_fail


@pytest.mark.parametrize(
    ("attack", "kind"), [(name, kind) for name, attack in ATTACKS.items() for kind in attack.kinds]
)
def test_run_attacked_processes_send_nothing_twice(
    attack: str, kind: str, request: pytest.FixtureRequest
) -> None:
    """Processes that are attacked while they send, send nothing twice and lose nothing."""
    if kind != "sqlite":
        request.getfixturevalue(f"{kind}_server")
    # In a process of its own, which forks and so must have no threads.
    command = [sys.executable, "-m", "tests.integration.campaign.killing", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--attack", attack, "--database", kind],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if "skipped, " in done.stdout:
        skip_or_fail(done.stdout.partition("skipped, ")[2].splitlines()[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No number was accepted twice, and none is missing." in done.stdout
