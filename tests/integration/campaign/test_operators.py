"""What an operator does to campaigns and asks about them, also beside runners."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ManualRunner, ended, executed, wait_for_locks
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, ConfigurationError, LedgerError, NotInLedger
from yunxin_soap.campaign import CampaignState, Ledger, Progress, State, Status
from yunxin_soap.campaign.models import Pause
from yunxin_soap.campaign.storage import admin, transitions
from yunxin_soap.campaign.storage.schema import (
    TABLES,
    campaign,
    runner,
    suppression_state,
)
from yunxin_soap.campaign.storage.schema import ledger as version
from yunxin_soap.sandbox import Sandbox

Manual = Callable[..., ManualRunner]


def plan(ledger: Ledger, count: int, *, size: int = 5, name: str = "a") -> None:
    ledger.plan(name, numbers(count), TEXT, channel=37, max_recipients=size)


def at_first_ending(action: Callable[[], object]) -> Callable[[Progress], None]:
    """Return a progress callback that does something once, when the run has sent something."""
    done = False

    def on_progress(progress: Progress) -> None:
        nonlocal done
        if progress.submissions and not done:
            done = True
            action()

    return on_progress


def test_pause_ends_a_run_until_resumed(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """A paused campaign drains, says who paused it and why, and goes on after a resume."""
    plan(ledger, 100)
    pause = at_first_ending(lambda: ledger.pause("a", by="ops", reason="wrong text?"))
    status = ledger.run("a", client, on_progress=pause)
    assert (status.state, status.reason) == (CampaignState.PAUSED, "by ops: wrong text?")
    assert status.paused_until is None
    assert status.submissions[State.SUBMITTING] == 0
    assert 0 < status.numbers[State.ACCEPTED] < 100
    assert ledger.run("a", client) == status
    ledger.resume("a")
    assert ledger.run("a", client).state is CampaignState.DONE
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(100), 1)


def test_pause_of_an_operator_is_not_replaced(ledger: Ledger, manual_runner: Manual) -> None:
    """What a runner meets does not replace a pause by an operator, which replaces a timed one."""
    plan(ledger, 5)
    manual = manual_runner()
    manual.exchange(pause=Pause("the channel is closed", 60.0))
    ledger.pause("a", by="ops")
    for pause in (Pause("the channel is closed", 60.0), Pause("the balance is too low")):
        manual.exchange(pause=pause)
        found = ledger.status("a")
        assert (found.reason, found.paused_until) == ("by ops", None)


def test_pause_twice_keeps_the_first_and_says_so(ledger: Ledger, manual_runner: Manual) -> None:
    """Who paused a campaign, and why, stays until somebody resumes it; a repeated call is none."""
    plan(ledger, 5)
    ledger.pause("a", by="ops", reason="wrong text?")
    before = ledger.status("a")
    ledger.pause("a", by="ops", reason="wrong text?")
    for by, reason in (("boss", "wrong text?"), ("ops", "")):
        with pytest.raises(NotInLedger, match=r"'a' is paused already \(by ops: wrong text\?\)"):
            ledger.pause("a", by=by, reason=reason)
    assert ledger.status("a") == before
    ledger.resume("a")
    manual_runner().exchange(pause=Pause("the balance is too low"))
    with pytest.raises(NotInLedger, match=r"is paused already \(the balance is too low\), until"):
        ledger.pause("a", by="ops")


def test_pause_beside_the_end_of_a_timed_pause_stays(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual
) -> None:
    """A runner that finds a timed pause over does not end the pause of an operator with it."""
    plan(ledger, 5)
    manual = manual_runner()
    manual.exchange(pause=Pause("the channel is closed", 60.0))
    with engine.begin() as connection:  # a minute later
        connection.execute(campaign.update().values(paused_until=campaign.c.paused_until - 60))
    if engine.dialect.name == "sqlite":  # its writers do not run beside each other
        ledger.pause("a", by="ops")
        result = manual.exchange(limit=1)
    else:
        with ThreadPoolExecutor(1) as pool:
            with engine.begin() as connection:
                transitions.pause_by_operator(connection, manual.campaign_id, reason="by ops")
                exchange = pool.submit(manual.exchange, limit=1)
                wait_for_locks(engine, 1)
            result = exchange.result(30)
    assert not result.claimed
    assert ledger.status("a").reason == "by ops"
    assert manual.exchange(limit=1).state is CampaignState.PAUSED


def test_pause_of_a_campaign_that_has_ended_is_an_error(ledger: Ledger, client: Client) -> None:
    """There is nothing to pause in a campaign that is done, cancelled or not there."""
    plan(ledger, 5)
    plan(ledger, 5, name="b")
    ledger.run("a", client)
    ledger.cancel("b", by="ops")
    for name, state in (("a", "done"), ("b", "cancelled")):
        with pytest.raises(NotInLedger, match=f"is {state}, so there is nothing to pause"):
            ledger.pause(name, by="ops")
        assert ledger.status(name).state.value == state
    with pytest.raises(NotInLedger, match="no campaign 'c'"):
        ledger.pause("c", by="ops")


@pytest.mark.parametrize("values", [{"by": ""}, {"by": "a\n"}, {"by": "ops", "reason": "\x1b[1m"}])
def test_pause_and_cancel_check_their_texts(ledger: Ledger, values: Any) -> None:
    """A name or a reason that could not be printed is an error, and changes nothing."""
    plan(ledger, 5)
    with pytest.raises(ConfigurationError, match="must be printable"):
        ledger.pause("a", **values)
    if "reason" not in values:
        with pytest.raises(ConfigurationError, match="must be printable"):
            ledger.cancel("a", **values)
    assert ledger.status("a").state is CampaignState.OPEN


def test_cancel_pending_are_never_sent(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """A cancelled campaign counts what was not sent, says who cancelled it, and sends nothing."""
    plan(ledger, 23)
    assert ledger.cancel("a", by="ops") == 5
    status = ledger.run("a", client)
    assert (status.state, status.reason) == (CampaignState.CANCELLED, "by ops")
    assert status.numbers[State.CANCELLED] == status.planned == 23
    assert status.submissions[State.CANCELLED] == 5
    assert {(each.state, each.reason) for each in ledger.results("a")} == {
        (State.CANCELLED, "cancelled by ops")
    }
    (found,) = ledger.find(numbers(1)[0])
    (entry,) = found.history
    assert (entry.before, entry.after, entry.by) == (State.PENDING, State.CANCELLED, "ops")
    assert ledger.cancel("a", by="boss") == 0
    assert ledger.status("a") == status
    assert not sandbox.arrivals
    time.sleep(0.01)
    assert ledger.purge(older_than=0) == 23
    purged = ledger.status("a")
    assert purged.purged_at is not None
    assert replace(purged, purged_at=None) == status


def test_cancel_is_final(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """Nothing makes a submission of a cancelled campaign pending; a person may still decide."""
    plan(ledger, 30)
    sandbox.inject_fault("code", code="-14")
    sandbox.inject_fault("close")
    cancel = at_first_ending(lambda: ledger.cancel("a", by="ops"))
    status = ledger.run("a", client, concurrency=2, on_progress=cancel)
    assert status.numbers[State.REJECTED] == status.numbers[State.UNKNOWN] == 5
    decisions: list[Callable[[], object]] = [
        lambda: ledger.resume("a"),
        lambda: ledger.retry("a", by="ops"),
        lambda: ledger.retry("a", unsafe=True, by="ops"),
        lambda: ledger.resolve("a", "resend", by="ops"),
    ]
    for decide in decisions:
        with pytest.raises(NotInLedger, match="'a' was cancelled, so nothing of it is sent again"):
            decide()
        assert ledger.status("a") == status
    assert ledger.resolve("a", "accepted", by="ops") == 1
    assert ledger.status("a").state is CampaignState.CANCELLED


def test_cancel_of_a_done_campaign_changes_nothing(ledger: Ledger, client: Client) -> None:
    """There is nothing to cancel in a campaign that is done."""
    plan(ledger, 5)
    status = ledger.run("a", client)
    with pytest.raises(NotInLedger, match="'a' is done, so there is nothing to cancel"):
        ledger.cancel("a", by="ops")
    with pytest.raises(NotInLedger, match="'a' is done, so there is nothing to delete"):
        ledger.delete("a")
    assert ledger.status("a") == status


def test_cancel_reports_its_progress(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long cancel says how far it is."""
    monkeypatch.setattr(admin, "_CANCEL_BATCH", 4)
    plan(ledger, 10, size=1)
    seen: list[int] = []
    assert ledger.cancel("a", by="ops", on_progress=seen.append) == 10
    assert seen == [4, 8, 10]


def test_campaign_is_not_done_while_a_retry_makes_it_pending(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends in the middle of a retry sees what the retry makes pending."""
    plan(ledger, 5)
    manual = manual_runner()
    (claimed,) = manual.claim()
    manual.exchange(ended(claimed, State.REJECTED, code=-7, safe_to_resend=True))
    finished: list[Future[None]] = []
    reopen = transitions.reopen_if_done

    with ThreadPoolExecutor(1) as pool:

        def last_step(connection: sa.Connection, campaign_id: int) -> None:
            reopen(connection, campaign_id)
            finished.append(pool.submit(manual.claims.finish, campaign_id))
            if connection.dialect.name != "sqlite":  # which shows nobody who waits
                wait_for_locks(engine, 1)

        monkeypatch.setattr(transitions, "reopen_if_done", last_step)
        assert ledger.retry("a", by="ops") == 1
        finished[0].result(30)
    assert ledger.status("a").state is CampaignState.OPEN
    assert ledger.cancel("a", by="ops") == 1


def test_cancel_beside_a_runner_cancels_what_comes_back(
    ledger: Ledger, manual_runner: Manual
) -> None:
    """What is in flight ends as it ends; not sent, split and never received are cancelled."""
    plan(ledger, 50)
    manual = manual_runner()
    sent, accepted, split, lost, held = manual.claim(5)
    assert ledger.cancel("a", by="ops") == 5
    assert ledger.status("a").submissions[State.SUBMITTING] == 5
    result = manual.exchange(
        ended(sent, State.PENDING, retry_after=60.0),
        ended(accepted, State.ACCEPTED, batch_no="1"),
        ended(split, State.SPLIT, code=-14),
        in_flight=[held.id],
        limit=5,
        pause=Pause("the balance is too low"),
    )
    assert (result.claimed, result.state, result.wait) == ([], CampaignState.CANCELLED, None)
    manual.exchange(ended(held, State.UNKNOWN))
    manual.claims.finish(manual.campaign_id)
    status = ledger.status("a")
    assert (status.state, status.reason) == (CampaignState.CANCELLED, "by ops")
    assert status.numbers == dict.fromkeys(State, 0) | {
        State.ACCEPTED: 5,
        State.UNKNOWN: 5,
        State.CANCELLED: 40,
    }
    assert lost.id in {each.submission_id for each in ledger.results("a")}
    changes = [entry.after for entry in ledger.find(split.submission.recipients[0])[0].history]
    assert changes == [State.SUBMITTING, State.SPLIT, State.CANCELLED]


def test_cancel_waits_for_exchanges_that_began_before(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual
) -> None:
    """A cancel returns only once no runner can claim by what it read before."""
    if engine.dialect.name == "sqlite":
        pytest.skip("its writers do not run beside each other")
    plan(ledger, 50)
    manual = manual_runner()
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:  # an exchange that has locked its runner
            connection.execute(sa.select(runner).with_for_update())
            cancel = pool.submit(ledger.cancel, "a", by="ops")
            wait_for_locks(engine, 1)
            assert ledger.status("a").state is CampaignState.CANCELLED
        assert cancel.result(30) == 10
    assert not manual.claim(5)


def test_cancel_beside_runs_sends_nothing_after_it(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Several runs beside a cancel: each number is sent once or cancelled, and the runs end."""
    plan(ledger, 600, size=1)
    with sandbox.inject_fault("delay", seconds=0.02, times=None), ThreadPoolExecutor(4) as pool:
        cancels: list[Future[int]] = []
        cancel = at_first_ending(lambda: cancels.append(pool.submit(ledger.cancel, "a", by="ops")))
        runs = [pool.submit(ledger.run, "a", client, on_progress=cancel)]
        runs += [pool.submit(ledger.run, "a", client) for _ in range(2)]
        wait(runs, timeout=60)
    status = ledger.status("a")
    assert status.state is CampaignState.CANCELLED
    assert status.numbers[State.CANCELLED] == cancels[0].result() > 0
    assert status.numbers[State.ACCEPTED] + status.numbers[State.CANCELLED] == 600
    accepted = {each.number for each in ledger.results("a") if each.state is State.ACCEPTED}
    assert sandbox.accepted_numbers == dict.fromkeys(accepted, 1)


def test_delete_removes_everything(ledger: Ledger, engine: sa.Engine) -> None:
    """A deleted campaign leaves no row, and its name is free for another one."""
    ledger.plan("a", [*numbers(7), "13"], TEXT, channel=37, max_recipients=2)
    ledger.cancel("a", by="ops")
    ledger.delete("a")
    with engine.connect() as connection:
        for table in TABLES.sorted_tables:
            if table not in (version, suppression_state):
                assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    assert ledger.campaigns() == []
    with pytest.raises(NotInLedger):
        ledger.delete("a")
    ledger.plan("a", numbers(3), f"再次{TEXT}", channel=38)
    assert ledger.status("a").numbers[State.PENDING] == 3


def test_delete_leaves_other_campaigns(ledger: Ledger, client: Client) -> None:
    """Another campaign and the single sends keep their rows."""
    plan(ledger, 7)
    plan(ledger, 7, name="b")
    ledger.once.send(client, "k", numbers(1), TEXT)
    ledger.delete("a")
    assert ledger.run("b", client).numbers[State.ACCEPTED] == 7
    assert ledger.once.counts()[State.ACCEPTED] == 1


def test_delete_overwrites_the_file(tmp_path: Path) -> None:
    """What is deleted is not in the SQLite file or its log any more."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger, Ledger(path) as other:
        plan(ledger, 700)
        assert other.status("a").planned == 700
        ledger.delete("a")
        held = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"13910000" not in held
    assert TEXT.encode() not in held


def test_delete_while_reading_says_what_is_still_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a reader keeps deleted data in the file, the error says so."""
    monkeypatch.setattr("yunxin_soap.campaign.storage.dialects.BUSY_TIMEOUT", 0.2)
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger, Ledger(path) as other:
        plan(ledger, 700)
        reader = other.results("a")
        next(reader)
        with pytest.raises(LedgerError, match="'a' was deleted, and is still in the file"):
            ledger.delete("a")
        assert len(list(reader)) == 699
        ledger.purge(older_than=0)
        held = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"13910000" not in held


def test_delete_what_has_sent_is_an_error(ledger: Ledger, manual_runner: Manual) -> None:
    """A campaign with a submission that was claimed once keeps its record."""
    plan(ledger, 10)
    manual = manual_runner()
    (claimed,) = manual.claim(1)
    manual.exchange(ended(claimed, State.PENDING, retry_after=60.0))
    manual.claims.runners.unregister(manual.identity)
    ledger.cancel("a", by="ops")
    status = ledger.status("a")
    with pytest.raises(NotInLedger, match=r"has begun to send, so its record stays: .* purge"):
        ledger.delete("a")
    assert ledger.status("a") == status


def test_delete_beside_a_runner_is_an_error(ledger: Ledger, manual_runner: Manual) -> None:
    """A campaign that a runner has begun is not deleted; one whose runner is dead is."""
    plan(ledger, 10)
    manual = manual_runner()
    with pytest.raises(NotInLedger, match=r"is being run by process \d+ on .*: stop that first"):
        ledger.delete("a")
    assert len(manual.claim(1)) == 1
    plan(ledger, 10, name="b")
    ledger.delete("b")


def test_delete_with_a_dead_runner_works(ledger: Ledger, manual_runner: Manual) -> None:
    """The row that a killed runner left does not keep a campaign."""
    plan(ledger, 10)
    manual_runner(pid=2**22 + 1)
    ledger.delete("a")
    assert ledger.campaigns() == []


def test_delete_beside_the_start_of_a_run_leaves_one_of_them(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """A run that begins while its campaign is being deleted finds none, and sends nothing."""
    plan(ledger, 10)
    runs: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as pool:

        def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("DELETE FROM yunxin_recipients"):
                runs.append(pool.submit(ledger.run, "a", client))
                wait(runs, timeout=0.3)  # time enough for the run, if nothing stopped it

        sa.event.listen(sa.Engine, "before_cursor_execute", before)
        try:
            ledger.delete("a")
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", before)
        with pytest.raises(NotInLedger):
            runs[0].result(30)
    assert not sandbox.arrivals
    assert ledger.campaigns() == []
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(campaign)) == 0


def test_statuses_are_those_of_each_campaign(
    ledger: Ledger, client: Client, sandbox: Sandbox, manual_runner: Manual
) -> None:
    """The states of all campaigns are the same as one by one, however many rows they have."""
    plan(ledger, 23)
    ledger.plan("held", numbers(3), "促销【签名】", channel=37, max_recipients=1)
    plan(ledger, 9, name="cancelled")
    plan(ledger, 7, name="pending")
    sandbox.inject_fault("close")
    sandbox.inject_fault("code", code="-14")
    ledger.run("a", client, concurrency=1)
    ledger.run("held", client, concurrency=1)
    ledger.cancel("cancelled", by="ops")
    ledger.once.send(client, "k", numbers(1), TEXT)
    manual_runner()
    statuses = ledger.statuses()
    assert [each.name for each in statuses] == ledger.campaigns()
    one_by_one = [ledger.status(each) for each in ledger.campaigns()]
    assert [_without_lease_ends(each) for each in statuses] == [
        _without_lease_ends(each) for each in one_by_one
    ]
    first, held, *_ = statuses
    assert (first.numbers[State.UNKNOWN], first.codes) == (5, {-14: 5})
    assert sum(held.on_hold.values()) == 2


def _without_lease_ends(status: Status) -> Status:
    """Leave out what a file's ledger reckons from two clocks, anew for each look."""
    runners = (replace(each, counts_as_stalled_at=each.started_at) for each in status.runners)
    return replace(status, runners=tuple(runners))


def test_statuses_do_not_ask_for_each_campaign(ledger: Ledger) -> None:
    """The number of statements does not grow with the number of campaigns."""

    def count() -> int:
        with executed() as statements:
            ledger.statuses()
        return len(statements)

    plan(ledger, 5)
    one = count()
    for name in "bcdef":
        plan(ledger, 5, name=name)
    assert count() == one


def test_status_names_the_oldest_unknown_and_the_runners(
    ledger: Ledger, manual_runner: Manual
) -> None:
    """A status says since when something is unknown, and which living processes run it."""
    plan(ledger, 50)
    manual = manual_runner()
    manual_runner(pid=2**22 + 1)
    first, second = manual.claim(2)
    assert ledger.status("a").oldest_unknown_at is None
    manual.exchange(ended(first, State.UNKNOWN), in_flight=[second.id])
    result = next(ledger.results("a", states=[State.UNKNOWN]))
    became = ledger.find(result.number)[0].history[-1].at
    manual.exchange(ended(second, State.UNKNOWN))
    status = ledger.status("a")
    assert status.oldest_unknown_at == became
    (active,) = status.runners
    assert str(active) == f"process {manual.identity.pid} on {manual.identity.host}"
    assert str(active) == ledger.find(result.number)[0].history[-1].who
    manual.claims.runners.unregister(manual.identity)
    assert ledger.status("a").runners == ()


def test_results_by_state(ledger: Ledger, manual_runner: Manual) -> None:
    """Results can be limited to states."""
    plan(ledger, 20)
    manual = manual_runner()
    unknown, accepted = manual.claim(2)
    manual.exchange(ended(unknown, State.UNKNOWN), ended(accepted, State.ACCEPTED, batch_no="1"))
    assert [each.number for each in ledger.results("a", states=[State.UNKNOWN])] == numbers(5)
    some = ledger.results("a", states={State.UNKNOWN, State.ACCEPTED})
    assert [each.number for each in some] == numbers(10)
    assert list(ledger.results("a", states=[])) == []
    assert len(list(ledger.results("a"))) == 20


def test_progress_is_that_of_all_runs(ledger: Ledger, manual_runner: Manual) -> None:
    """The progress of a campaign counts what every run has done, and what is in flight."""
    plan(ledger, 50)
    manual, other = manual_runner(), manual_runner()
    first, held = manual.claim(2)
    (second,) = other.claim(1)
    manual.exchange(ended(first, State.ACCEPTED, batch_no="1"), in_flight=[held.id])
    other.exchange(ended(second, State.UNKNOWN), pause=Pause("the channel is closed", 60.0))
    found = ledger.progress("a")
    assert (found.accepted, found.unknown, found.rejected) == (5, 5, 0)
    assert (found.in_flight, found.submissions) == (1, 2)
    assert (found.state, found.reason) == (CampaignState.PAUSED, "the channel is closed")
    assert found.until == ledger.status("a").paused_until


def test_run_start_at_waits_until_then(ledger: Ledger, client: Client) -> None:
    """Nothing is sent before the start."""
    plan(ledger, 10)
    start = datetime.now(timezone.utc) + timedelta(seconds=1)
    assert ledger.run("a", client, start_at=start).numbers[State.ACCEPTED] == 10
    assert all(each.sent_at >= start for each in ledger.timings("a"))


def test_run_start_at_is_in_the_timezone_and_stops(ledger: Ledger, client: Client) -> None:
    """A naive start is in the time zone of the run, hours apply after it, and a stop ends it."""
    plan(ledger, 10)
    stop = threading.Event()
    waits: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        waits.append(progress)
        stop.set()

    status = ledger.run(
        "a",
        client,
        start_at=datetime(2100, 1, 2, 23, 0),  # noqa: DTZ001 - of the time zone
        timezone="Europe/Paris",
        sending_hours="08:00-21:00",
        on_progress=on_progress,
        stop=stop,
    )
    assert status.numbers[State.PENDING] == 10
    assert waits[0].reason == "the run starts then"
    until = waits[0].until
    assert until is not None
    assert round(until.timestamp()) == datetime(2100, 1, 3, 7, tzinfo=timezone.utc).timestamp()


def test_run_start_at_in_the_past_begins_at_once(ledger: Ledger, client: Client) -> None:
    """A start that has passed is no reason to wait; several runners may have one."""
    plan(ledger, 20)
    start = datetime.now(timezone.utc) - timedelta(days=1)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(ledger.run, "a", client, start_at=start) for _ in range(2)]
        wait(runs, timeout=60)
    assert ledger.status("a").numbers[State.ACCEPTED] == 20


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_time_zone_that_is_none_is_an_error(ledger: Ledger, client: Client, zone: str) -> None:
    """A run and a report name a time zone that does not exist."""
    plan(ledger, 5)
    with pytest.raises(ConfigurationError, match="is no time zone"):
        ledger.run("a", client, timezone=zone)
    with pytest.raises(ConfigurationError, match="is no time zone"):
        ledger.report("a", timezone=zone)
