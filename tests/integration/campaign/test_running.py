"""A campaign from its plan to its end, and everything that pauses or stops it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ManualRunner, ended, wait_for_locks
from tests.support.lists import TEXT, numbers
from yunxin_soap import AsyncClient, Client, LedgerError, NotInLedger
from yunxin_soap.campaign import AsyncLedger, CampaignState, Ledger, Progress, State
from yunxin_soap.campaign.models import Pause
from yunxin_soap.campaign.running.throttle import ConcurrencyWindow
from yunxin_soap.campaign.storage.claims import Claims
from yunxin_soap.campaign.storage.runners import RunnerIdentity, RunnerReclaimed
from yunxin_soap.campaign.storage.schema import runner, submission
from yunxin_soap.sandbox import Account, InjectedFault, Sandbox

Make = Callable[[], AsyncClient]
Manual = Callable[..., ManualRunner]


def plan(
    ledger: Ledger, count: int, *, size: int = 5, message: str = TEXT, name: str = "a"
) -> None:
    ledger.plan(name, numbers(count), message, channel=37, max_recipients=size)


def test_run_sends_every_number_once(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """A run sends every number once, and a second run sends nothing."""
    plan(ledger, 103)
    status = ledger.run("a", client)
    assert status.state is CampaignState.DONE
    assert status.numbers[State.ACCEPTED] == status.planned == 103
    assert status.submissions[State.ACCEPTED] == 21
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(103), 1)
    batches = {submission.batch_no for submission in sandbox.inbox}
    assert {each.batch_no for each in ledger.results("a")} == batches
    again = ledger.run("a", client)
    assert again == status
    assert len(sandbox.arrivals) == 21


def test_async_ledger_has_every_operation(
    ledger_url: str, async_client: Make, sandbox: Sandbox
) -> None:
    """`AsyncLedger` plans, runs, reads and sends once."""

    async def main() -> None:
        async with AsyncLedger(ledger_url) as ledger, async_client() as sender:
            await ledger.plan("a", numbers(12), TEXT, channel=37, max_recipients=5)
            status = await ledger.run("a", sender)
            assert status.numbers[State.ACCEPTED] == 12
            assert await ledger.campaigns() == ["a"]
            assert (await ledger.status("a")) == status
            assert [each.number async for each in ledger.results("a")] == numbers(12)
            assert [line async for line in ledger.skipped_lines("a")] == []
            (found,) = await ledger.find(numbers(1)[0])
            assert found.state is State.ACCEPTED
            receipt = await ledger.once.send(sender, "k", "13900000000", TEXT)
            assert await ledger.once.send(sender, "k", "13900000000", TEXT) == receipt
            assert (await ledger.once.counts())[State.ACCEPTED] == 1
            assert [key async for key in ledger.once.keys(State.ACCEPTED)] == ["k"]
            assert len(await ledger.timings("a")) == 3
            assert "<svg" in await ledger.report("a")
            with pytest.raises(NotInLedger):
                await ledger.once.retry("k", by="test")

    asyncio.run(main())
    assert sandbox.times_accepted("13900000000") == 1


@pytest.mark.parametrize("code", ["-3", "-7", "-13", "-18", "-19"])
def test_run_operators_cause_pauses_until_resumed(
    ledger: Ledger, client: Client, sandbox: Sandbox, code: str
) -> None:
    """What an operator must fix pauses the campaign until it is resumed."""
    plan(ledger, 50)
    sandbox.inject_fault("code", code=code)
    status = ledger.run("a", client, concurrency=1)
    assert status.state is CampaignState.PAUSED
    assert code in status.reason
    assert status.paused_until is None
    assert status.numbers[State.PENDING] == 50
    assert ledger.run("a", client) == status  # until it is resumed
    ledger.resume("a")
    assert ledger.run("a", client).numbers[State.ACCEPTED] == 50


def test_run_empty_account_continues_after_resume(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A campaign whose account ran out of balance continues after a resume."""
    plan(ledger, 50)
    with sandbox.inject_fault("balance", left=20, times=None):
        status = ledger.run("a", client)
    assert status.state is CampaignState.PAUSED
    assert status.numbers[State.ACCEPTED] == 20
    ledger.resume("a")
    assert ledger.run("a", client).numbers[State.ACCEPTED] == 50
    assert set(sandbox.accepted_numbers.values()) == {1}


def test_run_channel_outside_hours_waits(
    ledger: Ledger, client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """-8 makes the run wait, and the progress says until when."""
    monkeypatch.setattr("yunxin_soap.campaign.running.decisions.CHANNEL_PAUSE", 0.2)
    plan(ledger, 50)
    sandbox.inject_fault("code", code="-8", times=2)
    seen: list[Progress] = []
    began = time.time()
    status = ledger.run("a", client, on_progress=seen.append)
    assert status.numbers[State.ACCEPTED] == 50
    paused = [each for each in seen if each.state is CampaignState.PAUSED]
    assert paused
    assert all("-8" in each.reason for each in paused)
    assert all(each.until and each.until.timestamp() > began + 0.2 for each in paused)
    assert seen[-1].until is None


def test_run_rejected_text_holds_only_that_text(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A rejected text holds back its own submissions and no others."""
    rows = [
        {"phone": number, "city": "北京" if at % 2 else "促销"}
        for at, number in enumerate(numbers(40))
    ]
    ledger.plan("a", rows, "您好{city}【签名】", channel=37, max_recipients=2)
    status = ledger.run("a", client, concurrency=1)
    assert status.numbers[State.ACCEPTED] == 20
    assert status.numbers[State.REJECTED] == 2
    assert status.numbers[State.PENDING] == 18
    assert sum(status.on_hold.values()) == 18
    assert status.codes == {-6: 2}
    assert len(sandbox.arrivals) == 11
    assert ledger.retry("a", by="test") == 1
    assert ledger.run("a", client, concurrency=1).codes == {-6: 2}


def test_retry_one_code_releases_no_other_text(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A retry of one code releases only the texts that were rejected with it."""
    texts = ("您好", "促销")
    rows = [{"phone": each, "text": texts[at % 2]} for at, each in enumerate(numbers(8))]
    ledger.plan("a", rows, "{text}【签名】", channel=37, max_recipients=1)
    with sandbox.inject_fault("code", code="-14", numbers=numbers(1)[0], times=None):
        status = ledger.run("a", client, concurrency=1)
    assert status.codes == {-6: 1, -14: 1}
    assert len(status.on_hold) == 1
    assert ledger.retry("a", code=-14, by="test") == 1
    assert ledger.status("a").on_hold == status.on_hold
    assert ledger.run("a", client, concurrency=1).codes == {-6: 1}
    assert ledger.retry("a", code=-6, by="test") == 1
    assert ledger.status("a").on_hold == {}


def test_run_failing_gateway_costs_a_few_unknowns(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A failing gateway pauses the campaign after a few unknown submissions."""
    plan(ledger, 500)
    with sandbox.inject_fault("close", times=None):
        status = ledger.run("a", client, concurrency=32, failure_threshold=5)
    assert status.state is CampaignState.PAUSED
    assert status.submissions[State.UNKNOWN] <= 6
    assert "5 of 5 submissions failed" in status.reason
    assert ledger.resolve("a", "accepted", by="test") == status.submissions[State.UNKNOWN]
    ledger.resume("a")
    assert ledger.run("a", client).numbers[State.ACCEPTED] == 500
    assert set(sandbox.accepted_numbers.values()) == {1}


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("rate_limit", [None, 20.0])
def test_run_hanging_gateway_costs_what_it_answered_last(
    ledger: Ledger, sandbox: Sandbox, rate_limit: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that begins to hang costs no more than two beyond what it just answered."""
    monkeypatch.setattr(ConcurrencyWindow, "_COUNTS_FOR", 0.5)
    plan(ledger, 5000)

    hangs: list[InjectedFault] = []

    def on_progress(progress: Progress) -> None:
        if progress.submissions >= 40 and not hangs:
            hangs.append(sandbox.inject_fault("hang", times=None))

    with Client("demo", "demo", endpoint=sandbox.url, channel="37", timeout=3.0) as client:
        status = ledger.run(
            "a", client, concurrency=32, rate_limit=rate_limit, on_progress=on_progress
        )
    assert status.state is CampaignState.PAUSED
    assert 5 <= status.submissions[State.UNKNOWN] <= (32 if rate_limit is None else 12)


@pytest.mark.parametrize("submissions", [1, 5, 12])
def test_run_that_says_paused_does_not_end_as_done(
    ledger: Ledger, client: Client, sandbox: Sandbox, submissions: int
) -> None:
    """A campaign is paused only while something is left to send; then it stays paused."""
    plan(ledger, submissions, size=1)
    seen: list[Progress] = []
    with sandbox.inject_fault("close", times=None):
        status = ledger.run("a", client, failure_threshold=1, on_progress=seen.append)
    said_paused = any(each.state is CampaignState.PAUSED or each.reason for each in seen)
    assert said_paused is (status.state is CampaignState.PAUSED)
    assert (status.state is CampaignState.DONE) is (status.numbers[State.PENDING] == 0)


def test_run_partly_failing_gateway_costs_a_few_unknowns(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A gateway that fails in three of ten cases pauses the campaign, too."""
    plan(ledger, 1000)
    with sandbox.inject_fault("close", probability=0.3, seed=1, times=None):
        status = ledger.run("a", client, concurrency=8, failure_threshold=5)
    assert status.state is CampaignState.PAUSED
    assert 5 <= status.submissions[State.UNKNOWN] <= 15


def test_resolve_resend_sends_unknown_again(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """An unknown submission is sent again only by a decision, and the history keeps each step."""
    plan(ledger, 5)
    sandbox.inject_fault("html", when="before")
    assert ledger.run("a", client).numbers[State.UNKNOWN] == 5
    ledger.resume("a")
    assert ledger.run("a", client).numbers[State.UNKNOWN] == 5
    assert sandbox.inbox == ()
    with pytest.raises(
        LedgerError,
        match=r"'a' has no unknown submission 999\. Its unknown submissions: 1\. Nothing was",
    ):
        ledger.resolve("a", "resend", by="test", submission_ids=[999])
    assert ledger.resolve("a", "resend", by="小王") == 1
    assert ledger.run("a", client).numbers[State.ACCEPTED] == 5
    (found,) = ledger.find(numbers(1)[0])
    steps = [(change.before.value, change.after.value) for change in found.history]
    assert steps == [
        ("pending", "submitting"),
        ("submitting", "unknown"),
        ("unknown", "pending"),
        ("pending", "submitting"),
        ("submitting", "accepted"),
    ]
    assert found.history[2].by == "小王"


def test_run_unreachable_gateway_is_waited_for(
    ledger: Ledger, client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run waits for an unreachable gateway, and then sends everything once."""
    monkeypatch.setattr("yunxin_soap.campaign.running.decisions.UNREACHABLE_PAUSE", 0.3)
    monkeypatch.setattr("yunxin_soap.campaign.running.decisions.FIRST_BACKOFF", 0.05)
    plan(ledger, 30)
    url, sender = sandbox.url, client
    sandbox.stop()
    port = int(url.split(":")[2].split("/")[0])
    back: list[Sandbox] = []

    def on_progress(progress: object) -> None:
        if getattr(progress, "submissions", 0) >= 3 and not back:
            back.append(Sandbox(port=port).start())

    try:
        status = ledger.run("a", sender, on_progress=on_progress, failure_threshold=3)
        assert status.numbers[State.ACCEPTED] == 30
        assert set(back[0].accepted_numbers.values()) == {1}
    finally:
        back[0].stop()


def test_run_isolate_finds_bad_numbers(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """With ``isolate``, each bad number is rejected by itself, and all others are accepted."""
    listed = numbers(128)
    bad = {listed[3]: "-14", listed[77]: "-16"}
    for number, code in bad.items():
        sandbox.inject_fault("code", code=code, numbers=[number], times=None)
    ledger.plan("a", listed, TEXT, channel=37, max_recipients=128)
    status = ledger.run("a", client, isolate=True)
    assert status.state is CampaignState.DONE
    assert status.numbers[State.ACCEPTED] == 126
    assert status.codes == {-14: 1, -16: 1}
    assert sum(status.numbers.values()) == 128
    named = {each.number: each.code for each in ledger.results("a") if each.state is State.REJECTED}
    assert named == {number: int(code) for number, code in bad.items()}
    assert sandbox.accepted_numbers == {number: 1 for number in listed if number not in bad}
    assert len(sandbox.arrivals) <= 2 * 2 * 7 + 1
    (found,) = ledger.find(listed[3])
    assert [change.after for change in found.history].count(State.SPLIT) == 7


def test_find_isolated_number_has_the_history_of_its_parents(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """The history of an isolated number starts with the submissions that it was split from."""
    plan(ledger, 4, size=4)
    with sandbox.inject_fault("code", code="-14", numbers=numbers(1)[0], times=None):
        ledger.run("a", client, isolate=True)
    (found,) = ledger.find(numbers(1)[0])
    ends = [
        (each.submission_id, each.after)
        for each in found.history
        if each.after is not State.PENDING
    ]
    sent = [each for each in ends if each[1] is State.SUBMITTING]
    assert [each for each, _ in sent] == [1, 2, 4]
    assert [each for each in ends if each not in sent] == [
        (1, State.SPLIT),
        (2, State.SPLIT),
        (4, State.REJECTED),
    ]
    assert found.submission_id == 4


def test_run_inside_an_event_loop_is_an_error(ledger: Ledger, client: Client) -> None:
    """`Ledger.run` inside an event loop says to use `AsyncLedger`."""
    plan(ledger, 5)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="use AsyncLedger"):
            ledger.run("a", client)

    asyncio.run(main())


def test_run_without_isolate_rejects_the_whole_submission(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Without ``isolate``, one bad number rejects its whole submission."""
    sandbox.inject_fault("code", code="-14", numbers=numbers(1), times=None)
    plan(ledger, 10)
    status = ledger.run("a", client)
    assert (status.numbers[State.ACCEPTED], status.codes) == (5, {-14: 5})


def test_retry_of_what_may_have_been_sent_needs_unsafe(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """-1 may have been sent: only ``unsafe`` retries it."""
    plan(ledger, 10)
    sandbox.inject_fault("code", code="-1")
    assert ledger.run("a", client).codes == {-1: 5}
    assert ledger.retry("a", by="test") == 0
    assert ledger.retry("a", unsafe=True, by="test") == 1
    assert ledger.run("a", client).numbers[State.ACCEPTED] == 10


def test_retry_sends_what_was_resolved_as_not_sent(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """What an operator resolved as not sent counts as rejected and may be retried."""
    plan(ledger, 10)
    sandbox.inject_fault("close", when="before")
    assert ledger.run("a", client).submissions[State.UNKNOWN] == 1
    assert ledger.resolve("a", "not_sent", by="小王") == 1
    reasons = {each.reason for each in ledger.results("a") if each.state is State.REJECTED}
    assert reasons == {"decided by 小王"}
    assert ledger.retry("a", by="test") == 1
    assert ledger.run("a", client).numbers[State.ACCEPTED] == 10
    assert set(sandbox.accepted_numbers.values()) == {1}


def test_run_stop_event_drains_what_is_in_flight(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Once the stop event is set, nothing more is sent, and what is in flight ends."""
    plan(ledger, 100)
    stop = threading.Event()
    with sandbox.inject_fault("delay", seconds=0.1, times=None):
        status = ledger.run(
            "a",
            client,
            stop=stop,
            on_progress=lambda progress: stop.set() if progress.in_flight else None,
        )
    assert status.submissions[State.ACCEPTED] == 2
    assert status.submissions[State.PENDING] == 18
    assert status.submissions[State.UNKNOWN] == status.submissions[State.SUBMITTING] == 0


def test_async_run_cancelled_leaves_unknown_what_is_in_flight(
    ledger: Ledger, ledger_url: str, async_client: Make, sandbox: Sandbox
) -> None:
    """To cancel a run makes unknown what was in flight."""
    plan(ledger, 100)

    async def main() -> None:
        async with AsyncLedger(ledger_url) as other, async_client() as sender:
            under_way = asyncio.Event()
            task = asyncio.create_task(
                other.run(
                    "a",
                    sender,
                    on_progress=lambda progress: under_way.set() if progress.in_flight else None,
                )
            )
            with sandbox.inject_fault("hang", times=None):
                await under_way.wait()
                while not sandbox.arrivals:  # noqa: ASYNC110 - another thread's
                    await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(main())
    status = ledger.status("a")
    assert status.submissions[State.SUBMITTING] == 0
    assert status.submissions[State.UNKNOWN] == len(sandbox.arrivals) > 0


def test_async_run_cancelled_does_not_wait_for_a_lost_ledger(
    tmp_path: Path,
    client: Client,
    async_client: Make,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A cancelled run waits only a few seconds for a locked ledger."""
    monkeypatch.setattr("yunxin_soap.campaign.storage.dialects.BUSY_TIMEOUT", 0.1)
    monkeypatch.setattr("yunxin_soap.campaign.running.runner.ABORT_TIMEOUT", 0.2)
    ledger_url = tmp_path / "l.sqlite"
    with Ledger(ledger_url) as ledger:
        plan(ledger, 500)
        with contextlib.closing(sqlite3.connect(ledger_url, isolation_level=None)) as writer:

            async def main() -> None:
                def on_progress(progress: Progress) -> None:
                    if progress.submissions and not writer.in_transaction:
                        writer.execute("BEGIN IMMEDIATE")  # the lock is kept
                        asyncio.get_running_loop().call_later(0.3, run.cancel)

                async with AsyncLedger(ledger_url) as other, async_client() as sender:
                    run = asyncio.create_task(other.run("a", sender, on_progress=on_progress))
                    with pytest.raises(asyncio.CancelledError):
                        await run

            asyncio.run(main())
        assert "writes the ledger, and is waited for" in caplog.text
        ledger.resume("a")
        status = ledger.run("a", client)
        assert status.submissions[State.UNKNOWN] + status.submissions[State.ACCEPTED] == 100
    assert set(sandbox.accepted_numbers.values()) == {1}


def test_async_run_two_runners_share_a_campaign(
    ledger_url: str, async_client: Make, sandbox: Sandbox
) -> None:
    """Two runners send each number of one campaign once."""
    with Ledger(ledger_url) as ledger:
        plan(ledger, 1000)

        async def main() -> None:
            async with (
                AsyncLedger(ledger_url) as first,
                AsyncLedger(ledger_url) as second,
                async_client() as one,
                async_client() as other,
            ):
                await asyncio.gather(first.run("a", one), second.run("a", other))

        asyncio.run(main())
        assert ledger.status("a").numbers[State.ACCEPTED] == 1000
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(1000), 1)


def test_run_reclaims_from_a_runner_that_dies_meanwhile(
    ledger: Ledger, client: Client, manual_runner: Manual
) -> None:
    """A run reclaims what another runner leaves that dies meanwhile."""
    plan(ledger, 50)
    dies = manual_runner()
    assert len(dies.claim(3)) == 3

    def on_progress(progress: Progress) -> None:
        if progress.submissions == 7:
            dies.identity.end()

    status = ledger.run("a", client, on_progress=on_progress)
    assert status.submissions[State.UNKNOWN] == 3
    assert status.submissions[State.ACCEPTED] == 7


def test_exchange_reclaimed_runner_gets_nothing_more(
    ledger: Ledger, client: Client, manual_runner: Manual
) -> None:
    """A reclaimed runner gets an error, and the history keeps its late ending."""
    plan(ledger, 50)
    silent = manual_runner()
    (claimed,) = silent.claim()
    silent.identity.end()
    assert ledger.run("a", client).submissions[State.UNKNOWN] == 1
    goes_on = 'goes on in the other runner: "campaign status a" names it'
    with pytest.raises(RunnerReclaimed, match=goes_on):
        silent.exchange(ended(claimed, State.ACCEPTED, batch_no="123"), limit=1)
    (found,) = ledger.find(claimed.submission.recipients[0])
    assert found.state is State.UNKNOWN
    assert found.history[-1].batch_no == "123"
    assert "its result came after" in found.history[-1].detail


def test_run_waits_ten_leases_for_a_silent_runner_of_a_live_process(
    ledger: Ledger, client: Client, engine: sa.Engine, manual_runner: Manual
) -> None:
    """A run sends what it can, and waits ten leases for a silent runner whose process is alive."""
    plan(ledger, 50)
    parent = psutil.Process(os.getppid())
    started = parent.create_time() - psutil.boot_time()
    alive = manual_runner(pid=parent.pid, process_started=started)
    alive.claim(3)

    def silent_for(seconds: float) -> None:
        with engine.begin() as connection:
            now = alive.identity.lease_time(connection, time.time())
            connection.execute(sa.update(runner).values(expires_at=now - seconds))

    silent_for(100)
    stop, waited_for = threading.Event(), []

    def on_progress(progress: Progress) -> None:
        if progress.waiting_for and not progress.in_flight:
            waited_for.append(progress.waiting_for)
            stop.set()

    status = ledger.run("a", client, on_progress=on_progress, stop=stop)
    assert (status.submissions[State.SUBMITTING], status.submissions[State.ACCEPTED]) == (3, 7)
    ((silent,),) = waited_for[:1]
    assert (silent.pid, silent.in_flight) == (parent.pid, 3)
    left = silent.counts_as_stalled_at - datetime.now(timezone.utc)
    assert 0 < left.total_seconds() <= 200
    silent_for(301)
    status = ledger.run("a", client)
    assert (status.submissions[State.UNKNOWN], status.submissions[State.ACCEPTED]) == (3, 7)


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_reclaim_leaves_a_runner_that_sends_a_heartbeat(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual
) -> None:
    """A runner that is sending a heartbeat at this moment is not reclaimed."""
    plan(ledger, 50)
    slow = manual_runner(pid_namespace="another")
    slow.claim(3)
    silent = sa.update(runner).values(expires_at=1.0)
    with engine.begin() as connection:
        connection.execute(silent)
    with engine.begin() as exchange:
        exchange.execute(sa.update(runner).values(expires_at=time.time() + 30))
        assert slow.reclaim_stalled() == []
    assert slow.reclaim_stalled() == []
    with engine.begin() as connection:
        connection.execute(silent)
    assert len(slow.reclaim_stalled()) == 3


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_reclaim_takes_everything_of_a_dead_runner(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual
) -> None:
    """Reclaiming waits for locked submissions, and takes all of a dead runner's."""
    plan(ledger, 50)
    dies = manual_runner()
    dies.claim(3)
    dies.identity.end()
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as another:
            another.execute(sa.select(submission).where(submission.c.id == 2).with_for_update())
            reclaimed = pool.submit(dies.reclaim_stalled)
            wait_for_locks(engine, 1)
        assert reclaimed.result(30) == [1, 2, 3]
    assert ledger.status("a").submissions[State.SUBMITTING] == 0


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_resolve_second_decision_finds_the_first(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """Of two decisions at once, the second one finds nothing unknown."""
    plan(ledger, 10)
    sandbox.inject_fault("close")
    assert ledger.run("a", client).submissions[State.UNKNOWN] == 1
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as first:
            first.execute(submission.update().values(state=State.ACCEPTED.value))
            second = pool.submit(ledger.resolve, "a", "resend", by="second")
            wait_for_locks(engine, 1)
        assert second.result(30) == 0
    (found,) = ledger.find(numbers(1)[0])
    assert found.state is State.ACCEPTED
    assert "second" not in [change.by for change in found.history]


def test_exchange_repeated_leaves_one_entry(ledger: Ledger, manual_runner: Manual) -> None:
    """Repeating an exchange, after a commit without an answer, adds no entry."""
    plan(ledger, 5)
    runner = manual_runner()
    (claimed,) = runner.claim()
    ending = ended(claimed, State.ACCEPTED, batch_no="1")
    for _ in range(2):
        runner.exchange(ending)
    (found,) = ledger.find(numbers(1)[0])
    assert [each.after for each in found.history] == [State.SUBMITTING, State.ACCEPTED]


def test_exchange_timed_pause_keeps_an_operators(ledger: Ledger, manual_runner: Manual) -> None:
    """A timed pause does not replace a pause that waits for an operator."""
    plan(ledger, 5)
    runner = manual_runner()
    for pause in (Pause("ask somebody"), Pause("wait", 0.01)):
        runner.exchange(pause=pause)
    status = ledger.status("a")
    assert (status.reason, status.paused_until) == ("ask somebody", None)


def test_run_suspended_past_its_lease_sends_nothing(
    ledger_url: str, client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner that was suspended for longer than its lease does not send what it has claimed."""
    exchange = Claims.exchange
    was_suspended: list[bool] = []

    def slow(*args: Any, **options: Any) -> Any:
        result = exchange(*args, **options)
        if result.claimed and not was_suspended:
            was_suspended.append(True)
            time.sleep(0.3)  # the process is suspended, as by SIGSTOP
        return result

    monkeypatch.setattr(Claims, "exchange", slow)
    with Ledger(ledger_url, heartbeat_timeout=0.2) as ledger:
        plan(ledger, 5)
        assert ledger.run("a", client).numbers[State.ACCEPTED] == 5
        (found,) = ledger.find(numbers(1)[0])
    assert "valid_until" in found.history[1].detail
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(5), 1)


def test_run_failing_progress_callback_drains_then_raises(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """An exception in the progress callback drains the run, and is raised."""
    plan(ledger, 50)

    def on_progress(progress: Progress) -> None:
        if progress.in_flight:
            raise ZeroDivisionError

    with sandbox.inject_fault("delay", seconds=0.1, times=None), pytest.raises(ZeroDivisionError):
        ledger.run("a", client, on_progress=on_progress)
    submissions = ledger.status("a").submissions
    assert (submissions[State.ACCEPTED], submissions[State.PENDING]) == (2, 8)
    assert len(sandbox.arrivals) == 2


def test_run_task_that_dies_leaves_unknown(
    ledger: Ledger, client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submission whose task died after it may have sent is unknown."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("yunxin_soap.campaign.running.runner.decide", broken)
    plan(ledger, 50)
    with sandbox.inject_fault("close", times=None), pytest.raises(ZeroDivisionError):
        ledger.run("a", client, concurrency=1)
    assert ledger.status("a").submissions[State.UNKNOWN] == len(sandbox.arrivals) == 1
    assert ledger.status("a").submissions[State.SUBMITTING] == 0


def test_run_submission_above_the_accounts_limit_is_rejected(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A submission with more numbers than the account allows is rejected with -10."""
    sandbox.add_account(Account("demo", "demo", max_numbers=3))
    plan(ledger, 10)
    assert ledger.run("a", client).codes == {-10: 10}


def test_run_missing_campaign_is_an_error(ledger: Ledger, client: Client) -> None:
    """To run a campaign that the ledger does not have is an error."""
    with pytest.raises(LedgerError, match="There is no campaign 'a'"):
        ledger.run("a", client)


def test_runner_identity_hidden_process_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ``hidepid`` hides is not taken for dead; a zombie is."""
    with subprocess.Popen(["sleep", "60"]) as process:
        started = psutil.Process(process.pid).create_time() - psutil.boot_time()
        identity = replace(RunnerIdentity.new(), pid=process.pid, process_started=started)
        assert identity.is_dead() is False

        def hidden(pid: int) -> None:
            raise psutil.NoSuchProcess(pid)  # as for another user's process under hidepid

        with monkeypatch.context() as patched:
            patched.setattr(psutil, "Process", hidden)
            patched.setattr(os, "kill", _not_permitted)
            assert identity.is_dead() is None
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert identity.is_dead() is True  # a zombie
        process.wait()
        assert identity.is_dead() is True


def _not_permitted(*_: object) -> None:
    raise PermissionError
