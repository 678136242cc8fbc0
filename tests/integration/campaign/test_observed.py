"""What observers and the log learn of the submissions of a ledger, whoever sends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.campaign.conftest import ManualRunner
from tests.support.lists import TEXT, numbers
from yunxin_soap import (
    AsyncClient,
    Client,
    Outcome,
    OutcomeUnknown,
    Rejected,
    SendExpired,
    SubmissionEnded,
    SubmissionStarted,
    observe,
)
from yunxin_soap.campaign import AsyncLedger, Ledger, State
from yunxin_soap.sandbox import Sandbox

pytestmark = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
TO = "13900000000"


@pytest.fixture
def ended() -> Iterator[list[SubmissionEnded]]:
    """The submissions that have ended."""
    events: list[SubmissionEnded] = []

    def observer(_started: SubmissionStarted) -> Callable[[SubmissionEnded], None]:
        return events.append

    with observe(observer):
        yield events


class Subclass(Client):
    """A client that a run calls in threads, since it sends in its own way."""

    def submit(self, *args: Any, **options: Any) -> Any:
        return super().submit(*args, **options)


@pytest.mark.parametrize("kind", [Client, Subclass])
def test_run_tells_campaign_and_ids(
    ledger: Ledger, sandbox: Sandbox, ended: list[SubmissionEnded], kind: type[Client]
) -> None:
    """Each submission of a run is told once, with its campaign, its id and its attempt."""
    ledger.plan("autumn", numbers(23), TEXT, channel=37, max_recipients=5)
    with kind("demo", "demo", endpoint=sandbox.url, channel="37") as client:
        ledger.run("autumn", client)
    ids = {each.submission_id for each in ledger.results("autumn")}
    assert {each.started.submission_id for each in ended} == ids
    assert len(ended) == len(ids) == 5
    assert {each.started.campaign for each in ended} == {"autumn"}
    assert {each.started.attempt for each in ended} == {1}
    assert {each.outcome for each in ended} == {Outcome.ACCEPTED}
    assert sum(each.started.recipients for each in ended) == 23
    batches = {each.batch_no for each in ledger.results("autumn")}
    assert {each.batch_no for each in ended} == batches


def test_async_run_tells_campaign_and_ids(
    ledger_url: str, async_client: Callable[[], AsyncClient], ended: list[SubmissionEnded]
) -> None:
    """`AsyncLedger` tells the same; two campaigns at once are not confused."""

    async def main() -> None:
        async with AsyncLedger(ledger_url) as ledger, async_client() as client:
            for name in ("a", "b"):
                await ledger.plan(name, numbers(10), TEXT, channel=37, max_recipients=5)
            await asyncio.gather(ledger.run("a", client), ledger.run("b", client))
            # What is sent afterwards belongs to no campaign.
            await client.send(TO, TEXT)
            told = {each.started.submission_id: each.started.campaign for each in ended}
            for name in ("a", "b"):
                async for each in ledger.results(name):
                    assert told[each.submission_id] == name

    asyncio.run(main())
    assert [each.started.campaign for each in ended].count(None) == 1
    assert ended[-1].started.submission_id is None


def test_single_send_tells_its_id(
    ledger: Ledger, client: Client, ended: list[SubmissionEnded]
) -> None:
    """A single send is told with its id and its attempt, and never with its key."""
    ledger.once.send(client, "order-4711", TO, TEXT)
    ledger.once.send(client, "order-4711", TO, TEXT)  # it was sent before
    client.send(TO, TEXT)
    (record,) = (each for each in ledger.find(TO) if each.key)
    assert [each.started.submission_id for each in ended] == [record.submission_id, None]
    assert [each.started.attempt for each in ended] == [1, None]
    assert "4711" not in repr(ended)


def test_async_single_send_tells_its_id(
    ledger_url: str, async_client: Callable[[], AsyncClient], ended: list[SubmissionEnded]
) -> None:
    """`AsyncLedger.once` tells the same."""

    async def main() -> None:
        async with AsyncLedger(ledger_url) as ledger, async_client() as client:
            await ledger.once.send(client, "order-4711", TO, TEXT)
            await client.send(TO, TEXT)

    asyncio.run(main())
    assert [each.started.attempt for each in ended] == [1, None]


def test_slice_tells_campaign_and_logs_its_end(
    ledger: Ledger,
    client: Client,
    ended: list[SubmissionEnded],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A slice tells what a run tells, and is INFO in the log."""
    caplog.set_level(logging.INFO, "yunxin_soap.campaign")
    ledger.plan("autumn", numbers(10), TEXT, channel=37, max_recipients=5)
    ledger.start("autumn")
    ledger.work_slice("autumn", client)
    assert [each.started.campaign for each in ended] == ["autumn"] * 2
    (record,) = (each for each in caplog.records if each.levelno == logging.INFO)
    assert "2 submissions sent, 0 left, next slice once somebody acts" in record.getMessage()
    assert vars(record)["campaign"] == "autumn"


def test_reclaimed_submissions_are_logged(
    ledger: Ledger,
    manual_runner: Callable[..., ManualRunner],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a dead runner leaves is a warning, whoever finds it."""
    ledger.plan("a", numbers(10), TEXT, channel=37, max_recipients=5)
    dead = manual_runner(process_started=1.0)
    dead.exchange(limit=2)
    assert ledger.sweep().reclaimed == 2
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "2 submissions that it had in flight are unknown" in record.getMessage()
    assert vars(record)["outcome"] == "unknown"


def test_unknown_submission_is_logged_with_its_id(
    ledger: Ledger, client: Client, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator finds in the log which submission of which campaign is unknown."""
    ledger.plan("a", numbers(5), TEXT, channel=37)
    with sandbox.inject_fault("close", when="after"):
        ledger.run("a", client, failure_threshold=9)
    (result, *_) = ledger.results("a", states=[State.UNKNOWN])
    (record,) = (each for each in caplog.records if each.levelno == logging.WARNING)
    assert (
        vars(record).items()
        >= {
            "campaign": "a",
            "submission_id": result.submission_id,
            "outcome": "unknown",
            "code": None,
            "batch_no": None,
            "recipients": 5,
        }.items()
    )
    with sandbox.inject_fault("close", when="after"), pytest.raises(OutcomeUnknown):
        ledger.once.send(client, "order-4711", TO, TEXT)
    assert vars(caplog.records[-1])["submission_id"] is not None
    assert "4711" not in caplog.text


PAUSES = [
    ({"kind": "code", "code": "-7"}, logging.ERROR, "until it is resumed: The gateway rejected"),
    ({"kind": "code", "code": "-8", "times": 1}, logging.INFO, "for 0 s: The gateway rejected"),
    (
        {"kind": "html", "when": "before", "status": 404},
        logging.ERROR,
        "until it is resumed: what the gateway said is in the ledger alone",
    ),
    ({"kind": "close", "times": None}, logging.ERROR, "5 of 5 submissions failed"),
]


@pytest.mark.parametrize(("fault", "level", "words"), PAUSES, ids=["-7", "-8", "404", "breaker"])
def test_pause_is_logged(
    ledger: Ledger,
    client: Client,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, Any],
    level: int,
    words: str,
) -> None:
    """A pause that ends by itself is INFO; one that waits for a person is an ERROR.

    What a server says is not quoted: it may quote the text.
    """
    monkeypatch.setattr("yunxin_soap.campaign.running.decisions.CHANNEL_PAUSE", 0.05)
    caplog.set_level(logging.INFO, "yunxin_soap.campaign")
    ledger.plan("a", numbers(60), TEXT, channel=37, max_recipients=5)
    with sandbox.inject_fault(fault.pop("kind"), **fault):
        ledger.run("a", client, concurrency=1)
    record = next(each for each in caplog.records if "is paused" in each.getMessage())
    assert record.name == "yunxin_soap.campaign"
    assert record.levelno == level
    assert words in record.getMessage()
    assert vars(record)["campaign"] == "a"


def test_queued_send_that_needs_a_person_is_an_error(
    ledger: Ledger,
    client: Client,
    sandbox: Sandbox,
    ended: list[SubmissionEnded],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A queued send that was rejected, or has expired, is an ERROR with its id and no key."""
    ledger.once.enqueue("order-4711", TO, TEXT, channel=37)
    with sandbox.inject_fault("code", code="-6:word"), pytest.raises(Rejected):
        ledger.once.send_queued(client, "order-4711")
    ledger.once.enqueue("order-4712", TO, TEXT, channel=37, expires_in=0.001)
    with pytest.raises(SendExpired):
        ledger.once.send_queued(client, "order-4712")
    rejected, expired = caplog.records
    assert rejected.levelno == expired.levelno == logging.ERROR
    (event,) = ended
    assert vars(rejected).items() >= {"outcome": "rejected", "code": -6}.items()
    assert vars(rejected)["submission_id"] == event.started.submission_id
    assert vars(expired)["outcome"] == "not_sent"
    assert "471" not in caplog.text
