"""What Celery's instrumentation exports of our tasks: names, ids and times, and no secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from opentelemetry.instrumentation.celery import CeleryInstrumentor

from tests.integration.telemetry.conftest import KEY, TEXT, Exported
from tests.support.lists import numbers
from tests.support.secret_detector import NUMBERS, PASSWORD
from yunxin_soap import BalanceRejected, Client
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.celery import run_campaign, send, setup, sweep
from yunxin_soap.sandbox import Account, Sandbox
from yunxin_soap.telemetry import instrument

# Its constructor has no annotations.
INSTRUMENTOR: Any = CeleryInstrumentor


@pytest.fixture
def app(tmp_path: Path, sandbox: Sandbox) -> Iterator[Celery]:
    """An application with a broker in memory, whose tasks send to the sandbox."""
    sandbox.add_account(Account("celery", PASSWORD))
    app = Celery("telemetry", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.set_default()
    setup(
        app,
        ledger=lambda: Ledger(tmp_path / "ledger.sqlite"),
        client=lambda: Client(
            "celery", PASSWORD, endpoint=sandbox.url, channel="37", protocol="http-get", retries=0
        ),
        slice_seconds=2.0,
        sweep_interval=60.0,
    )
    yield app
    app.close()


def test_celery_exports_no_secret(
    app: Celery, sandbox: Sandbox, exported: Exported, tmp_path: Path
) -> None:
    """Spans of publishing and of running our tasks show neither key, number, text nor password."""
    ours = instrument(**exported.providers)
    INSTRUMENTOR().instrument(skip_dep_check=True, **exported.providers)
    try:
        with (
            Ledger(tmp_path / "ledger.sqlite") as ledger,
            start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30.0),
        ):
            ledger.once.enqueue(KEY, NUMBERS[0], TEXT, channel=37)
            assert send.delay(KEY).get(timeout=30)
            ledger.once.enqueue(f"{KEY}-2", NUMBERS[1], TEXT, channel=37)
            with (
                sandbox.inject_fault("code", code="-7"),
                pytest.raises(BalanceRejected),
            ):
                send.delay(f"{KEY}-2").get(timeout=30)
            ledger.plan("autumn", numbers(10), TEXT, channel=37, max_recipients=5)
            ledger.start("autumn", workers=1)
            run_campaign.delay("autumn")
            sweep.delay()
            while ledger.status("autumn").submissions[State.ACCEPTED] < 2:
                ledger.sweep()
    finally:
        INSTRUMENTOR().uninstrument()
        ours.remove()
    names = {each.name for each in exported.spans}
    for task in ("send", "run_campaign", "work", "sweep"):
        assert {f"apply_async/yunxin_soap.{task}", f"run/yunxin_soap.{task}"} <= names
    assert "sendMesExt" in names
    exported.assert_harmless()


def test_celery_would_show_what_an_error_says(app: Celery, exported: Exported) -> None:
    """A task of the application's own shows the text of its error: the other test would notice."""

    @app.task
    def broken() -> None:
        raise RuntimeError(KEY)

    INSTRUMENTOR().instrument(skip_dep_check=True, **exported.providers)
    try:
        assert broken.apply().failed()
    finally:
        INSTRUMENTOR().uninstrument()
    with pytest.raises(AssertionError, match=KEY):
        exported.assert_harmless()
