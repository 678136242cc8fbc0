"""Limits that hold for many runners, campaigns and single sends together."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import (
    ManualRunner,
    ended,
    executed,
    taken_slots,
    transaction,
)
from tests.support.lists import TEXT, numbers
from yunxin_soap import AsyncClient, Client, ConfigurationError, NotInLedger, NotSent
from yunxin_soap.campaign import AsyncLedger, Ledger, Pace, Progress, State
from yunxin_soap.campaign.running import once
from yunxin_soap.campaign.storage import claims
from yunxin_soap.campaign.storage.claims import TakenSlots
from yunxin_soap.campaign.storage.paces import Offer
from yunxin_soap.campaign.storage.schema import pace
from yunxin_soap.campaign.storage.suppression import lock_list
from yunxin_soap.observer import SubmissionEnded, SubmissionStarted, observe
from yunxin_soap.sandbox import Sandbox

ON_SQLITE = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
TO = "13900000000"


def plan(ledger: Ledger, count: int, *, name: str = "a", size: int = 1) -> None:
    ledger.plan(name, numbers(count), TEXT, channel=37, max_recipients=size)


def gaps(slots: list[float]) -> list[float]:
    """Return the times between slots that follow each other."""
    return [later - earlier for earlier, later in pairwise(sorted(slots))]


@contextmanager
def waits_since(url: str, name: str, seconds: float) -> Iterator[None]:
    """Let the first free slot of a pace be so many seconds away."""
    with transaction(url) as connection:
        values = {"next_at": time.time() + seconds}
        connection.execute(pace.update().where(pace.c.name == name).values(**values))
    yield


def test_paces_are_set_listed_and_removed(ledger: Ledger) -> None:
    """A pace has one or two limits, which can change; its name is unique."""
    ledger.pace.set("b", rate=50)
    ledger.pace.set("a", rate=5, numbers_rate=1000)
    ledger.pace.set("b", numbers_rate=0.5)
    ledger.pace.set("b", numbers_rate=0.5)
    assert ledger.pace.list() == (Pace("a", 5.0, 1000.0), Pace("b", None, 0.5))
    ledger.pace.remove("a")
    assert ledger.pace.list() == (Pace("b", None, 0.5),)
    for name in ("a", "\0", ""):
        with pytest.raises(NotInLedger, match="There is no pace"):
            ledger.pace.remove(name)


@ON_SQLITE
@pytest.mark.parametrize(
    ("name", "limits", "named"),
    [
        ("", {}, "must be printable text"),
        ("x" * 256, {}, "must be printable text"),
        ("a\n", {}, "must be printable text"),
        ("a", {"rate": 0.0}, "rate=0.0 must be a number above 0"),
        ("a", {"rate": float("nan")}, "rate=nan must be a number above 0"),
        ("a", {"numbers_rate": 2e6}, "numbers_rate=2000000.0 must be a number above 0"),
    ],
)
def test_invalid_pace_is_an_error(
    ledger: Ledger, name: str, limits: dict[str, float], named: str
) -> None:
    """A name is printable text, and a limit is a number above 0."""
    with pytest.raises(ConfigurationError, match=named):
        ledger.pace.set(name, **limits)
    assert ledger.pace.list() == ()


def test_unknown_pace_is_an_error_before_anything_is_sent(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A run, a start and a single send, queued or not, find that there is no such pace."""
    plan(ledger, 1)
    calls: list[Callable[[], Any]] = [
        lambda: ledger.run("a", client, pace="x"),
        lambda: ledger.start("a", pace="x"),
        lambda: ledger.once.send(client, "k", TO, TEXT, pace="x"),
        lambda: ledger.once.enqueue("k", TO, TEXT, channel=37, pace="x"),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="There is no pace 'x' in this ledger"):
            call()
    assert sandbox.arrivals == ()
    assert ledger.once.counts()[State.PENDING] == 0


@contextmanager
def statement_begins(part: str) -> Iterator[threading.Event]:
    """Give an event that is set when a statement with this part is about to run."""
    begins = threading.Event()

    def note(_connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if part in statement:
            begins.set()

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield begins
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_pace_is_not_held_while_the_do_not_send_list_is_changed(
    ledger: Ledger, engine: sa.Engine, client: Client
) -> None:
    """A single send that waits for the list keeps nobody else of its pace waiting."""
    ledger.pace.set("account", rate=1000)
    with ThreadPoolExecutor() as pool, engine.begin() as changing:
        lock_list(changing)
        with statement_begins("yunxin_suppression_state") as waits:
            sent = pool.submit(
                ledger.once.send, client, "order", numbers(1), TEXT, channel=37, pace="account"
            )
            assert waits.wait(30)
        with engine.begin() as other:
            assert other.execute(sa.select(pace).with_for_update(nowait=True)).one()
        assert not sent.done()
        changing.commit()
        assert sent.result(30).batch_no


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_pace_is_not_held_while_a_key_is_queued(
    ledger: Ledger, engine: sa.Engine, client: Client, sandbox: Sandbox
) -> None:
    """A single send that waits for an application's transaction keeps its pace free."""
    ledger.pace.set("account", rate=1000)
    with ThreadPoolExecutor() as pool, engine.connect() as app:
        ledger.once.enqueue("order", numbers(1), TEXT, channel=37, connection=app)
        try:
            with statement_begins("INSERT INTO yunxin_submission") as waits:
                sent = pool.submit(
                    ledger.once.send, client, "order", numbers(1), TEXT, channel=37, pace="account"
                )
                assert waits.wait(30)
            with engine.begin() as other:
                assert other.execute(sa.select(pace).with_for_update(nowait=True)).one()
            assert not sent.done()
        finally:
            app.rollback()
        assert sent.result(30).batch_no
    assert len(sandbox.arrivals) == 1


@pytest.mark.parametrize("option", ["rate_limit", "numbers_rate_limit"])
def test_runners_of_a_campaign_share_its_limit(
    ledger: Ledger,
    client: Client,
    sandbox: Sandbox,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four runners take slots that are as far apart as those of one, each once, and await them."""
    plan(ledger, 60, size=2)
    begin_at: list[float] = []
    began_at: list[float] = []

    def note(*values: Any) -> TakenSlots:
        made = TakenSlots(*values)
        begin_at.extend(made.begin_at)
        return made

    monkeypatch.setattr(claims, "TakenSlots", note)
    limit: dict[str, Any] = {option: 40.0 if option == "rate_limit" else 80.0}
    with (
        taken_slots() as slots,
        observe(lambda _: began_at.append(time.monotonic())),
        ThreadPoolExecutor(4) as threads,
    ):
        list(threads.map(lambda _: ledger.run("a", client, **limit), range(4)))
    assert len(slots) == len(sandbox.arrivals) == 30
    assert min(gaps(slots)) > 0.0249
    # An event loop's clock is as coarse as this.
    awaited = zip(sorted(began_at), sorted(begin_at), strict=True)
    assert min(began - begin for began, begin in awaited) > -1e-3


def test_pace_holds_for_campaigns_and_single_sends_together(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Two campaigns, a started one, single sends and queued ones take the slots of one pace."""
    ledger.pace.set("account-37", rate=40)
    for name in ("a", "b"):
        plan(ledger, 10, name=name)
    ledger.start("b", pace="account-37")
    ledger.once.enqueue("q", TO, TEXT, channel=37, pace="account-37")
    calls: list[Callable[[], Any]] = [
        lambda: ledger.run("a", client, pace="account-37"),
        lambda: ledger.work_slice("b", client),
        lambda: ledger.once.send_queued(client, "q"),
        *[
            lambda at=at: ledger.once.send(client, f"k{at}", TO, TEXT, pace="account-37")
            for at in range(5)
        ],
    ]
    with taken_slots() as slots, ThreadPoolExecutor(8) as threads:
        for each in [threads.submit(call) for call in calls]:
            each.result(timeout=60)
    assert len(slots) == len(sandbox.arrivals) == 26
    assert min(gaps(slots)) > 0.0249


def test_workers_send_what_is_queued_at_its_pace(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Two workers keep to the pace of queued sends, and what has no pace waits for none of them."""
    ledger.pace.set("p", rate=20)
    for at in range(10):
        ledger.once.enqueue(f"paced-{at}", TO, TEXT, channel=37, pace="p")
    for at in range(3):
        ledger.once.enqueue(f"free-{at}", TO, TEXT, channel=37)
    stop, arrived = threading.Event(), threading.Semaphore(0)
    unsubscribe = sandbox.store.subscribe(lambda _arrival: arrived.release())
    with taken_slots() as slots, ThreadPoolExecutor(2) as threads:
        workers = [threads.submit(ledger.work, client, stop=stop) for _ in range(2)]
        try:
            assert all(arrived.acquire(timeout=60) for _ in range(13))
        finally:
            stop.set()
        for each in workers:
            each.result(timeout=60)
    unsubscribe()
    assert len(slots) == 10
    assert min(gaps(slots)) > 0.049
    assert ledger.once.counts()[State.ACCEPTED] == len(sandbox.arrivals) == 13


def test_sweep_leaves_out_what_its_pace_has_no_slot_for(ledger: Ledger, ledger_url: str) -> None:
    """Queued sends of a full pace are not due, so that they keep no others from a worker."""
    ledger.pace.set("p", rate=1)
    ledger.once.enqueue("paced", TO, TEXT, channel=37, pace="p")
    ledger.once.enqueue("free", TO, TEXT, channel=37)
    assert ledger.sweep().due_keys == ("paced", "free")
    with waits_since(ledger_url, "p", 1000):
        assert ledger.sweep().due_keys == ("free",)


def test_queued_send_waits_for_a_slot_for_a_bounded_time(
    ledger: Ledger,
    ledger_url: str,
    client: Client,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call that sends what is queued leaves it queued if its pace has no slot for long."""
    monkeypatch.setattr(once, "_LONGEST_SLOT_WAIT", 0.2)
    ledger.pace.set("p", rate=1)
    ledger.once.enqueue("k", TO, TEXT, channel=37, pace="p")
    with waits_since(ledger_url, "p", 1000), pytest.raises(NotSent, match="It stays queued"):
        ledger.once.send_queued(client, "k")
    assert sandbox.arrivals == ()
    with waits_since(ledger_url, "p", 0):
        assert ledger.once.send_queued(client, "k").recipients == (TO,)


def test_single_send_that_was_sent_before_waits_for_no_slot(
    ledger: Ledger, ledger_url: str, client: Client, sandbox: Sandbox
) -> None:
    """A repeated call returns the receipt, and takes no slot."""
    ledger.pace.set("p", rate=1)
    receipt = ledger.once.send(client, "k", TO, TEXT, pace="p")
    with taken_slots() as slots, waits_since(ledger_url, "p", 1000):
        assert ledger.once.send(client, "k", TO, TEXT, pace="p") == receipt
    assert slots == []
    assert len(sandbox.arrivals) == 1


def test_async_single_sends_share_a_pace(
    ledger_url: str, async_client: Callable[[], AsyncClient], sandbox: Sandbox
) -> None:
    """`AsyncLedger` has paces, and its single sends keep to them."""

    async def main() -> None:
        async with AsyncLedger(ledger_url) as ledger, async_client() as sender:
            await ledger.pace.set("p", rate=40)
            assert await ledger.pace.list() == (Pace("p", 40.0, None),)
            sends = [ledger.once.send(sender, f"k{at}", TO, TEXT, pace="p") for at in range(5)]
            await asyncio.gather(*sends)
            await ledger.pace.remove("p")

    with taken_slots() as slots:
        asyncio.run(main())
    assert len(slots) == len(sandbox.arrivals) == 5
    assert min(gaps(slots)) > 0.0249


def test_async_single_send_that_is_cancelled_in_its_wait_was_not_sent(
    ledger_url: str,
    async_client: Callable[[], AsyncClient],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who cancels a send that waits for its slot leaves it pending."""
    monkeypatch.setattr(Offer, "take", lambda offer, _sizes: [offer.look_at() + 3600])

    async def main() -> dict[State, int]:
        async with AsyncLedger(ledger_url) as ledger, async_client() as sender:
            await ledger.pace.set("p", rate=1)
            sending = asyncio.create_task(ledger.once.send(sender, "k", TO, TEXT, pace="p"))
            while not (await ledger.once.counts())[State.SUBMITTING]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            return await ledger.once.counts()

    assert asyncio.run(main())[State.PENDING] == 1
    assert sandbox.arrivals == ()


def test_changed_pace_holds_for_running_processes(
    ledger: Ledger, ledger_url: str, client: Client, sandbox: Sandbox
) -> None:
    """A run that waits long for its slot says for which pace, and goes on once that is faster."""
    ledger.pace.set("account-37", rate=0.01)
    plan(ledger, 5)
    seen: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        if progress.reason:
            seen.append(progress)
            ledger.pace.set("account-37", rate=1000)

    # No heartbeat wakes the runner up.
    with Ledger(ledger_url, heartbeat_timeout=3600) as own:
        status = own.run("a", client, pace="account-37", on_progress=on_progress)
    assert status.numbers[State.ACCEPTED] == 5
    assert {each.reason for each in seen} == {"the pace account-37 allows the next submission then"}
    assert all(each.until is not None for each in seen)
    assert len(sandbox.arrivals) == 5


def test_run_does_not_wait_for_a_slot_that_nothing_is_left_for(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A run ends with its last submission, however long the next slot is away."""
    plan(ledger, 1)
    seen: list[Progress] = []
    status = ledger.run("a", client, rate_limit=0.01, on_progress=seen.append)
    assert status.numbers[State.ACCEPTED] == len(sandbox.arrivals) == 1
    assert {each.reason for each in seen} == {""}


def test_slice_ends_if_its_pace_has_no_slot_in_time(
    ledger: Ledger, ledger_url: str, client: Client, sandbox: Sandbox
) -> None:
    """A slice does not sit out what lasts longer than itself, and says for how long it lasts."""
    plan(ledger, 3)
    ledger.pace.set("account-37", rate=0.01)
    ledger.start("a", pace="account-37")
    done = ledger.work_slice("a", client)
    assert (done.sent, done.left) == (1, 2)
    assert done.wait is not None
    assert 90 < done.wait <= 100
    assert done.reason == "the pace account-37 allows the next submission then"
    ledger.start("a", rate_limit=0.01)
    assert ledger.work_slice("a", client).sent == 1
    assert ledger.work_slice("a", client).reason == "its rate limit allows the next submission then"
    assert len(sandbox.arrivals) == 2


def test_removed_pace_ends_a_run(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """A run whose pace is removed records what it sent, and ends with an error."""
    ledger.pace.set("p", rate=20)
    plan(ledger, 100)
    removed = threading.Event()

    def on_progress(progress: Progress) -> None:
        if progress.submissions and not removed.is_set():
            ledger.pace.remove("p")
            removed.set()

    with pytest.raises(NotInLedger, match="pace of this run was removed"):
        ledger.run("a", client, pace="p", on_progress=on_progress)
    status = ledger.status("a")
    assert status.submissions[State.ACCEPTED] == len(sandbox.arrivals) > 0
    assert status.submissions[State.SUBMITTING] == 0


def test_pace_that_is_used_is_not_removed(ledger: Ledger) -> None:
    """A started campaign, or a queued send, would never go out."""
    ledger.pace.set("p", rate=20)
    plan(ledger, 1)
    ledger.start("a", pace="p")
    with pytest.raises(NotInLedger, match="is that of the campaign 'a'"):
        ledger.pace.remove("p")
    ledger.stop("a")
    ledger.once.enqueue("k", TO, TEXT, channel=37, pace="p")
    with pytest.raises(NotInLedger, match="is that of the queued send 'k'"):
        ledger.pace.remove("p")
    assert [each.name for each in ledger.pace.list()] == ["p"]


def test_campaign_with_a_limit_can_be_deleted(ledger: Ledger, client: Client) -> None:
    """The pace of a campaign goes with it, and it is in no list."""
    plan(ledger, 1)
    stop = threading.Event()
    stop.set()
    ledger.run("a", client, rate_limit=5.0, stop=stop)
    assert ledger.pace.list() == ()
    ledger.delete("a")
    assert ledger.campaigns() == []


def test_limits_of_numbers_fit_each_size(
    ledger: Ledger, engine: sa.Engine, manual_runner: Callable[..., ManualRunner]
) -> None:
    """Only what begins soon is claimed, whatever the sizes are; a large one delays the next."""
    rows = [{"phone": each, "x": "甲" if at < 4 else "乙"} for at, each in enumerate(numbers(104))]
    ledger.plan("a", rows, "您好{x}【签名】", channel=37, max_recipients=100)
    runner = manual_runner()
    paces = ledger.pace.of_run(runner.campaign_id, rate=None, numbers_rate=0.1, name=None)

    def claim(*done: Any) -> tuple[list[int], TakenSlots]:
        result = runner.claims.exchange(
            runner.identity,
            runner.campaign_id,
            endings=[ended(each, State.ACCEPTED) for each in done],
            in_flight=(),
            limit=50,
            paces=paces,
        )
        assert result.slots is not None
        claimed.extend(result.claimed)
        return [each.size for each in result.claimed], result.slots

    claimed: list[Any] = []
    sizes, slots = claim()
    assert sizes == [4]
    assert slots.awaited == ""
    assert 30 < slots.look_at - time.monotonic() < 40
    sizes, slots = claim(*claimed)
    assert (sizes, slots.awaited) == ([], "its rate limit")


@pytest.mark.parametrize("server", ["on_server"])
def test_pace_costs_two_statements(request: pytest.FixtureRequest, server: str) -> None:
    """The pace is read after the results are written, and written after the claim."""
    url: str = request.getfixturevalue(server)
    with Ledger(url) as ledger:
        plan(ledger, 100)
        runner = ManualRunner(ledger._engine)
        claimed = runner.claim(8)
        paces = ledger.pace.of_run(runner.campaign_id, rate=1000.0, numbers_rate=None, name=None)
        with executed(ledger._engine) as statements:
            result = runner.claims.exchange(
                runner.identity,
                runner.campaign_id,
                endings=[ended(each, State.ACCEPTED) for each in claimed],
                in_flight=(),
                limit=8,
                is_certain=True,
                paces=paces,
            )
        runner.identity.end()
    assert len(result.claimed) == 8
    order = [
        next(word for word in ("yunxin_pace", "yunxin_history", "yunxin_runner") if word in text)
        for text, _ in statements
    ]
    assert order == [
        "yunxin_runner",
        "yunxin_history",
        "yunxin_pace",
        "yunxin_history",
        "yunxin_pace",
    ]


@ON_SQLITE
def test_observers_learn_how_long_a_submission_has_waited(ledger: Ledger, client: Client) -> None:
    """The event of a submission has the time of its wait for the pace, of all kinds of sends."""
    waits: list[float | None] = []

    def observer(started: SubmissionStarted) -> Callable[[SubmissionEnded], None]:
        waits.append(started.pace_wait)
        return lambda _ended: None

    ledger.pace.set("p", rate=5)
    plan(ledger, 3)
    with observe(observer):
        ledger.run("a", client, pace="p")
        ledger.once.send(client, "k", TO, TEXT, pace="p")
        ledger.once.send(client, "l", TO, TEXT)
    assert len(waits) == 5
    assert waits[-1] is None
    assert all(each is not None and 0 <= each < 60 for each in waits[:-1])
    assert max(each or 0.0 for each in waits) > 0.02
