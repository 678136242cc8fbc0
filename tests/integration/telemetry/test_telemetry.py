"""`yunxin_soap.telemetry`: one span and a few metrics of each submission, none with a secret."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from tests.integration.telemetry.conftest import KEY, TEXT, Exported
from tests.support.checked_client import CheckedClient
from tests.support.lists import numbers
from tests.support.ports import free_port
from tests.support.scripted_server import ScriptedServer, read_then_close, reply_with
from tests.support.secret_detector import NUMBERS
from tests.support.wire_samples import (
    BATCH_NO,
    HTML,
    XML,
    http_response,
    result_response,
    result_xml,
)
from yunxin_soap import Client, ConfigurationError, Request, Response, SendError
from yunxin_soap.campaign import Ledger
from yunxin_soap.extras import install_command
from yunxin_soap.observer import Origin, sent_from
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.telemetry import instrument, observe_ledger


@pytest.fixture
def instrumented(exported: Exported) -> Iterator[Exported]:
    """What is exported while submissions are instrumented."""
    instrumentation = instrument(**exported.providers)
    yield exported
    instrumentation.remove()


def test_accepted_submission_is_a_client_span(protocol: str, instrumented: Exported) -> None:
    """Both clients make one CLIENT span over every protocol."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        checked.send(TEXT)
    (span,) = instrumented.spans
    assert (span.name, span.kind) == ("sendMesExt", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET" if protocol == "http-get" else "POST",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "yunxin.protocol": str(protocol),
        "yunxin.channel": "37",
        "yunxin.recipients": 2,
        "yunxin.outcome": "accepted",
        "yunxin.batch_no": BATCH_NO,
    }
    instrumented.assert_harmless()


def test_accepted_submission_is_measured(protocol: str, instrumented: Exported) -> None:
    """Durations, numbers and what is in flight, with few labels."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        for _ in range(3):
            checked.send(TEXT)
    metrics = instrumented.metrics()
    assert set(metrics) == {
        "http.client.request.duration",
        "yunxin.submission.duration",
        "yunxin.submission.recipients",
        "yunxin.submission.active",
    }
    where = {"server.address": "127.0.0.1", "server.port": server.port}
    ours = {**where, "yunxin.channel": "37"}
    (duration,) = metrics["yunxin.submission.duration"]
    assert (duration.count, duration.attributes) == (3, {**ours, "yunxin.outcome": "accepted"})
    assert duration.explicit_bounds[0] == 0.005
    (recipients,) = metrics["yunxin.submission.recipients"]
    assert (recipients.value, recipients.attributes) == (6, {**ours, "yunxin.outcome": "accepted"})
    (active,) = metrics["yunxin.submission.active"]
    assert (active.value, active.attributes) == (0, ours)
    (request,) = metrics["http.client.request.duration"]
    method = "GET" if protocol == "http-get" else "POST"
    assert request.attributes == {
        **where,
        "http.request.method": method,
        "http.response.status_code": 200,
    }
    instrumented.assert_harmless()


PAGE = http_response(f"<html>{TEXT} {NUMBERS[0]}</html>", "502 Bad Gateway", HTML)
FAILURES: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (
        lambda protocol: reply_with(result_response(protocol, "-6:QZ7KXV")),
        {"yunxin.outcome": "rejected", "yunxin.code": "-6", "error.type": "ContentRejected"},
        {"http.response.status_code": 200},
    ),
    (
        lambda protocol: reply_with(result_response(protocol, "-4711")),
        {"yunxin.outcome": "rejected", "yunxin.code": "_OTHER", "error.type": "GatewayRejected"},
        {"http.response.status_code": 200},
    ),
    (
        lambda protocol: reply_with(PAGE),
        {"yunxin.outcome": "unknown", "error.type": "OutcomeUnknown"},
        {"http.response.status_code": 502, "error.type": "502"},
    ),
    (
        lambda protocol: read_then_close,
        {"yunxin.outcome": "unknown", "error.type": "OutcomeUnknown"},
        {"error.type": "OutcomeUnknown"},
    ),
]


@pytest.mark.parametrize(
    ("script", "ours", "http"), FAILURES, ids=["-6", "other code", "502", "closed"]
)
def test_failed_submission_has_the_type_of_its_error(
    protocol: str, instrumented: Exported, script: Any, ours: dict[str, Any], http: dict[str, Any]
) -> None:
    """The span is an error without words, and metrics count by outcome and by known codes."""
    with (
        ScriptedServer(script(protocol)) as server,
        CheckedClient(server, protocol) as checked,
        pytest.raises(SendError),
    ):
        checked.send(TEXT)
    (span,) = instrumented.spans
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.events == ()
    assert (span.attributes or {}).items() >= ours.items()
    metrics = instrumented.metrics()
    (duration,) = metrics["yunxin.submission.duration"]
    assert duration.attributes.items() >= ours.items()
    (request,) = metrics["http.client.request.duration"]
    assert request.attributes.items() >= http.items()
    assert ("error.type" in request.attributes) is ("error.type" in http)
    instrumented.assert_harmless()


def test_what_was_not_sent_has_no_status(protocol: str, instrumented: Exported) -> None:
    """A submission without a connection is an error of that type."""
    with (
        CheckedClient(f"http://127.0.0.1:{free_port()}/", protocol, retries=0) as checked,
        pytest.raises(SendError),
    ):
        checked.send(TEXT)
    (span,) = instrumented.spans
    attributes = span.attributes or {}
    assert attributes["error.type"] == "NotSent"
    assert "http.response.status_code" not in attributes


def test_ledger_and_pace_are_in_spans_and_not_in_labels(exported: Exported) -> None:
    """Campaign and id are for spans; metrics have the campaign only if they are asked to."""
    for label_campaigns in (False, True):
        instrumentation = instrument(**exported.providers, label_campaigns=label_campaigns)
        with (
            sent_from(Origin("autumn", 4711, 2, 0.25)),
            ScriptedServer(reply_with(result_response("soap"))) as server,
            CheckedClient(server, "soap") as checked,
        ):
            checked.send(TEXT)
        instrumentation.remove()
        attributes = exported.spans[-1].attributes or {}
        assert attributes["yunxin.campaign"] == "autumn"
        assert attributes["yunxin.submission.id"] == 4711
        assert attributes["yunxin.attempt"] == 2
        points = exported.metrics()
        labelled = [
            "yunxin.campaign" in each.attributes for each in points["yunxin.submission.duration"]
        ]
        assert any(labelled) is label_campaigns
        waits = points["yunxin.pace.wait"]
        assert {each.sum for each in waits} == {0.25}
        assert not any("yunxin.submission.id" in each.attributes for each in waits)


def test_span_is_the_parent_of_what_a_transport_does(instrumented: Exported) -> None:
    """While a submission is sent its span is the current one, and then no more."""
    current: list[Any] = []

    class Transport:
        def send(self, request: Request, *, valid_until: float | None = None) -> Response:
            current.append(get_current_span())
            return Response(200, XML, result_xml("soap").encode())

        def close(self) -> None:
            pass

    with Client("demo", "demo", channel=37, transport=Transport()) as client:
        client.send(NUMBERS, TEXT)
    (span,) = instrumented.spans
    assert current[0].get_span_context() == span.get_span_context()
    assert not get_current_span().get_span_context().is_valid


def test_run_makes_a_span_of_each_submission(
    sandbox: Sandbox, instrumented: Exported, tmp_path: Path
) -> None:
    """A campaign and a single send export ids, counts and the campaign's name; no key, no text."""
    with (
        Ledger(tmp_path / "ledger.sqlite") as ledger,
        Client("demo", "demo", endpoint=sandbox.url, channel="37") as client,
    ):
        ledger.plan("autumn", numbers(23), TEXT, channel=37, max_recipients=5)
        ledger.run("autumn", client)
        ledger.once.send(client, KEY, NUMBERS, TEXT)
        ids = {each.submission_id for each in ledger.results("autumn")}
    spans = [each.attributes or {} for each in instrumented.spans]
    of_campaign = {each["yunxin.submission.id"] for each in spans if "yunxin.campaign" in each}
    assert of_campaign == ids
    assert len(spans) == len(ids) + 1
    (active,) = instrumented.metrics()["yunxin.submission.active"]
    assert active.value == 0
    instrumented.assert_harmless()


def test_paced_run_measures_its_waits(
    sandbox: Sandbox, instrumented: Exported, tmp_path: Path
) -> None:
    """A submission that waited for its turn says for how long; one without a pace does not."""
    with (
        Ledger(tmp_path / "ledger.sqlite") as ledger,
        Client("demo", "demo", endpoint=sandbox.url, channel="37") as client,
    ):
        ledger.plan("paced", numbers(10), TEXT, channel=37, max_recipients=1)
        ledger.run("paced", client, rate_limit=10.0)
        ledger.plan("free", numbers(10), TEXT, channel=37, max_recipients=1)
        ledger.run("free", client)
    (waits,) = instrumented.metrics()["yunxin.pace.wait"]
    assert waits.count == 10
    assert 0.0 < waits.sum < 10.0


def test_ledger_is_measured_when_metrics_are_collected(
    sandbox: Sandbox, exported: Exported, tmp_path: Path
) -> None:
    """The counts of what is left are those of the moment of each collection."""
    with (
        Ledger(tmp_path / "ledger.sqlite") as ledger,
        Client("demo", "demo", endpoint=sandbox.url, channel="37") as client,
    ):
        observe_ledger(ledger, meter_provider=exported.meter_provider)
        ledger.plan("a", numbers(10), TEXT, channel=37, max_recipients=5)
        assert counts(exported) == {"pending": 2, "submitting": 0, "unknown": 0}
        with sandbox.inject_fault("close", when="after"):
            ledger.run("a", client)
        assert counts(exported) == {"pending": 0, "submitting": 0, "unknown": 1}
        (age,) = exported.metrics()["yunxin.ledger.oldest_pending.age"]
        assert age.value == 0.0
        ledger.once.enqueue(KEY, NUMBERS[0], TEXT, channel=37)
        (age,) = exported.metrics()["yunxin.ledger.oldest_pending.age"]
        assert 0.0 <= age.value < 60.0
        ledger.plan("b", numbers(1), TEXT, channel=37)
        ledger.start("b")
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection, connection:
            connection.execute("UPDATE yunxin_campaign SET started_at = 1.0 WHERE name = 'b'")
        (age,) = exported.metrics()["yunxin.ledger.oldest_pending.age"]
        assert age.value > 60.0


def counts(exported: Exported) -> dict[Any, Any]:
    points = exported.metrics()["yunxin.ledger.submissions"]
    return {each.attributes["yunxin.state"]: each.value for each in points}


def test_ledger_that_cannot_be_read_hides_no_other_metric(
    instrumented: Exported, tmp_path: Path
) -> None:
    """Without its ledger, a process still exports what it knows of its submissions."""
    file = tmp_path / "ledger.sqlite"
    with (
        Ledger(file) as ledger,
        ScriptedServer(reply_with(result_response("soap"))) as server,
        CheckedClient(server, "soap") as checked,
    ):
        observe_ledger(ledger, meter_provider=instrumented.meter_provider)
        checked.send(TEXT)
        assert "yunxin.ledger.submissions" in instrumented.metrics()
        file.unlink()
        metrics = instrumented.metrics()
    assert not metrics.get("yunxin.ledger.submissions")
    assert metrics["yunxin.submission.duration"]


def test_instrument_twice_would_count_twice(instrumented: Exported) -> None:
    """It is an error, and after `remove` it is none."""
    with pytest.raises(ConfigurationError, match="already"):
        instrument(**instrumented.providers)


def test_missing_extra_names_the_command() -> None:
    """Without OpenTelemetry's API, the import says what to install."""
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "try:\n    import yunxin_soap.telemetry\n"
        "except Exception as error:\n    print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("ConfigurationError ")
    assert done.stdout.endswith(f": {install_command('otel')}\n")
