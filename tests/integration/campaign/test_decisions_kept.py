"""What the ledger keeps of endings and decisions: states, the history, and times."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ManualRunner, ended, transaction, wait_for_locks
from tests.support.lists import TEXT, numbers
from tests.support.ports import free_port
from yunxin_soap import (
    AsyncClient,
    Client,
    ConfigurationError,
    ContentConflict,
    ContentRejected,
    LedgerError,
    NotInLedger,
    NotSent,
    OutcomeUnknown,
)
from yunxin_soap.campaign import AsyncLedger, CampaignState, Ledger, Progress, State
from yunxin_soap.campaign.models import ALLOWED, Ending, Pause
from yunxin_soap.campaign.running.once import OnceSends
from yunxin_soap.campaign.running.runner import Runner, RunOptions
from yunxin_soap.campaign.running.senders import ThreadSender
from yunxin_soap.campaign.storage.admin import Admin
from yunxin_soap.campaign.storage.claims import ClaimResult, Claims
from yunxin_soap.campaign.storage.dialects import ledger_time
from yunxin_soap.campaign.storage.reads import Reads
from yunxin_soap.campaign.storage.runners import RunnerIdentity
from yunxin_soap.campaign.storage.schema import campaign, history, runner, submission
from yunxin_soap.campaign.storage.singles import Singles
from yunxin_soap.campaign.storage.transitions import decide
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.transport.sync import HttpTransport

Manual = Callable[..., ManualRunner]
TO = "13900000000"
HOUR = 3600.0


@pytest.fixture
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set this machine's clock one hour ahead."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + HOUR)


def all_unknown(ledger: Ledger, client: Client, sandbox: Sandbox, name: str) -> None:
    """Plan and run a campaign whose one submission ends unknown."""
    ledger.plan(name, numbers(3), TEXT, channel=37)
    sandbox.inject_fault("close", when="before")
    assert ledger.run(name, client).numbers[State.UNKNOWN] == 3


def test_run_banned_word_is_recorded(ledger: Ledger, engine: sa.Engine, client: Client) -> None:
    """A campaign records the banned word of a -6, as a single send does."""
    ledger.plan("a", numbers(1), "促销【签名】", channel=37)
    assert ledger.run("a", client).codes == {-6: 1}
    with pytest.raises(ContentRejected):
        ledger.once.send(client, "k", TO, "促销【签名】")
    with engine.connect() as connection:
        keywords = connection.scalars(sa.select(submission.c.keyword)).all()
    assert keywords == ["促销", "促销"]


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_run_retry_waits_by_the_ledgers_clock(ledger: Ledger, fast_clock: None) -> None:
    """A runner whose clock is an hour ahead waits one second before it retries, not 3,601."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    port = free_port()
    gateways: list[Sandbox] = []
    stop = threading.Event()
    timer = threading.Timer(20, stop.set)
    timer.start()

    def on_progress(progress: Progress) -> None:
        if progress.submissions and not gateways:
            gateways.append(Sandbox(port=port).start())

    url = f"http://127.0.0.1:{port}/api/MsgSend.asmx"
    try:
        with Client("demo", "demo", endpoint=url, retries=0) as client:
            status = ledger.run("a", client, on_progress=on_progress, stop=stop)
    finally:
        timer.cancel()
        for each in gateways:
            each.stop()
    assert status.numbers[State.ACCEPTED] == 1


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_times_come_from_the_servers_clock(
    ledger: Ledger, client: Client, sandbox: Sandbox, engine: sa.Engine, fast_clock: None
) -> None:
    """Every stored time is the server's, however wrong the clocks of the runners are."""
    all_unknown(ledger, client, sandbox, "a")
    ledger.resolve("a", "accepted", by="test")
    assert ledger.purge(older_than=timedelta(seconds=-10)) == 3
    with engine.connect() as connection:
        server = ledger_time(connection)
        row = connection.execute(sa.select(submission.c.sent_at, submission.c.ended_at)).one()
        made = connection.execute(sa.select(campaign.c.created_at, campaign.c.purged_at)).one()
        at = connection.scalars(sa.select(history.c.at)).all()
    assert len(at) == 3
    for each in (*row, *made, *at):
        assert abs(server - each) < 60


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_exchange_that_waits_for_a_lock_stores_when_it_ended(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual
) -> None:
    """The time for which an exchange waits for a lock does not change when a submission ended."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    manual = manual_runner()
    (claimed,) = manual.claim()
    with engine.connect() as connection:
        before = ledger_time(connection)
    ending = ended(claimed, State.PENDING, retry_after=60.0)
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            connection.execute(sa.select(runner).with_for_update())
            exchange = pool.submit(manual.exchange, ending)
            wait_for_locks(engine, 1)
            time.sleep(0.5)
        exchange.result(30)
    with engine.connect() as connection:
        found = connection.execute(sa.select(submission)).one()
    assert found.ended_at >= before
    assert found.not_before >= before + 60


def test_times_are_aware_and_in_order(ledger: Ledger, client: Client) -> None:
    """Public times are aware, and each step comes after the one before it."""
    before = datetime.now(timezone.utc) - timedelta(seconds=5)
    ledger.plan("a", numbers(1), TEXT, channel=37)
    ledger.run("a", client)
    (timing,) = ledger.timings("a")
    (found,) = ledger.find(numbers(1)[0])
    claimed, accepted = (each.at for each in found.history)
    made = ledger.status("a").created_at
    assert before < made <= claimed <= timing.sent_at < timing.ended_at == accepted


@pytest.mark.parametrize("before", [State.ACCEPTED, State.SPLIT, State.PENDING])
def test_transition_that_is_not_allowed_fails(
    ledger: Ledger, engine: sa.Engine, before: State
) -> None:
    """The one writer of states rejects what may not follow a state."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    with engine.begin() as connection, pytest.raises(ValueError, match="cannot change from"):
        decide(connection, [1], before=before, after=State.REJECTED, by="test", detail="x")
    assert State.REJECTED not in ALLOWED[before]


def test_resolve_leaves_other_campaigns_and_single_sends(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A decision about one campaign touches no other one, and no single send."""
    for name in "ab":
        all_unknown(ledger, client, sandbox, name)
    sandbox.inject_fault("close", when="before")
    with pytest.raises(OutcomeUnknown):
        ledger.once.send(client, "k", TO, TEXT)
    assert ledger.resolve("a", "resend", by="test") == 1
    assert ledger.status("a").numbers[State.PENDING] == 3
    assert ledger.status("b").numbers[State.UNKNOWN] == 3
    assert ledger.once.counts()[State.UNKNOWN] == 1
    ledger.once.resolve("k", "resend", by="test")
    assert ledger.status("b").numbers[State.UNKNOWN] == 3
    with pytest.raises(NotInLedger, match="has no unknown submission"):
        ledger.resolve("a", "resend", by="test", submission_ids=[2])


def test_retry_leaves_other_campaigns_and_single_sends(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A retry of one campaign touches no other one, no single send, and no other's held text."""
    for name in "ab":
        ledger.plan(name, numbers(2), "促销【签名】", channel=37, max_recipients=1)
        ledger.run(name, client, concurrency=1)
    with pytest.raises(ContentRejected):
        ledger.once.send(client, "k", TO, "促销【签名】")
    held = ledger.status("b")
    assert ledger.retry("a", by="test") == 1
    assert ledger.status("a").numbers[State.PENDING] == 2
    assert ledger.status("a").on_hold == {}
    assert ledger.status("b") == held
    assert ledger.once.counts()[State.REJECTED] == 1


def test_retry_leaves_a_pause_for_an_operator(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A retry does not resume a campaign that is paused until an operator resumes it."""
    ledger.plan("a", numbers(4), TEXT, channel=37, max_recipients=2)
    sandbox.inject_fault("code", code="-14")
    sandbox.inject_fault("code", code="-7")
    paused = ledger.run("a", client, concurrency=1)
    assert paused.state is CampaignState.PAUSED
    assert ledger.retry("a", by="test") == 1
    status = ledger.status("a")
    assert (status.state, status.reason) == (CampaignState.PAUSED, paused.reason)
    assert ledger.run("a", client).numbers[State.ACCEPTED] == 0


def test_retry_reopens_what_was_done(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """A retry opens a campaign that was done, and no other one."""
    for name in "ab":
        ledger.plan(name, numbers(1), TEXT, channel=37)
        sandbox.inject_fault("code", code="-14")
        assert ledger.run(name, client).state is CampaignState.DONE
    ledger.retry("a", by="test")
    assert ledger.status("a").state is CampaignState.OPEN
    assert ledger.status("b").state is CampaignState.DONE


def test_decision_about_nothing_leaves_a_campaign_done(ledger: Ledger, client: Client) -> None:
    """A retry or a resend that finds nothing to send leaves a campaign done."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    assert ledger.run("a", client).state is CampaignState.DONE
    assert ledger.retry("a", by="test") == 0
    assert ledger.status("a").state is CampaignState.DONE
    assert ledger.resolve("a", "resend", by="test") == 0
    assert ledger.status("a").state is CampaignState.DONE


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_once_resolve_second_decision_finds_the_first(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """Of two decisions about one key, the second one's "resend" does not override the first."""
    sandbox.inject_fault("close")
    with pytest.raises(OutcomeUnknown):
        ledger.once.send(client, "k", TO, TEXT)
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as first:
            first.execute(submission.update().values(state=State.ACCEPTED.value))
            second = pool.submit(ledger.once.resolve, "k", "resend", by="second")
            wait_for_locks(engine, 1)
        with pytest.raises(NotInLedger, match="'k' is accepted, so there is nothing to resolve"):
            second.result(30)
    assert ledger.once.counts()[State.ACCEPTED] == 1


@pytest.mark.parametrize("by", ["", " ", "a\nb", "\x07"])
def test_decision_by_control_characters_is_invalid(
    ledger: Ledger, client: Client, sandbox: Sandbox, by: str
) -> None:
    """Neither who decides nor a batch number holds control characters."""
    all_unknown(ledger, client, sandbox, "a")
    with pytest.raises(ConfigurationError, match="printable"):
        ledger.resolve("a", "accepted", by=by)
    with pytest.raises(ConfigurationError, match="printable"):
        ledger.resolve("a", "accepted", by="test", batch_no=by)
    with pytest.raises(ConfigurationError, match="printable"):
        ledger.retry("a", by=by)
    assert ledger.status("a").numbers[State.UNKNOWN] == 3


def test_resolve_accepted_without_batch_number(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A submission may be accepted by decision without a batch number; the history says how."""
    all_unknown(ledger, client, sandbox, "a")
    with pytest.raises(ConfigurationError, match="'accepted' only"):
        ledger.resolve("a", "not_sent", by="test", batch_no="1")
    assert ledger.resolve("a", "accepted", by="小王") == 1
    (found,) = ledger.find(numbers(1)[0])
    assert (found.state, found.batch_no) == (State.ACCEPTED, None)
    last = found.history[-1]
    assert (last.detail, last.by, last.batch_no) == ("accepted", "小王", None)


def test_resolve_batch_number_is_in_the_history(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """The history keeps the batch number of a decision, and of an accepted submission."""
    all_unknown(ledger, client, sandbox, "a")
    ledger.resolve("a", "accepted", by="test", batch_no="123")
    (found,) = ledger.find(numbers(1)[0])
    assert (found.batch_no, found.history[-1].batch_no) == ("123", "123")
    receipt = ledger.once.send(client, "k", TO, TEXT)
    (single,) = ledger.find(TO)
    assert single.history[-1].batch_no == receipt.batch_no


def test_once_unknown_keeps_reason_and_time(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """An unknown single send keeps its reason, and the time at which it was sent."""
    sandbox.inject_fault("close")
    with pytest.raises(OutcomeUnknown) as first:
        ledger.once.send(client, "k", TO, TEXT)
    (found,) = ledger.find(TO)
    assert found.reason == str(first.value)
    with pytest.raises(OutcomeUnknown) as second:
        ledger.once.send(client, "k", TO, TEXT)
    assert str(first.value) in str(second.value)
    with engine.connect() as connection:
        assert connection.scalar(sa.select(submission.c.sent_at)) is not None


def test_once_key_stands_for_one_channel_and_extension(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """The same key with another channel or extension is a conflict, and sends nothing."""
    ledger.once.send(client, "k", TO, TEXT, channel=37, extension="1")
    for channel, extension in ((38, "1"), (37, "2")):
        with pytest.raises(ContentConflict, match="channel or extension"):
            ledger.once.send(client, "k", TO, TEXT, channel=channel, extension=extension)
    (arrival,) = sandbox.arrivals
    assert (arrival.channel, arrival.extension) == ("37", "1")


def test_reclaim_keeps_the_time_of_sending(
    ledger: Ledger, engine: sa.Engine, client: Client, manual_runner: Manual
) -> None:
    """What is reclaimed keeps the time at which its runner claimed it."""
    ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=1)
    dies = manual_runner()
    (claimed,) = dies.claim()
    query = sa.select(submission.c.sent_at).where(submission.c.id == claimed.id)
    with engine.connect() as connection:
        sent_at = connection.scalar(query)
    dies.identity.end()
    assert ledger.run("a", client).submissions[State.UNKNOWN] == 1
    with engine.connect() as connection:
        assert connection.scalar(query) == sent_at
    assert sent_at is not None


def reclaim_single_send(ledger: Ledger, ledger_url: str, client: Client) -> None:
    """Let another call find that the runner of the key ``k`` has stalled."""
    with transaction(ledger_url) as connection:
        connection.execute(
            sa.update(runner).values(expires_at=1.0, pid_namespace="another machine")
        )
    with pytest.raises(OutcomeUnknown):
        ledger.once.send(client, "k", TO, TEXT)


def test_once_late_ending_is_kept_in_the_history(
    ledger: Ledger,
    client: Client,
    sandbox: Sandbox,
    ledger_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A single send whose runner was reclaimed keeps its late result in the history."""
    end = Singles.end

    def late(self: Singles, identity: Any, ending: Any) -> bool:
        reclaim_single_send(ledger, ledger_url, client)
        return end(self, identity, ending)

    monkeypatch.setattr(Singles, "end", late)
    with pytest.raises(OutcomeUnknown, match="its process was suspended too long") as raised:
        ledger.once.send(client, "k", TO, TEXT)
    (found,) = ledger.find(TO)
    assert found.state is State.UNKNOWN
    assert (batch_no := found.history[-1].batch_no)
    assert f"late result was the batch number {batch_no}" in str(raised.value)
    assert "after its runner was reclaimed: accepted" in found.history[-1].detail
    assert sandbox.accepted_numbers == {TO: 1}


def test_once_late_ending_of_what_is_to_be_sent_again(
    ledger: Ledger,
    client: Client,
    sandbox: Sandbox,
    ledger_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call that was reclaimed says that the next one sends, and the next one does."""
    end = Singles.end

    def late(self: Singles, identity: Any, ending: Any) -> bool:
        monkeypatch.setattr(Singles, "end", end)
        reclaim_single_send(ledger, ledger_url, client)
        ledger.once.resolve("k", "resend", by="test", even_if_alive=True)
        return end(self, identity, ending)

    monkeypatch.setattr(Singles, "end", late)
    with pytest.raises(OutcomeUnknown, match="The next call with that key sends it") as raised:
        ledger.once.send(client, "k", TO, TEXT)
    (first,) = sandbox.arrivals
    assert f"This call ended too late: accepted as {first.result}" in str(raised.value)
    assert ledger.once.send(client, "k", TO, TEXT).batch_no == sandbox.arrivals[-1].result
    assert len(sandbox.arrivals) == 2  # the risk that the operator took


def test_runners_unregister_leaves_the_others(
    ledger: Ledger, engine: sa.Engine, client: Client, manual_runner: Manual
) -> None:
    """A runner that ends takes no other one along; one with something in flight stays."""
    ledger.plan("a", numbers(4), TEXT, channel=37, max_recipients=1)
    idle, busy = manual_runner(), manual_runner()
    busy.claim()
    for each in (idle, busy):
        each.claims.runners.unregister(each.identity)
    with engine.connect() as connection:
        assert connection.scalars(sa.select(runner.c.id)).all() == [busy.identity.id]
    busy.identity.end()
    assert ledger.run("a", client).submissions[State.UNKNOWN] == 1


def test_once_send_reclaims_no_runner_of_a_campaign(
    ledger: Ledger, engine: sa.Engine, client: Client, manual_runner: Manual
) -> None:
    """A single send that reclaims its own predecessor leaves dead runners of campaigns alone."""
    ledger.plan("a", numbers(2), TEXT, channel=37)
    dead = manual_runner()
    dead.claim()
    dead.identity.end()
    with engine.begin() as connection:
        assert dead.claims.runners.reclaim_stalled(connection, None) == []
    assert ledger.once.send(client, "k", TO, TEXT).batch_no
    assert ledger.status("a").submissions[State.SUBMITTING] == 1


def test_run_leaves_a_briefly_silent_runner(
    ledger: Ledger, client: Client, manual_runner: Manual
) -> None:
    """A runner that is silent for less than its lease ends no other run and is not reclaimed."""
    ledger.plan("a", numbers(4), TEXT, channel=37, max_recipients=1)
    boot = RunnerIdentity.new().pid_namespace.partition("/")[0]
    alive = manual_runner(pid_namespace=f"{boot}/another container")
    (claimed,) = alive.claim()
    stop = threading.Event()

    def on_progress(progress: Progress) -> None:
        if progress.submissions == 3:
            stop.set()

    status = ledger.run("a", client, on_progress=on_progress, stop=stop)
    assert status.submissions[State.SUBMITTING] == 1
    alive.exchange(ended(claimed, State.ACCEPTED, batch_no="1"))
    assert ledger.status("a").submissions[State.ACCEPTED] == 4


def test_run_waits_for_another_machine_no_longer_than_its_lease(
    ledger: Ledger, client: Client, engine: sa.Engine, manual_runner: Manual
) -> None:
    """A runner on another machine is reclaimed as soon as its lease has run out."""
    ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=1)
    other = manual_runner(pid_namespace="another machine")
    other.claim()
    with engine.begin() as connection:
        now = other.identity.lease_time(connection, time.time())
        connection.execute(sa.update(runner).values(expires_at=now - 1))
    assert ledger.run("a", client).submissions[State.UNKNOWN] == 1


def test_purge_leaves_what_is_young_pending_or_unknown(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """A purge leaves pending and unknown submissions, and the digests of young keys."""
    all_unknown(ledger, client, sandbox, "a")
    ledger.plan("b", numbers(2), "别的【签名】", channel=37)
    ledger.once.send(client, "k", TO, TEXT)
    assert ledger.purge(older_than=timedelta(hours=1)) == 0
    assert ledger.once.send(client, "k", TO, TEXT).batch_no
    assert ledger.purge(older_than=-1) == 1
    assert [each.campaign for each in ledger.find(numbers(1)[0])] == ["a", "b"]
    assert ledger.status("b").numbers[State.PENDING] == 2
    assert ledger.plan("b", numbers(2), "别的【签名】", channel=37).existing


def test_purge_twice_keeps_the_time_of_the_first(
    ledger: Ledger, engine: sa.Engine, client: Client
) -> None:
    """A second purge changes nothing, the time of the first one included."""
    ledger.plan("a", numbers(2), TEXT, channel=37)
    ledger.run("a", client)
    times = []
    for _ in range(2):
        ledger.purge(older_than=-1)
        with engine.connect() as connection:
            times.append(connection.scalar(sa.select(campaign.c.purged_at)))
    assert times[0] is not None
    assert times[0] == times[1]


def test_claims_timed_pause_gives_way_to_an_operators(
    ledger: Ledger, manual_runner: Manual
) -> None:
    """A pause that waits for an operator replaces a timed one."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    manual = manual_runner()
    manual.exchange(pause=Pause("wait", 60.0))
    assert ledger.status("a").paused_until is not None
    manual.exchange(pause=Pause("ask somebody"))
    status = ledger.status("a")
    assert (status.reason, status.paused_until) == ("ask somebody", None)


def test_once_cancelled_while_recording_is_cancelled_and_recorded(
    ledger_url: str, sandbox: Sandbox, async_client: Callable[[], AsyncClient], monkeypatch: Any
) -> None:
    """A task that is cancelled while its ending is recorded is cancelled, and leaves no runner."""
    end = Singles.end

    async def main() -> None:
        loop, recording, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def slow(*args: Any) -> bool:
            loop.call_soon_threadsafe(recording.set)
            assert go_on.wait(30)
            return end(*args)

        monkeypatch.setattr(Singles, "end", slow)
        async with async_client() as client, AsyncLedger(ledger_url) as ledger:
            task = asyncio.create_task(ledger.once.send(client, "k", TO, TEXT))
            await recording.wait()
            task.cancel()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await ledger.once.counts())[State.ACCEPTED] == 1

    asyncio.run(main())
    with transaction(ledger_url) as connection:
        assert connection.scalars(sa.select(runner.c.id)).all() == []


def test_once_ending_that_cannot_be_recorded_is_an_error(
    ledger: Ledger, client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ending that the ledger can never record ends in an error with the outcome."""

    def full(*_: object) -> None:
        raise sa.exc.OperationalError("", {}, sqlite3.OperationalError("no space left"))

    monkeypatch.setattr(Singles, "end", full)
    with pytest.raises(LedgerError, match=r"ended \(accepted as [0-9]+\).*no space left"):
        ledger.once.send(client, "k", TO, TEXT)
    assert sandbox.accepted_numbers == {TO: 1}


class Lost:
    """A ledger that is lost once something was sent: it records no ending."""

    attempts = 0

    def fail(self) -> NoReturn:
        """Fail as a server does that is gone."""
        self.attempts += 1
        raise sa.exc.OperationalError("", {}, Exception("the server is gone"))


class LostSingles(Lost, Singles):
    """A ledger that loses single sends."""

    def end(self, *_: object) -> NoReturn:
        """Record nothing."""
        self.fail()


class LostClaims(Lost, Claims):
    """A ledger that loses a run."""

    def exchange(self, *args: Any, endings: Sequence[Ending], **options: Any) -> ClaimResult:
        """Record nothing."""
        if endings:
            self.fail()
        return super().exchange(*args, endings=endings, **options)


def test_once_ending_of_a_lost_ledger_is_an_error_after_the_timeout(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """A ledger that stays lost is retried until the timeout; the error has the outcome."""
    lost = LostSingles(engine)
    once = OnceSends(engine, lost, Reads(engine), Admin(engine), outage_timeout=0.25)
    with pytest.raises(LedgerError, match=r"ended \(accepted as [0-9]+\).*server is gone"):
        once.send(client, "k", TO, TEXT)
    assert lost.attempts > 1
    with pytest.raises(OutcomeUnknown, match="its runner died"):
        ledger.once.send(client, "k", TO, TEXT)
    assert sandbox.accepted_numbers == {TO: 1}


def test_run_ending_of_a_lost_ledger_is_an_error_after_the_timeout(
    ledger: Ledger,
    engine: sa.Engine,
    client: Client,
    async_client: Callable[[], AsyncClient],
    sandbox: Sandbox,
) -> None:
    """A run retries a lost ledger until the timeout; the error names what was accepted."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    lost = LostClaims(engine)

    async def main() -> None:
        async with async_client() as sender:
            campaign_id = Reads(engine).campaign_id("a")
            await Runner(lost, campaign_id, sender, RunOptions(), outage_timeout=0.25).run()

    with pytest.raises(LedgerError, match=r"server is gone.*accepted submission 1 as [0-9]+"):
        asyncio.run(main())
    assert lost.attempts > 2
    assert ledger.run("a", client).submissions[State.UNKNOWN] == 1
    assert sandbox.accepted_numbers == {numbers(1)[0]: 1}


def test_run_client_with_own_transport_is_called_in_threads(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A client with a transport of its own sends by that transport, and stays open."""

    class Counting:
        def __init__(self) -> None:
            self.requests = 0

        def send(self, request: Any, *, valid_until: float | None = None) -> Any:
            self.requests += 1
            return inner.send(request, valid_until=valid_until)

        def close(self) -> None:
            inner.close()

    inner = HttpTransport(client.settings)
    transport = Counting()
    ledger.plan("a", numbers(10), TEXT, channel=37, max_recipients=1)
    with Client.from_settings(client.settings, transport=transport) as own:
        assert ledger.run("a", own, concurrency=3).numbers[State.ACCEPTED] == 10
        assert transport.requests == 10
        assert own.send(TO, TEXT).batch_no
    assert sandbox.accepted_numbers == dict.fromkeys([*numbers(10), TO], 1)


def test_run_leaves_the_client_open(ledger: Ledger, client: Client) -> None:
    """A run does not close its client, nor does a second run."""
    for name in "ab":
        ledger.plan(name, numbers(1), TEXT, channel=37)
        assert ledger.run(name, client).numbers[State.ACCEPTED] == 1
    assert client.send(TO, TEXT).batch_no


def test_once_not_sent_stays_pending(ledger: Ledger) -> None:
    """A single send that reached nobody is pending, and the next call tries again."""
    url = f"http://127.0.0.1:{free_port()}/api/MsgSend.asmx"
    with (
        Client("demo", "demo", channel=37, endpoint=url, retries=0) as client,
        pytest.raises(NotSent),
    ):
        ledger.once.send(client, "k", TO, TEXT)
    assert ledger.once.counts()[State.PENDING] == 1


def test_claims_ending_of_another_runner_is_not_taken_for_its_own(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual
) -> None:
    """A late ending is kept even if another runner has recorded the same state."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    dead = manual_runner()
    (first,) = dead.claim()
    dead.identity.end()
    other = manual_runner()
    ledger.resolve("a", "resend", by="test")
    (second,) = other.claim()
    other.exchange(ended(second, State.ACCEPTED, batch_no="2"))
    Singles(engine).end(dead.identity, ended(first, State.ACCEPTED, batch_no="1"))
    (found,) = ledger.find(numbers(1)[0])
    assert found.batch_no == "2"
    assert [each.batch_no for each in found.history][-2:] == ["2", "1"]


async def cancelled(call: Coroutine[Any, Any, object]) -> asyncio.CancelledError:
    """Return the error by which a call is cancelled.

    It is caught inside of the task: on Python 3.10 another task that awaits it gets an error of its
    own, without the cause.
    """
    with pytest.raises(asyncio.CancelledError) as caught:
        await call
    return caught.value


def test_async_once_send_cancelled_while_the_ledger_fails_is_cancelled(
    ledger_url: str, async_client: Callable[[], AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is cancelled while its ending cannot be recorded is cancelled all the same."""

    async def main() -> None:
        loop, recording, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def fail(*_: Any) -> None:
            loop.call_soon_threadsafe(recording.set)
            assert go_on.wait(30)
            raise sa.exc.OperationalError("", {}, sqlite3.OperationalError("no space left"))

        monkeypatch.setattr(Singles, "end", fail)
        async with async_client() as client, AsyncLedger(ledger_url) as ledger:
            task = asyncio.create_task(cancelled(ledger.once.send(client, "k", TO, TEXT)))
            await recording.wait()
            task.cancel()
            go_on.set()
            assert isinstance((await task).__cause__, LedgerError)
            # This process has left it: the next call reclaims it.
            with pytest.raises(OutcomeUnknown, match="its runner died"):
                await ledger.once.send(client, "k", TO, TEXT)

    asyncio.run(main())


def test_async_once_send_racing_tasks_send_once(
    ledger_url: str, sandbox: Sandbox, async_client: Callable[[], AsyncClient]
) -> None:
    """Tasks that race with one key send once, and all get the same receipt."""

    async def main() -> None:
        async with async_client() as client, AsyncLedger(ledger_url) as ledger:
            with sandbox.inject_fault("delay", seconds=0.2, times=None):
                sends = [ledger.once.send(client, "k", TO, TEXT) for _ in range(5)]
                receipts = await asyncio.gather(*sends)
        assert len(set(receipts)) == 1

    asyncio.run(main())
    assert sandbox.accepted_numbers == {TO: 1}


def test_async_run_stop_event_drains(
    ledger_url: str, sandbox: Sandbox, async_client: Callable[[], AsyncClient]
) -> None:
    """`AsyncLedger.run` takes an `asyncio.Event`; what is in flight ends."""

    async def main() -> None:
        async with async_client() as client, AsyncLedger(ledger_url) as ledger:
            await ledger.plan("a", numbers(20), TEXT, channel=37, max_recipients=1)
            stop = asyncio.Event()

            def on_progress(progress: Progress) -> None:
                if progress.in_flight:
                    stop.set()

            status = await ledger.run("a", client, on_progress=on_progress, stop=stop)
            assert status.submissions[State.ACCEPTED] == 2
            assert status.submissions[State.PENDING] == 18

    asyncio.run(main())


def test_run_keyboard_interrupt_records_what_is_in_flight(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Ctrl-C aborts a run: what is in flight becomes unknown, and the ledger records it."""
    ledger.plan("a", numbers(20), TEXT, channel=37, max_recipients=1)
    sandbox.inject_fault("hang", times=None)
    interrupts: list[asyncio.TimerHandle] = []

    def interrupt() -> None:
        if len(sandbox.arrivals) == 2:
            raise KeyboardInterrupt
        interrupts.append(asyncio.get_running_loop().call_later(0.02, interrupt))

    def on_progress(_progress: Progress) -> None:
        if not interrupts:
            interrupt()

    with pytest.raises(KeyboardInterrupt):
        ledger.run("a", client, on_progress=on_progress)
    submissions = ledger.status("a").submissions
    assert (submissions[State.UNKNOWN], submissions[State.PENDING]) == (2, 18)


def test_thread_sender_cancelled_call_may_have_sent(client: Client) -> None:
    """A call that has begun in a thread cannot be cancelled: its outcome is unknown."""
    began, go_on = threading.Event(), threading.Event()

    class Blocking:
        def send(self, _request: Any, *, valid_until: float | None = None) -> Any:
            began.set()
            assert go_on.wait(30)
            raise NotSent("the test ends")

        def close(self) -> None:
            pass

    async def main() -> None:
        with Client.from_settings(client.settings, transport=Blocking()) as own:
            sender = ThreadSender(own, 1)
            submission = own.check(TO, TEXT)
            running, waiting = (
                asyncio.create_task(cancelled(sender.submit(submission))) for _ in range(2)
            )
            await asyncio.to_thread(began.wait, 30)
            for task in (running, waiting):
                task.cancel()
            assert isinstance((await running).__cause__, OutcomeUnknown)
            assert (await waiting).__cause__ is None
            go_on.set()
            sender.close()

    asyncio.run(main())
