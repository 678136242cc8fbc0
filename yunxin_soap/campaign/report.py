"""Renders a campaign as one standalone HTML page with charts. Pure.

The page contains no number and no text of the campaign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from yunxin_soap.campaign.models import State, Status, Timing
from yunxin_soap.campaign.timezones import format_time, parse_timezone
from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.errors import ConfigurationError

if TYPE_CHECKING:
    from jinja2 import Environment

_BARS = 40
"""Bars in a chart."""
_WIDTH, _HEIGHT = 720, 160
"""Pixels of a chart, without its labels."""
_MIN_SECONDS = 0.001
"""The shortest interval of a bar, so that a rate is never divided by zero."""
_FAST_SHARE = 0.99
"""The share of responses that the chart shows: the slowest would squeeze the others together."""
_COLOURS = {
    State.ACCEPTED: "#1a7f4b",
    State.REJECTED: "#b3261e",
    State.UNKNOWN: "#b26a00",
    State.PENDING: "#6b7785",
    State.SUBMITTING: "#0b5cad",
    State.CANCELLED: "#5d4a8a",
    State.SUPPRESSED: "#8a6d3b",
}


@dataclass(frozen=True)
class _Row:
    """A row of a table of counts, with a bar."""

    label: str
    count: int
    colour: str
    width: float
    """Of the bar, in pixels; the largest count of the table has 300."""


@dataclass(frozen=True)
class _Bar:
    """One bar of a chart, in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class _Chart:
    """A bar chart."""

    bars: list[_Bar]
    first: str
    """The label of the left end."""
    last: str
    """The label of the right end."""
    width: int = _WIDTH
    height: int = _HEIGHT


@dataclass(frozen=True)
class _Throughput:
    """How fast numbers were sent."""

    numbers: int
    seconds: float
    peak: float
    """Numbers a second, in the interval of the highest bar."""
    chart: _Chart


@dataclass(frozen=True)
class _ResponseTimes:
    """How long the gateway took to respond, in seconds."""

    median: float
    percentile_99: float
    slowest: float
    chart: _Chart


def render_report(status: Status, timings: Sequence[Timing], timezone: str) -> str:
    """Return the page about a campaign.

    Args:
        status: the campaign's state and counts.
        timings: when its submissions were sent and answered; the charts are left out if it is
            empty.
        timezone: the name of the time zone of the times on the page.

    Raises:
        ConfigurationError: Jinja2 is not installed, or there is no such time zone.
    """
    zone = parse_timezone(timezone)
    by_state = [(state.value, status.numbers[state], colour) for state, colour in _COLOURS.items()]
    skipped_by = [
        (kind.label, count, _COLOURS[State.PENDING]) for kind, count in status.skipped_by.items()
    ]
    by_code = [
        (_code_label(code), count, _COLOURS[State.REJECTED])
        for code, count in sorted(status.codes.items(), key=lambda item: -item[1])
    ]
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            status=status,
            created_at=format_time(status.created_at, zone),
            outcomes=_rows(by_state),
            skipped_by=_rows(skipped_by),
            codes=_rows(by_code),
            throughput=_throughput(timings, zone) if timings else None,
            response_times=_response_times(timings) if timings else None,
        )
    )


@lru_cache(maxsize=1)
def _templates() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            'Reports need Jinja2: pip install "yunxin-soap[campaign]"'
        ) from error
    return Environment(
        loader=PackageLoader("yunxin_soap.campaign", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _throughput(timings: Sequence[Timing], zone: ZoneInfo) -> _Throughput:
    start = min(each.sent_at for each in timings)
    end = max(each.ended_at for each in timings)
    seconds = (end - start).total_seconds()
    interval = max(seconds / _BARS, _MIN_SECONDS)
    numbers = [0] * _BARS
    for each in timings:
        numbers[min(_BARS - 1, int((each.ended_at - start).total_seconds() / interval))] += (
            each.numbers
        )
    rates = [count / interval for count in numbers]
    return _Throughput(
        numbers=sum(numbers),
        seconds=seconds,
        peak=max(rates),
        chart=_Chart(_bars(rates), format_time(start, zone), format_time(end, zone)),
    )


def _response_times(timings: Sequence[Timing]) -> _ResponseTimes:
    times = sorted((each.ended_at - each.sent_at).total_seconds() for each in timings)
    limit = max(times[int(_FAST_SHARE * (len(times) - 1))], _MIN_SECONDS)
    counts = [0] * _BARS
    for seconds in times:
        counts[min(_BARS - 1, int(seconds / limit * _BARS))] += 1
    return _ResponseTimes(
        median=times[len(times) // 2],
        percentile_99=limit,
        slowest=times[-1],
        chart=_Chart(_bars(counts), "0 ms", f"{limit * 1000:.0f} ms"),
    )


def _rows(counts: Sequence[tuple[str, int, str]]) -> list[_Row]:
    most = max([count for _, count, _ in counts] + [1])
    return [_Row(label, count, colour, 300 * count / most) for label, count, colour in counts]


def _bars(values: Sequence[float]) -> list[_Bar]:
    most = max([*values, _MIN_SECONDS])
    step = _WIDTH / len(values)
    return [
        _Bar(at * step, _HEIGHT * (1 - value / most), step - 1, _HEIGHT * value / most)
        for at, value in enumerate(values)
    ]


def _code_label(code: int) -> str:
    return f"{code} {DOCUMENTED[code].description_zh}" if code in DOCUMENTED else str(code)
