"""Each committed order's notice is accepted once or unknown, and none of a rolled-back one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.campaign.killing.servers import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_orders_and_notices_of_killed_processes(kind: str, request: pytest.FixtureRequest) -> None:
    """Shops and workers that are killed at random lose no notice and send none twice."""
    if kind != "sqlite":
        request.getfixturevalue(f"{kind}_server")
    # In a process of its own, which forks and so must have no threads.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.integration.campaign.outbox_chaos"),
            *("--orders", "120", "--database", kind),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kind}: 120 orders" in done.stdout
    assert "mistakes 0" in done.stdout
