"""The lines that a campaign's run prints where there is no terminal."""

from __future__ import annotations

import io
import os
import re
import sys
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from yunxin_soap.campaign import ActiveRunner, CampaignState, Progress
from yunxin_soap.cli.progress import ProgressLines, ResilientStderr


def progress(**changes: Any) -> Progress:
    """Return the progress of a run with 6 of its numbers done."""
    return Progress(
        **{
            "accepted": 3,
            "rejected": 2,
            "unknown": 1,
            "in_flight": 1,
            "submissions": 4,
            "state": CampaignState.OPEN,
            "reason": "",
            "until": None,
            **changes,
        }
    )


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    """The lines that were printed."""
    return []


@pytest.fixture
def report(clock: Clock, lines: list[str]) -> ProgressLines:
    """Prints the progress of a run of 20 numbers."""
    return ProgressLines(20, 0, ZoneInfo("Asia/Shanghai"), write=lines.append, clock=clock)


def test_progress_lines_are_ten_seconds_apart(
    report: ProgressLines, clock: Clock, lines: list[str]
) -> None:
    """The first line comes after ten seconds, the next ten seconds after it."""
    for seconds in (0.0, 9.9, 10.0, 15.0, 19.9, 20.0):
        clock.now = 100.0 + seconds
        report(progress(accepted=int(seconds)))
    text = (
        "{} of 20 numbers: {} accepted, 2 rejected, 1 unknown, 1 submission in flight, 1 numbers/s"
    )
    assert lines == [text.format(13, 10), text.format(23, 20)]


def test_progress_lines_may_begin_at_once(clock: Clock, lines: list[str]) -> None:
    """Whoever watches a run elsewhere sees its progress at once, the next line later."""
    report = ProgressLines(20, 0, ZoneInfo("UTC"), at_once=True, write=lines.append, clock=clock)
    report(progress())
    clock.now += 9
    report(progress(accepted=5))
    (line,) = lines
    assert line.startswith("6 of 20 numbers: ")


def test_progress_lines_end_with_the_last_counts(
    report: ProgressLines, clock: Clock, lines: list[str]
) -> None:
    """The last line is as the ledger is in the end, if an earlier line said something else."""
    report(progress(accepted=20), is_last=True)
    assert lines == []
    clock.now += 10
    report(progress())
    report(progress(in_flight=1), is_last=True)
    assert len(lines) == 1
    report(progress(accepted=17, in_flight=0, state=CampaignState.DONE), is_last=True)
    assert lines[1].startswith("20 of 20 numbers: 17 accepted, 2 rejected, 1 unknown, 0 subm")


def test_progress_lines_count_on_and_rate_only_this_run(clock: Clock, lines: list[str]) -> None:
    """What was done before counts, and the rate is that of what was done since."""
    report = ProgressLines(1000, 700, ZoneInfo("UTC"), write=lines.append, clock=clock)
    clock.now += 10
    report(progress(accepted=797))
    (line,) = lines
    assert line.startswith("800 of 1000 numbers: 797 accepted")
    assert line.endswith(" 10 numbers/s")


def test_progress_lines_name_a_cancelled_campaign(report: ProgressLines, lines: list[str]) -> None:
    """A cancelled campaign is no paused one."""
    report(progress(state=CampaignState.CANCELLED, reason="by ops"))
    assert lines[0].endswith("; cancelled: by ops")


def test_progress_lines_show_a_new_reason_at_once(
    report: ProgressLines, clock: Clock, lines: list[str]
) -> None:
    """A pause, its end and a new reason print a line without waiting."""
    clock.now += 1
    report(progress(reason="the balance is too low"))
    report(progress(reason="the balance is too low"))
    until = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=timezone.utc)
    report(progress(reason="the channel is closed", until=until))
    report(progress(in_flight=2))
    assert len(lines) == 3
    assert lines[0].endswith(" in flight, 6 numbers/s; paused: the balance is too low")
    assert lines[1].endswith(
        "; waiting until 2026-01-02 11:04:05 Asia/Shanghai: the channel is closed"
    )
    assert lines[2].endswith(", 2 submissions in flight, 6 numbers/s")


def test_progress_lines_without_change_become_rare_and_say_for_how_long(
    report: ProgressLines, clock: Clock, lines: list[str]
) -> None:
    """A run that waits gives a sign of life, and never the same line twice."""
    for _ in range(200):
        report(progress(reason="the balance is too low"))
        clock.now += 1
    ends = [line.rpartition("; ")[2] for line in lines]
    assert ends == [
        "paused: the balance is too low",
        *(f"no change for {seconds} s" for seconds in (10, 30, 70, 150)),
    ]
    report(progress(accepted=4, reason="the balance is too low"))
    clock.now += 10
    report(progress(accepted=4, reason="the balance is too low"))
    assert lines[-1].endswith("; no change for 10 s")


def test_progress_lines_name_whom_a_run_waits_for(
    report: ProgressLines, clock: Clock, lines: list[str]
) -> None:
    """They come at once, name process and host, and say when its submissions are given up."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    report(progress(waiting_for=(ActiveRunner("web-3", 4711, at, 2, at),)))
    report(progress(waiting_for=(ActiveRunner("web-3", 4711, at, 1, at),)))
    (line,) = lines
    assert line.endswith(
        "; waiting for 2 submissions of process 4711 on web-3, unknown at 2026-01-02 11:04:05"
        " Asia/Shanghai if it sends no heartbeat before"
    )
    waiting = (ActiveRunner("web-3", 4711, at, 1, at),)
    report(progress(waiting_for=waiting, reason="the channel is closed", until=at))
    assert lines[-1].endswith(
        " if it sends no heartbeat before; waiting until 2026-01-02 11:04:05 Asia/Shanghai: the"
        " channel is closed"
    )


def test_progress_lines_at_start_divide_by_no_zero(report: ProgressLines, lines: list[str]) -> None:
    """A progress in the first moment has a rate, too."""
    report(progress(reason="it is outside the allowed hours"))
    assert re.search(r"[0-9]+ numbers/s", lines[0])


def test_resilient_stderr_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """While somebody reads, the text goes to standard error, with its attributes."""
    stream = ResilientStderr()
    stream.write("text")
    stream.flush()
    assert capsys.readouterr().err == "text"
    assert stream.encoding == sys.stderr.encoding


def test_resilient_stderr_closed_pipe_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write after the reader has gone fails nothing, nor does the flush at exit."""
    ours, theirs = os.pipe()
    os.close(ours)
    with io.TextIOWrapper(os.fdopen(theirs, "wb", 0), write_through=True) as broken:
        monkeypatch.setattr(sys, "stderr", broken)
        ResilientStderr().write("text")
        ResilientStderr().write("more")
        ResilientStderr().flush()
        sys.stderr.write("direct")
        sys.stderr.flush()
