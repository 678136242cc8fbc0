"""A process that stands still right before a request leaves, while others take over.

It does not send once it was reclaimed. What it may have sent is not sent again before it is known
to have ended.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ManualRunner, ended
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, OutcomeUnknown, Receipt, Submission
from yunxin_soap.campaign import Ledger, SubmissionRecord
from yunxin_soap.campaign.models import State
from yunxin_soap.campaign.running.runner import Runner, RunOptions
from yunxin_soap.campaign.running.senders import sender_for
from yunxin_soap.campaign.storage.claims import Claims
from yunxin_soap.campaign.storage.reads import Reads
from yunxin_soap.campaign.storage.runners import RunnerIdentity, RunnerReclaimed, Runners
from yunxin_soap.campaign.storage.schema import runner
from yunxin_soap.errors import ConfigurationError, NotInLedger
from yunxin_soap.sandbox import Sandbox

Manual = Callable[..., ManualRunner]
RUNS = ["run", "run in threads"]
ONCE = ["once", "async once"]
TO = numbers(1)[0]
_VALID_FOR = 0.3
"""Seconds in which the process that stands still must have begun its request."""

_STANDS_STILL = f"""
import asyncio, signal, sys, threading, time
from yunxin_soap import AsyncClient, Client
from yunxin_soap.campaign import AsyncLedger, Ledger
from yunxin_soap.campaign.running import once
from yunxin_soap.transport.http11 import Exchange

kind, where, set_back, ledger_url, gateway = sys.argv[1:]
begin, true_time = Exchange.begin, time.time

def stand_still():
    # To this very thread, which could run on for a moment otherwise.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    if set_back == "set back":
        time.time = lambda: true_time() - 7200

def stopping(exchange):
    if where == "before the look":
        stand_still()
    data = begin(exchange)
    if where == "after the look":
        stand_still()
    return data

Exchange.begin = stopping

class InThreads(Client):
    def submit(self, submission, *, valid_until=None):
        return super().submit(submission, valid_until=valid_until)

async def send_async(client):
    async with AsyncLedger(ledger_url) as ledger, client:
        await ledger.once.send(client, "k", {TO!r}, {TEXT!r})

options = dict(channel=37, endpoint=gateway, retries=0)
try:
    if kind.startswith("run"):
        client = (InThreads if kind == "run in threads" else Client)("demo", "demo", **options)
        with Ledger(ledger_url, heartbeat_timeout={_VALID_FOR}) as ledger:
            ledger.run("a", client, concurrency=1)
    else:
        client = (AsyncClient if kind == "async once" else Client)("demo", "demo", **options)
        once.LEASE_MARGIN = 2 * ({_VALID_FOR} - client.total_timeout)
        if kind == "async once":
            asyncio.run(send_async(client))
        else:
            with Ledger(ledger_url) as ledger:
                ledger.once.send(client, "k", {TO!r}, {TEXT!r})
except Exception as error:
    print(type(error).__name__, error)
    sys.exit(1)
"""


class StandingStill:
    """A process that stopped itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def thaw(self) -> str:
        """Let it go on, and return what it printed at its end."""
        self.process.send_signal(signal.SIGCONT)
        output, _ = self.process.communicate(timeout=60)
        return output


@contextmanager
def standing_still(
    kind: str, where: str, ledger_url: str, sandbox: Sandbox, set_back: str = ""
) -> Iterator[StandingStill]:
    """Start a process that sends, and wait until it stands still for longer than its lease."""
    with subprocess.Popen(
        [sys.executable, "-c", _STANDS_STILL, kind, where, set_back, ledger_url, sandbox.url],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            watched = psutil.Process(process.pid)
            give_up = time.monotonic() + 60
            while watched.status() != psutil.STATUS_STOPPED:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < give_up
                time.sleep(0.01)
            time.sleep(_VALID_FOR)  # nothing but time ends a lease
            yield StandingStill(process)
        finally:
            process.kill()


def take_over(kind: str, ledger: Ledger, engine: sa.Engine, client: Client) -> None:
    """Let another process find out that the lease has run out, and send all that it may."""
    with engine.begin() as connection:
        connection.execute(sa.update(runner).values(expires_at=1.0))
    send(kind, ledger, client)


def send(kind: str, ledger: Ledger, client: Client) -> None:
    """Send all that may be sent."""
    if kind in RUNS:
        ledger.run("a", client)
        return
    try:
        ledger.once.send(client, "k", TO, TEXT)
    except OutcomeUnknown:
        assert ledger.once.counts()[State.UNKNOWN] == 1


def resolve(kind: str, ledger: Ledger, decision: str, *, even_if_alive: bool = False) -> None:
    """Decide about what is unknown."""
    options = {"by": "test", "even_if_alive": even_if_alive}
    if kind in RUNS:
        ledger.resolve("a", decision, **options)  # type: ignore[arg-type]
    else:
        ledger.once.resolve("k", decision, **options)  # type: ignore[arg-type]


def record_of(ledger: Ledger) -> SubmissionRecord:
    """Return what the ledger knows of the submission that was claimed first."""
    (found,) = ledger.find(TO)
    return found


@pytest.fixture(autouse=True)
def planned(ledger: Ledger, request: pytest.FixtureRequest) -> None:
    """Plan the campaign, if the test has one."""
    if "kind" not in request.fixturenames or request.getfixturevalue("kind") in RUNS:
        ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)


@pytest.mark.parametrize("set_back", ["", "set back"])
@pytest.mark.parametrize("kind", RUNS + ONCE)
def test_reclaimed_process_sends_nothing_after_it_stood_still(
    kind: str,
    set_back: str,
    ledger: Ledger,
    ledger_url: str,
    engine: sa.Engine,
    client: Client,
    sandbox: Sandbox,
) -> None:
    """It stood still before it looked at its lease: it sends nothing, even after a resend."""
    with standing_still(kind, "before the look", ledger_url, sandbox, set_back) as process:
        take_over(kind, ledger, engine, client)
        resolve(kind, ledger, "resend", even_if_alive=True)
        send(kind, ledger, client)
        assert record_of(ledger).state is State.ACCEPTED
        accepted = dict(sandbox.accepted_numbers)
        output = process.thaw()
    assert set(accepted.values()) == {1}
    assert sandbox.accepted_numbers == accepted
    if kind in ONCE:
        assert output == ""  # it returned the receipt of the other call
    else:
        assert "another one reclaimed its submissions" in output
    details = [each.detail for each in record_of(ledger).history]
    assert "resend, although its runner may be alive" in details
    assert any("valid_until" in each for each in details)


@pytest.mark.parametrize("kind", RUNS + ONCE)
def test_resend_is_refused_while_the_process_stands_still(
    kind: str,
    ledger: Ledger,
    ledger_url: str,
    engine: sa.Engine,
    client: Client,
    sandbox: Sandbox,
) -> None:
    """It stood still after that look: what it then sends is sent once, and known in the end."""
    with standing_still(kind, "after the look", ledger_url, sandbox) as process:
        take_over(kind, ledger, engine, client)
        for decision in ("resend", "not_sent"):
            with pytest.raises(NotInLedger) as refused:
                resolve(kind, ledger, decision)
            assert f"process {process.pid} on {socket.gethostname()}" in str(refused.value)
            assert "run this command on" in str(refused.value)
            assert "--even-if-alive" in str(refused.value)
        assert record_of(ledger).state is State.UNKNOWN
        output = process.thaw()
    send(kind, ledger, client)
    batch_no = sandbox.arrivals[-1].result
    found = record_of(ledger)
    assert found.state is State.UNKNOWN
    assert batch_no in [each.batch_no for each in found.history]
    if kind in ONCE:
        with pytest.raises(OutcomeUnknown, match=f"late result was the batch number {batch_no}"):
            ledger.once.send(client, "k", TO, TEXT)
        assert output.startswith("OutcomeUnknown")
        assert str(batch_no) in output
    for even_if_alive in (False, True):
        with pytest.raises(NotInLedger, match=f"has accepted .* as {batch_no}"):
            resolve(kind, ledger, "resend", even_if_alive=even_if_alive)
    resolve(kind, ledger, "accepted")
    send(kind, ledger, client)
    assert set(sandbox.accepted_numbers.values()) == {1}


@pytest.mark.parametrize("kind", RUNS + ONCE)
def test_resend_after_the_process_was_killed(
    kind: str,
    ledger: Ledger,
    ledger_url: str,
    engine: sa.Engine,
    client: Client,
    sandbox: Sandbox,
) -> None:
    """Once the process has ended, which this machine can see, a resend sends it."""
    with standing_still(kind, "after the look", ledger_url, sandbox) as process:
        take_over(kind, ledger, engine, client)
        with pytest.raises(NotInLedger):
            resolve(kind, ledger, "resend")
        process.process.kill()
        process.process.wait()
        resolve(kind, ledger, "resend")
    send(kind, ledger, client)
    assert record_of(ledger).state is State.ACCEPTED
    assert set(sandbox.accepted_numbers.values()) == {1}
    with engine.connect() as connection:
        assert connection.execute(sa.select(runner)).all() == []


def test_resend_is_refused_for_a_runner_of_another_machine(
    ledger: Ledger, engine: sa.Engine, client: Client, manual_runner: Manual
) -> None:
    """Only the submissions of that runner are refused, and an accepted one needs no proof."""
    here = RunnerIdentity.new()
    here.end()
    same_boot = here.pid_namespace.partition("/")[0]
    manual_runner(pid_namespace=f"{same_boot}/another", host="host-b", pid=4711).claim(2)
    first, second = (ledger.find(each)[0].submission_id for each in numbers(2))
    with engine.begin() as connection:
        connection.execute(sa.update(runner).values(expires_at=1.0))
    ledger.run("a", client)
    with pytest.raises(NotInLedger, match=r"process 4711 on host-b, .* on host-b, "):
        ledger.resolve("a", "resend", by="test")
    assert ledger.status("a").runners == ()
    with pytest.raises(ConfigurationError, match="even_if_alive"):
        ledger.resolve("a", "accepted", by="test", even_if_alive=True)
    assert ledger.resolve("a", "accepted", by="test", submission_ids=[first]) == 1
    assert ledger.resolve("a", "not_sent", by="test", even_if_alive=True) == 1
    assert ledger.find(numbers(2)[1])[0].history[-1].detail == (
        "not_sent, although its runner may be alive"
    )
    assert second != first


def test_resend_is_refused_until_the_late_result_of_a_single_send_is_noted(
    ledger: Ledger, ledger_url: str, engine: sa.Engine, client: Client
) -> None:
    """A reclaimed call that goes on is not forgotten before the ledger has its batch number."""
    refusals = []

    def resend(_connection: sa.Connection) -> None:
        with pytest.raises(NotInLedger) as refused:
            ledger.once.resolve("k", "resend", by="test")
        refusals.append(str(refused.value))

    class StandsStill(Client):
        def submit(self, submission: Submission, *, valid_until: float | None = None) -> Receipt:
            receipt = super().submit(submission, valid_until=valid_until)
            with engine.begin() as connection:
                connection.execute(sa.update(runner).values(expires_at=1.0))
                Runners(engine).reclaim_stalled(connection, None)
            if engine.dialect.name != "sqlite":  # which has one writer at a time
                sa.event.listen(calling._engine, "begin", resend)
            return receipt

    settings = client.settings
    with (
        Ledger(ledger_url) as calling,
        StandsStill.from_settings(settings) as stands_still,
        pytest.raises(OutcomeUnknown, match="late result"),
    ):
        calling.once.send(stands_still, "k", TO, TEXT)
    assert refusals or engine.dialect.name == "sqlite"
    with pytest.raises(NotInLedger, match="has accepted submission"):
        ledger.once.resolve("k", "resend", by="test")


def test_resend_is_refused_as_soon_as_a_left_thread_is_recorded(
    ledger: Ledger,
    engine: sa.Engine,
    client: Client,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also before the aborted run has unregistered, and if it never can."""
    begun, send_now = threading.Event(), threading.Event()

    class InThreads(Client):
        def submit(self, submission: Submission, *, valid_until: float | None = None) -> Receipt:
            begun.set()
            send_now.wait(60)
            return super().submit(submission, valid_until=valid_until)

    def unregister(*_: object, **__: object) -> None:
        with pytest.raises(NotInLedger, match="is not known to have ended"):
            ledger.resolve("a", "resend", by="test")
        raise sa.exc.OperationalError("", {}, ConnectionError("the server is gone"))

    async def abort(client: Client) -> None:
        claims = Claims(engine)
        async with sender_for(client, 1) as sender:
            run = asyncio.create_task(Runner(claims, 1, sender, RunOptions(concurrency=1)).run())
            await asyncio.to_thread(begun.wait, 60)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run

    monkeypatch.setattr(Runners, "unregister", unregister)
    with InThreads.from_settings(client.settings) as in_threads:
        asyncio.run(abort(in_threads))
        with pytest.raises(NotInLedger, match="is not known to have ended"):
            ledger.resolve("a", "resend", by="test")
        assert sandbox.arrivals == ()
        send_now.set()


def test_last_exchange_of_a_left_thread_is_safe_to_repeat(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual
) -> None:
    """If its answer is lost, the second one adds nothing."""
    manual = manual_runner()
    (claimed,) = manual.claim()
    endings = [ended(claimed, State.UNKNOWN, reason="left")]
    for _ in range(2):
        manual.claims.exchange(
            manual.identity, 1, endings=endings, in_flight=(), limit=0, may_still_send=True
        )
    assert [each.after for each in record_of(ledger).history] == [State.SUBMITTING, State.UNKNOWN]
    late = [ended(claimed, State.ACCEPTED, batch_no="7")]
    with pytest.raises(RunnerReclaimed):
        manual.claims.exchange(
            manual.identity, 1, endings=late, in_flight=(), limit=0, may_still_send=True
        )
    assert record_of(ledger).history[-1].batch_no == "7"


def test_resend_of_what_a_runner_recorded_itself_is_not_refused(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A runner that recorded its submission as unknown has ended it."""
    sandbox.inject_fault("close")
    ledger.run("a", client)
    assert ledger.resolve("a", "resend", by="test") == 1


def test_resend_is_refused_for_a_thread_that_was_left(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """A cancelled run cannot cancel a thread, which may still send what is unknown now."""
    began, go_on, sent = threading.Event(), threading.Event(), threading.Event()

    class Slow(Client):
        def submit(self, submission: Submission, *, valid_until: float | None = None) -> Receipt:
            began.set()
            assert go_on.wait(60)
            try:
                return super().submit(submission, valid_until=valid_until)
            finally:
                sent.set()

    async def cancel_a_run(slow: Client) -> None:
        async with sender_for(slow, 1) as sender:
            campaign_id = Reads(engine).campaign_id("a")
            one = Runner(Claims(engine), campaign_id, sender, RunOptions(concurrency=1))
            run = asyncio.create_task(one.run())
            assert await asyncio.to_thread(began.wait, 60)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run

    with Slow.from_settings(client.settings) as slow:
        try:
            asyncio.run(cancel_a_run(slow))
            assert ledger.status("a").submissions[State.UNKNOWN] == 1
            with pytest.raises(NotInLedger, match="is not known to have ended"):
                ledger.resolve("a", "resend", by="test")
        finally:
            go_on.set()
        assert sent.wait(60)
    assert sandbox.accepted_numbers == {TO: 1}
