"""Sending hours and rate limits: what they allow, and when."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yunxin_soap import ConfigurationError
from yunxin_soap.campaign.running.throttle import ConcurrencyWindow, SendingHours

_YEAR_2026 = 1767225600
_MINUTES = st.integers(0, 1439)


def at(text: str, tz_name: str = "Asia/Shanghai") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz_name)).timestamp()


@pytest.mark.parametrize(
    ("hours", "now", "seconds"),
    [
        ("08:00-21:00", "2026-11-24 08:00:00", 0),
        ("08:00-21:00", "2026-11-24 20:59:59", 0),
        ("08:00-21:00", "2026-11-24 07:59:59", 1),
        ("08:00-21:00", "2026-11-24 21:00:00", 11 * 3600),
        ("8:30 - 9:15", "2026-11-24 09:15:00", 23 * 3600 + 15 * 60),
        ("21:00-06:00", "2026-11-24 23:00:00", 0),
        ("21:00-06:00", "2026-11-24 05:59:59", 0),
        ("21:00-06:00", "2026-11-24 06:00:00", 15 * 3600),
        ("08:00-24:00", "2026-11-24 23:59:59", 0),
        ("08:00-24:00", "2026-11-24 00:00:00", 8 * 3600),
        ("00:00-24:00", "2026-11-24 00:00:00", 0),
        ("00:00-24:00", "2026-11-24 12:00:00", 0),
        ("00:00-08:00", "2026-11-24 08:00:00", 16 * 3600),
    ],
)
def test_sending_hours_wait_until_they_begin(hours: str, now: str, seconds: int) -> None:
    """The wait is the time until the hours begin; 0 within them. Blanks are allowed."""
    assert SendingHours.parse(hours).wait(at(now)) == seconds


def test_sending_hours_default_to_chinas_time() -> None:
    """Sending hours are in China's time unless another time zone is named."""
    now = at("2026-11-24 09:00:00")
    assert SendingHours.parse("08:00-21:00").wait(now) == 0
    assert SendingHours.parse("08:00-21:00", "Europe/Berlin").wait(now) == 6 * 3600
    assert str(SendingHours.parse("8:00-24:00", "Europe/Berlin")) == "08:00-00:00 Europe/Berlin"


@pytest.mark.parametrize(
    ("night", "seconds"),
    [
        ("2026-03-07 22:00:00", 9 * 3600),  # that night is an hour short
        ("2026-10-31 22:00:00", 11 * 3600),  # and that one an hour long
    ],
)
def test_sending_hours_wait_over_a_clock_change(night: str, seconds: int) -> None:
    """A night in which the clock changes is an hour shorter or longer."""
    hours = SendingHours.parse("08:00-21:00", "America/New_York")
    assert hours.wait(at(night, "America/New_York")) == seconds


def test_sending_hours_in_a_repeated_hour() -> None:
    """In an hour that comes twice, the hours begin twice."""
    hours = SendingHours.parse("01:50-06:00", "America/New_York")
    first = at("2026-11-01 01:10:00", "America/New_York")
    assert hours.wait(first) == 40 * 60  # and at 02:00 it is 01:00 again: 10 minutes were open
    assert hours.wait(first + 3600) == 40 * 60


@given(
    now=st.integers(_YEAR_2026, _YEAR_2026 + 365 * 86400),
    start=_MINUTES,
    end=_MINUTES,
    tz_name=st.sampled_from(["Asia/Shanghai", "UTC", "America/New_York", "Australia/Lord_Howe"]),
)
@example(now=1793513400, start=110, end=360, tz_name="America/New_York")
@settings(max_examples=200, deadline=None)
def test_sending_hours_agree_with_a_wall_clock(
    now: int, start: int, end: int, tz_name: str
) -> None:
    """At the end of the wait the hours have begun, and not much earlier."""
    if start == end:
        end = (end + 1) % 1440
    hours = SendingHours.parse(
        f"{start // 60}:{start % 60:02}-{end // 60}:{end % 60:02}",
        tz_name,
    )

    def is_open(moment: float) -> bool:
        local = datetime.fromtimestamp(moment, ZoneInfo(tz_name))
        minute = local.hour * 60 + local.minute
        return start <= minute < end if start < end else not end <= minute < start

    opens = float(now)
    while wait := hours.wait(opens):
        assert wait > 0
        opens += wait
    assert is_open(opens)
    # Nor is it late, by more than the hour that a night may lack.
    assert not any(
        is_open(moment) for moment in range(now - now % 60 + 60, int(opens) - 3600, 60)
    ), datetime.fromtimestamp(opens, timezone.utc) - timedelta(seconds=opens - now)


@pytest.mark.parametrize(
    "text",
    ["", "8-9", "08:00", "08:00-08:00", "25:00-26:00", "24:00-08:00", "08:00-24:01", "8:0-9:0"],
)
def test_sending_hours_of_another_form_are_invalid(text: str) -> None:
    """Hours of another form are an error."""
    with pytest.raises(ConfigurationError, match="must be two different times of day"):
        SendingHours.parse(text)


@pytest.mark.parametrize("tz_name", ["Asia/Nowhere", "", "../etc/passwd", "x" * 300, "\0"])
def test_sending_hours_missing_timezone_is_invalid(tz_name: str) -> None:
    """A time zone that does not exist is an error."""
    with pytest.raises(ConfigurationError, match="is no time zone"):
        SendingHours.parse("08:00-21:00", tz_name)


def test_concurrency_window_grows_and_shrinks() -> None:
    """The window grows by one with each success, and shrinks to one with a failure."""
    window = ConcurrencyWindow(4)
    sizes = [window.size(10.0)]
    for fails in (False, False, False, True, False):
        window.failed() if fails else window.succeeded(0.1, 10.0)
        sizes.append(window.size(10.0))
    assert sizes == [2, 3, 4, 4, 1, 2]
    assert ConcurrencyWindow(1).size(10.0) == 1


def test_concurrency_window_forgets_successes() -> None:
    """A success counts for five seconds, or for twice the time that it took."""
    window = ConcurrencyWindow(32)
    window.succeeded(0.1, 100.0)
    window.succeeded(10.0, 101.0)
    assert [window.size(now) for now in (104.9, 105.0, 120.9, 121.0)] == [4, 3, 3, 2]


def _in_flight_when_hanging(limit: int, latency: float, interval: float) -> tuple[int, int]:
    """Return the most that is in flight before a gateway hangs after 200 s, and in the end.

    Args:
        limit: submissions in flight at most.
        latency: seconds that each response takes until then.
        interval: seconds between two submissions at least.
    """
    window, now, most, next_at = ConcurrencyWindow(limit), 0.0, 0, 0.0
    began: deque[float] = deque()
    while now < 300.0:
        while began and now < 200.0 and now - began[0] >= latency:
            window.succeeded(now - began.popleft(), now)
        while now >= next_at and len(began) < window.size(now):
            began.append(now)
            next_at = now + interval
            if interval:
                break
        most = max(most, len(began)) if now < 200.0 else most
        now += 0.1
    return most, len(began)


@pytest.mark.parametrize("latency", [0.1, 1.0, 5.0, 10.0, 20.0])
def test_concurrency_window_slow_gateway_gets_its_concurrency(latency: float) -> None:
    """However slow a healthy gateway is, as many submissions are in flight as are allowed."""
    assert _in_flight_when_hanging(32, latency, 0.0) == (32, 32)


@pytest.mark.parametrize(("interval", "most"), [(1.0, 5), (0.5, 7), (0.25, 12), (0.1, 28)])
def test_concurrency_window_hanging_gateway_costs_few_of_a_slow_campaign(
    interval: float, most: int
) -> None:
    """With a rate limit, a gateway that hangs costs about what it answered in half of 5 s."""
    before, at_end = _in_flight_when_hanging(32, 0.1, interval)
    assert before <= 2
    assert at_end <= most


@pytest.mark.parametrize("text", ["08:00-21:00", " 08:00-21:00 ", "8:00 - 21:00", "8:00- 21:00"])
def test_sending_hours_blanks_are_allowed(text: str) -> None:
    """Blanks around the hours, and around the hyphen, do not matter."""
    assert str(SendingHours.parse(text)) == "08:00-21:00 Asia/Shanghai"
