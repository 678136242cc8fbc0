"""Sending hours and rate limits of a run."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import strategies as st

from tests.integration.campaign.conftest import taken_slots
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, ConfigurationError
from yunxin_soap.campaign import CampaignState, Ledger, Progress, State
from yunxin_soap.campaign.running.throttle import SendingHours
from yunxin_soap.sandbox import Sandbox

_YEAR_2026 = 1767225600
_MINUTES = st.integers(0, 1439)


def _given(option: str, value: float) -> dict[str, Any]:
    return {option: value}


def test_run_outside_sending_hours_sends_nothing_and_says_why(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Outside the sending hours nothing is sent, and the progress says until when."""
    ledger.plan("a", numbers(10), TEXT, channel=37)
    now = datetime.now(ZoneInfo("Asia/Shanghai"))
    hours = "-".join(f"{now + timedelta(hours=ahead):%H:%M}" for ahead in (2, 3))
    seen: list[Progress] = []
    stop = threading.Event()

    def on_progress(progress: Progress) -> None:
        seen.append(progress)
        stop.set()

    status = ledger.run("a", client, sending_hours=hours, on_progress=on_progress, stop=stop)
    assert seen[0].reason == f"it is outside the sending hours, {hours} Asia/Shanghai"
    assert seen[0].until is not None
    opens = (seen[0].until + timedelta(seconds=1)).astimezone(ZoneInfo("Asia/Shanghai"))
    assert f"{opens:%H:%M}" == hours[:5]
    assert status.numbers[State.PENDING] == 10
    assert sandbox.arrivals == ()


def test_run_outside_sending_hours_ends_if_nothing_is_left(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """Outside the sending hours, a campaign that is done is done."""
    ledger.plan("a", numbers(10), TEXT, channel=37)
    assert ledger.run("a", client).state is CampaignState.DONE
    now = datetime.now(ZoneInfo("Asia/Shanghai"))
    hours = "-".join(f"{now + timedelta(hours=ahead):%H:%M}" for ahead in (2, 3))
    status = ledger.run("a", client, sending_hours=hours)
    assert status.state is CampaignState.DONE
    assert len(sandbox.arrivals) == 1


def test_run_continues_within_sending_hours(
    ledger: Ledger, client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run continues once the sending hours begin."""
    # The hour cannot come on demand: it comes once the progress says that the run waits.
    seen: list[str] = []
    arrived: list[int] = []

    def on_progress(progress: Progress) -> None:
        seen.append(progress.reason)
        arrived.append(len(sandbox.arrivals))

    monkeypatch.setattr(SendingHours, "wait", lambda *_: 0.0 if seen else 0.01)
    ledger.plan("a", numbers(10), TEXT, channel=37)
    status = ledger.run("a", client, sending_hours="08:00-21:00", on_progress=on_progress)
    assert status.numbers[State.ACCEPTED] == 10
    assert seen[0].startswith("it is outside the sending hours")
    assert arrived[0] == 0
    assert seen[-1] == ""


@pytest.mark.parametrize(("option", "most"), [("rate_limit", 10.0), ("numbers_rate_limit", 50.0)])
def test_run_never_exceeds_its_rate_limit(
    ledger: Ledger, client: Client, sandbox: Sandbox, option: str, most: float
) -> None:
    """Each submission waits for its slot, and the slots are as far apart as the limit says."""
    ledger.plan("a", numbers(105), TEXT, channel=37, max_recipients=5)
    with taken_slots() as slots:
        assert ledger.run("a", client, **_given(option, most)).numbers[State.ACCEPTED] == 105
    sent = sorted(each.sent_at.timestamp() for each in ledger.timings("a"))
    assert len(sent) == len(slots) == len(sandbox.arrivals) == 21
    assert all(later - first > 0.099 for first, later in pairwise(sorted(slots)))
    # Up to what one trip to the server takes: its clock is read that much later.
    assert all(at > slot - 0.05 for at, slot in zip(sent, sorted(slots), strict=True))


@pytest.mark.parametrize("option", ["rate_limit", "numbers_rate_limit"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_run_invalid_rate_limit_is_an_error(
    ledger: Ledger, client: Client, option: str, value: float
) -> None:
    """A rate limit is a finite number above 0."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    with pytest.raises(ConfigurationError, match=f"{option}=.* must be a number above 0"):
        ledger.run("a", client, **_given(option, value))


@pytest.mark.parametrize("option", ["concurrency", "failure_threshold"])
def test_run_concurrency_or_threshold_below_one_is_an_error(
    ledger: Ledger, client: Client, option: str
) -> None:
    """Concurrency and failure threshold are at least 1."""
    ledger.plan("a", numbers(1), TEXT, channel=37)
    with pytest.raises(ConfigurationError, match=f"{option}=0 must be a whole number from 1"):
        ledger.run("a", client, **_given(option, 0))
