"""Where the tests of telemetry export to, and what must never be exported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.secret_detector import NUMBERS, PASSWORD, assert_no_secret

TEXT = "您的验证码是471108【签名】"
KEY = "order-0815"
SECRETS = (*NUMBERS, PASSWORD, "471108", "0815", "%E9%AA%8C")
"""What no span may show: the last one is 验 as a URL has it."""


class Exported:
    """What was exported, in memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meter_provider = MeterProvider([self.reader])

    @property
    def providers(self) -> dict[str, Any]:
        """The providers, as instrumentations take them."""
        return {"tracer_provider": self.tracer_provider, "meter_provider": self.meter_provider}

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended."""
        return self.exporter.get_finished_spans()

    def metrics(self) -> dict[str, list[Any]]:
        """Collect the metrics, and return the data points of each."""
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def shown(self) -> list[str]:
        """Return everything that was exported, as text."""
        return [each.to_json() for each in self.spans] + [repr(self.metrics())]

    def assert_harmless(self) -> None:
        """Fail if anything that was exported shows a number, a text, a key or a password."""
        for text in self.shown():
            assert not any(secret in text for secret in SECRETS), text
            assert_no_secret(text)

    def close(self) -> None:
        """End the providers."""
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()


@pytest.fixture
def exported() -> Iterator[Exported]:
    """What a test exports."""
    exported = Exported()
    yield exported
    exported.close()
