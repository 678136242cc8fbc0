"""The report page: its figures, its commands, its languages and its escaping; without a ledger."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.campaign_figures import START, rich_figures, status
from yunxin_soap.campaign.models import ActiveRunner, CampaignState, LanguageName, SkipKind, State
from yunxin_soap.campaign.report import (
    EarlierRejection,
    End,
    Figures,
    Rejection,
    Sending,
    TextFigures,
    check_language,
    render_report,
)
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.extras import install_command

_VOID = {"meta", "input"}
SECOND = START.timestamp()


def figures(**changed: Any) -> Figures:
    """Return the figures of a campaign of 30 numbers, but for what is changed."""
    about = changed.pop("status", None) or status()
    return Figures(status=about, at=START, **changed)


def render(
    given: Figures | None = None, zone: str = "Asia/Shanghai", language: LanguageName = "en"
) -> str:
    """Return the page."""
    return render_report(given or figures(), ZoneInfo(zone), language)


class _Page(HTMLParser):
    """The texts of a page in one language, by table; and checks that every tag is closed."""

    def __init__(self, page: str, language: str = "en") -> None:
        super().__init__()
        self._other = "zh" if language == "en" else "en"
        self._open: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.headings: list[str] = []
        self.commands: list[str] = []
        self.widths: list[float] = []
        self.text = ""
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag in ("h2", "h3"):
            self.headings.append("")
        elif tag == "code":
            self.commands.append("")
        if tag not in _VOID:
            self._open.append((tag, found.get("class", "")))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._open]
        if self._other in [kind for _, kind in self._open] or "style" in tags:
            return
        self.text += data
        if "td" in tags or "th" in tags:
            self.rows[-1][-1] += data
        elif "h2" in tags or "h3" in tags:
            self.headings[-1] += data
        elif "code" in tags:
            self.commands[-1] += data

    def row(self, label: str) -> list[str]:
        """Return the cells after the label of the only row that starts with it."""
        (found,) = [each[1:] for each in self.rows if each[0].startswith(label)]
        return [each for each in found if each]


def bars(page: str) -> list[list[tuple[str, float]]]:
    """Return the class and the height of each part of the bars, by chart."""
    return [
        [
            (kind, float(height))
            for kind, height in re.findall(r'<rect class="(\w+)" x=[^>]* height="([\d.]+)"', svg)
        ]
        for svg in re.findall(r'<svg class="plot".*?</svg>', page, re.DOTALL)
    ]


def test_report_counts_numbers_by_outcome_with_their_shares() -> None:
    """The table shows the count and the share of each outcome, with thousands separators."""
    counts = {State.ACCEPTED: 1_234_000, State.UNKNOWN: 1, State.CANCELLED: 411_333}
    page = _Page(render(figures(status=status(numbers=counts))))
    assert page.row("accepted the gateway") == ["1,234,000", "75%"]
    assert page.row("unknown it may") == ["1", "<0.1%"]
    assert page.row("cancelled never sent") == ["411,333", "25%"]
    assert page.row("rejected the gateway") == ["0", "0%"]
    assert "1,645,334 numbers; lines skipped: 0." in page.text


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_report_share_is_everything_or_nothing_only_if_it_is(count: int, rest: int) -> None:
    """A campaign with one failure in a million is not shown as 100%."""
    page = render(figures(status=status(numbers={State.ACCEPTED: count, State.REJECTED: rest})))
    assert "100%" not in re.sub("<style>.*?</style>", "", page, flags=re.DOTALL) or not count
    assert _Page(page).row("accepted the gateway")[1] != "0%" or not count


def test_report_bars_are_relative_to_the_largest_count() -> None:
    """The largest count of a table has the whole width."""
    page = render(figures(status=status(numbers={State.ACCEPTED: 20, State.UNKNOWN: 5})))
    widths = re.findall(r'<rect class="(\w+)" width="([\d.]+)" height="10"/></svg></td>', page)
    assert widths == [("accepted", "100.00"), ("rejected", "0.00"), ("unknown", "25.00")]


def test_report_counts_skipped_lines_by_their_cause() -> None:
    """A table shows why lines were skipped, the most frequent cause first."""
    skipped = {SkipKind.SUPPRESSED: 1, SkipKind.DUPLICATE: 3}
    page = _Page(render(figures(status=status(skipped_by=skipped, skipped=4))))
    assert page.row("duplicate") == ["3", "75%"]
    assert page.rows[-1][:3] == ["on the do-not-send list", "1", "25%"]


def test_report_codes_are_described_and_decisions_told_apart() -> None:
    """A documented code has the manual's text; what has no code says whether a person decided."""
    counts = {State.ACCEPTED: 60, State.REJECTED: 40}
    rejections = (
        Rejection(-14, is_decided=False, is_safe=True, submissions=2, numbers=20),
        Rejection(None, is_decided=False, is_safe=True, submissions=1, numbers=10),
        Rejection(None, is_decided=True, is_safe=True, submissions=1, numbers=6),
        Rejection(-99, is_decided=False, is_safe=False, submissions=1, numbers=4),
    )
    given = figures(status=status(numbers=counts), rejections=rejections)
    page = _Page(render(given))
    assert page.row("-14 a number is on the user's blacklist") == ["20", "20%"]
    assert page.row("no code an HTTP status or a SOAP fault") == ["10", "10%"]
    assert page.row("no code a person decided") == ["6", "6%"]
    assert page.row("-99 not in the vendor's manual") == ["4", "4%"]
    assert _Page(render(given), "zh").row("-14 用户黑名单") == ["20", "20%"]


def test_report_keeps_rejections_before_a_retry() -> None:
    """What was rejected and then sent again, or split, stays in the report."""
    earlier = (
        EarlierRejection(-7, State.REJECTED, 2, 1000),
        EarlierRejection(-8, State.PENDING, 3, 30),
        EarlierRejection(-14, State.SPLIT, 1, 500),
    )
    page = _Page(render(figures(earlier_rejections=earlier)))
    assert page.row("-7 the balance") == ["retried by a person", "2", "1,000"]
    assert page.row("-8 no usable") == ["left for another attempt", "3", "30"]
    assert page.row("-14 a number") == ["split into smaller submissions", "1", "500"]


def test_report_before_the_first_run_has_no_charts() -> None:
    """A campaign that was not run yet shows its outcomes and how to run it only."""
    counts = {State.PENDING: 30}
    page = render(figures(status=status(numbers=counts, state=CampaignState.OPEN)))
    headings = ["Outcomes", "What to do next", "Pending: 30 numbers"]
    assert _Page(page).headings == headings
    assert bars(page) == []


def test_report_throughput_has_a_rate_for_each_bucket() -> None:
    """A bar is the numbers of its bucket by the bucket's seconds; the parts are the outcomes."""
    buckets = {0: {End.ACCEPTED: 20}, 3: {End.ACCEPTED: 10, End.REJECTED: 20, End.BROKEN: 10}}
    page = render(figures(sending=Sending(SECOND, SECOND + 8, SECOND, 2, buckets)))
    assert "60 numbers in 8 s, pauses included: 7.5 a second on average" in _Page(page).text
    assert "20 a second in the busiest 2 s." in _Page(page).text
    assert bars(page) == [
        [("accepted", 50.0), ("accepted", 25.0), ("rejected", 50.0), ("unknown", 25.0)]
    ]
    assert _Page(page).row("11:04:11") == ["5", "10", "5"]


def test_report_instant_campaign_has_no_rate() -> None:
    """What takes less than a second says nothing about a second."""
    buckets = {0: {End.ACCEPTED: 10_000}}
    page = render(figures(sending=Sending(SECOND, SECOND + 0.2, SECOND, 1, buckets)))
    assert "10,000 numbers in less than a second." in _Page(page).text
    assert "average" not in _Page(page).text
    assert bars(page) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(59, "59 s"), (61, "1 min 1 s"), (7200, "2 h"), (90_000, "1 d 1 h"), (86_460, "1 d")],
)
def test_report_durations_have_two_units(seconds: int, text: str) -> None:
    """A duration is as exact as a person needs it."""
    buckets = {0: {End.ACCEPTED: 10}, 1: {End.ACCEPTED: 10}}
    page = render(figures(sending=Sending(SECOND, SECOND + seconds, SECOND, 100_000, buckets)))
    assert f"20 numbers in {text}, pauses" in _Page(page).text


def test_report_counts_hung_submissions_by_the_time_waited() -> None:
    """What had no response has a row of its own for each timeout, and a bar."""
    times = {
        End.ACCEPTED: {100: 97, 120: 2, 9000: 1},
        End.REJECTED: {80: 1},
        End.SPLIT: {90: 1},
        End.NO_RESPONSE: {30_001: 12, 30_004: 8, 2_504: 1},
        End.INTERRUPTED: {500_000: 3},
        End.NOT_SENT: {5: 2},
    }
    page = render(figures(times=times))
    shown = _Page(page)
    assert [each[:6] for each in shown.rows if each[-1].endswith(("ms", "–"))] == [
        ["accepted", "100", "78.1%", "100 ms", "120 ms", "9,000 ms"],
        ["rejected", "2", "1.6%", "80 ms", "90 ms", "90 ms"],
        ["unknown: no response within 2.5 s", "1", "0.8%", "–", "–", "–"],
        ["unknown: no response within 30 s", "20", "15.6%", "–", "–", "–"],
        ["unknown: the sending process ended", "3", "2.3%", "–", "–", "–"],
        ["not sent at the last attempt, pending", "2", "1.6%", "–", "–", "–"],
    ]
    assert shown.row("slower") == ["1", "0", "0"]
    assert shown.row("none") == ["0", "0", "24"]
    assert "time until the response, ms" in shown.text


def test_report_many_different_waits_are_one_row() -> None:
    """A timeout for each submission does not make a row for each."""
    times = {End.NO_RESPONSE: {1000 * each: 1 for each in range(1, 90)}}
    assert (
        _Page(render(figures(times=times))).row("unknown: no response within 1 – 89 s")[0] == "89"
    )


@given(st.dictionaries(st.integers(0, 10**7), st.integers(1, 10**6), min_size=1, max_size=30))
def test_report_response_chart_counts_every_response(counts: dict[int, int]) -> None:
    """The bars add up to all responses; the chart has few of them, whatever the times are."""
    page = _Page(render(figures(times={End.ACCEPTED: counts})))
    rows = page.rows[
        [each[0] for each in page.rows].index(
            "time until the response, ms"
            if "time until the response, ms" in page.text
            else "time until the response, s"
        )
        + 1 :
    ]
    assert sum(int(row[1].replace(",", "")) for row in rows) == sum(counts.values())
    assert len(rows) <= 33


def test_report_response_chart_is_in_seconds_if_they_are_long() -> None:
    """No axis has thousands of milliseconds."""
    page = _Page(render(figures(times={End.ACCEPTED: {12_000: 5}})))
    assert "time until the response, s" in page.text
    assert page.row("12 – 12.5 s") == ["5"]


def test_report_texts_are_shortened_and_counted() -> None:
    """The largest texts have their counts; of a long one, the first words are shown."""
    long = TextFigures("长" * 200, 3, 9000, {State.ACCEPTED: 8990, State.REJECTED: 10})
    page = _Page(render(figures(texts=(long,))))
    assert page.rows[-1] == ["长" * 59 + "…", "9,000", "3", "8,990", "10", "0"]


def commands(given: Figures) -> list[str]:
    """Return the commands of the page."""
    return _Page(render(given)).commands


def test_report_says_what_to_do_about_unknown_submissions() -> None:
    """A person asks the vendor, and records the answer."""
    about = status("a b;c", numbers={State.UNKNOWN: 10}, submissions={State.UNKNOWN: 2})
    assert [shlex.split(each)[2:] for each in commands(figures(status=about))] == [
        ["export", "a b;c", "--state", "unknown", "--output", "unknown.csv"],
        ["resolve", "a b;c", "--accepted"],
        ["resolve", "a b;c", "--not-sent"],
    ]
    assert "Unknown: 10 numbers in 2 submissions" in _Page(render(figures(status=about))).headings


def test_report_command_takes_no_name_for_an_option() -> None:
    """A name that starts with a dash stands behind two dashes."""
    about = status("-x", numbers={State.UNKNOWN: 1}, submissions={State.UNKNOWN: 1})
    assert commands(figures(status=about))[1] == "yunxin-soap campaign resolve --accepted -- -x"


_RUNNER = ActiveRunner("web-3", 4711, START, 2, START)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"state": CampaignState.OPEN}, ["run spring"]),
        ({"state": CampaignState.OPEN, "workers": 2}, ["watch spring"]),
        ({"state": CampaignState.OPEN, "runners": (_RUNNER,)}, ["watch spring", "watch spring"]),
        ({"state": CampaignState.PAUSED}, ["resume spring"]),
        ({"state": CampaignState.PAUSED, "paused_until": START}, ["run spring"]),
        ({"state": CampaignState.CANCELLED}, ["cancel spring"]),
        ({"state": CampaignState.OPEN, "on_hold": {"-12": 10}}, ["retry spring"]),
        ({"state": CampaignState.OPEN, "on_hold": {"-12": 4}}, ["retry spring", "run spring"]),
        (
            {"state": CampaignState.OPEN, "left_behind": {"process 4711 on web-3": 2}},
            ["run spring", "run spring"],
        ),
        (
            {
                "state": CampaignState.OPEN,
                "runners": (replace(_RUNNER, is_stalled=True, started_at=START - timedelta(1)),),
            },
            ["run spring", "watch spring"],
        ),
    ],
)
def test_report_says_what_to_do_about_what_was_not_sent(
    changed: dict[str, Any], expected: list[str]
) -> None:
    """What is pending, on hold or left in flight has the command that goes on."""
    found = commands(figures(status=status(numbers={State.PENDING: 10}, **changed)))
    assert found == [f"yunxin-soap campaign {each}" for each in expected]


_EXPORT = "export spring --state rejected --output rejected.csv"


@pytest.mark.parametrize(
    ("code", "is_safe", "expected"),
    [
        (-7, True, ["retry spring --code 7"]),
        (-12, True, ["retry spring --code 12"]),
        (-1, False, [_EXPORT, "retry spring --code 1 --unsafe"]),
        (-99, False, [_EXPORT, "retry spring --code 99 --unsafe"]),
        (None, True, [_EXPORT, "retry spring"]),
        (-14, True, [_EXPORT]),
        (-10, True, [_EXPORT]),
    ],
)
def test_report_says_what_to_do_about_a_rejection(
    code: int | None, is_safe: bool, expected: list[str]
) -> None:
    """A retry is proposed where it may help, as unsafe where a second copy may come of it."""
    rejection = Rejection(code, is_decided=False, is_safe=is_safe, submissions=1, numbers=3)
    given = figures(rejections=(rejection,))
    assert commands(given) == [f"yunxin-soap campaign {each}" for each in expected]
    cancelled = replace(given, status=status(state=CampaignState.CANCELLED))
    assert commands(cancelled) == [f"yunxin-soap campaign {_EXPORT}"]
    assert commands(replace(given, status=status(purged_at=START))) == []


def test_report_puts_rejections_with_one_remedy_together() -> None:
    """Three codes of bad numbers are one step."""
    rejections = tuple(
        Rejection(code, is_decided=False, is_safe=True, submissions=1, numbers=3)
        for code in (-14, -15, -16)
    )
    page = _Page(render(figures(rejections=rejections)))
    assert [each for each in page.headings if each.startswith("Rejected: ")] == [
        "Rejected: 9 numbers in 3 submissions"
    ]


def test_report_with_nothing_left_says_so() -> None:
    """A campaign that is all accepted needs nothing."""
    assert "Nothing: every number has its final outcome." in _Page(render()).text


@pytest.mark.parametrize(
    ("zone", "created", "first"),
    [
        ("Asia/Shanghai", "2026-01-02 11:04:05", "11:04:05"),
        ("UTC", "2026-01-02 03:04:05", "03:04:05"),
    ],
)
def test_report_times_are_in_the_time_zone(zone: str, created: str, first: str) -> None:
    """Every time on the page has the time zone that was asked for."""
    buckets = {0: {End.ACCEPTED: 1}, 4: {End.ACCEPTED: 1}}
    page = _Page(render(figures(sending=Sending(SECOND, SECOND + 9, SECOND, 2, buckets)), zone))
    assert f"Planned {created} {zone}: " in page.text
    assert f"time of day, {zone}" in page.text
    assert page.row(first) == ["0.5"]


@pytest.mark.parametrize(("language", "tag"), [("en", "en"), ("zh", "zh-CN")])
def test_report_has_both_languages_and_opens_in_one(language: LanguageName, tag: str) -> None:
    """The switch is set; each text is in both languages, each with its tag."""
    page = render(rich_figures(), language=language)
    assert re.findall(r'<html lang="([\w-]+)">', page) == [tag]
    assert re.findall(r'id="(\w+)" checked', page) == [language]
    english, chinese = (
        re.findall(f'<span class="{each}" lang="(.*?)">', page) for each in ("en", "zh")
    )
    assert set(english) == {"en"}
    assert set(chinese) == {"zh-CN"}
    assert len(english) == len(chinese)


def test_report_in_chinese_shows_no_english() -> None:
    """No sentence of the page is outside the switch."""
    given = rich_figures()
    given = replace(given, status=replace(given.status, name="促销", reason=""))
    page = _Page(render(given, language="zh"), "zh")
    text = page.text
    for command in page.commands:
        text = text.replace(command, "")
    assert re.findall("[a-z]{3,} [a-z]{3,}", text) == []


def test_check_language_names_the_languages() -> None:
    """An unknown language is an error that lists those that there are."""
    with pytest.raises(ConfigurationError, match="language='fr' must be one of en, zh"):
        check_language("fr")


def test_report_loads_nothing_and_runs_no_script() -> None:
    """The page stands alone: it may be forwarded."""
    page = render(rich_figures())
    assert not re.search(r"https?:|url\(|@import|<script|<link|<img| on\w+=", page)


def test_report_escapes_everything_that_others_wrote() -> None:
    """No name, reason or text can add markup to the page."""
    name, reason = "<script>alert('x')</script>&", '"><img src=x onerror=alert(1)>'
    given = figures(
        status=status(
            name,
            state=CampaignState.PAUSED,
            reason=reason,
            numbers={State.UNKNOWN: 1},
            submissions={State.UNKNOWN: 1},
            left_behind={"<script>": 1},
        ),
        texts=(TextFigures("<img src=x>", 1, 2, {}),),
    )
    page = render(given)
    shown = _Page(page)
    assert not shown.tags & {"script", "img"}
    assert f"<h1>{name}</h1>" in unescape(page)
    assert reason in shown.text
    assert shown.rows[-1][0] == "<img src=x>"


def test_report_without_jinja_names_the_extra() -> None:
    """A missing Jinja2 is an error with the command that installs it."""
    script = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from tests.unit.campaign.test_report import render\n"
        "render()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "yunxin_soap.errors.ConfigurationError: Reports need Jinja2, which is not installed."
        f' Install what the extra "campaign" brings: {install_command("campaign")}'
    )
