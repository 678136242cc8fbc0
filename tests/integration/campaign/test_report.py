"""What the report about a campaign shows, from real runs, on each database."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, ConfigurationError, NotInLedger
from yunxin_soap.campaign import Ledger, Rows, State
from yunxin_soap.campaign.report import EarlierRejection, End, Figures, Rejection, TextFigures
from yunxin_soap.campaign.storage.reads import Reads
from yunxin_soap.campaign.storage.runners import RECLAIMED
from yunxin_soap.campaign.storage.schema import submission
from yunxin_soap.campaign.storage.transitions import DECIDED
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.transport.failures import exchange_failed

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def figures(engine: sa.Engine) -> Callable[[], Figures]:
    """Reads the figures of the campaign ``a``."""
    return lambda: Reads(engine).figures("a", ZONE)


def counts(figures: Figures) -> dict[End, int]:
    """Return the count of submissions by how they ended."""
    return {end: sum(times.values()) for end, times in figures.times.items()}


def sent(figures: Figures) -> int:
    """Return the count of numbers that were sent at any time."""
    assert figures.sending is not None
    return sum(sum(each.values()) for each in figures.sending.buckets.values())


def test_figures_keep_what_a_retry_and_a_decision_changed(
    ledger: Ledger, client: Client, sandbox: Sandbox, figures: Callable[[], Figures]
) -> None:
    """A rejection before a retry, a hung submission and a decision stay in the report."""
    names = [*["甲"] * 6, *["乙"] * 3, "丙的验证码1234"]
    rows = [{"phone": n, "name": name} for n, name in zip(numbers(10), names, strict=True)]
    ledger.plan("a", Rows(rows), "您好{name}【签名】", channel=37, max_recipients=3)
    before = figures()
    assert (before.times, before.sending, before.rejections) == ({}, None, ())

    sandbox.inject_fault("code", code="-16")
    ledger.run("a", client, concurrency=1)
    assert figures().rejections == (Rejection(-16, False, True, 1, 3),)
    assert counts(figures()) == {End.ACCEPTED: 3, End.REJECTED: 1}
    assert figures().earlier_rejections == ()

    ledger.retry("a", by="小王")
    assert counts(figures()) == {End.ACCEPTED: 3, End.DEFERRED: 1}
    assert figures().earlier_rejections == (EarlierRejection(-16, State.REJECTED, 1, 3),)
    sandbox.inject_fault("code", code="-16")
    ledger.run("a", client)
    assert figures().rejections == (Rejection(-16, False, True, 1, 3),)
    assert figures().earlier_rejections == (EarlierRejection(-16, State.REJECTED, 1, 3),)
    ledger.retry("a", by="小王")
    sandbox.inject_fault("hang")
    with Client("demo", "demo", endpoint=sandbox.url, channel="37", timeout=0.5) as impatient:
        ledger.run("a", impatient)
    found = figures()
    assert counts(found) == {End.ACCEPTED: 3, End.NO_RESPONSE: 1}
    assert min(found.times[End.NO_RESPONSE]) >= 500
    assert sent(found) == 10
    assert found.rejections == ()
    assert found.earlier_rejections == (EarlierRejection(-16, State.REJECTED, 2, 6),)
    outcomes = {State.ACCEPTED: 3, State.REJECTED: 0, State.UNKNOWN: 3}
    others = {State.ACCEPTED: 3, State.REJECTED: 0, State.UNKNOWN: 0}
    assert found.texts == (
        TextFigures("您好甲【签名】", 1, 6, outcomes),
        TextFigures("您好乙【签名】", 1, 3, others),
    )

    ledger.resolve("a", "not_sent", by="小王")
    assert counts(figures()) == {End.ACCEPTED: 3, End.DECIDED: 1}
    assert figures().rejections == (Rejection(None, True, True, 1, 3),)
    page = ledger.report("a", language="zh")
    assert "您好甲" in page
    assert "1234" not in page
    assert not [each for each in numbers(10) if each in page]

    ledger.purge(older_than=0)
    assert figures().texts == ()
    assert counts(figures()) == {End.ACCEPTED: 3, End.DECIDED: 1}
    assert "您好甲" not in ledger.report("a")


def test_figures_count_what_was_split(
    ledger: Ledger, client: Client, sandbox: Sandbox, figures: Callable[[], Figures]
) -> None:
    """The smaller submissions count the numbers; the rejection of the whole is kept."""
    ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=2)
    sandbox.inject_fault("code", code="-14", numbers=numbers(1)[0], times=None)
    ledger.run("a", client, isolate=True)
    assert counts(figures()) == {End.ACCEPTED: 1, End.REJECTED: 1, End.SPLIT: 1}
    assert figures().earlier_rejections == (EarlierRejection(-14, State.SPLIT, 1, 2),)
    assert sent(figures()) == 2
    (text,) = figures().texts
    assert (text.numbers, text.outcomes[State.ACCEPTED]) == (2, 1)


@pytest.mark.parametrize("fraction", [0.0, 0.75])
def test_figures_tell_endings_and_seconds_apart(
    ledger: Ledger, engine: sa.Engine, figures: Callable[[], Figures], fraction: float
) -> None:
    """Each database puts the same submission into the same bucket."""
    states = {
        End.ACCEPTED: (State.ACCEPTED, "", None),
        End.REJECTED: (State.REJECTED, "-16", -16),
        End.NO_RESPONSE: (
            State.UNKNOWN,
            str(
                exchange_failed(
                    TimeoutError(), may_have_left=True, broken=None, http_status=None, timeout=30
                )
            ),
            None,
        ),
        End.BROKEN: (State.UNKNOWN, "it ended with ValueError", None),
        End.INTERRUPTED: (State.UNKNOWN, f"{RECLAIMED}: process 1 on a", None),
        End.DECIDED: (State.ACCEPTED, f"{DECIDED} 小王", None),
        End.NOT_SENT: (State.PENDING, "Nothing was sent: no connection.", None),
        End.DEFERRED: (State.PENDING, "-8", -8),
    }
    took = {End.NO_RESPONSE: 30.004, End.INTERRUPTED: 1e6, End.ACCEPTED: 0.25}
    start = 1_767_323_045
    ledger.plan("a", numbers(len(states)), TEXT, channel=37, max_recipients=1)
    with engine.begin() as connection:
        ids = connection.scalars(sa.select(submission.c.id).order_by(submission.c.id)).all()
        for at, (id_, (end, (state, reason, code))) in enumerate(
            zip(ids, states.items(), strict=True)
        ):
            connection.execute(
                submission.update()
                .where(submission.c.id == id_)
                .values(
                    state=state.value,
                    reason=reason,
                    code=code,
                    sent_at=start + at + fraction,
                    ended_at=start + at + fraction + took.get(end, 1.0),
                )
            )
    found = figures()
    assert found.times == {
        **{end: {1000: 1} for end in states},
        End.ACCEPTED: {250: 1},
        End.NO_RESPONSE: {30_004: 1},
        End.INTERRUPTED: {1_000_000_000: 1},
    }
    assert found.sending is not None
    assert (found.sending.origin, found.sending.step) == (start, 1)
    # A process that was noticed to have ended days later does not stretch the chart.
    first = start + fraction
    assert (found.sending.first, found.sending.last) == (first, first + 5)
    assert found.sending.buckets == {
        at: {end: 1} for at, end in enumerate(states) if end not in (End.NOT_SENT, End.DEFERRED)
    }


def test_report_checks_its_arguments(ledger: Ledger) -> None:
    """A wrong language, time zone or name is an error before anything is read."""
    with pytest.raises(ConfigurationError, match="language"):
        ledger.report("a", language="fr")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="time zone"):
        ledger.report("a", timezone="Mars")
    with pytest.raises(NotInLedger):
        ledger.report("a")
