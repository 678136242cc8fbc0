"""`Ledger.once`: at most one send for each key, however often it is called."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import executed, wait_for_locks
from tests.support.lists import TEXT
from yunxin_soap import (
    AsyncClient,
    BalanceRejected,
    Client,
    ConfigurationError,
    ConfigurationRejected,
    ContentConflict,
    ContentRejected,
    GatewayRejected,
    InvalidRequest,
    LedgerError,
    NotInLedger,
    NotSent,
    OutcomeUnknown,
)
from yunxin_soap.campaign import AsyncLedger, Ledger, State
from yunxin_soap.campaign.running import once
from yunxin_soap.campaign.running.once import OnceSend
from yunxin_soap.campaign.storage.dialects import ledger_time
from yunxin_soap.campaign.storage.runners import RunnerIdentity
from yunxin_soap.campaign.storage.schema import (
    content,
    history,
    recipients,
    runner,
    submission,
)
from yunxin_soap.campaign.storage.singles import Singles
from yunxin_soap.sandbox import Sandbox

TO = "13900000000"


@pytest.fixture
def sender(sandbox: Sandbox) -> Iterator[Client]:
    with Client("demo", "demo", channel="37", endpoint=sandbox.url, retries=0) as client:
        yield client


@pytest.fixture
def identities(monkeypatch: pytest.MonkeyPatch) -> list[RunnerIdentity]:
    """The identities of the runners that a test has made so far."""
    made: list[RunnerIdentity] = []
    new = RunnerIdentity.new

    def make(_cls: type[RunnerIdentity]) -> RunnerIdentity:
        made.append(new())
        return made[-1]

    monkeypatch.setattr(RunnerIdentity, "new", classmethod(make))
    return made


def test_once_send_repeated_returns_the_same_receipt(
    ledger: Ledger, ledger_url: str, sender: Client, sandbox: Sandbox
) -> None:
    """A second call with a key returns the receipt of the first, from another process too."""
    receipt = ledger.once.send(sender, "k", TO, TEXT)
    with Ledger(ledger_url) as other:
        assert other.once.send(sender, "k", [TO], TEXT) == receipt
    assert ledger.once.send(sender, "l", TO, TEXT) != receipt
    assert sandbox.times_accepted(TO) == 2
    (first, _) = ledger.find(TO)
    assert (first.key, first.batch_no) == ("k", receipt.batch_no)


@pytest.mark.parametrize(("to", "text"), [("13900000001", TEXT), (TO, "别的【签名】")])
def test_once_send_other_content_is_a_conflict(
    ledger: Ledger, sender: Client, sandbox: Sandbox, to: str, text: str
) -> None:
    """A key stands for one list of recipients and one text."""
    ledger.once.send(sender, "k", TO, TEXT)
    with pytest.raises(ContentConflict, match="The key 'k' was used"):
        ledger.once.send(sender, "k", to, text)
    assert len(sandbox.arrivals) == 1


def test_once_send_repeated_raises_the_same_rejection(
    ledger: Ledger, sender: Client, sandbox: Sandbox
) -> None:
    """A second call raises the rejection of the first, with its code and banned word."""
    for _ in range(2):
        with pytest.raises(ContentRejected) as caught:
            ledger.once.send(sender, "k", TO, "促销【签名】")
        assert (caught.value.code, caught.value.keyword) == (-6, "促销")
    assert len(sandbox.arrivals) == 1


def test_once_send_repeated_raises_the_same_unknown(
    ledger: Ledger, sender: Client, sandbox: Sandbox
) -> None:
    """A second call raises the unknown outcome of the first, and says that it sent nothing."""
    sandbox.inject_fault("close")
    with pytest.raises(OutcomeUnknown) as first:
        ledger.once.send(sender, "a b", TO, TEXT)
    with pytest.raises(OutcomeUnknown) as second:
        ledger.once.send(sender, "a b", TO, TEXT)
    assert str(second.value) == (
        "The outcome of an earlier call with the key 'a b' is unknown, and this call sent nothing."
        " The SMS may have been sent: ask the vendor, then decide with once.resolve (campaign"
        " resolve --key 'a b'). Reason:"
        f" {first.value}"
    )
    assert sandbox.times_accepted(TO) == 1


def test_once_resolve_decides_an_unknown_send(
    ledger: Ledger, sender: Client, sandbox: Sandbox
) -> None:
    """Only a decision changes an unknown send."""
    with pytest.raises(NotInLedger, match=r"The ledger has no single send 'k': check"):
        ledger.once.resolve("k", "resend", by="test")
    for key in "kl":
        sandbox.inject_fault("html", when="before")
        with pytest.raises(OutcomeUnknown):
            ledger.once.send(sender, key, TO, TEXT)
    ledger.once.resolve("k", "resend", by="test")
    assert ledger.once.send(sender, "k", TO, TEXT).batch_no == sandbox.inbox[0].batch_no
    ledger.once.resolve("l", "accepted", by="test", batch_no="123")
    assert ledger.once.send(sender, "l", TO, TEXT).batch_no == "123"
    with pytest.raises(NotInLedger, match="'l' is accepted, so there is nothing to resolve"):
        ledger.once.resolve("l", "resend", by="test")
    assert sandbox.times_accepted(TO) == 1


def test_once_retry_sends_a_rejected_send_again(
    ledger: Ledger, sender: Client, sandbox: Sandbox
) -> None:
    """A rejected send is sent again only after a retry, and the history names who decided."""
    sandbox.inject_fault("code", code="-7")
    for _ in range(2):
        with pytest.raises(BalanceRejected):
            ledger.once.send(sender, "k", TO, TEXT)
    for key in ("another", "\udcff"):
        with pytest.raises(NotInLedger, match="The ledger has no single send"):
            ledger.once.retry(key, by="小王")
    ledger.once.retry("k", by="小王")
    assert ledger.once.counts()[State.PENDING] == 1
    receipt = ledger.once.send(sender, "k", TO, TEXT)
    assert ledger.once.send(sender, "k", TO, TEXT) == receipt
    assert sandbox.times_accepted(TO) == 1
    (found,) = ledger.find(TO)
    assert [(each.after, each.by) for each in found.history][2] == (State.PENDING, "小王")
    with pytest.raises(NotInLedger):
        ledger.once.retry("k", by="小王")


def test_once_retry_of_what_may_have_been_sent_needs_unsafe(
    ledger: Ledger, sender: Client, sandbox: Sandbox
) -> None:
    """A send that may have been sent is retried only with ``unsafe``."""
    sandbox.inject_fault("code", code="-1")
    with pytest.raises(GatewayRejected):
        ledger.once.send(sender, "k", TO, TEXT)
    sandbox.inject_fault("close")
    with pytest.raises(OutcomeUnknown):
        ledger.once.send(sender, "l", TO, TEXT)
    for key, reason in (("k", "may have been sent"), ("l", "'l' is unknown, so there is nothing")):
        with pytest.raises(NotInLedger, match=reason):
            ledger.once.retry(key, by="test")
    ledger.once.retry("k", unsafe=True, by="test")
    assert ledger.once.send(sender, "k", TO, TEXT).batch_no
    ledger.once.resolve("l", "not_sent", by="小王")
    with pytest.raises(ConfigurationRejected, match="decided by 小王") as refused:
        ledger.once.send(sender, "l", TO, TEXT)
    assert refused.value.safe_to_resend
    ledger.once.retry("l", by="test")  # the operator has made sure that it was not sent
    assert ledger.once.send(sender, "l", TO, TEXT).batch_no


def test_once_send_purged_key_keeps_no_digest(
    ledger: Ledger, engine: sa.Engine, sender: Client, sandbox: Sandbox
) -> None:
    """A purged key keeps its outcome and no digest, and cannot be used again."""
    receipt = ledger.once.send(sender, "k", TO, TEXT)
    assert ledger.purge(older_than=-1) == 1
    with engine.connect() as connection:
        assert connection.execute(sa.select(submission.c.digest)).all() == [(None,)]
    for to in (TO, "13900000001"):
        with pytest.raises(ContentConflict, match=f"It ended accepted as {receipt.batch_no}"):
            ledger.once.send(sender, "k", to, TEXT)
    assert sandbox.accepted_numbers == {TO: 1}


def test_once_retry_purged_send_is_an_error(
    ledger: Ledger, sender: Client, sandbox: Sandbox
) -> None:
    """A purged send has no numbers left to send to; the error says so."""
    sandbox.inject_fault("code", code="-7")
    with pytest.raises(BalanceRejected):
        ledger.once.send(sender, "k", TO, TEXT)
    assert ledger.purge(older_than=-1) == 1
    for unsafe in (False, True):
        with pytest.raises(NotInLedger, match="'k' was purged, so it cannot be retried"):
            ledger.once.retry("k", unsafe=unsafe, by="test")
    assert ledger.once.counts()[State.REJECTED] == 1


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_once_send_two_calls_of_a_pending_key_send_once(
    ledger: Ledger, engine: sa.Engine, sender: Client, sandbox: Sandbox
) -> None:
    """Two calls at once for a pending key send once."""
    with ThreadPoolExecutor(2) as pool:
        url, port = sandbox.url, int(sandbox.url.split(":")[2].split("/")[0])
        sandbox.stop()
        with pytest.raises(NotSent):
            ledger.once.send(sender, "k", TO, TEXT)
        with Sandbox(port=port) as back:
            assert back.url == url
            with engine.begin() as connection:
                # Both calls have read that it is pending, unless reading it takes a lock.
                connection.execute(sa.select(submission.c.id).with_for_update())
                calls = [pool.submit(ledger.once.send, sender, "k", TO, TEXT) for _ in range(2)]
                wait_for_locks(engine, 2)
            receipts = {each.result(30) for each in calls}
            assert len(receipts) == 1
            assert back.times_accepted(TO) == 1


def test_once_send_locked_ledger_is_waited_for_after_sending(
    tmp_path: Path, sandbox: Sandbox, sender: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ending that cannot be recorded at once is recorded once the lock is free."""
    monkeypatch.setattr("yunxin_soap.campaign.storage.dialects.BUSY_TIMEOUT", 0.1)
    ledger_url = tmp_path / "l.sqlite"
    with Ledger(ledger_url) as ledger, ThreadPoolExecutor(1) as pool:
        writer = sqlite3.connect(ledger_url, isolation_level=None, check_same_thread=False)
        with sandbox.inject_fault("delay", seconds=0.3, times=None):
            call = pool.submit(ledger.once.send, sender, "k", TO, TEXT)
            while not sandbox.arrivals:  # it is claimed, and its request has left
                pass
            writer.execute("BEGIN IMMEDIATE")
            with pytest.raises(NotDone):
                call.result(1)
        writer.close()
        assert call.result(30).batch_no
        assert ledger.once.counts()[State.ACCEPTED] == 1


def test_once_send_repeated_commit_leaves_one_entry(
    ledger: Ledger, sender: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recording an ending again, after a commit without an answer, adds no entry."""
    end = Singles.end

    def twice(*args: Any) -> None:
        for _ in range(2):  # the response to the first COMMIT was lost
            end(*args)

    monkeypatch.setattr(Singles, "end", twice)
    ledger.once.send(sender, "k", TO, TEXT)
    (found,) = ledger.find(TO)
    assert [each.after for each in found.history] == [State.SUBMITTING, State.ACCEPTED]


def test_once_counts_and_keys_by_state(ledger: Ledger, sender: Client, sandbox: Sandbox) -> None:
    """Single sends are counted by state, and their keys are listed."""
    ledger.plan("a", [TO], TEXT, channel=37)
    for key in ("k", "l"):
        ledger.once.send(sender, key, TO, TEXT)
    sandbox.inject_fault("close", times=2)
    for key in ("m", "n"):
        with pytest.raises(OutcomeUnknown):
            ledger.once.send(sender, key, TO, TEXT)
    assert {state: count for state, count in ledger.once.counts().items() if count} == {
        State.ACCEPTED: 2,
        State.UNKNOWN: 2,
    }
    assert list(ledger.once.keys(State.UNKNOWN)) == ["m", "n"]


def test_ledger_wrong_kind_of_client_is_a_type_error(
    ledger: Ledger, ledger_url: str, sender: Client, sandbox: Sandbox
) -> None:
    """`Ledger` needs a `Client`, and `AsyncLedger` an `AsyncClient`."""
    ledger.plan("a", [TO], TEXT, channel=37)
    other: Any = AsyncClient("demo", "demo", channel="37", endpoint=sandbox.url)
    wrong: Any = sender
    with pytest.raises(TypeError, match=r"Ledger\.once\.send needs a Client, got AsyncClient"):
        ledger.once.send(other, "k", TO, TEXT)
    with pytest.raises(TypeError, match=r"Ledger\.run needs a Client, got AsyncClient"):
        ledger.run("a", other)

    async def main() -> None:
        async with AsyncLedger(ledger_url) as asynchronous:
            with pytest.raises(TypeError, match=r"AsyncLedger\.run needs an AsyncClient"):
                await asynchronous.run("a", wrong)
            with pytest.raises(TypeError, match=r"AsyncLedger\.once\.send needs an AsyncClient"):
                await asynchronous.once.send(wrong, "k", TO, TEXT)

    asyncio.run(main())
    assert sandbox.arrivals == ()


def test_once_send_not_sent_is_sent_by_the_next_call(
    ledger: Ledger, sender: Client, sandbox: Sandbox
) -> None:
    """What was not sent is sent by the next call."""
    port = int(sandbox.url.split(":")[2].split("/")[0])
    sandbox.stop()
    with pytest.raises(NotSent):
        ledger.once.send(sender, "k", TO, TEXT)
    with Sandbox(port=port) as back:
        assert ledger.once.send(sender, "k", TO, TEXT).batch_no
        assert back.times_accepted(TO) == 1


def test_once_send_of_a_new_key_takes_few_statements(
    ledger: Ledger, engine: sa.Engine, sender: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL claims a new key by one statement, and records how it ended by another."""
    # A busy machine must not look like a wait for a lock, after which it looks at the list again.
    monkeypatch.setattr(once, "_NO_WAIT", 60.0)
    with executed() as found:
        ledger.once.send(sender, "k", TO, TEXT)
    # BEGIN is SQLite's; a driver's own is not shown.
    statements = [text for text, _ in found if not text.startswith("BEGIN")]
    expected = {"postgresql": 2, "sqlite": 13, "mysql": 15}
    assert len(statements) == expected[engine.dialect.name], "\n".join(statements)


def test_once_send_invalid_request_is_not_recorded(
    ledger: Ledger, engine: sa.Engine, sender: Client, identities: list[RunnerIdentity]
) -> None:
    """An invalid request leaves no trace in the ledger, and no live runner in the process."""
    with pytest.raises(InvalidRequest):
        ledger.once.send(sender, "k", "1", TEXT)
    with engine.connect() as connection:
        for table in (submission, runner):
            assert connection.execute(sa.select(table)).all() == []
    assert all(each.is_dead() for each in identities)
    assert ledger.once.send(sender, "k", TO, TEXT).batch_no
    assert [each.is_dead() for each in identities] == [True]


@pytest.mark.parametrize("key", ["", " ", "a\0"])
def test_once_send_empty_or_unprintable_key_is_invalid(
    ledger: Ledger, sender: Client, key: str
) -> None:
    """A key is printable text."""
    with pytest.raises(ConfigurationError, match="must be printable text"):
        ledger.once.send(sender, key, TO, TEXT)


def row_counts(engine: sa.Engine) -> dict[str, int]:
    """Return how many rows the tables have that a single send is written to."""
    with engine.connect() as connection:
        return {
            each.name: connection.scalar(sa.select(sa.func.count()).select_from(each)) or 0
            for each in (submission, content, recipients, history, runner)
        }


ONE_SEND = {
    "yunxin_submission": 1,
    "yunxin_content": 1,
    "yunxin_recipients": 1,
    "yunxin_history": 2,
    "yunxin_runner": 0,
}


def test_once_send_repeated_adds_no_rows(
    ledger: Ledger, engine: sa.Engine, sender: Client, sandbox: Sandbox
) -> None:
    """A call with a used key leaves the ledger as it was, whatever the call ends with."""
    ledger.once.send(sender, "k", TO, TEXT)
    assert row_counts(engine) == ONE_SEND
    ledger.once.send(sender, "k", TO, TEXT)
    with pytest.raises(ContentConflict):
        ledger.once.send(sender, "k", TO, f"又{TEXT}")
    assert row_counts(engine) == ONE_SEND


@pytest.mark.parametrize("was_committed", [True, False])
def test_once_send_whose_claim_lost_its_answer(
    ledger: Ledger,
    sender: Client,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    was_committed: bool,
) -> None:
    """A claim that was committed without an answer is sent; one that was not is an error."""
    claim = OnceSend._try_to_claim

    def lose_answer(self: OnceSend, *args: Any) -> None:
        if was_committed:
            claim(self, *args)
        lost = ConnectionError("the connection was lost")
        raise sa.exc.OperationalError("COMMIT", {}, lost, connection_invalidated=True)

    monkeypatch.setattr(OnceSend, "_try_to_claim", lose_answer)
    if not was_committed:
        with pytest.raises(LedgerError, match="this call sent nothing"):
            ledger.once.send(sender, "k", TO, TEXT)
        assert sandbox.arrivals == ()
        return
    assert ledger.once.send(sender, "k", TO, TEXT).batch_no == sandbox.arrivals[0].result
    (found,) = ledger.find(TO)
    assert [each.after for each in found.history] == [State.SUBMITTING, State.ACCEPTED]


def test_once_send_whose_claim_lost_its_answer_leaves_the_claim_of_another(
    ledger: Ledger, sender: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that does not know whether it has claimed does not send what another one has."""
    claim, other = OnceSend._try_to_claim, RunnerIdentity.new()

    def lose_answer(self: OnceSend, *args: Any) -> None:
        own, self._identity = self._identity, other
        claim(self, *args)
        self._identity = own
        lost = ConnectionError("the connection was lost")
        raise sa.exc.OperationalError("COMMIT", {}, lost, connection_invalidated=True)

    monkeypatch.setattr(OnceSend, "_try_to_claim", lose_answer)
    with pytest.raises(LedgerError, match="this call sent nothing"):
        ledger.once.send(sender, "k", TO, TEXT)
    other.end()
    assert sandbox.arrivals == ()
    assert ledger.once.counts()[State.SUBMITTING] == 1


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_once_send_ends_while_it_is_reclaimed(
    ledger: Ledger, engine: sa.Engine, sender: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ending that comes while another process reclaims it waits, and is kept as late."""
    end = Singles.end

    def meanwhile(self: Singles, *args: Any) -> bool:
        with ThreadPoolExecutor(1) as pool:
            with engine.begin() as connection:
                connection.execute(
                    runner.update().values(expires_at=1.0, pid_namespace="another machine")
                )
                call = pool.submit(end, self, *args)
                wait_for_locks(engine, 1)
                assert len(self.runners.reclaim_stalled(connection, None)) == 1
            return call.result(30)

    monkeypatch.setattr(Singles, "end", meanwhile)
    with pytest.raises(OutcomeUnknown, match="its process was suspended too long"):
        ledger.once.send(sender, "k", TO, TEXT)
    (found,) = ledger.find(TO)
    assert found.state is State.UNKNOWN
    assert found.history[-1].detail.startswith("its result came after its runner was reclaimed")
    assert row_counts(engine) == ONE_SEND | {"yunxin_history": 3}


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_once_send_end_is_not_later_by_waiting_for_a_lock(
    ledger: Ledger, engine: sa.Engine, sender: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history says when a send ended, however long the ledger was locked then."""
    end, locked_at = Singles.end, []

    def meanwhile(self: Singles, *args: Any) -> bool:
        with ThreadPoolExecutor(1) as pool:
            with engine.begin() as connection:
                connection.execute(sa.select(runner.c.id).with_for_update())
                call = pool.submit(end, self, *args)
                wait_for_locks(engine, 1)
                locked_at.append(ledger_time(connection))
                wait_for_locks(engine, 1)
            return call.result(30)

    monkeypatch.setattr(Singles, "end", meanwhile)
    ledger.once.send(sender, "k", TO, TEXT)
    (found,) = ledger.find(TO)
    assert found.history[-1].at.timestamp() < locked_at[0]


def test_once_send_racing_threads_send_once(
    ledger: Ledger, engine: sa.Engine, sender: Client, sandbox: Sandbox
) -> None:
    """Eight threads that race with one key send once, and write it once."""
    start = threading.Barrier(8)

    def ask(_: int) -> str:
        start.wait()
        return ledger.once.send(sender, "k", TO, TEXT).batch_no

    with sandbox.inject_fault("delay", seconds=0.2, times=None), ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert sandbox.times_accepted(TO) == 1
    assert row_counts(engine) == ONE_SEND


_DIES = """
import sys
from yunxin_soap import Client
from yunxin_soap.campaign import Ledger

with Ledger(sys.argv[1]) as ledger:
    client = Client("demo", "demo", channel="37", endpoint=sys.argv[2])
    print("begun", flush=True)
    ledger.once.send(client, "k", "13900000000", "您好【签名】")
"""


def test_once_send_killed_process_leaves_unknown(
    ledger: Ledger, ledger_url: str, sender: Client, sandbox: Sandbox
) -> None:
    """The send of a process that was killed is unknown."""
    arrived = threading.Event()
    stop = sandbox.store.subscribe(lambda _arrival: arrived.set())
    sandbox.inject_fault("hang")
    with subprocess.Popen(
        [sys.executable, "-c", _DIES, ledger_url, sandbox.url], stdout=subprocess.PIPE
    ) as process:
        assert arrived.wait(30)
        os.kill(process.pid, signal.SIGKILL)
    stop()
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="its runner died"):
            ledger.once.send(sender, "k", TO, TEXT)
    assert sandbox.times_accepted(TO) == 1


def test_once_send_ctrl_c_leaves_unknown(
    ledger: Ledger, ledger_url: str, sender: Client, sandbox: Sandbox
) -> None:
    """Ctrl-C while a send is in flight records it as unknown before the process ends."""
    arrived = threading.Event()
    stop = sandbox.store.subscribe(lambda _arrival: arrived.set())
    sandbox.inject_fault("hang")
    with subprocess.Popen(
        [sys.executable, "-c", _DIES, ledger_url, sandbox.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert arrived.wait(30)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    stop()
    assert "KeyboardInterrupt" in errors
    assert ledger.once.counts()[State.UNKNOWN] == 1  # no other call had to reclaim it
    with pytest.raises(OutcomeUnknown, match=r"with the key 'k' is unknown, and .* Reason: "):
        ledger.once.send(sender, "k", TO, TEXT)
    assert sandbox.times_accepted(TO) == 1


_CANNOT_RECORD = """
import sqlite3
import sys
import sqlalchemy as sa
from yunxin_soap import Client, LedgerError
from yunxin_soap.campaign import Ledger
from yunxin_soap.campaign.running import once
from yunxin_soap.campaign.storage.singles import Singles

def conclude(*_):
    raise sa.exc.OperationalError("", {}, sqlite3.OperationalError("no space left"))

Singles.end, once.LEASE_MARGIN = conclude, 0.0
client = Client(
    "demo", "demo", channel="37", endpoint=sys.argv[2], timeout=0.5, connect_timeout=0.5
)
with Ledger(sys.argv[1]) as ledger:
    try:
        ledger.once.send(client, "k", "13900000000", "您好【签名】")
    except LedgerError as error:
        print(error, flush=True)
        sys.stdin.read()
"""


def test_once_send_unrecorded_by_a_live_process_is_unknown(
    ledger: Ledger, ledger_url: str, sender: Client, sandbox: Sandbox
) -> None:
    """A send that a live process could not record is unknown once its lease has run out."""
    with subprocess.Popen(
        [sys.executable, "-c", _CANNOT_RECORD, ledger_url, sandbox.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "the ledger cannot be written (no space left)" in process.stdout.readline()
        for _ in range(2):
            with pytest.raises(OutcomeUnknown, match="its runner died"):
                ledger.once.send(sender, "k", TO, TEXT)
        assert process.poll() is None
        process.communicate("")
    assert sandbox.times_accepted(TO) == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_once_send_suspended_process_sends_nothing(
    ledger: Ledger,
    ledger_url: str,
    sender: Client,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    asynchronous: bool,
) -> None:
    """A process that was suspended between its claim and its request sends nothing."""
    # A process cannot be suspended on demand between its claim and its request.
    monkeypatch.setattr("yunxin_soap.campaign.running.once.LEASE_MARGIN", -1000.0)

    async def main() -> None:
        other = AsyncClient("demo", "demo", channel="37", endpoint=sandbox.url)
        async with other, AsyncLedger(ledger_url) as asynchronous:
            await asynchronous.once.send(other, "k", TO, TEXT)

    with pytest.raises(NotSent, match="valid_until"):
        asyncio.run(main()) if asynchronous else ledger.once.send(sender, "k", TO, TEXT)
    assert sandbox.arrivals == ()
    monkeypatch.undo()
    ledger.once.send(sender, "k", TO, TEXT)
    assert sandbox.times_accepted(TO) == 1


def test_async_once_send_cancelled_in_flight_is_unknown(
    ledger_url: str, sandbox: Sandbox, async_client: Callable[[], AsyncClient]
) -> None:
    """A send that is cancelled in flight is recorded as unknown."""

    async def main() -> None:
        arrived = asyncio.Event()
        loop = asyncio.get_running_loop()

        def come(_arrival: object) -> None:
            loop.call_soon_threadsafe(arrived.set)

        stop = sandbox.store.subscribe(come)
        async with async_client() as sender, AsyncLedger(ledger_url) as ledger:
            sandbox.inject_fault("hang")
            task = asyncio.create_task(ledger.once.send(sender, "k", TO, TEXT))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(OutcomeUnknown):
                await ledger.once.send(sender, "k", TO, TEXT)
        stop()

    asyncio.run(main())


def test_async_once_send_cancelled_before_sending_is_pending(
    ledger_url: str,
    sandbox: Sandbox,
    async_client: Callable[[], AsyncClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A send that is cancelled before its request left is sent by the next call."""
    claim = OnceSend._claim_or_look_up

    async def main() -> None:
        loop, committed, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def slowly(*arguments: Any) -> Any:
            found = claim(*arguments)
            loop.call_soon_threadsafe(committed.set)
            assert go_on.wait(30)
            return found

        monkeypatch.setattr(OnceSend, "_claim_or_look_up", slowly)
        async with async_client() as sender, AsyncLedger(ledger_url) as ledger:
            task = asyncio.create_task(ledger.once.send(sender, "k", TO, TEXT))
            await committed.wait()
            task.cancel()
            loop.call_later(0.05, go_on.set)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not sandbox.arrivals
            assert (await ledger.once.send(sender, "k", TO, TEXT)).batch_no

    asyncio.run(main())
    assert sandbox.times_accepted(TO) == 1
