"""The report page: counts, charts and escaping, without a ledger."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from html import unescape
from html.parser import HTMLParser

import pytest

from yunxin_soap.campaign.models import CampaignState, SkipKind, State, Status, Timing
from yunxin_soap.campaign.report import render_report

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def status(
    name: str = "spring",
    *,
    state: CampaignState = CampaignState.DONE,
    reason: str = "",
    numbers: dict[State, int] | None = None,
    codes: dict[int, int] | None = None,
    skipped_by: dict[SkipKind, int] | None = None,
) -> Status:
    """Return the status of a campaign of 30 numbers."""
    return Status(
        name=name,
        state=state,
        reason=reason,
        paused_until=None,
        created_at=START,
        purged_at=None,
        planned=30,
        skipped=4,
        skipped_by=skipped_by or {},
        numbers={**dict.fromkeys(State, 0), **(numbers or {State.ACCEPTED: 30})},
        submissions=dict.fromkeys(State, 0),
        codes=codes or {},
        on_hold={},
        oldest_unknown_at=None,
        runners=(),
        left_behind={},
    )


def timing(sent: float, ended: float, numbers: int) -> Timing:
    """Return the timing of a submission, in seconds from the start."""
    return Timing(START + timedelta(seconds=sent), START + timedelta(seconds=ended), numbers)


def rows(page: str) -> dict[str, tuple[int, float]]:
    """Return the count and the bar's width of each table row, by its label."""
    found = re.findall(
        r'<tr><td>(.*?)</td><td class="n">(\d+)</td>.*?<rect width="([\d.]+)"', page, re.DOTALL
    )
    return {unescape(label): (int(count), float(width)) for label, count, width in found}


def charts(page: str) -> list[list[float]]:
    """Return the heights of the bars of each chart."""
    return [
        [float(height) for height in re.findall(r'<rect x=[^>]* height="([\d.]+)"', svg)]
        for svg in re.findall(r'<svg viewBox="0 0 720 180".*?</svg>', page, re.DOTALL)
    ]


class _Tags(HTMLParser):
    """Checks that every tag is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


def test_report_counts_numbers_by_outcome() -> None:
    """The table shows the count of each state, and bars relative to the largest."""
    page = render_report(
        status(numbers={State.ACCEPTED: 20, State.UNKNOWN: 10, State.CANCELLED: 5}),
        [],
        "Asia/Shanghai",
    )
    assert rows(page) == {
        "accepted": (20, 300.0),
        "rejected": (0, 0.0),
        "unknown": (10, 150.0),
        "pending": (0, 0.0),
        "submitting": (0, 0.0),
        "cancelled": (5, 75.0),
        "suppressed": (0, 0.0),
    }
    assert "30 numbers; lines skipped: 4." in page


def test_report_counts_skipped_lines_by_their_cause() -> None:
    """A table shows why lines were skipped."""
    page = render_report(
        status(skipped_by={SkipKind.DUPLICATE: 3, SkipKind.SUPPRESSED: 1}), [], "Asia/Shanghai"
    )
    assert rows(page)["duplicate"] == (3, 300.0)
    assert list(rows(page).items())[-1] == ("on the do-not-send list", (1, 100.0))


def test_report_codes_are_sorted_by_count_and_described() -> None:
    """The most frequent code is first; a documented code has the vendor's text."""
    page = render_report(status(codes={-14: 5, -99: 7}), [], "Asia/Shanghai")
    assert list(rows(page).items())[-2:] == [
        ("-99", (7, 300.0)),
        ("-14 用户黑名单", (5, 214.3)),
    ]


def test_report_without_rejections_or_timings_has_no_such_section() -> None:
    """A campaign that was not run yet shows its outcomes only."""
    page = render_report(status(), [], "Asia/Shanghai")
    assert re.findall("<h2>(.*?)</h2>", page) == ["Outcomes 结果"]
    assert charts(page) == []


def test_report_throughput_counts_numbers_when_they_ended() -> None:
    """Forty bars share the time from the first request to the last response."""
    page = render_report(status(), [timing(0, 1, 10), timing(0, 40, 20)], "Asia/Shanghai")
    assert "30 numbers in 40.0 s; at most 20 a second." in page
    heights = charts(page)[0]
    assert len(heights) == 40
    assert {at: height for at, height in enumerate(heights) if height} == {1: 80.0, 39: 160.0}


def test_report_response_times_leave_out_the_slowest_in_the_chart() -> None:
    """One response of a minute must not squeeze all others into one bar."""
    timings = [timing(at, at + 0.1 + at / 1000, 1) for at in range(100)] + [timing(0, 60, 1)]
    page = render_report(status(), timings, "Asia/Shanghai")
    assert "Median 150 ms, 99 % within 199 ms, slowest 60000 ms." in page
    assert ">0 ms</text>" in page
    assert ">199 ms</text>" in page
    assert sum(1 for height in charts(page)[1] if height) > 10


def test_report_instant_campaign_divides_by_no_zero() -> None:
    """A clock that did not advance between request and response still gives a page."""
    page = render_report(status(), [timing(0, 0, 30)], "Asia/Shanghai")
    assert "30 numbers in 0.0 s; at most 30000 a second." in page


@pytest.mark.parametrize(
    ("timezone", "created", "end"),
    [
        ("Asia/Shanghai", "2026-01-02 11:04:05", "2026-01-02 11:04:15"),
        ("UTC", "2026-01-02 03:04:05", "2026-01-02 03:04:15"),
    ],
)
def test_report_times_are_in_the_time_zone(timezone: str, created: str, end: str) -> None:
    """Every time on the page has the time zone that was asked for."""
    page = render_report(status(), [timing(0, 10, 30)], timezone)
    assert f"Planned {created} {timezone}: " in page
    assert f'text-anchor="end">{end} {timezone}</text>' in page


def test_report_escapes_the_name_and_the_reason() -> None:
    """No name and no reason can add markup to the page."""
    name, reason = "<script>alert('x')</script>&", '"><img src=x onerror=alert(1)>'
    page = render_report(
        status(name, state=CampaignState.PAUSED, reason=reason), [timing(0, 1, 3)], "Asia/Shanghai"
    )
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert not tags.seen & {"script", "img"}
    found = re.search("<h1>(.*?)</h1>\n<p>(.*?)</p>", page, re.DOTALL)
    assert found is not None
    assert (unescape(found[1]), unescape(found[2])) == (name, f"paused: {reason}")


def test_report_without_jinja_names_the_extra() -> None:
    """A missing Jinja2 is an error with the command that installs it."""
    script = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from tests.unit.campaign.test_report import render_report, status\n"
        "render_report(status(), [], 'Asia/Shanghai')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "yunxin_soap.errors.ConfigurationError: Reports need Jinja2:"
        ' pip install "yunxin-soap[campaign]"'
    )
