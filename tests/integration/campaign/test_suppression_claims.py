"""What was put on the do-not-send list after a plan is left out by every later claim."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ManualRunner, ended, executed, wait_for_locks
from tests.support.lists import TEXT, numbers
from yunxin_soap import AsyncClient, Client, InvalidRequest, NotSent, RecipientsSuppressed
from yunxin_soap.campaign import AsyncLedger, CampaignState, Ledger, Progress, State
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.sandbox import Sandbox

A, B, C, D, E, F = GIVEN = numbers(6)
Manual = Callable[..., ManualRunner]


def plan(ledger: Ledger, count: int, *, size: int) -> None:
    ledger.plan("a", numbers(count), TEXT, channel=37, max_recipients=size)


def recipients(runner: ManualRunner, limit: int = 10) -> list[tuple[str, ...]]:
    """Claim, and return the numbers of what was claimed."""
    return [each.submission.recipients for each in runner.claim(limit)]


def states(ledger: Ledger) -> dict[str, State]:
    """Return the state of each number; none is in two submissions."""
    found = list(ledger.results("a"))
    assert len(found) == len({each.number for each in found})
    return {each.number: each.state for each in found}


@pytest.mark.parametrize("hashed", [False, True])
def test_claim_leaves_out_what_was_suppressed_since(
    ledger: Ledger, manual_runner: Manual, hashed: bool
) -> None:
    """A submission is split, a wholly suppressed one is not sent, and the others stay."""
    plan(ledger, 6, size=2)
    ledger.suppression.add([A, C, D], by="ops", reason="退订", hashed=hashed)
    runner, other = manual_runner(), manual_runner()
    assert recipients(runner) == [(E, F)]
    assert recipients(other) == [(B,)]
    assert recipients(manual_runner()) == []
    suppressed, submitting = State.SUPPRESSED, State.SUBMITTING
    expected = {A: suppressed, B: submitting, C: suppressed, D: suppressed}
    assert states(ledger) == {**expected, E: submitting, F: submitting}
    status = ledger.status("a")
    assert (status.numbers[suppressed], status.submissions[suppressed]) == (3, 2)
    assert status.submissions[State.SPLIT] == 1
    assert sum(status.numbers.values()) == status.planned == 6
    (record,) = ledger.find(A)
    reason = "on the do-not-send list: 退订"
    assert (record.state, record.reason) == (suppressed, reason)
    assert [(each.before, each.after, each.detail) for each in record.history] == [
        (State.PENDING, submitting, ""),
        (submitting, State.SPLIT, "some of its numbers are on the do-not-send list"),
        (State.PENDING, suppressed, reason),
    ]


def test_claim_keeps_the_reason_of_each_number(ledger: Ledger, manual_runner: Manual) -> None:
    """The numbers of one submission may be on the list for different reasons."""
    plan(ledger, 6, size=6)
    ledger.suppression.add([A, C], by="ops", reason="x")
    ledger.suppression.add([B], by="ops")
    assert recipients(manual_runner()) == [(D, E, F)]
    assert {each.number: each.reason for each in ledger.results("a") if each.reason} == {
        A: "on the do-not-send list: x",
        C: "on the do-not-send list: x",
        B: "on the do-not-send list",
    }


def test_claim_finds_what_is_left_behind_many_suppressed(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """However many submissions are suppressed, the run goes on to its end, and is done."""
    given = numbers(900)
    plan(ledger, 900, size=1)
    ledger.suppression.add(given[:899], by="ops")
    status = ledger.run("a", client)
    assert (status.state, status.numbers[State.SUPPRESSED]) == (CampaignState.DONE, 899)
    assert sandbox.accepted_numbers == {given[-1]: 1}


def test_run_of_a_wholly_suppressed_campaign_sends_nothing(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """It is done, and nothing of it was sent."""
    plan(ledger, 3, size=2)
    ledger.suppression.add(numbers(3), by="ops")
    assert ledger.run("a", client).state is CampaignState.DONE
    assert sandbox.arrivals == ()


def test_claim_checks_nothing_that_the_plan_has_left_out(
    ledger: Ledger, engine: sa.Engine, manual_runner: Manual
) -> None:
    """An exchange looks at the list only if it has grown since the plan."""
    ledger.suppression.add([A], by="ops")
    plan(ledger, 6, size=1)
    counts = []
    for grown in (False, True):
        runner = manual_runner()
        if grown:
            ledger.suppression.add([F], by="ops")
        with executed(engine) as statements:
            assert len(runner.claim(1)) == 1
        counts.append(sum("SELECT yunxin_suppression." in text for text, _ in statements))
    assert counts == [0, 1]
    assert A not in states(ledger)


def test_run_leaves_out_what_is_retried_or_resent(
    ledger: Ledger, client: Client, sandbox: Sandbox, manual_runner: Manual
) -> None:
    """Whatever becomes pending again goes through a claim, which leaves it out."""
    plan(ledger, 3, size=1)
    runner = manual_runner()
    rejected, unknown, not_sent = runner.claim(3)
    runner.exchange(
        ended(rejected, State.REJECTED, code=-14, safe_to_resend=True),
        ended(unknown, State.UNKNOWN),
        ended(not_sent, State.PENDING),
    )
    ledger.suppression.add(numbers(3), by="ops")
    assert ledger.retry("a", by="ops") == 1
    assert ledger.resolve("a", "resend", by="ops") == 1
    status = ledger.run("a", client)
    assert (status.state, status.numbers[State.SUPPRESSED]) == (CampaignState.DONE, 3)
    assert sandbox.arrivals == ()


def test_run_that_isolates_leaves_out_what_is_suppressed_between(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """The halves of a rejected submission are claimed like any other."""
    given = numbers(8)
    plan(ledger, 8, size=8)
    sandbox.inject_fault("code", code=-14)
    done = threading.Event()

    def suppress(progress: Progress) -> None:
        if progress.submissions and not done.is_set():
            done.set()
            ledger.suppression.add(given[-1], by="ops")  # in the half that waits

    status = ledger.run("a", client, isolate=True, concurrency=1, on_progress=suppress)
    assert done.is_set()
    assert status.numbers[State.SUPPRESSED] == 1
    assert sandbox.accepted_numbers == dict.fromkeys(given[:-1], 1)


def test_cancel_and_purge_take_suppressed_for_ended(ledger: Ledger, manual_runner: Manual) -> None:
    """A suppressed submission is final: it is not cancelled, and its numbers are purged."""
    plan(ledger, 3, size=1)
    ledger.suppression.add([A], by="ops")
    runner = manual_runner()
    claimed = runner.claim(1)
    runner.exchange(*[ended(each, State.ACCEPTED) for each in claimed])
    assert ledger.cancel("a", by="ops") == 1
    assert ledger.purge(older_than=-1) == 3
    assert list(ledger.results("a")) == []
    numbers_by = ledger.status("a").numbers
    assert (numbers_by[State.SUPPRESSED], numbers_by[State.CANCELLED]) == (1, 1)


@pytest.mark.parametrize("server", ["on_server", "on_mariadb"])
def test_add_waits_for_claims_that_do_not_see_it(
    request: pytest.FixtureRequest, server: str
) -> None:
    """An exchange that has claimed, and is not committed, ends before `add` returns."""
    url: str = request.getfixturevalue(server)
    engine = open_engine(url)
    with Ledger(url) as ledger, ThreadPoolExecutor(1) as thread:
        plan(ledger, 2, size=1)
        runner = ManualRunner(engine)
        other = open_engine(url)
        with other.begin() as connection:
            beat = runner.claims.runners.beat(connection, runner.identity)
            claimed = runner.claims._claim_from(
                connection, runner.identity, runner.campaign_id, 1, None, None, 0, beat.now
            )
            adding = thread.submit(ledger.suppression.add, numbers(2), by="ops")
            wait_for_locks(engine, 1)
            assert [each.number for each in ledger.suppression.entries()] == numbers(2)
            assert not adding.done()
        assert adding.result(timeout=30) == 2
        assert [each.submission.recipients for each in claimed] == [(A,)]
        assert recipients(runner) == []
        runner.identity.end()
        other.dispose()
    engine.dispose()


def test_send_that_waited_for_its_key_looks_at_the_list_again(
    on_server: str, client: Client, sandbox: Sandbox
) -> None:
    """What was suppressed while a send waited for a transaction with its key gets nothing."""
    engine, application = open_engine(on_server), open_engine(on_server)
    with (
        Ledger(on_server) as ledger,
        ThreadPoolExecutor(1) as thread,
        application.connect() as connection,
    ):
        ledger.once.enqueue("k", A, TEXT, channel=37, connection=connection)
        sending = thread.submit(ledger.once.send, client, "k", A, TEXT)
        wait_for_locks(engine, 1)
        assert ledger.suppression.add(A, by="ops") == 1
        connection.rollback()
        with pytest.raises(RecipientsSuppressed):
            sending.result(timeout=30)
        assert sandbox.arrivals == ()
        ledger.suppression.remove(A)
        assert ledger.once.send(client, "k", A, TEXT).recipients == (A,)
    engine.dispose()
    application.dispose()


def test_add_beside_a_run_is_obeyed_by_every_later_claim(
    ledger: Ledger, ledger_url: str, client: Client, sandbox: Sandbox
) -> None:
    """After `add` has returned, no claim contains the number; none is lost, none goes out twice."""
    given = numbers(400)
    plan(ledger, 400, size=4)
    sandbox.inject_fault("delay", jitter=0.02, times=None)
    started = threading.Event()
    with Ledger(ledger_url) as other, ThreadPoolExecutor(2) as threads:
        runs = [
            threads.submit(
                each.run, "a", client, concurrency=4, on_progress=lambda _progress: started.set()
            )
            for each in (ledger, other)
        ]
        assert started.wait(30)
        late: set[str] = set()
        for number in given[::-7]:
            other.suppression.add(number, by="ops")
            if states(other)[number] in (State.PENDING, State.SUPPRESSED):
                late.add(number)
        for run in runs:
            run.result(timeout=60)
    status = ledger.status("a")
    assert status.state is CampaignState.DONE
    final = states(ledger)
    assert Counter(final.values()) == {
        state: count for state, count in status.numbers.items() if count
    }
    assert late
    assert {number for number, state in final.items() if state is State.SUPPRESSED} == late
    assert sandbox.accepted_numbers == dict.fromkeys(set(given) - late, 1)


def test_once_send_refuses_who_is_on_the_list(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Nothing is sent or recorded, and the key may be used once the number is off the list."""
    ledger.suppression.add([A, C], by="ops", reason="退订")
    ledger.suppression.add([B], by="ops", hashed=True)
    for given, named in (([A], "139****0000 is on the do-not-send list: 退订."), ([B, D], "list.")):
        for _ in range(2):
            with pytest.raises(RecipientsSuppressed) as caught:
                ledger.once.send(client, "k", given, TEXT)
            assert named in str(caught.value)
            assert "Nothing was sent" in str(caught.value)
            assert caught.value.safe_to_resend
            assert isinstance(caught.value, InvalidRequest)
    with pytest.raises(RecipientsSuppressed, match=r"So is 1 other recipient\."):
        ledger.once.send(client, "k", [A, B, D], TEXT)
    assert ledger.once.counts() == dict.fromkeys(State, 0)
    assert ledger.once.send(client, "k", [D], TEXT).recipients == (D,)
    ledger.suppression.remove([A])
    assert ledger.once.send(client, "l", [A], TEXT).recipients == (A,)
    assert sandbox.accepted_numbers == {D: 1, A: 1}


def test_once_send_beside_a_list_takes_no_more_statements(
    ledger: Ledger, engine: sa.Engine, client: Client
) -> None:
    """PostgreSQL looks at the list in the statement that claims the key."""
    counts = []
    for each in (A, B):
        ledger.suppression.add([each], by="ops", hashed=True)
        for key in ("first", "second"):
            with executed() as statements:
                ledger.once.send(client, f"{key}-{each}", [C], TEXT)
        counts.append(len(statements))
    assert counts[0] == counts[1]
    if engine.dialect.name == "postgresql":
        assert counts == [2, 2]


def test_once_send_returns_the_receipt_of_who_is_suppressed_since(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """What was sent was sent; what was not is not sent any more."""
    first = ledger.once.send(client, "k", [A], TEXT)
    ledger.suppression.add([A, B], by="ops")
    assert ledger.once.send(client, "k", [A], TEXT) == first
    with pytest.raises(RecipientsSuppressed):
        ledger.once.send(client, "l", [B], TEXT)
    assert sandbox.accepted_numbers == {A: 1}


def test_once_send_that_was_not_sent_is_refused_later(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A pending key stays pending while its number is on the list."""
    sandbox.stop()
    with pytest.raises(NotSent):
        ledger.once.send(client, "k", [A], TEXT)
    ledger.suppression.add([A], by="ops")
    for _ in range(2):
        with pytest.raises(RecipientsSuppressed):
            ledger.once.send(client, "k", [A], TEXT)
    assert ledger.once.counts()[State.PENDING] == 1


def test_once_send_by_the_async_ledger_refuses_them_too(
    ledger_url: str, async_client: Callable[[], AsyncClient], sandbox: Sandbox
) -> None:
    """The asynchronous twins have the same list."""

    async def main() -> None:
        async with AsyncLedger(ledger_url) as ledger, async_client() as client:
            assert await ledger.suppression.add([A, B], by="ops", reason="x") == 2
            with pytest.raises(RecipientsSuppressed):
                await ledger.once.send(client, "k", [A], TEXT)
            assert await ledger.suppression.remove(A) == 1
            assert [each.number async for each in ledger.suppression.entries()] == [B]
            await ledger.once.send(client, "k", [A], TEXT)

    asyncio.run(main())
    assert sandbox.accepted_numbers == {A: 1}
