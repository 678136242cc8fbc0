"""`Ledger.work` and ``yunxin-soap worker``: what is queued and what is started is sent."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration.campaign.killing.servers import cut_sessions
from tests.support.lists import TEXT, numbers
from tests.support.ports import free_port
from yunxin_soap import AsyncClient, Client, ConfigurationError
from yunxin_soap.campaign import AsyncLedger, CampaignState, Ledger, State
from yunxin_soap.campaign.storage.schema import campaign, submission
from yunxin_soap.sandbox import Sandbox

TO = "13900000000"
PATIENCE = 60.0


@contextmanager
def working(ledger: Ledger, client: Client, **options: Any) -> Iterator[Future[None]]:
    """A worker in a thread, which is stopped at the end."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(ledger.work, client, stop=stop, **options)
        try:
            yield work
        finally:
            stop.set()
        work.result(PATIENCE)


def until(met: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def enqueue(ledger: Ledger, key: str, to: str = TO, **options: Any) -> None:
    assert ledger.once.enqueue(key, to, TEXT, channel="37", **options)


def count(ledger: Ledger, state: State) -> int:
    return ledger.once.counts()[state]


def history(ledger: Ledger, key: str) -> list[State]:
    (found,) = [each for each in ledger.find(TO) if each.key == key]
    return [each.after for each in found.history]


def test_worker_sends_what_is_queued_and_what_is_started(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """It sends the queue and a started campaign, whatever comes while it works."""
    ledger.plan("a", numbers(50), TEXT, channel=37, max_recipients=5)
    ledger.plan("never started", [TO], TEXT, channel=37)
    for number in range(20):
        enqueue(ledger, f"k{number}")
    with working(ledger, client):
        until(lambda: count(ledger, State.ACCEPTED) == 20)
        ledger.start("a")
        until(lambda: ledger.status("a").state is CampaignState.DONE)
        enqueue(ledger, "later")
        until(lambda: count(ledger, State.ACCEPTED) == 21)
    assert ledger.status("a").numbers[State.ACCEPTED] == 50
    assert all(sandbox.times_accepted(each) == 1 for each in numbers(50) if each != TO)
    assert ledger.status("never started").submissions[State.PENDING] == 1


def test_workers_share_the_queue(
    ledger: Ledger, ledger_url: str, client: Client, sandbox: Sandbox
) -> None:
    """Two workers send each queued send once."""
    for number, to in enumerate(numbers(60)):
        enqueue(ledger, f"k{number}", to)
    with Ledger(ledger_url) as other, working(ledger, client), working(other, client):
        until(lambda: count(ledger, State.ACCEPTED) == 60)
    assert [sandbox.times_accepted(to) for to in numbers(60)] == [1] * 60


def test_worker_tries_again_what_was_not_sent(ledger: Ledger, sandbox: Sandbox) -> None:
    """A gateway that is away for a while delays what is queued; what has expired is cancelled."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api/MsgSend.asmx"
    enqueue(ledger, "patient")
    enqueue(ledger, "urgent", expires_in=0.5)
    with Client("demo", "demo", endpoint=url, retries=0) as client, working(ledger, client):
        until(lambda: count(ledger, State.CANCELLED) == 1)
        assert list(ledger.once.keys(State.CANCELLED)) == ["urgent"]
        until(lambda: State.PENDING in history(ledger, "patient"))
        with Sandbox(port=port) as gateway:
            until(lambda: count(ledger, State.ACCEPTED) == 1)
            assert len(gateway.inbox) == 1
    assert history(ledger, "patient")[-1] is State.ACCEPTED


def test_worker_spares_an_account_that_is_rejected(
    ledger: Ledger, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """After a rejection of the account it sends nothing of the queue for a while."""
    for number in range(30):
        enqueue(ledger, f"k{number}")
    with Client("demo", "wrong", endpoint=sandbox.url) as client, working(ledger, client):
        until(lambda: "sends nothing of the queue" in caplog.text)
        enqueue(ledger, "later")
        until(lambda: count(ledger, State.SUBMITTING) == 0)
    assert 1 <= len(sandbox.arrivals) <= 2  # it begins with two
    assert count(ledger, State.PENDING) == 31


def test_worker_waits_for_a_ledger_that_is_away(
    on_server: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so in the log, and goes on when the ledger is back."""
    with Ledger(on_server) as ledger, working(ledger, client):
        engine = sa.create_engine(sa.make_url(on_server).set(drivername="postgresql+psycopg"))
        name = sa.make_url(on_server).database
        other = engine.url.set(database="postgres")
        admin = sa.create_engine(other, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(sa.text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
            cut_sessions_of(connection, str(name))
            until(lambda: "The worker tries again" in caplog.text)
            connection.execute(sa.text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
        admin.dispose()
        engine.dispose()
        enqueue(ledger, "k")
        until(lambda: count(ledger, State.ACCEPTED) == 1)
    assert "The ledger can be used again." in caplog.text


def cut_sessions_of(connection: sa.Connection, name: str) -> None:
    connection.execute(
        sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
        {"name": name},
    )


@pytest.mark.parametrize("kind", ["on_server", "on_mariadb"])
def test_worker_outlives_its_sessions(
    request: pytest.FixtureRequest, kind: str, client: Client, sandbox: Sandbox
) -> None:
    """Sessions that the server ends delay the work, and nothing is sent twice or lost."""
    url: str = request.getfixturevalue(kind)
    with Ledger(url) as ledger:
        for number, to in enumerate(numbers(100)):
            enqueue(ledger, f"k{number}", to)
        with working(ledger, client):
            for _ in range(5):
                time.sleep(0.1)
                cut_sessions(url)
            with Ledger(url) as fresh:
                until(lambda: count(fresh, State.PENDING) + count(fresh, State.SUBMITTING) == 0)
        assert count(ledger, State.ACCEPTED) + count(ledger, State.UNKNOWN) == 100
    times = [sandbox.times_accepted(to) for to in numbers(100)]
    assert max(times) == 1


def test_worker_refuses_what_cannot_work(
    ledger: Ledger, client: Client, async_client: Callable[[], AsyncClient]
) -> None:
    """A wrong argument is an error at once."""
    with pytest.raises(ConfigurationError, match="concurrency=0 must be"):
        ledger.work(client, concurrency=0)
    with pytest.raises(TypeError, match=r"Ledger.work needs a Client, got AsyncClient"):
        ledger.work(async_client())  # type: ignore[arg-type]

    async def inside() -> None:
        ledger.work(client)

    with pytest.raises(RuntimeError, match="An event loop is running"):
        asyncio.run(inside())


def test_async_worker_stops_by_its_event(
    ledger: Ledger, ledger_url: str, sandbox: Sandbox, async_client: Callable[[], AsyncClient]
) -> None:
    """`AsyncLedger.work` sends until its event is set."""
    enqueue(ledger, "k")

    async def main() -> None:
        stop = asyncio.Event()
        async with AsyncLedger(ledger_url) as own, async_client() as client:
            work = asyncio.create_task(own.work(client, stop=stop))
            while (await own.once.counts())[State.ACCEPTED] == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            stop.set()
            await asyncio.wait_for(work, PATIENCE)

    asyncio.run(main())
    assert len(sandbox.inbox) == 1


class Command:
    """``yunxin-soap worker`` in a process of its own."""

    def __init__(self, ledger_url: str, sandbox: Sandbox) -> None:
        environment = {
            **os.environ,
            "YUNXIN_LEDGER": ledger_url,
            "YUNXIN_USER_CODE": "demo",
            "YUNXIN_USER_PASS": "demo",
            "YUNXIN_ENDPOINT": sandbox.url,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "yunxin_soap", "worker"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def end(self) -> tuple[int, str]:
        """Return how it ended, and its log."""
        _, log = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, log


@pytest.fixture
def command(ledger: Ledger, ledger_url: str, sandbox: Sandbox) -> Iterator[Callable[[], Command]]:
    started: list[Command] = []

    def start() -> Command:
        started.append(Command(ledger_url, sandbox))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def test_worker_command_drains_at_a_signal(
    ledger: Ledger, command: Callable[[], Command], sandbox: Sandbox
) -> None:
    """SIGTERM ends it once what is in flight has ended: nothing is unknown."""
    sandbox.inject_fault("delay", seconds=2.0, times=None)
    ledger.plan("a", numbers(20), TEXT, channel=37, max_recipients=1)
    ledger.start("a")
    for number in range(10):
        enqueue(ledger, f"k{number}")
    worker = command()
    until(lambda: count(ledger, State.SUBMITTING) > 0)
    until(lambda: ledger.status("a").submissions[State.SUBMITTING] > 0)
    worker.process.send_signal(signal.SIGTERM)
    status, log = worker.end()
    assert status == 0, log
    assert count(ledger, State.UNKNOWN) == count(ledger, State.SUBMITTING) == 0
    campaign = ledger.status("a").submissions
    assert campaign[State.UNKNOWN] == campaign[State.SUBMITTING] == 0
    assert count(ledger, State.PENDING) > 0
    assert "The worker has ended." in log


def test_worker_command_aborts_at_a_second_signal(
    ledger: Ledger, command: Callable[[], Command], sandbox: Sandbox
) -> None:
    """A second signal makes unknown what is in flight, and the ledger has that."""
    sandbox.inject_fault("delay", seconds=25.0, times=None)
    enqueue(ledger, "k")
    worker = command()
    until(lambda: count(ledger, State.SUBMITTING) == 1)
    until(lambda: len(sandbox.arrivals) == 1)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.stderr is not None
    for line in worker.process.stderr:
        if "Stopping once" in line:
            break
    worker.process.send_signal(signal.SIGTERM)
    status, log = worker.end()
    assert status == 5, log
    assert count(ledger, State.UNKNOWN) == 1


def test_worker_command_logs_which_submission_needs_a_person(
    ledger: Ledger, command: Callable[[], Command], sandbox: Sandbox
) -> None:
    """A line of its log names the campaign, the submission and the code, not only the event."""
    sandbox.inject_fault("code", code=-14, times=1)
    enqueue(ledger, "k")
    worker = command()
    until(lambda: count(ledger, State.REJECTED) == 1)
    sandbox.inject_fault("close", times=1)
    ledger.plan("june", numbers(1), TEXT, channel=37)
    ledger.start("june")
    until(lambda: ledger.status("june").submissions[State.UNKNOWN] == 1)
    worker.process.send_signal(signal.SIGTERM)
    _, log = worker.end()
    (record,) = ledger.results("june")
    assert "waits for a person. [submission_id=1 outcome=rejected code=-14]" in log
    assert f"[campaign=june submission_id={record.submission_id} outcome=unknown]" in log
    assert re.match(r"[0-9-]{10} [0-9:]{8} [+-][0-9]{4} [A-Z]+ ", log), log  # time and zone


def test_worker_command_says_what_is_missing(tmp_path: Any) -> None:
    """Without a ledger or an account it ends at once."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("YUNXIN_")}
    for ledger, status in (("", 2), (str(tmp_path / "none.sqlite"), 6)):
        done = subprocess.run(
            [sys.executable, "-m", "yunxin_soap", "worker"],
            env={**environment, "YUNXIN_LEDGER": ledger},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status
        assert done.stderr.startswith("yunxin-soap: There is no ledger")


def test_worker_takes_back_what_a_killed_one_left(
    ledger: Ledger, command: Callable[[], Command], client: Client, sandbox: Sandbox
) -> None:
    """What a killed worker had in flight becomes unknown within a sweep, and the rest is sent."""
    sandbox.inject_fault("delay", seconds=20.0, times=1)
    enqueue(ledger, "in flight")
    first = command()
    until(lambda: count(ledger, State.SUBMITTING) == 1)
    enqueue(ledger, "waiting", expires_in=600)
    first.kill()
    with working(ledger, client):
        until(lambda: count(ledger, State.PENDING) + count(ledger, State.SUBMITTING) == 0)
    assert count(ledger, State.UNKNOWN) <= 1


def test_options_of_another_version_stop_no_other_work(
    ledger: Ledger, engine: sa.Engine, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A campaign whose options this worker cannot read is an error in the log, and waits."""
    for name in ("newer", "whole"):
        ledger.plan(name, numbers(2), TEXT, channel=37)
        ledger.start(name)
    newer = campaign.update().where(campaign.c.name == "newer")
    with engine.begin() as connection:
        connection.execute(newer.values(run_options='{"option_of_a_newer_version": 1}'))
    enqueue(ledger, "queued")
    with working(ledger, client):
        until(lambda: count(ledger, State.ACCEPTED) == 1)
        until(lambda: ledger.status("whole").state is CampaignState.DONE)
        until(lambda: "A slice of the campaign 'newer'" in caplog.text)
    assert ledger.status("newer").numbers[State.PENDING] == 2


def test_changed_row_is_left_to_a_person(
    ledger: Ledger, engine: sa.Engine, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged send is an error in the log, and does not keep the worker from the others.

    The error names the submission, and not the key, which may be personal data.
    """
    enqueue(ledger, "order-42")
    with engine.begin() as connection:
        connection.execute(submission.update().values(digest="0"))
    enqueue(ledger, "whole")
    with working(ledger, client):
        until(lambda: count(ledger, State.ACCEPTED) == 1)
        until(lambda: "is not what was queued" in caplog.text)
    (error,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert vars(error)["submission_id"] == 1
    assert "order-42" not in caplog.text
    assert list(ledger.once.keys(State.PENDING)) == ["order-42"]
