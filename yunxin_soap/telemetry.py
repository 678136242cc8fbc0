"""Spans and metrics of submissions for OpenTelemetry (extra ``otel``).

It needs OpenTelemetry's API alone. The application sets up the SDK as usual, and with it what is
exported where. Names and units follow OpenTelemetry's conventions. Nothing that is exported has a
number, a text, a key or a password.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from yunxin_soap._version import __version__
from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.errors import ConfigurationError, Outcome
from yunxin_soap.extras import missing_extra
from yunxin_soap.observer import Observation, SubmissionEnded, SubmissionStarted, observe
from yunxin_soap.sentences import Sentence

try:
    from opentelemetry import context as contexts
    from opentelemetry import trace
    from opentelemetry.metrics import (
        CallbackOptions,
        MeterProvider,
        get_meter,
    )
    from opentelemetry.metrics import Observation as Measurement
    from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider, get_tracer
except ImportError as error:
    raise missing_extra(Sentence("Telemetry needs OpenTelemetry"), "otel") from error

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from yunxin_soap.campaign import Ledger

__all__ = ["Instrumentation", "instrument", "observe_ledger"]

_SCOPE = "yunxin_soap"
_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0)
"""The bounds of the conventions for HTTP, in seconds, and the default of ``timeout``."""
_Attributes = dict[str, str | int]


class Instrumentation:
    """Makes a span and metrics of every submission of this process, until `remove`.

    Args:
        tracer_provider: makes spans.
        meter_provider: makes metrics.
        label_campaigns: whether metrics have the name of the campaign.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        *,
        label_campaigns: bool,
    ) -> None:
        self._label_campaigns = label_campaigns
        self._tracer = get_tracer(_SCOPE, __version__, tracer_provider)
        meter = _meter(meter_provider)
        self._requests = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )
        self._durations = meter.create_histogram(
            "yunxin.submission.duration",
            unit="s",
            description="Duration of submissions, with connecting and its retries.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )
        self._recipients = meter.create_counter(
            "yunxin.submission.recipients",
            unit="{recipient}",
            description="Numbers of submissions that have ended.",
        )
        self._active = meter.create_up_down_counter(
            "yunxin.submission.active",
            unit="{submission}",
            description="Submissions that have begun and not ended.",
        )
        self._pace_waits = meter.create_histogram(
            "yunxin.pace.wait",
            unit="s",
            description="Time that submissions waited for their turn by a shared pace.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        )
        self._observation: Observation | None = observe(self._begin)

    def remove(self) -> None:
        """Make no further spans and metrics."""
        global _instrumentation
        with _lock:
            if self._observation is not None:
                self._observation.remove()
                self._observation = None
            if _instrumentation is self:
                _instrumentation = None

    def _begin(self, started: SubmissionStarted) -> Callable[[SubmissionEnded], None]:
        where: _Attributes = {
            "server.address": started.server_address,
            "server.port": started.server_port,
        }
        common = {**where, "yunxin.channel": started.channel}
        if self._label_campaigns and started.campaign is not None:
            common["yunxin.campaign"] = started.campaign
        http = {**where, "http.request.method": _method(started)}
        span = self._tracer.start_span(
            "sendMesExt",
            kind=SpanKind.CLIENT,
            attributes={**http, **common, **_span_attributes(started)},
        )
        self._active.add(1, common)
        if started.pace_wait is not None:
            self._pace_waits.record(started.pace_wait, common)
        # What the caller's transport or log makes belongs to this span.
        token = contexts.attach(trace.set_span_in_context(span))

        def end(ended: SubmissionEnded) -> None:
            contexts.detach(token)
            self._active.add(-1, common)
            results = {**common, **_results(ended)}
            self._durations.record(ended.duration, results)
            self._recipients.add(started.recipients, results)
            self._requests.record(ended.duration, {**http, **_http_results(ended)})
            if span.is_recording():
                span.set_attributes({**results, **_http_status(ended)})
                if ended.batch_no is not None:
                    span.set_attribute("yunxin.batch_no", ended.batch_no)
                if ended.outcome is not Outcome.ACCEPTED:
                    # Without a description: the text of an error may quote a server.
                    span.set_status(Status(StatusCode.ERROR))
            span.end()

        return end


def _method(started: SubmissionStarted) -> str:
    return "GET" if started.protocol == "http-get" else "POST"


def _span_attributes(started: SubmissionStarted) -> _Attributes:
    """Return what only a span has: as labels of metrics, these would have too many values."""
    attributes: _Attributes = {
        "yunxin.protocol": started.protocol,
        "yunxin.recipients": started.recipients,
    }
    for name, value in (
        ("yunxin.campaign", started.campaign),
        ("yunxin.submission.id", started.submission_id),
        ("yunxin.attempt", started.attempt),
    ):
        if value is not None:
            attributes[name] = value
    return attributes


def _results(ended: SubmissionEnded) -> _Attributes:
    attributes: _Attributes = {"yunxin.outcome": ended.outcome.value}
    if ended.code is not None:
        # A server may make up any number of codes.
        attributes["yunxin.code"] = str(ended.code) if ended.code in DOCUMENTED else "_OTHER"
    if ended.error is not None:
        attributes["error.type"] = ended.error.__name__
    return attributes


def _http_status(ended: SubmissionEnded) -> _Attributes:
    if ended.http_status is None:
        return {}
    return {"http.response.status_code": ended.http_status}


def _http_results(ended: SubmissionEnded) -> _Attributes:
    """Return how the exchange ended for HTTP, which knows no codes of the gateway."""
    attributes = _http_status(ended)
    if ended.http_status is None:
        if ended.error is not None:
            attributes["error.type"] = ended.error.__name__
    elif ended.http_status >= 400:
        attributes["error.type"] = str(ended.http_status)
    return attributes


def _meter(provider: MeterProvider | None) -> Meter:
    return get_meter(_SCOPE, __version__, provider)


_lock = threading.RLock()
_instrumentation: Instrumentation | None = None


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    label_campaigns: bool = False,
) -> Instrumentation:
    """Make a span and metrics of every submission of this process from now on.

    Call it once, after the SDK is set up; in a process that forks, in each child.

    Args:
        tracer_provider: makes spans. Default: the global one.
        meter_provider: makes metrics. Default: the global one.
        label_campaigns: whether metrics have the name of the campaign, too. Each campaign adds its
            own time series. Spans always have it.

    Returns:
        What ends it, by ``remove()``.

    Raises:
        ConfigurationError: it was called before, and not removed: every submission would count
            twice.
    """
    global _instrumentation
    with _lock:
        if _instrumentation is not None:
            raise ConfigurationError(
                "Submissions are instrumented already: call remove() of the Instrumentation first."
            )
        _instrumentation = Instrumentation(
            tracer_provider, meter_provider, label_campaigns=label_campaigns
        )
        return _instrumentation


def observe_ledger(ledger: Ledger, *, meter_provider: MeterProvider | None = None) -> None:
    """Measure what is left to do in a ledger, each time that metrics are exported.

    One process is enough, as all of them would export the same. It is cheap for a ledger of any
    size; see `Ledger.backlog`. While the ledger cannot be read, these metrics are missing. The SDK
    asks for them in a thread of its own, as long as the process lasts.

    Args:
        ledger: it must stay open.
        meter_provider: makes metrics. Default: the global one.
    """
    meter = _meter(meter_provider)

    def count(_options: CallbackOptions) -> Iterable[Measurement]:
        backlog = ledger.backlog()
        for state in ("pending", "submitting", "unknown"):
            yield Measurement(getattr(backlog, state), {"yunxin.state": state})

    meter.create_observable_up_down_counter(
        "yunxin.ledger.submissions",
        [count],
        unit="{submission}",
        description="Submissions that are not settled, 100000 of a state at most.",
    )

    def measure_age(_options: CallbackOptions) -> Iterable[Measurement]:
        backlog = ledger.backlog()
        yield Measurement(max(backlog.oldest_queued_age or 0.0, backlog.oldest_started_age or 0.0))

    meter.create_observable_gauge(
        "yunxin.ledger.oldest_pending.age",
        [measure_age],
        unit="s",
        description="Time since the first pending one was queued or started; 0 without any.",
    )
