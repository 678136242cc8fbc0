"""``campaign start --celery``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.integration.campaign.killing.processes import wait_until
from tests.integration.celery.workers import Deployment, Worker
from tests.support.lists import TEXT, numbers
from tests.support.ports import free_port
from yunxin_soap.campaign import CampaignState, Ledger

APP = "tests.integration.celery.app"


@pytest.fixture
def planned(ledger: Ledger) -> Ledger:
    """A ledger with a campaign."""
    ledger.plan("june", numbers(10), TEXT, channel=37)
    return ledger


def run(deployment: Deployment, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ``yunxin-soap campaign``."""
    return subprocess.run(
        [sys.executable, "-m", "yunxin_soap", "campaign", *arguments],
        env={**os.environ, **deployment.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_start_wakes_up_the_workers(
    deployment: Deployment, start: Callable[..., Worker], planned: Ledger
) -> None:
    """The campaign begins without a beat."""
    start("--pool", "solo")
    done = run(deployment, "start", "june", "--celery", APP)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("june is started for 2 runners")
    wait_until(lambda: planned.status("june").state is CampaignState.DONE, "it is done")


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_start_without_a_broker_starts_the_campaign(
    scheme: str, deployment: Deployment, planned: Ledger
) -> None:
    """The ledger has it, and the next sweep finds it."""
    deployment.broker_url = f"{scheme}://127.0.0.1:{free_port()}/"
    done = run(deployment, "start", "june", "--celery", APP)
    assert done.returncode == 0
    assert "No worker was woken up (" in done.stderr
    assert "): the next sweep begins it." in done.stderr
    assert planned.sweep().wanted == {"june": 2}


@pytest.mark.parametrize("name", ["nowhere", "json", "tests.integration.celery.chaos"])
def test_start_with_another_application_starts_nothing(
    name: str, deployment: Deployment, planned: Ledger
) -> None:
    """A wrong name is an error before anything is started."""
    done = run(deployment, "start", "june", "--celery", name)
    assert done.returncode == 2
    assert f"{name!r} is no Celery application" in done.stderr
    assert planned.sweep().wanted == {}
