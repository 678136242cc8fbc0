"""Observers and the log: what they are told of each submission, and what they cannot be told."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import client_class, protocol_name
from tests.support.ports import free_port
from tests.support.scripted_server import (
    Connection,
    ScriptedServer,
    read_then_close,
    read_then_hang,
    reply_with,
)
from tests.support.secret_detector import NUMBERS, PASSWORD, assert_no_secret
from tests.support.wire_samples import BATCH_NO, HTML, http_response, result_response
from yunxin_soap import (
    AsyncClient,
    BalanceRejected,
    Category,
    ConfigurationError,
    ContentRejected,
    CredentialsRejected,
    InvalidRequest,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Rejected,
    SendError,
    SubmissionEnded,
    SubmissionStarted,
    observe,
)

TEXT = "您的验证码是471108【签名】"


class Events:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.started: list[SubmissionStarted] = []
        self.ended: list[SubmissionEnded] = []

    def __call__(self, started: SubmissionStarted) -> Callable[[SubmissionEnded], None]:
        self.started.append(started)
        return self.ended.append


@pytest.fixture
def events() -> Any:
    """What observers are told during a test."""
    events = Events()
    with observe(events):
        yield events


def records(caplog: pytest.LogCaptureFixture, level: int) -> list[logging.LogRecord]:
    return [each for each in caplog.records if each.name == "yunxin_soap" and each.levelno == level]


def test_observer_is_told_of_an_accepted_submission(protocol: str, events: Events) -> None:
    """Both clients tell when a submission begins and how it ended, over every protocol."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_accepted()
        port = int(server.origin.rsplit(":", 1)[1])
    (started,), (ended,) = events.started, events.ended
    assert started == SubmissionStarted(protocol_name(protocol), "127.0.0.1", port, 2, "37")
    assert ended.started is started
    assert ended.duration > 0
    assert ended == SubmissionEnded(
        started, Outcome.ACCEPTED, ended.duration, batch_no=BATCH_NO, http_status=200
    )


REFUSED = http_response("<html>no</html>", "403 Forbidden", HTML)


@pytest.mark.parametrize(
    ("response", "error", "expected"),
    [
        (
            lambda protocol: reply_with(result_response(protocol, "-3")),
            CredentialsRejected,
            (Outcome.REJECTED, -3, Category.CREDENTIALS, 200),
        ),
        (
            lambda protocol: reply_with(result_response(protocol, "-6:471108")),
            ContentRejected,
            (Outcome.REJECTED, -6, Category.CONTENT, 200),
        ),
        (
            lambda protocol: reply_with(REFUSED, then_close=True),
            Rejected,
            (Outcome.REJECTED, None, Category.CONFIGURATION, 403),
        ),
        (
            lambda protocol: reply_with(result_response(protocol, "0")),
            OutcomeUnknown,
            (Outcome.UNKNOWN, None, None, None),
        ),
        (
            lambda protocol: reply_with(
                http_response(f"<html>{TEXT}</html>", "502 Bad Gateway", HTML)
            ),
            OutcomeUnknown,
            (Outcome.UNKNOWN, None, None, 502),
        ),
        (
            lambda protocol: read_then_close,
            OutcomeUnknown,
            (Outcome.UNKNOWN, None, None, None),
        ),
    ],
    ids=["-3", "-6", "403", "nonsense", "502", "closed"],
)
def test_observer_is_told_of_a_failed_submission(
    protocol: str,
    events: Events,
    caplog: pytest.LogCaptureFixture,
    response: Callable[[str], Any],
    error: type[SendError],
    expected: tuple[Any, ...],
) -> None:
    """The event has outcome, code, category, status and the class of the error; so has the log."""
    caplog.set_level(logging.DEBUG)
    with (
        ScriptedServer(response(protocol)) as server,
        CheckedClient(server, protocol) as checked,
        pytest.raises(error) as caught,
    ):
        checked.client.send(NUMBERS, TEXT)
    (ended,) = events.ended
    assert (ended.outcome, ended.code, ended.category, ended.http_status) == expected
    assert ended.error is type(caught.value)
    assert ended.batch_no is None
    level = logging.WARNING if expected[0] is Outcome.UNKNOWN else logging.DEBUG
    record: Any = records(caplog, level)[-1]
    assert (record.outcome, record.code, record.batch_no) == (expected[0].value, expected[1], None)
    assert (record.campaign, record.submission_id, record.recipients) == (None, None, 2)
    assert_no_secret(caplog.text, repr(ended))
    assert "471108" not in caplog.text + repr(ended)


def test_observer_is_told_of_what_was_not_sent(protocol: str, events: Events) -> None:
    """A submission that found no connection has begun, and ended."""
    with (
        CheckedClient(f"http://127.0.0.1:{free_port()}/", protocol, retries=0) as checked,
        pytest.raises(NotSent),
    ):
        checked.client.send(NUMBERS, TEXT)
    (ended,) = events.ended
    assert (ended.outcome, ended.error, ended.http_status) == (Outcome.NOT_SENT, NotSent, None)


def test_observer_is_told_nothing_of_an_invalid_request(protocol: str, events: Events) -> None:
    """What a rule refuses is no submission."""
    with CheckedClient("http://127.0.0.1:9/", protocol) as checked:
        with pytest.raises(InvalidRequest):
            checked.client.send("13900000000", "")
        with pytest.raises(InvalidRequest):
            checked.client.service.sendMesExt("demo", "demo", "13900000000", "a\x01【签名】", "37")
    assert (events.started, events.ended) == ([], [])


@pytest.mark.parametrize(
    ("result", "outcome", "code"),
    [
        (BATCH_NO, Outcome.ACCEPTED, None),
        ("-7", Outcome.REJECTED, -7),
        ("x", Outcome.UNKNOWN, None),
    ],
)
def test_observer_is_told_of_calls_of_the_service(
    protocol: str, events: Events, result: str, outcome: Outcome, code: int | None
) -> None:
    """``service.sendMesExt`` returns any result; the observer learns what it means."""
    with (
        ScriptedServer(reply_with(result_response(protocol, result))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        # The password is in the wrong field, where nobody expects it.
        returned = checked.client.service.sendMesExt(
            "user", PASSWORD, ",".join(NUMBERS), TEXT, PASSWORD, ""
        )
    assert returned == result
    (ended,) = events.ended
    assert (ended.outcome, ended.code) == (outcome, code)
    assert ended.batch_no == (BATCH_NO if outcome is Outcome.ACCEPTED else None)
    assert (ended.started.recipients, ended.started.channel) == (2, "")


def test_unknown_outcome_is_a_warning_even_if_nobody_watches(
    protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At the usual log level, an unknown outcome is the only thing that is logged."""

    def script(connection: Connection) -> None:
        connection.read()
        connection.send(result_response(protocol))
        connection.read()

    with (
        ScriptedServer(script) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.client.send(NUMBERS, TEXT)
        assert caplog.records == []
        with pytest.raises(OutcomeUnknown):
            checked.client.send(NUMBERS, TEXT)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "before a response came" in record.getMessage()
    assert "471108" not in caplog.text
    assert_no_secret(caplog.text)


def test_cancelled_submission_is_told_as_unknown(events: Events) -> None:
    """A task that is cancelled while the gateway works is told as what it is."""

    async def main(server: ScriptedServer) -> None:
        async with AsyncClient("demo", "demo", endpoint=server.url, channel="37") as client:
            task = asyncio.ensure_future(client.send("13900000000", TEXT))
            await asyncio.to_thread(server.wait_for_requests, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with ScriptedServer(read_then_hang) as server:
        asyncio.run(main(server))
    (ended,) = events.ended
    assert (ended.outcome, ended.error) == (Outcome.UNKNOWN, OutcomeUnknown)


def raise_at_the_start(_started: SubmissionStarted) -> None:
    raise ZeroDivisionError


def raise_at_the_end(_started: SubmissionStarted) -> Callable[[SubmissionEnded], None]:
    def end(_ended: SubmissionEnded) -> None:
        raise ZeroDivisionError

    return end


@pytest.mark.parametrize("broken", [raise_at_the_start, raise_at_the_end])
def test_observer_that_raises_changes_no_outcome(
    protocol: str, events: Events, caplog: pytest.LogCaptureFixture, broken: Any
) -> None:
    """Its first error is logged, no other, and other observers are told as ever."""
    with (
        observe(broken),
        ScriptedServer(
            reply_with(*[result_response(protocol, each) for each in (BATCH_NO, "-7", BATCH_NO)])
        ) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_accepted()
        checked.assert_fails(BalanceRejected)
        checked.assert_accepted()
    outcomes = [each.outcome for each in events.ended]
    assert outcomes == [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.ACCEPTED]
    (record,) = records(caplog, logging.ERROR)
    assert broken.__qualname__ in record.getMessage()
    assert "ZeroDivisionError" in caplog.text


def test_log_filter_that_raises_changes_no_outcome(protocol: str) -> None:
    """A filter of the application's log cannot make an accepted submission look failed."""

    def check(record: logging.LogRecord) -> bool:
        if hasattr(record, "batch_no"):
            raise ZeroDivisionError
        return True

    log = logging.getLogger("yunxin_soap")
    log.addFilter(check)
    log.setLevel(logging.DEBUG)
    try:
        with (
            ScriptedServer(reply_with(result_response(protocol))) as server,
            CheckedClient(server, protocol) as checked,
        ):
            checked.assert_accepted()
    finally:
        log.removeFilter(check)
        log.setLevel(logging.NOTSET)


def test_removed_observer_is_told_nothing(protocol: str) -> None:
    """An observation ends with `remove`, or with its ``with`` block; twice does no harm."""
    events = Events()
    observation = observe(events)
    observation.remove()
    observation.remove()
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.assert_accepted()
    assert events.started == []


def test_observer_must_be_callable() -> None:
    """A wrong observer is found when it is registered, not in the middle of a submission."""
    with pytest.raises(ConfigurationError, match="cannot be called"):
        observe("nonsense")  # type: ignore[arg-type] # the mistake


def test_log_attributes_are_not_those_of_a_record(caplog: pytest.LogCaptureFixture) -> None:
    """No attribute hides one of `logging`'s own, and each can be written as JSON."""
    caplog.set_level(logging.DEBUG)
    with (
        ScriptedServer(reply_with(result_response("soap"))) as server,
        CheckedClient(server, "soap") as checked,
    ):
        checked.assert_accepted()
    own = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
    added = {name: value for name, value in vars(caplog.records[-1]).items() if name not in own}
    assert json.loads(json.dumps(added)) == {
        "campaign": None,
        "submission_id": None,
        "outcome": "accepted",
        "code": None,
        "batch_no": BATCH_NO,
        "recipients": 2,
    }


_NO_TEXT = {"int", "float", "Outcome", "Category", "ProtocolName", "SubmissionStarted"} | {
    "type[BaseException]",
    "None",
}
_TEXTS = {"server_address", "channel", "campaign", "batch_no"}
"""The fields that are texts. The host and the campaign's name are the operator's own words."""


@pytest.mark.parametrize("event", [SubmissionStarted, SubmissionEnded])
def test_event_has_no_field_for_a_text(event: Any) -> None:
    """Each field of an event is a number, an enum or a class, but for four known ones."""
    for each in dataclasses.fields(event):
        allowed = _NO_TEXT | ({"str"} if each.name in _TEXTS else set())
        assert set(str(each.type).split(" | ")) <= allowed, each.name


@given(text=st.text() | st.sampled_from([*NUMBERS, PASSWORD, TEXT, f"{BATCH_NO}\n"]))
def test_event_drops_what_is_no_channel_or_batch_number(text: str) -> None:
    """Whatever is passed as a channel or as a batch number, only a short number stays."""
    started = SubmissionStarted("soap", "h", 80, 1, text)
    ended = SubmissionEnded(started, Outcome.ACCEPTED, 0.1, batch_no=text)
    for kept, longest in ((started.channel, 10), (ended.batch_no or "", 20)):
        assert kept in ("", text)
        assert len(kept) <= longest
        assert kept == "" or (kept.isascii() and kept.isdecimal())


def test_events_are_frozen() -> None:
    """An observer cannot change what the next one is told."""
    started = SubmissionStarted("soap", "h", 80, 1, "37")
    with pytest.raises(dataclasses.FrozenInstanceError):
        started.recipients = 2  # type: ignore[misc] # must raise


def test_client_class_of_the_matrix_is_watched(protocol: str, events: Events) -> None:
    """A client that was built before an observer came is watched, too."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        client_class(protocol)(
            "u", "p", channel=37, endpoint=server.url, protocol=protocol_name(protocol)
        ) as client,
    ):
        later = Events()
        with observe(later):
            client.send("13900000000", TEXT)
    assert later.ended == events.ended
    assert len(later.ended) == 1
