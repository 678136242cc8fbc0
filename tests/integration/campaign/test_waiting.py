"""What a run does about other runners: who blocks it, for how long, and what it says."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ManualRunner, ended, executed, transaction
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, LedgerError
from yunxin_soap.campaign import ActiveRunner, Ledger, Progress, State
from yunxin_soap.campaign.models import ClaimedSubmission
from yunxin_soap.campaign.running import decisions
from yunxin_soap.campaign.running import runner as running
from yunxin_soap.campaign.storage import dialects, runners
from yunxin_soap.campaign.storage.lock_holder import lock_holder
from yunxin_soap.campaign.storage.runners import RunnerIdentity, RunnerReclaimed
from yunxin_soap.campaign.storage.schema import campaign, runner, submission
from yunxin_soap.cli.language import translate_error, using
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
from yunxin_soap.campaign.storage import dialects, runners
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


@contextmanager
def locked(ledger_url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has locked a ledger's file, until a line comes."""
    script = (
        "import sqlite3, sys, time; connection = sqlite3.connect(sys.argv[1]);"
        " connection.execute('BEGIN IMMEDIATE'); print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, ledger_url], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@_ON_LINUX
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_locked_file_names_the_process_that_writes_it(
    ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that is locked says by which process."""
    monkeypatch.setattr(dialects, "BUSY_TIMEOUT", 0.1)
    with (
        locked(ledger_url) as process,
        Ledger(ledger_url) as waiting,
        pytest.raises(LedgerError) as caught,
    ):
        waiting.plan("a", numbers(1), TEXT, channel=37)
    name = rf"process {process.pid} \(\w+\)"
    assert re.search(rf"locked: {name} has been writing it for 0 s\)\.$", str(caught.value))
    with using("zh"):
        shown = translate_error(caught.value)
    assert re.search(rf"locked：进程 {process.pid}（\w+）已写入 0 秒）。$", shown)


@_ON_LINUX
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_locked_file_names_no_process_with_another_lock(ledger: Ledger, ledger_url: str) -> None:
    """A lock of another kind, or of another file, keeps nobody from writing, and is not shown."""
    other = Path(ledger_url).with_name("other")
    with Path(ledger_url).open("rb") as file, other.open("wb") as other_file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(other_file, fcntl.LOCK_EX)
        assert lock_holder(ledger_url) is None
        with locked(ledger_url) as process:
            assert str(lock_holder(ledger_url)).startswith(f"process {process.pid} (")


@_ON_LINUX
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_locked_file_is_not_waited_for_in_silence(
    ledger: Ledger,
    ledger_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A wait for another writer says soon for which process, and ends when that ends."""
    monkeypatch.setattr(dialects, "_SILENCE", 0.1)
    with locked(ledger_url) as process, ThreadPoolExecutor(1) as pool:
        plan = pool.submit(ledger.plan, "a", numbers(1), TEXT, channel=37)
        give_up = time.monotonic() + 20
        while "is waited for" not in caplog.text and time.monotonic() < give_up:
            wait([plan], 0.05)
        assert not plan.done()
        process.kill()
        assert plan.result(30).numbers == 1
    assert re.search(
        rf"process {process.pid} \(\w+\) writes the ledger, .* waited for", caplog.text
    )


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


@_ON_LINUX
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_run_lease_ends_after_a_restart_where_the_boot_is_not_known(
    ledger: Ledger, client: Client, manual_runner: Manual, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that hides the boot's id measures by a clock that goes on after a restart."""
    ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=1)
    monkeypatch.setattr(runners, "lease_clock", lambda: 1e6)  # the machine has run for long
    before = manual_runner(pid_namespace="")
    before.claim()
    before.exchange(in_flight=[1])
    assert before.reclaim_stalled() == []
    monkeypatch.setattr(runners, "lease_clock", lambda: 5.0)  # it was restarted
    assert before.reclaim_stalled() == []
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 31)
    assert ledger.run("a", client).submissions[State.UNKNOWN] == 1


def test_idle_runners_are_removed(
    ledger: Ledger, ledger_url: str, client: Client, manual_runner: Manual
) -> None:
    """A runner that died idle is removed by the next one; of another host, after a day."""
    ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)
    day = timedelta(days=1).total_seconds()
    elsewhere = {"pid_namespace": f"{_BOOT}/another container"}
    dead, alive = manual_runner(), manual_runner()
    silent, forgotten, busy, reclaimed = (manual_runner(**elsewhere) for _ in range(4))
    (held,) = busy.claim()
    dead.identity.end()
    with transaction(ledger_url) as connection:
        now = alive.identity.lease_time(connection, time.time())
        for each, ago in ((silent, day - 60), (forgotten, day + 60), (reclaimed, day + 60)):
            own = runner.c.id == each.identity.id
            connection.execute(sa.update(runner).where(own).values(expires_at=now - ago))
        own = runner.c.id == reclaimed.identity.id
        connection.execute(sa.update(runner).where(own).values(reclaimed_at=time.time()))
    ledger.run("a", client, stop=set_event())
    with transaction(ledger_url) as connection:
        left = set(connection.scalars(sa.select(runner.c.id)))
    assert left == {each.identity.id for each in (alive, silent, busy, reclaimed)}
    busy.exchange(ended(held, State.ACCEPTED, batch_no="1"))
    with pytest.raises(RunnerReclaimed):
        forgotten.exchange(limit=1)


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_idle_runner_that_goes_on_meanwhile_is_not_removed(
    ledger: Ledger,
    ledger_url: str,
    client: Client,
    manual_runner: Manual,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A forgotten runner that claims right before it is removed keeps what it claims."""
    ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)
    silent = manual_runner(pid_namespace=f"{_BOOT}/another container")
    with transaction(ledger_url) as connection:
        connection.execute(sa.update(runner).values(expires_at=1.0))
    is_dead, claimed = RunnerIdentity.is_dead, list[ClaimedSubmission]()

    def meanwhile(self: RunnerIdentity, **options: bool) -> bool | None:
        if self == silent.identity and not claimed:
            claimed.extend(silent.claim())
        return is_dead(self, **options)

    monkeypatch.setattr(RunnerIdentity, "is_dead", meanwhile)
    ledger.run("a", client, stop=set_event())
    silent.exchange(ended(claimed[0], State.ACCEPTED, batch_no="1"))
    assert ledger.status("a").submissions[State.ACCEPTED] == 1


def set_event() -> threading.Event:
    """Return an event that is set, for a run that is to claim nothing."""
    event = threading.Event()
    event.set()
    return event


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


@pytest.mark.parametrize("option", ["start", "hours"])
def test_run_tells_others_what_it_waits_for(ledger: Ledger, client: Client, option: str) -> None:
    """A start and sending hours are in the status and the progress that others read."""
    ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)
    hour = (datetime.now(timezone.utc).hour + 12) % 24
    options: dict[str, Any] = {"sending_hours": f"{hour:02}:00-{hour:02}:30", "timezone": "UTC"}
    if option == "start":
        options = {"start_at": datetime.now(timezone.utc) + timedelta(hours=12)}
    stop, seen = threading.Event(), []

    def on_progress(progress: Progress) -> None:
        if not stop.is_set():
            seen.append((progress, ledger.status("a").runners, ledger.progress("a")))
            assert ledger.activity("a").reason == progress.reason
            stop.set()

    ledger.run("a", client, on_progress=on_progress, stop=stop, **options)
    ((own, (runner_,), elsewhere),) = seen
    assert own.reason
    assert runner_.reason == elsewhere.reason == own.reason
    assert runner_.until == elsewhere.until
    assert own.until is not None
    assert runner_.until is not None
    assert abs(runner_.until - own.until) <= timedelta(seconds=1)


def test_run_tells_others_only_when_it_changes(ledger_url: str, client: Client) -> None:
    """However often a run looks at the ledger, it writes what it waits for once."""
    stop, reports = threading.Event(), 0

    def on_progress(_: Progress) -> None:
        nonlocal reports
        reports += 1
        if reports == 5:
            stop.set()

    start = datetime.now(timezone.utc) + timedelta(hours=12)
    with Ledger(ledger_url, heartbeat_timeout=0.3) as ledger:
        ledger.plan("a", numbers(3), TEXT, channel=37)
        with executed() as statements:
            ledger.run("a", client, start_at=start, on_progress=on_progress, stop=stop)
    assert reports >= 5
    assert sum("wait_reason=" in statement for statement, _ in statements) == 1


def test_run_tells_others_when_it_tries_again(
    ledger: Ledger, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose submissions were not sent says when it tries again."""
    monkeypatch.setattr(decisions, "FIRST_BACKOFF", 60.0)
    monkeypatch.setattr(decisions, "MAX_BACKOFF", 60.0)
    ledger.plan("a", numbers(1), TEXT, channel=37)
    stop, seen = threading.Event(), []

    def on_progress(progress: Progress) -> None:
        if progress.reason:
            seen.append((progress, ledger.status("a").runners))
            stop.set()

    with Client("demo", "demo", endpoint="http://127.0.0.1:1/", channel=37, retries=0) as client:
        ledger.run("a", client, on_progress=on_progress, stop=stop)
    progress, (runner_,) = seen[0]
    assert progress.reason == runner_.reason == "what was not sent is tried again then"
    assert runner_.until is not None
    assert timedelta(0) < runner_.until - datetime.now(timezone.utc) <= timedelta(seconds=61)


def test_progress_elsewhere_waits_only_if_all_runs_do(
    ledger: Ledger, manual_runner: Manual
) -> None:
    """A campaign with one run that sends does not wait; else the first end counts."""
    ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)
    first, second = manual_runner(), manual_runner()
    until = datetime(2100, 1, 2, tzinfo=timezone.utc)
    first.claims.runners.note_wait(first.identity, "the run starts then", until)
    assert ledger.progress("a").reason == ""
    later = until + timedelta(days=1)
    second.claims.runners.note_wait(second.identity, "it is outside the sending hours", later)
    found = ledger.progress("a")
    assert (found.reason, found.until) == ("the run starts then", until)
    first.claims.runners.note_wait(first.identity, "", None)
    assert ledger.progress("a").reason == ""
    assert {each.reason for each in ledger.activity("a").runners} == {
        "",
        "it is outside the sending hours",
    }


def test_status_names_who_left_submissions_in_flight(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual
) -> None:
    """A process that has ended is named with its count; a silent one elsewhere is stalled."""
    ledger.plan("a", numbers(5), TEXT, channel=37, max_recipients=1)
    for count in (2, 1):
        manual_runner(host="web-3").claim(count)
    manual_runner(host="web-4", pid_namespace=f"{_BOOT}/another container").claim()
    with engine.begin() as connection:
        own = runner.c.host == "web-3"
        connection.execute(sa.update(runner).where(own).values(pid=2**22 + 1))
    status = ledger.status("a")
    assert status.left_behind == {f"process {2**22 + 1} on web-3": 3}
    assert [each.is_stalled for each in status.runners] == [False]
    with engine.begin() as connection:
        connection.execute(sa.update(runner).values(expires_at=1.0))
    assert [each.is_stalled for each in ledger.activity("a").runners] == [True]


def test_run_with_nothing_left_does_not_wait(ledger: Ledger, client: Client) -> None:
    """A campaign that is done does not wait for the sending hours."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    ledger.run("a", client)
    seen: list[Progress] = []
    hour = (datetime.now(timezone.utc).hour + 12) % 24
    hours = f"{hour:02}:00-{hour:02}:30"
    ledger.run("a", client, sending_hours=hours, timezone="UTC", on_progress=seen.append)
    assert {each.reason for each in seen} == {""}


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
