"""Where the tests of telemetry export to, and what must never be exported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.secret_detector import assert_no_password

TEXT = "您的验证码是QZ7KXV【签名】"
KEY = "order-zebra"
SECRETS = ("QZ7KXV", "zebra", "验证码", quote("验证码"))
"""Parts of texts and keys that nothing exported may show."""
# The random name of a database may have as many digits between hexadecimal letters.
_NUMBER = re.compile(r"(?<![0-9a-f])1[3-9][0-9]{9}(?![0-9a-f])")


def assert_harmless(*texts: str) -> None:
    """Fail if a text shows a number, a message, a key or a password."""
    for text in texts:
        assert not _NUMBER.search(text), text
        assert not any(secret in text for secret in SECRETS), text
        assert_no_password(text)


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
        """Return what spans and metrics say. The ids of spans are random, and left out."""
        return [
            repr(
                (
                    each.name,
                    dict(each.attributes or {}),
                    each.status.description,
                    [(event.name, dict(event.attributes or {})) for event in each.events],
                )
            )
            for each in self.spans
        ] + [repr(each) for each in self.metrics().values()]

    def assert_harmless(self) -> None:
        """Fail if anything that was exported shows a number, a text, a key or a password."""
        assert_harmless(*self.shown())

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
