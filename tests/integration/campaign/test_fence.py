"""A process that is suspended right before a request leaves, while others take over.

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
from dataclasses import dataclass

import psutil
import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ManualRunner, ended
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, OutcomeUnknown, Receipt, Submission
from yunxin_soap.campaign import DecisionName, Ledger, SubmissionRecord
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
_RESENDING: tuple[DecisionName, ...] = ("resend", "not_sent")
_VALID_FOR = 0.3
"""Seconds in which the process that is suspended must have begun its request."""

_IS_SUSPENDED = f"""
import asyncio, signal, sys, threading, time
from yunxin_soap import AsyncClient, Client
from yunxin_soap.campaign import AsyncLedger, Ledger
from yunxin_soap.campaign.running import once
from yunxin_soap.transport.http11 import Exchange

kind, where, set_back, ledger_url, gateway = sys.argv[1:]
begin, true_time = Exchange.begin, time.time

def suspend():
    # To this very thread, which could run on for a moment otherwise.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    if set_back == "set back":
        time.time = lambda: true_time() - 7200

def stopping(exchange):
    if where == "before the look":
        suspend()
    data = begin(exchange)
    if where == "after the look":
        suspend()
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


class SuspendedProcess:
    """A process that stopped itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def thaw(self) -> str:
        """Let it go on, and return what it printed at its end."""
        self.process.send_signal(signal.SIGCONT)
        output, _ = self.process.communicate(timeout=60)
        return output


@dataclass
class Case:
    """A process of one kind that is suspended, and what others do meanwhile."""

    kind: str
    ledger: Ledger
    ledger_url: str
    engine: sa.Engine
    client: Client
    sandbox: Sandbox

    @contextmanager
    def suspended(self, where: str, set_back: str = "") -> Iterator[SuspendedProcess]:
        """Start a process that sends, and wait until it is suspended for longer than its lease."""
        arguments = [self.kind, where, set_back, self.ledger_url, self.sandbox.url]
        with subprocess.Popen(
            [sys.executable, "-c", _IS_SUSPENDED, *arguments], stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                watched = psutil.Process(process.pid)
                give_up = time.monotonic() + 60
                while watched.status() != psutil.STATUS_STOPPED:
                    assert process.poll() is None, process.communicate()[0]
                    assert time.monotonic() < give_up
                    time.sleep(0.01)
                time.sleep(_VALID_FOR)  # nothing but time ends a lease
                yield SuspendedProcess(process)
            finally:
                process.kill()

    def take_over(self) -> None:
        """Let another process find out that the lease has run out, and send all that it may."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(runner).values(expires_at=1.0))
        self.send()

    def send(self) -> None:
        """Send all that may be sent."""
        if self.kind in RUNS:
            self.ledger.run("a", self.client)
            return
        try:
            self.ledger.once.send(self.client, "k", TO, TEXT)
        except OutcomeUnknown:
            assert self.ledger.once.counts()[State.UNKNOWN] == 1

    def resolve(self, decision: DecisionName, *, even_if_alive: bool = False) -> None:
        """Decide about what is unknown."""
        if self.kind in RUNS:
            self.ledger.resolve("a", decision, by="test", even_if_alive=even_if_alive)
        else:
            self.ledger.once.resolve("k", decision, by="test", even_if_alive=even_if_alive)

    def record(self) -> SubmissionRecord:
        """Return what the ledger knows of the submission that was claimed first."""
        return record_of(self.ledger)


@pytest.fixture
def case(
    kind: str, ledger: Ledger, ledger_url: str, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> Case:
    """What a process of the test's kind and others do."""
    return Case(kind, ledger, ledger_url, engine, client, sandbox)


def record_of(ledger: Ledger) -> SubmissionRecord:
    """Return what the ledger knows of the submission that was claimed first."""
    (found,) = ledger.find(TO)
    return found


class LeftThread:
    """A run that was aborted while a thread of it, which cannot be cancelled, still sends.

    Args:
        engine: the ledger's database.
        client: how to send.
    """

    def __init__(self, engine: sa.Engine, client: Client) -> None:
        self._engine, self._settings = engine, client.settings
        self.go_on = threading.Event()
        """Lets the thread send."""
        self.sent = threading.Event()
        """The thread has sent."""

    def abort_a_run(self) -> Client:
        """Run the campaign until a thread sends, and abort the run; return the thread's client."""
        began, go_on, sent = threading.Event(), self.go_on, self.sent

        class InThreads(Client):
            def submit(
                self, submission: Submission, *, valid_until: float | None = None
            ) -> Receipt:
                began.set()
                assert go_on.wait(60)
                try:
                    return super().submit(submission, valid_until=valid_until)
                finally:
                    sent.set()

        async def abort(client: Client) -> None:
            claims, campaign_id = Claims(self._engine), Reads(self._engine).campaign_id("a")
            async with sender_for(client, 1) as sender:
                one = Runner(claims, campaign_id, sender, RunOptions(concurrency=1))
                run = asyncio.create_task(one.run())
                assert await asyncio.to_thread(began.wait, 60)
                run.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await run

        client = InThreads.from_settings(self._settings)
        asyncio.run(abort(client))
        return client


@pytest.fixture
def left_thread(engine: sa.Engine, client: Client) -> Iterator[LeftThread]:
    """An aborted run whose thread still sends, once the test lets it."""
    left = LeftThread(engine, client)
    yield left
    left.go_on.set()


@pytest.fixture(autouse=True)
def planned(ledger: Ledger, request: pytest.FixtureRequest) -> None:
    """Plan the campaign, if the test has one."""
    if "kind" not in request.fixturenames or request.getfixturevalue("kind") in RUNS:
        ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)


@pytest.mark.parametrize("set_back", ["", "set back"])
@pytest.mark.parametrize("kind", RUNS + ONCE)
def test_reclaimed_process_sends_nothing_after_it_was_suspended(
    kind: str, set_back: str, case: Case, sandbox: Sandbox
) -> None:
    """It was suspended before it looked at its lease: it sends nothing, even after a resend."""
    with case.suspended("before the look", set_back) as process:
        case.take_over()
        case.resolve("resend", even_if_alive=True)
        case.send()
        assert case.record().state is State.ACCEPTED
        accepted = dict(sandbox.accepted_numbers)
        output = process.thaw()
    assert set(accepted.values()) == {1}
    assert sandbox.accepted_numbers == accepted
    if kind in ONCE:
        assert output == ""  # it returned the receipt of the other call
    else:
        assert "another one reclaimed its submissions" in output
    details = [each.detail for each in case.record().history]
    assert "resend, although its runner may be alive" in details
    assert any("valid_until" in each for each in details)


@pytest.mark.parametrize("kind", RUNS + ONCE)
def test_resend_is_refused_while_the_process_is_suspended(
    kind: str, case: Case, ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """It was suspended after that look: what it then sends is sent once, and known in the end."""
    with case.suspended("after the look") as process:
        case.take_over()
        for decision in _RESENDING:
            with pytest.raises(NotInLedger) as refused:
                case.resolve(decision)
            assert f"process {process.pid} on {socket.gethostname()}" in str(refused.value)
            assert "run this command on" in str(refused.value)
            assert "--even-if-alive" in str(refused.value)
        assert case.record().state is State.UNKNOWN
        output = process.thaw()
    case.send()
    batch_no = sandbox.arrivals[-1].result
    found = case.record()
    assert found.state is State.UNKNOWN
    assert batch_no in [each.batch_no for each in found.history]
    if kind in ONCE:
        with pytest.raises(OutcomeUnknown, match=f"late result was the batch number {batch_no}"):
            ledger.once.send(client, "k", TO, TEXT)
        assert output.startswith("OutcomeUnknown")
        assert str(batch_no) in output
    for even_if_alive in (False, True):
        with pytest.raises(NotInLedger, match=f"has accepted .* as {batch_no}"):
            case.resolve("resend", even_if_alive=even_if_alive)
    case.resolve("accepted")
    case.send()
    assert set(sandbox.accepted_numbers.values()) == {1}


@pytest.mark.parametrize("kind", RUNS + ONCE)
def test_resend_after_the_process_was_killed(
    case: Case, engine: sa.Engine, sandbox: Sandbox
) -> None:
    """Once the process has ended, which this machine can see, a resend sends it."""
    with case.suspended("after the look") as process:
        case.take_over()
        with pytest.raises(NotInLedger):
            case.resolve("resend")
        process.process.kill()
        process.process.wait()
        case.resolve("resend")
    case.send()
    assert case.record().state is State.ACCEPTED
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

    class Stopping(Client):
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
        Stopping.from_settings(settings) as stopping,
        pytest.raises(OutcomeUnknown, match="late result"),
    ):
        calling.once.send(stopping, "k", TO, TEXT)
    assert refusals or engine.dialect.name == "sqlite"
    with pytest.raises(NotInLedger, match="has accepted submission"):
        ledger.once.resolve("k", "resend", by="test")


def test_resend_is_refused_as_soon_as_a_left_thread_is_recorded(
    ledger: Ledger,
    left_thread: LeftThread,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also before the aborted run has unregistered, and if it never can."""

    def unregister(*_: object, **__: object) -> None:
        with pytest.raises(NotInLedger, match="is not known to have ended"):
            ledger.resolve("a", "resend", by="test")
        raise sa.exc.OperationalError("", {}, ConnectionError("the server is gone"))

    monkeypatch.setattr(Runners, "unregister", unregister)
    with left_thread.abort_a_run():
        with pytest.raises(NotInLedger, match="is not known to have ended"):
            ledger.resolve("a", "resend", by="test")
        assert sandbox.arrivals == ()
        left_thread.go_on.set()


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
    ledger: Ledger, left_thread: LeftThread, sandbox: Sandbox
) -> None:
    """A cancelled run cannot cancel a thread, which may still send what is unknown now."""
    with left_thread.abort_a_run():
        assert ledger.status("a").submissions[State.UNKNOWN] == 1
        with pytest.raises(NotInLedger, match="is not known to have ended"):
            ledger.resolve("a", "resend", by="test")
        left_thread.go_on.set()
        assert left_thread.sent.wait(60)
    assert sandbox.accepted_numbers == {TO: 1}
