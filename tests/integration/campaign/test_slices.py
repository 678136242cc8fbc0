"""Started campaigns, slices of work on them, and the sweep."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ManualRunner, ended, executed, transaction
from tests.integration.campaign.test_statements import buffers, explain
from tests.support.lists import TEXT, numbers
from yunxin_soap import AsyncClient, Client, ConfigurationError, LedgerError, NotInLedger
from yunxin_soap.campaign import AsyncLedger, CampaignState, Ledger, Progress, Slice, State, Sweep
from yunxin_soap.campaign.running import runner as running
from yunxin_soap.campaign.storage.runners import RunnerIdentity, Runners
from yunxin_soap.campaign.storage.schema import campaign, runner, submission
from yunxin_soap.campaign.storage.transitions import insert_pending_single
from yunxin_soap.message import Submission
from yunxin_soap.sandbox import Sandbox

Manual = Callable[..., ManualRunner]
ON_SQLITE = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
_ALMOST_NOW = timedelta(hours=1)
_OTHER_CONTAINER = RunnerIdentity.new().pid_namespace.partition("/")[0] + "/pid:[1]"
_JOIN = """
import os, sys
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.campaign.storage.runners import RunnerIdentity, Runners
url, campaign_id, options = sys.argv[1:]
go, ready, stay, answers = os.pipe(), os.pipe(), os.pipe(), os.pipe()
for _ in range(8):
    if os.fork() == 0:
        for each in (go, stay):
            os.close(each[1])
        engine = open_engine(url)
        os.write(ready[1], b".")
        os.read(go[0], 1)  # until all are ready
        joined = Runners(engine).join(RunnerIdentity.new(), int(campaign_id), options)
        os.write(answers[1], f"{joined} ".encode())
        os.read(stay[0], 1)  # nobody dies before all have tried
        os._exit(0)
count = 0
while count < 8:
    count += len(os.read(ready[0], 8))
os.close(go[1])
for each in (ready, answers):
    os.close(each[1])
said = b""
while said.count(b" ") < 8:
    said += os.read(answers[0], 100)
os.close(stay[1])
print(said.decode())
"""


def plan(ledger: Ledger, count: int, *, size: int = 1, name: str = "a") -> None:
    ledger.plan(name, numbers(count), TEXT, channel=37, max_recipients=size)


def later() -> datetime:
    return datetime.now(timezone.utc) + _ALMOST_NOW


def hours_elsewhere() -> str:
    """Sending hours, in UTC, which it is not now."""
    begin = datetime.now(timezone.utc) + timedelta(hours=3)
    return f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}"


def expire_leases(url: str) -> None:
    """Let every runner look as if it were of another machine, and had sent no heartbeat."""
    with transaction(url) as connection:
        connection.execute(runner.update().values(expires_at=0.0, pid_namespace="elsewhere/1"))


@contextmanager
def killed_runner(url: str, name: str = "a", *, claims: int = 2) -> Iterator[int]:
    """Let a process claim submissions, and die."""
    code = (
        "import os, sys\n"
        "from yunxin_soap.campaign.storage.claims import Claims\n"
        "from yunxin_soap.campaign.storage.engine import open_engine\n"
        "from yunxin_soap.campaign.storage.reads import Reads\n"
        "from yunxin_soap.campaign.storage.runners import RunnerIdentity\n"
        "engine = open_engine(sys.argv[1])\n"
        "campaign_id = Reads(engine).campaign_id(sys.argv[2])\n"
        "claims, own = Claims(engine), RunnerIdentity.new()\n"
        "claims.runners.register(own, campaign_id)\n"
        "claims.exchange(own, campaign_id, endings=(), in_flight=(), limit=int(sys.argv[3]))\n"
        "os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, url, name, str(claims)], check=True)
    yield done.returncode


# start, stop


def test_start_keeps_options_and_stop_forgets_them(ledger: Ledger) -> None:
    """A started campaign has its workers in its status; nothing is sent by that."""
    plan(ledger, 3)
    assert ledger.status("a").workers is None
    ledger.start("a")
    assert ledger.status("a").workers == 2
    ledger.start("a", workers=5, concurrency=4)
    status = ledger.status("a")
    assert (status.workers, status.numbers[State.PENDING]) == (5, 3)
    assert status.runners == ()
    ledger.stop("a")
    ledger.stop("a")
    assert ledger.status("a").workers is None


@ON_SQLITE
@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"workers": 0}, "workers=0"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"rate_limit": -1.0}, "rate_limit=-1.0"),
        ({"sending_hours": "8-9"}, "sending_hours='8-9'"),
        ({"timezone": "Mars"}, "Mars"),
    ],
)
def test_start_checks_its_options(ledger: Ledger, options: Any, named: str) -> None:
    """A wrong option is found when the campaign is started."""
    plan(ledger, 1)
    with pytest.raises(ConfigurationError, match=named):
        ledger.start("a", **options)
    assert ledger.status("a").workers is None


@ON_SQLITE
def test_start_refuses_what_cannot_run(ledger: Ledger) -> None:
    """There must be such a campaign, its hours must suit it, and it must not be cancelled."""
    with pytest.raises(NotInLedger, match="There is no campaign 'x'"):
        ledger.start("x")
    with pytest.raises(NotInLedger, match="There is no campaign 'x'"):
        ledger.stop("x")
    text = "您好，拒收请回复R【签名】"
    ledger.plan("m", numbers(1), text, channel=37, marketing=True)
    with pytest.raises(ConfigurationError, match="is marketing"):
        ledger.start("m")
    ledger.start("m", sending_hours="09:00-20:00")
    ledger.cancel("m", by="test")
    with pytest.raises(NotInLedger, match="was cancelled"):
        ledger.start("m", sending_hours="09:00-20:00")


@ON_SQLITE
def test_damaged_options_are_one_clear_error(
    ledger: Ledger, ledger_url: str, client: Client
) -> None:
    """Options that this package never writes are damage: the slice says so, and no other stops."""
    plan(ledger, 1)
    plan(ledger, 1, name="b")
    for name in ("a", "b"):
        ledger.start(name)
    for text in ("", "[]", '{"concurrency": 0}', '{"other": 1}', '{"start_at": 5}'):
        with transaction(ledger_url) as connection:
            damage = campaign.update().where(campaign.c.name == "a")
            connection.execute(damage.values(run_options=text))
        with pytest.raises(LedgerError, match="run_options is no options of a run"):
            ledger.work_slice("a", client)
        assert ledger.sweep().wanted == {"a": 2, "b": 2}


# slices


def test_slice_sends_what_is_pending(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """A slice ends once the campaign is done, and says so; a campaign by hand may run, too."""
    plan(ledger, 20)
    ledger.start("a", concurrency=4)
    assert ledger.work_slice("a", client) == Slice(20, 0, None, "it is done")
    assert ledger.status("a").state is CampaignState.DONE
    assert ledger.work_slice("a", client) == Slice(0, 0, None, "it is done")
    assert ledger.run("a", client).numbers[State.ACCEPTED] == 20
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(20), 1)


def test_async_ledger_works_on_slices(
    ledger_url: str, async_client: Callable[[], AsyncClient], sandbox: Sandbox
) -> None:
    """`AsyncLedger` starts, works, sweeps and stops."""

    async def main() -> None:
        async with AsyncLedger(ledger_url) as ledger, async_client() as sender:
            await ledger.plan("a", numbers(12), TEXT, channel=37, max_recipients=1)
            assert await ledger.work_slice("a", sender) == Slice(0, 12, None, "it is not started")
            await ledger.start("a", workers=3, start_at=later())
            assert (await ledger.sweep()) == Sweep(0, {}, ())
            await ledger.start("a", workers=3, concurrency=2)
            assert (await ledger.sweep()).wanted == {"a": 3}
            assert (await ledger.work_slice("a", sender)).sent == 12
            await ledger.stop("a")
            assert (await ledger.status("a")).workers is None

    asyncio.run(main())
    assert len(sandbox.arrivals) == 12


@ON_SQLITE
def test_slice_checks_its_arguments(ledger: Ledger, client: Client) -> None:
    """A slice needs a campaign, a time and the right client."""
    plan(ledger, 1)
    ledger.start("a")
    with pytest.raises(NotInLedger):
        ledger.work_slice("x", client)
    for seconds in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ConfigurationError, match="seconds="):
            ledger.work_slice("a", client, seconds=seconds)
    with pytest.raises(TypeError, match=r"Ledger\.work_slice needs a Client"):
        ledger.work_slice("a", AsyncClient("u", "p", endpoint="http://127.0.0.1:1"))  # type: ignore[arg-type]
    assert ledger.status("a").numbers[State.PENDING] == 1


def test_slice_drains_when_its_time_is_up(
    ledger: Ledger, client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in flight ends; what is pending is for the next slice, which makes sense at once."""
    plan(ledger, 200)
    ledger.start("a", concurrency=2)
    passed = 0.0
    clock = SimpleNamespace(time=time.time, monotonic=lambda: time.monotonic() + passed)
    monkeypatch.setattr(running, "time", clock)

    def on_progress(progress: Progress) -> None:
        nonlocal passed
        passed = 30.0 if progress.submissions else 0.0

    with sandbox.inject_fault("delay", seconds=0.05, times=None):
        done = ledger.work_slice("a", client, seconds=30.0, on_progress=on_progress)
    assert 0 < done.sent < 200
    assert done == Slice(done.sent, 200 - done.sent, 0.0, "")
    status = ledger.status("a")
    assert status.submissions[State.ACCEPTED] == done.sent
    assert status.submissions[State.SUBMITTING] == 0
    assert status.runners == ()


def test_slice_drains_when_it_is_told_to(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """An event of the caller ends a slice, as it ends a run."""
    plan(ledger, 200)
    ledger.start("a", concurrency=2)
    stop = threading.Event()

    def on_progress(progress: Progress) -> None:
        if progress.submissions:
            stop.set()

    with sandbox.inject_fault("delay", seconds=0.05, times=None):
        done = ledger.work_slice("a", client, on_progress=on_progress, stop=stop)
    assert 0 < done.sent < 200
    assert done.wait == 0.0
    assert ledger.status("a").submissions[State.SUBMITTING] == 0


@pytest.mark.parametrize("how", ["stop", "restart", "pause", "cancel"])
def test_slice_drains_when_somebody_decides(
    ledger: Ledger, client: Client, sandbox: Sandbox, how: str
) -> None:
    """A slice under way claims nothing more once the campaign is stopped, or started otherwise."""
    plan(ledger, 200)
    ledger.start("a", concurrency=2)
    decide: dict[str, Callable[[], Any]] = {
        "stop": lambda: ledger.stop("a"),
        "restart": lambda: ledger.start("a", concurrency=3),
        "pause": lambda: ledger.pause("a", by="test"),
        "cancel": lambda: ledger.cancel("a", by="test"),
    }
    decided = False

    def on_progress(progress: Progress) -> None:
        nonlocal decided
        if progress.submissions and not decided:
            decided = True
            decide[how]()

    with sandbox.inject_fault("delay", seconds=0.05, times=None):
        done = ledger.work_slice("a", client, on_progress=on_progress)
    assert 0 < done.sent < 50
    expected = {
        "stop": (None, "it is not started"),
        "restart": (0.0, "it was started again with other options"),
        "pause": (None, "by test"),
        "cancel": (None, "it was cancelled by test"),
    }
    assert (done.wait, done.reason) == expected[how]
    assert ledger.status("a").submissions[State.SUBMITTING] == 0


def test_slice_waits_for_no_hours_and_no_start(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Outside its hours, or before its start, a slice ends at once and says for how long."""
    plan(ledger, 5)
    ledger.start("a", sending_hours=hours_elsewhere(), timezone="UTC")
    done = ledger.work_slice("a", client)
    assert (done.sent, done.left) == (0, 5)
    assert done.wait is not None
    assert 2 * 3600 < done.wait <= 3 * 3600
    assert "outside the sending hours" in done.reason
    ledger.start("a", start_at=later())
    done = ledger.work_slice("a", client)
    assert done.wait is not None
    assert 3500 < done.wait <= 3600
    assert done.reason == "the run starts then"
    assert ledger.sweep().wanted == {}
    assert sandbox.arrivals == ()


def test_slice_waits_for_no_pause_and_no_retry(
    ledger: Ledger, client: Client, sandbox: Sandbox, ledger_url: str
) -> None:
    """A slice ends while its campaign is paused, or what is left is not due."""
    plan(ledger, 5)
    ledger.start("a", concurrency=1)
    sandbox.inject_fault("code", code="-8")
    done = ledger.work_slice("a", client)
    assert done.wait is not None
    assert 200 < done.wait <= 600
    assert "-8" in done.reason
    assert ledger.sweep().wanted == {}
    with transaction(ledger_url) as connection:
        connection.execute(campaign.update().values(paused_until=1.0))
        connection.execute(submission.update().values(not_before=time.time() + 100))
    done = ledger.work_slice("a", client)
    assert done.wait is not None
    assert 90 < done.wait <= 100
    assert done.reason == "what was not sent is tried again then"
    assert ledger.sweep().wanted == {}
    with transaction(ledger_url) as connection:
        connection.execute(submission.update().values(not_before=1.0))
    assert ledger.sweep().wanted == {"a": 2}
    assert ledger.work_slice("a", client).wait is None
    assert ledger.status("a").numbers[State.ACCEPTED] == 5


def test_slice_waits_for_no_other_runner(
    ledger: Ledger, client: Client, manual_runner: Manual
) -> None:
    """What another runner has in flight is no reason to stay."""
    plan(ledger, 3)
    other = manual_runner()
    claimed = other.claim(2)
    ledger.start("a")
    done = ledger.work_slice("a", client)
    assert done == Slice(1, 0, 10.0, "what is left is in flight in other runners")
    assert ledger.sweep().wanted == {}
    other.exchange(*[ended(each, State.ACCEPTED, batch_no="1") for each in claimed])
    assert ledger.work_slice("a", client).reason == "it is done"


def test_slice_joins_only_if_a_worker_is_missing(
    ledger: Ledger, ledger_url: str, client: Client, manual_runner: Manual, sandbox: Sandbox
) -> None:
    """Live runners count, whatever started them; stalled ones do not."""
    plan(ledger, 4)
    ledger.start("a", workers=1)
    manual_runner().claim(1)
    full = Slice(0, 3, None, "1 runner works on it, which is all that it is started for")
    assert ledger.work_slice("a", client) == full
    assert ledger.sweep().wanted == {}
    expire_leases(ledger_url)
    assert ledger.work_slice("a", client).sent == 3
    assert ledger.status("a").submissions[State.UNKNOWN] == 1
    assert len(sandbox.arrivals) == 3


def test_of_eight_processes_that_join_at_once_two_do(ledger: Ledger, ledger_url: str) -> None:
    """Processes that join at the same moment are no more than the workers that are wanted."""
    plan(ledger, 8)
    ledger.start("a", workers=2)
    with transaction(ledger_url) as connection:
        row = connection.execute(sa.select(campaign)).one()
    command = [sys.executable, "-c", _JOIN, ledger_url, str(row.id), row.run_options]
    joined = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert sorted(joined.split()) == ["False"] * 6 + ["True"] * 2


def test_of_eight_slices_at_once_two_send(ledger: Ledger, client: Client, sandbox: Sandbox) -> None:
    """Threads of one process are as many runners; those that are too many send nothing."""
    plan(ledger, 40)
    ledger.start("a", workers=2, concurrency=1)
    # Nobody ends before all have tried: the gateway answers only then.
    with ThreadPoolExecutor(8) as threads, sandbox.inject_fault("delay", seconds=0.1, times=None):
        slices = list(threads.map(lambda _: ledger.work_slice("a", client, seconds=1.5), range(8)))
    refused = [each for each in slices if "all that it is started for" in each.reason]
    assert len(refused) == 6
    assert all(each.sent == 0 and each.wait is None for each in refused)
    sent = sum(each.sent for each in slices)
    assert ledger.status("a").submissions[State.ACCEPTED] == sent == len(sandbox.arrivals)


# the sweep


def test_sweep_starts_nothing(ledger: Ledger) -> None:
    """Only what somebody has started is wanted, and a sweep changes nothing about it."""
    plan(ledger, 2, name="a")
    plan(ledger, 2, name="b")
    ledger.start("b", workers=4)
    before = ledger.statuses()
    assert ledger.sweep() == Sweep(0, {"b": 4}, ())
    assert ledger.statuses() == before
    ledger.stop("b")
    assert ledger.sweep() == Sweep(0, {}, ())


def test_sweep_reclaims_of_all_campaigns_and_single_sends(
    ledger: Ledger, ledger_url: str, engine: sa.Engine
) -> None:
    """What dead processes left in flight becomes unknown, also if nobody started it."""
    plan(ledger, 2, name="a")
    plan(ledger, 5, name="b")
    ledger.start("b", workers=2)
    with killed_runner(ledger_url, "a"), killed_runner(ledger_url, "b", claims=3):
        pass
    identity, given = RunnerIdentity.new(), Submission(("13900000000",), TEXT, "37", "")
    with engine.begin() as connection:
        insert_pending_single(connection, "k", "digest", given)
        claims = Runners(engine)
        claims.add(connection, identity, None, 30.0)
        connection.execute(
            submission.update()
            .where(submission.c.key == "k")
            .values(state=State.SUBMITTING.value, runner_id=identity.id)
        )
    identity.end()
    with ThreadPoolExecutor(2) as threads:
        sweeps = list(threads.map(lambda _: ledger.sweep(), range(2)))
    assert sum(each.reclaimed for each in sweeps) == 6
    assert all(each.wanted == {"b": 2} for each in sweeps)
    assert ledger.status("a").submissions[State.UNKNOWN] == 2
    assert ledger.status("a").state is CampaignState.DONE
    assert ledger.status("b").submissions[State.UNKNOWN] == 3
    assert list(ledger.once.keys(State.UNKNOWN)) == ["k"]
    with transaction(ledger_url) as connection:
        assert connection.execute(sa.select(runner)).all() == []


def test_sweep_leaves_the_living(ledger: Ledger, manual_runner: Manual) -> None:
    """A runner that is alive, or that nobody can see and whose lease goes on, keeps what it has."""
    plan(ledger, 4)
    manual_runner().claim(1)
    manual_runner(pid_namespace=_OTHER_CONTAINER).claim(1)
    ledger.start("a", workers=3)
    assert ledger.sweep() == Sweep(0, {"a": 1}, ())
    assert ledger.status("a").submissions[State.SUBMITTING] == 2


def test_sweep_lists_queued_sends_that_are_due(ledger: Ledger, engine: sa.Engine) -> None:
    """A queued send is due now, after its retry, or once it has expired; others never are."""
    given, now = Submission(("13900000000",), TEXT, "37", ""), time.time()
    rows: dict[str, dict[str, Any]] = {
        "plain": {"expires_at": None},
        "new": {"expires_at": now + 100},
        "later": {"expires_at": now + 100, "not_before": now + 50},
        "again": {"expires_at": now + 100, "not_before": now - 1},
        "expired": {"expires_at": now - 1, "not_before": now + 50},
        "sent": {"expires_at": now + 100, "state": State.ACCEPTED.value},
    }
    with engine.begin() as connection:
        for key, values in rows.items():
            insert_pending_single(connection, key, "digest", given)
            of_key = submission.update().where(submission.c.key == key)
            connection.execute(of_key.values(**values))
    assert ledger.sweep().due_keys == ("new", "again", "expired")


def test_sweep_of_a_large_ledger_reads_little(on_server: str) -> None:
    """A sweep reads a few pages, however much is pending or was sent."""
    size = 300_000
    with Ledger(on_server) as ledger:
        plan(ledger, 1)
        ledger.start("a")
        with transaction(on_server) as connection:
            for statement in (
                "SET LOCAL session_replication_role = replica",
                "ALTER TABLE yunxin_submission SET (autovacuum_enabled = off)",
                "INSERT INTO yunxin_submission (campaign_id, content_id, size, state, attempts,"
                " reason, safe_to_resend, key, expires_at)"
                " SELECT CASE WHEN mod(n, 3) > 0 THEN 1 END, 1, 1,"
                " CASE WHEN mod(n, 2) > 0 THEN 'accepted' ELSE 'pending' END, 0, '', true,"
                " CASE WHEN mod(n, 3) = 0 THEN 'key-' || n END, 9e9"
                f" FROM generate_series(1, {size}) n",
            ):
                connection.exec_driver_sql(statement)
        with executed() as statements:
            found = ledger.sweep()
    assert found.wanted == {"a": 2}
    assert len(found.due_keys) == 1000
    selects = [each for each in statements if each[0].lstrip().startswith("SELECT")]
    of_submissions = [each for each in selects if "FROM yunxin_submission" in each[0]]
    assert len(of_submissions) == 2
    for statement, parameters in of_submissions:
        for mode in ("force_custom_plan", "force_generic_plan"):
            assert buffers(explain(on_server, mode, statement, parameters)) < 1500
