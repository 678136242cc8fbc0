"""One standalone page about a campaign, with charts; it names no number and no text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from yunxin_soap.campaign.models import State
from yunxin_soap.campaign.running.throttle import DEFAULT_ZONE
from yunxin_soap.codes import DOCUMENTED

if TYPE_CHECKING:
    from yunxin_soap.campaign.storage.reads import Queries

_BARS = 40
_WIDTH, _HEIGHT = 720, 160
_COLOURS = {
    State.ACCEPTED: "#1a7f4b",
    State.REJECTED: "#b3261e",
    State.UNKNOWN: "#b26a00",
    State.PENDING: "#6b7785",
    State.SUBMITTING: "#0b5cad",
}
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, "PingFang SC", "Microsoft YaHei", sans-serif; max-width: 48rem;
  margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem .2rem 0; text-align: left; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: currentColor; }
"""


def page(ledger: Queries, name: str) -> str:
    """Return the page.

    Raises:
        NotInLedger: there is no such campaign.
    """
    status = ledger.status(name)
    times = ledger.times(name)
    zone = ZoneInfo(DEFAULT_ZONE)
    made = datetime.fromtimestamp(status.created_at, zone).isoformat(" ", "seconds")
    outcomes = [(state.value, status.numbers[state], colour) for state, colour in _COLOURS.items()]
    codes = [
        (
            f"{code} {DOCUMENTED[code].description_zh if code in DOCUMENTED else ''}".strip(),
            count,
            _COLOURS[State.REJECTED],
        )
        for code, count in sorted(status.codes.items(), key=lambda item: -item[1])
    ]
    sections = [
        f"<p>{escape(': '.join(filter(None, (status.state.value, status.reason))))}</p>"
        f"<p>Planned {made} ({DEFAULT_ZONE}): {status.planned} numbers; lines refused:"
        f" {status.refused}.</p>",
        "<h2>Outcomes 结果</h2>" + _rows(outcomes),
    ]
    if codes:
        sections.append("<h2>Refusals by code 错误码</h2>" + _rows(codes))
    if times:
        sections += _timed(times, zone)
    body = "".join(sections)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(name)}</h1>{body}</body></html>\n"
    )


def _timed(times: Sequence[tuple[float, float, int]], zone: ZoneInfo) -> list[str]:
    first = min(sent for sent, _, _ in times)
    last = max(ended for _, ended, _ in times)
    step = max((last - first) / _BARS, 0.001)
    numbers = [0] * _BARS
    for _, ended, size in times:
        numbers[min(_BARS - 1, int((ended - first) / step))] += size
    answers = sorted(ended - sent for sent, ended, _ in times)
    # The slowest few would press the rest into one bar.
    most = max(answers[int(0.99 * (len(answers) - 1))], 0.001)
    counts = [0] * _BARS
    for seconds in answers:
        counts[min(_BARS - 1, int(seconds / most * _BARS))] += 1
    begin, end = (
        datetime.fromtimestamp(at, zone).isoformat(" ", "seconds") for at in (first, last)
    )
    middle = answers[len(answers) // 2]
    rates = [count / step for count in numbers]
    return [
        f"<h2>Throughput 吞吐量</h2><p>{sum(numbers)} numbers in {last - first:.1f} s; at most"
        f" {max(rates):.0f} a second.</p>" + _bars(rates, begin, end),
        f"<h2>Answer time 响应时间</h2><p>Median {middle * 1000:.0f} ms, 99 % within"
        f" {most * 1000:.0f} ms, slowest {answers[-1] * 1000:.0f} ms.</p>"
        + _bars(counts, "0 ms", f"{most * 1000:.0f} ms"),
    ]


def _rows(rows: Sequence[tuple[str, int, str]]) -> str:
    most = max([count for _, count, _ in rows] + [1])
    return (
        "<table>"
        + "".join(
            f'<tr><td>{escape(label)}</td><td class="n">{count}</td><td><svg viewBox="0 0 300 14"'
            f' role="img" aria-label="{count}"><rect width="{300 * count / most:.1f}" height="14"'
            f' fill="{colour}"/></svg></td></tr>'
            for label, count, colour in rows
        )
        + "</table>"
    )


def _bars(values: Sequence[float], begin: str, end: str) -> str:
    most = max([*values, 0.001])
    width = _WIDTH / len(values)
    bars = "".join(
        f'<rect x="{at * width:.1f}" y="{_HEIGHT * (1 - value / most):.1f}"'
        f' width="{width - 1:.1f}" height="{_HEIGHT * value / most:.1f}" fill="#0b5cad"/>'
        for at, value in enumerate(values)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 20}" role="img">{bars}'
        f'<text x="0" y="{_HEIGHT + 16}">{escape(begin)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT + 16}" text-anchor="end">{escape(end)}</text></svg>'
    )
