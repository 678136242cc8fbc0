"""A short campaign on each broker and database. `chaos` sends as long ones as one likes."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from tests.integration.celery.chaos import BROKERS, missing
from tests.support.services import skip_or_fail


@pytest.mark.parametrize(
    ("broker", "database"),
    [("redis", "postgresql"), ("rabbitmq", "mariadb")],
)
def test_killed_workers_send_nothing_twice_and_lose_nothing(broker: str, database: str) -> None:
    """Nothing is sent twice, whatever ends: workers, broker, database and responses."""
    assert broker in BROKERS
    if why := missing(broker, database):
        skip_or_fail(why)
    # In a process of its own, which forks and so must have no threads.
    command = [sys.executable, "-m", "tests.integration.celery.chaos", "--numbers", "2000"]
    command += ["--size", "2", "--pause", "0.5", "--seed", str(random.randrange(1000))]
    done = subprocess.run(
        [*command, "--broker", broker, "--database", database],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accepted twice 0, missing 0" in done.stdout
    for attack in ("kill", "kill child", "shut down", "restart broker", "restart database"):
        assert f" x {attack}" in done.stdout
