"""A ledger's server that stops to answer: what is bounded, what is said, and how a run ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.freezing_proxy import FreezingProxy
from tests.support.lists import TEXT, numbers
from yunxin_soap import AsyncClient, Client, LedgerError
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.campaign.running import runner as running
from yunxin_soap.campaign.running.runner import Runner, RunOptions
from yunxin_soap.campaign.storage import dialects, plans
from yunxin_soap.campaign.storage.claims import Claims
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.campaign.storage.reads import Reads
from yunxin_soap.sandbox import Sandbox

on_servers = pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)

_COMMAND = """
import sys
from yunxin_soap.campaign.running import runner
runner.ABORT_TIMEOUT = 1.0
from yunxin_soap.cli import cli
cli(sys.argv[1:])
"""


def test_ledger_server_that_falls_silent_after_its_greeting_is_an_error(
    on_mariadb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server is not waited for that greets, and never completes the connection."""
    monkeypatch.setattr(dialects, "_CONNECT_TIMEOUT", 1)
    with (
        FreezingProxy(on_mariadb, only_greeting=True) as proxy,
        pytest.raises(LedgerError, match=r"cannot be used \(Can't connect .*timed out"),
    ):
        Ledger(proxy.url)


def test_ledger_mariadb_that_falls_silent_is_given_up(
    on_mariadb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that is never answered ends in an error."""
    monkeypatch.setattr(dialects, "_SILENCE_TIMEOUT", 1)
    with FreezingProxy(on_mariadb) as proxy, Ledger(proxy.url) as ledger:
        proxy.freeze()
        with pytest.raises(LedgerError, match=r"cannot be used \(.*tim"):
            ledger.campaigns()


def test_silence_is_longer_than_any_wait_for_a_lock() -> None:
    """No statement is cut that waits for a lock."""
    assert dialects._SILENCE_TIMEOUT >= 2 * plans._PLAN_LOCK_TIMEOUT > dialects.LOCK_TIMEOUT


def wait_for_arrivals(sandbox: Sandbox, count: int) -> None:
    """Wait until so many submissions have arrived."""
    give_up = time.monotonic() + 30
    while len(sandbox.arrivals) < count:
        assert time.monotonic() < give_up
        time.sleep(0.01)


@on_servers
def test_second_ctrl_c_ends_a_run_whose_ledger_is_silent(
    ledger: Ledger, ledger_url: str, client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The first Ctrl-C is answered, the second one ends the run, which says what is unknown."""
    ledger.plan("a", numbers(200), TEXT, channel=37, max_recipients=1)
    (tmp_path / "password").write_text("demo")
    with (
        sandbox.inject_fault("delay", seconds=0.05, times=None),
        FreezingProxy(ledger_url) as proxy,
    ):
        options = ["--ledger", proxy.url, "--user-code", "demo", "--endpoint", sandbox.url]
        options += ["--password-file", str(tmp_path / "password")]
        with subprocess.Popen(
            [sys.executable, "-c", _COMMAND, "campaign", "run", "a", *options],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            wait_for_arrivals(sandbox, 10)
            proxy.freeze()
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            said = ""
            while "trying for" not in said:
                said += (line := process.stderr.readline())
                assert line, said
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=30)
    assert process.returncode == 6
    assert "does not answer" in error
    assert "They may have been sent; the next run makes them unknown" in error
    status = ledger.run("a", client)
    assert status.submissions[State.ACCEPTED] + status.submissions[State.UNKNOWN] == 200
    assert status.submissions[State.UNKNOWN] > 0
    assert set(sandbox.accepted_numbers.values()) == {1}


@contextmanager
def stopping_when(sandbox: Sandbox, proxy: FreezingProxy, count: int) -> Iterator[threading.Event]:
    """Freeze a ledger once so many submissions have arrived, and stop the run then."""
    stop = threading.Event()

    def watch() -> None:
        wait_for_arrivals(sandbox, count)
        proxy.freeze()
        stop.set()

    thread = threading.Thread(target=watch)
    thread.start()
    yield stop
    thread.join()


@on_servers
def test_run_that_is_stopped_gives_up_a_silent_ledger(
    ledger: Ledger,
    ledger_url: str,
    client: Client,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A run that is to stop tries to record what has ended, for a limited time."""
    monkeypatch.setattr(running, "ABORT_TIMEOUT", 0.2)
    ledger.plan("a", numbers(100), TEXT, channel=37, max_recipients=1)
    with FreezingProxy(ledger_url) as proxy, stopping_when(sandbox, proxy, 5) as stop:
        engine = open_engine(proxy.url)
        campaign_id = Reads(engine).campaign_id("a")

        async def main() -> None:
            async with AsyncClient("demo", "demo", endpoint=sandbox.url) as sender:
                await Runner(
                    Claims(engine),
                    campaign_id,
                    sender,
                    RunOptions(),
                    stop=stop,
                    outage_timeout=1.5,
                ).run()

        with pytest.raises(LedgerError, match=r"does not answer.* makes them unknown"):
            asyncio.run(main())
        engine.dispose()
    assert "more to record what has ended" in caplog.text
    status = ledger.run("a", client)
    assert status.submissions[State.ACCEPTED] + status.submissions[State.UNKNOWN] == 100
    assert set(sandbox.accepted_numbers.values()) == {1}
