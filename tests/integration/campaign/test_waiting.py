"""What a run does about other runners: who blocks it, for how long, and what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime, timedelta, timezone

import psutil
import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ManualRunner, transaction
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, LedgerError
from yunxin_soap.campaign import ActiveRunner, Ledger, Progress, State
from yunxin_soap.campaign.running import runner as running
from yunxin_soap.campaign.storage import dialects
from yunxin_soap.campaign.storage.runners import RunnerIdentity, RunnerReclaimed
from yunxin_soap.campaign.storage.schema import campaign, runner, submission
from yunxin_soap.sandbox import Sandbox

Manual = Callable[..., ManualRunner]
_ON_LINUX = pytest.mark.skipif(not psutil.LINUX, reason="only Linux has /proc/locks")
_BOOT, _, _NAMESPACE = RunnerIdentity.new().pid_namespace.partition("/")

_STOPS = """
import os, signal, sys
from dataclasses import replace
import sqlalchemy as sa
from yunxin_soap import Client
from yunxin_soap.campaign import Ledger
from yunxin_soap.campaign.storage import dialects
from yunxin_soap.campaign.storage.claims import Claims
from yunxin_soap.campaign.storage.runners import RunnerIdentity, RunnerReclaimed

dialects.IDLE_TIMEOUT = 1
url, gateway, namespace = sys.argv[1:]
new, exchange, exchanges = RunnerIdentity.new, Claims.exchange, []

def elsewhere():
    return replace(new(), pid_namespace=namespace)

def count(*args, **options):
    exchanges.append(options)
    return exchange(*args, **options)

def stop(connection):
    if len(exchanges) == 2:
        exchanges.append({})
        os.kill(os.getpid(), signal.SIGSTOP)  # the transaction is open, and holds its locks

RunnerIdentity.new, Claims.exchange = elsewhere, count
sa.event.listen(sa.Engine, "commit", stop)
with Ledger(url, heartbeat_timeout=2) as ledger, Client("demo", "demo", endpoint=gateway) as client:
    ledger.run("a", client)
"""


@pytest.fixture
def stopped(ledger: Ledger, ledger_url: str, sandbox: Sandbox) -> Iterator[subprocess.Popen[str]]:
    """A run of the campaign ``a``, as on another machine, that is frozen in a transaction."""
    ledger.plan("a", numbers(20), TEXT, channel=37, max_recipients=1)
    arguments = [ledger_url, sandbox.url, f"{_BOOT}/another machine"]
    with subprocess.Popen(
        [sys.executable, "-c", _STOPS, *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        yield process
        process.kill()


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_run_takes_over_from_a_runner_frozen_in_a_transaction(
    ledger: Ledger,
    ledger_url: str,
    client: Client,
    sandbox: Sandbox,
    stopped: subprocess.Popen[str],
) -> None:
    """The server ends the transaction of a frozen runner; after its thaw, it sends nothing."""
    with Ledger(ledger_url, heartbeat_timeout=2) as other:
        status = other.run("a", client)
    assert status.numbers[State.PENDING] == status.numbers[State.SUBMITTING] == 0
    assert status.numbers[State.ACCEPTED] + status.numbers[State.UNKNOWN] == 20
    arrived = len(sandbox.arrivals)
    stopped.send_signal(signal.SIGCONT)
    _, error = stopped.communicate(timeout=60)
    assert "RunnerReclaimed" in error
    assert len(sandbox.arrivals) == arrived
    assert set(sandbox.accepted_numbers.values()) == {1}


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_servers_end_idle_transactions_but_not_reads(engine: sa.Engine) -> None:
    """A transaction that idles is ended, and what streams the ledger may take its time."""
    name = (
        "@@SESSION.idle_transaction_timeout"
        if engine.dialect.name == "mysql"
        else "current_setting('idle_in_transaction_session_timeout')"
    )
    query = sa.text(f"SELECT {name}")
    limits = []
    with engine.connect() as connection:
        limits.append(connection.scalar(query))
    with engine.connect() as connection:
        dialects.read_consistently(connection)
        limits.append(connection.scalar(query))
    with engine.connect() as connection:
        limits.append(connection.scalar(query))
    assert [str(each).removesuffix("s") for each in limits] == ["30", "0", "30"]


@_ON_LINUX
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_locked_file_names_the_process_that_writes_it(
    ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that is locked says by which process."""
    monkeypatch.setattr(dialects, "BUSY_TIMEOUT", 0.1)
    script = (
        "import sqlite3, sys, time; connection = sqlite3.connect(sys.argv[1]);"
        " connection.execute('BEGIN IMMEDIATE'); print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, ledger_url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with (
            Ledger(ledger_url) as waiting,
            pytest.raises(LedgerError, match=rf"locked: process {process.pid} \(\w+"),
        ):
            waiting.plan("a", numbers(1), TEXT, channel=37)
        process.kill()


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("step", [-7200.0, 7200.0])
def test_run_clock_step_gives_up_no_live_runner(
    ledger: Ledger, manual_runner: Manual, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """A step of the machine's clock changes no lease of a ledger in a file."""
    ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=1)
    alive = manual_runner(pid_namespace=f"{_BOOT}/another container")
    alive.claim()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + step)
    assert alive.reclaim_stalled() == []
    alive.exchange(in_flight=[1])
    monkeypatch.setattr(time, "time", real)
    assert alive.reclaim_stalled() == []


@_ON_LINUX
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_run_runner_of_another_boot_is_dead(
    ledger: Ledger, ledger_url: str, client: Client, manual_runner: Manual
) -> None:
    """The machine was restarted since: the runner of a ledger in a file is dead at once."""
    ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=1)
    manual_runner(pid_namespace=f"another boot/{_NAMESPACE}").claim()
    with transaction(ledger_url) as connection:
        connection.execute(sa.update(runner).values(expires_at=1e9))
    status = ledger.run("a", client)
    assert status.submissions[State.UNKNOWN] == status.submissions[State.ACCEPTED] == 1


def waits_for(ledger: Ledger, client: Client) -> tuple[ActiveRunner, ...]:
    """Run the campaign ``a`` until it waits for other runners, and return these."""
    stop, seen = threading.Event(), []

    def on_progress(progress: Progress) -> None:
        if progress.waiting_for:
            seen.append(progress.waiting_for)
            stop.set()

    ledger.run("a", client, on_progress=on_progress, stop=stop)
    return seen[0]


def test_run_says_whose_submissions_it_waits_for(
    ledger: Ledger, client: Client, manual_runner: Manual
) -> None:
    """It names the process, its host, how many it has in flight, and when it is given up."""
    ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)
    manual_runner(host="web-3", pid=4711, pid_namespace=f"{_BOOT}/another container").claim(2)
    before = datetime.now(timezone.utc)
    (other,) = waits_for(ledger, client)
    assert (str(other), other.in_flight) == ("process 4711 on web-3", 2)
    assert abs(other.counts_as_stalled_at - before) < timedelta(seconds=60)
    assert other.counts_as_stalled_at > before
    assert [str(each) for each in ledger.status("a").runners] == ["process 4711 on web-3"]
    assert ledger.status("a").runners[0].in_flight == 2


def test_run_waits_ten_leases_for_a_process_that_lives(
    ledger: Ledger, client: Client, manual_runner: Manual
) -> None:
    """A living process of this machine is given up later than one that cannot be looked at."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    manual_runner().claim()
    (other,) = waits_for(ledger, client)
    assert other.counts_as_stalled_at > datetime.now(timezone.utc) + timedelta(seconds=300)


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_run_names_a_runner_whose_row_is_locked(
    ledger: Ledger, client: Client, engine: sa.Engine, manual_runner: Manual
) -> None:
    """A runner in the middle of a transaction is named without a wait for its lock."""
    ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=1)
    frozen = manual_runner(pid_namespace=f"{_BOOT}/another container")
    frozen.claim()
    with engine.begin() as connection:
        connection.execute(sa.update(runner).values(expires_at=1.0))
        (other,) = waits_for(ledger, client)
    assert other.in_flight == 1


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_run_names_who_may_have_locked_what_is_pending(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual
) -> None:
    """While another transaction has all that is pending, it waits a moment, and says for whom."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    manual_runner(host="web-3", pid=4711, pid_namespace=f"{_BOOT}/another container")
    waiting = manual_runner()
    with engine.begin() as connection:
        connection.execute(sa.select(submission.c.id).with_for_update())
        result = waiting.exchange(limit=1)
    assert [str(each) for each in result.waiting_for] == ["process 4711 on web-3"]
    assert result.wait
    assert waiting.exchange(limit=1).waiting_for == ()


def test_run_says_that_the_ledger_does_not_answer(
    ledger: Ledger,
    engine: sa.Engine,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A run that waits for its database says so, however long that takes, and then goes on."""
    monkeypatch.setattr(running, "_SILENCE", 0.2)
    ledger.plan("a", numbers(1), TEXT, channel=37)
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            connection.execute(sa.select(campaign).with_for_update())
            run = pool.submit(ledger.run, "a", client)
            give_up = time.monotonic() + 20
            while caplog.text.count("has not answered") < 2 and time.monotonic() < give_up:
                wait([run], 0.05)
        assert run.result(60).numbers[State.ACCEPTED] == 1
    assert caplog.text.count("has not answered") >= 2


def test_runner_whose_campaign_was_deleted_is_told_so(
    ledger: Ledger, ledger_url: str, manual_runner: Manual
) -> None:
    """A runner that was silent while its campaign was deleted is sent to no command about it."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    silent = manual_runner(pid_namespace=f"{_BOOT}/another container")
    with transaction(ledger_url) as connection:
        connection.execute(sa.update(runner).values(expires_at=1.0))
    ledger.delete("a")
    with pytest.raises(RunnerReclaimed, match="its campaign was deleted"):
        silent.exchange()
