"""Aggregates what the report about a campaign shows; its memory does not grow with the campaign."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from yunxin_soap.campaign.axes import floor_time, time_step
from yunxin_soap.campaign.models import State, Status
from yunxin_soap.campaign.report import (
    MAX_BARS,
    EarlierRejection,
    End,
    Figures,
    Rejection,
    Sending,
    TextFigures,
)
from yunxin_soap.campaign.storage.dialects import ledger_time
from yunxin_soap.campaign.storage.runners import RECLAIMED
from yunxin_soap.campaign.storage.schema import content, history, submission
from yunxin_soap.campaign.storage.transitions import DECIDED
from yunxin_soap.message import count_segments

_TEXTS = 10
"""The texts with the most numbers that are shown."""
_NO_RESPONSE = "no complete response came within"
"""What the reason of a submission says that had no response in time."""
_FINE_SECONDS = 60
"""Response times up to this are to the millisecond, longer ones to the second, so that a gateway
that hangs for hours does not make millions of groups."""
_ANSWERED = frozenset({End.ACCEPTED, End.REJECTED, End.SPLIT})


def read_figures(
    connection: sa.Connection, campaign_id: int, status: Status, zone: ZoneInfo
) -> Figures:
    """Return what the report about a campaign shows.

    Args:
        connection: reads one moment.
        campaign_id: the campaign.
        status: its state at that moment.
        zone: the time zone of the times in the report.
    """
    times: dict[End, dict[int, int]] = {}
    first = last_sent = last = None
    for row in connection.execute(_response_times(campaign_id)):
        end, ms = End(row.ended), max(0, int(row.ms))
        of_end = times.setdefault(end, {})
        of_end[ms] = of_end.get(ms, 0) + row.submissions
        if end not in (End.NOT_SENT, End.DEFERRED):
            first = min(first or row.first_sent, row.first_sent)
            last_sent = max(last_sent or row.last_sent, row.last_sent)
            # What a process left behind ended when somebody noticed, perhaps days later.
            ended = row.last_ended if end in _ANSWERED else row.last_sent
            last = max(last or ended, ended)
    sending = None
    if first is not None and last is not None and last_sent is not None:
        step = time_step(last_sent - first, MAX_BARS - 1)  # the first may begin in mid-step
        origin = floor_time(first, step, zone)
        buckets: dict[int, dict[End, int]] = {}
        for row in connection.execute(_sent_numbers(campaign_id, origin, step)):
            buckets.setdefault(int(row.bucket), {})[End(row.ended)] = int(row.numbers)
        sending = Sending(first, last, origin, step, buckets)
    return Figures(
        status=status,
        at=datetime.fromtimestamp(ledger_time(connection), timezone.utc),
        times=times,
        sending=sending,
        rejections=tuple(
            Rejection(
                code=row.code,
                is_decided=bool(row.is_decided),
                is_safe=bool(row.safe_to_resend),
                submissions=row.submissions,
                numbers=int(row.numbers),
            )
            for row in connection.execute(_rejections(campaign_id))
        ),
        earlier_rejections=tuple(
            EarlierRejection(row.code, State(row.after), row.submissions, int(row.numbers))
            for row in connection.execute(_earlier_rejections(campaign_id))
        ),
        texts=tuple(
            TextFigures(
                row.message,
                count_segments(row.message),
                int(row.numbers),
                {each: int(row._mapping[each.value]) for each in _COUNTED},
            )
            for row in connection.execute(_largest_texts(campaign_id))
        ),
    )


_COUNTED = (State.ACCEPTED, State.REJECTED, State.UNKNOWN)
"""The states that the report counts for a text."""
_IS_DECIDED = submission.c.reason.startswith(DECIDED, autoescape=True)
_END = sa.case(
    (
        _IS_DECIDED & submission.c.state.in_([State.ACCEPTED.value, State.REJECTED.value]),
        End.DECIDED.value,
    ),
    (submission.c.state == State.ACCEPTED.value, End.ACCEPTED.value),
    (submission.c.state == State.REJECTED.value, End.REJECTED.value),
    (submission.c.state == State.SPLIT.value, End.SPLIT.value),
    (
        (submission.c.state == State.PENDING.value) & submission.c.code.is_(None),
        End.NOT_SENT.value,
    ),
    (submission.c.state == State.PENDING.value, End.DEFERRED.value),
    (
        submission.c.reason.contains(_NO_RESPONSE, autoescape=True),
        End.NO_RESPONSE.value,
    ),
    (submission.c.reason.startswith(RECLAIMED, autoescape=True), End.INTERRUPTED.value),
    else_=End.BROKEN.value,
).label("ended")


def _response_times(campaign_id: int) -> sa.Select[Any]:
    """Count submissions by how they ended, and how long that took."""
    seconds = submission.c.ended_at - submission.c.sent_at
    ms = sa.case(
        (seconds < _FINE_SECONDS, sa.func.round(seconds * 1000.0)),
        else_=sa.func.round(seconds) * 1000.0,
    )
    each = (
        sa.select(_END, ms.label("ms"), submission.c.sent_at, submission.c.ended_at)
        .where(*_with_times(campaign_id))
        .subquery()
    )
    return sa.select(
        each.c.ended,
        each.c.ms,
        sa.func.count().label("submissions"),
        sa.func.min(each.c.sent_at).label("first_sent"),
        sa.func.max(each.c.sent_at).label("last_sent"),
        sa.func.max(each.c.ended_at).label("last_ended"),
    ).group_by(each.c.ended, each.c.ms)


def _sent_numbers(campaign_id: int, origin: float, step: int) -> sa.Select[Any]:
    """Count numbers by when they were sent.

    Args:
        campaign_id: the campaign.
        origin: the start of the first bucket.
        step: the seconds of a bucket.
    """
    # Databases agree on how to round, but for a half: 1e-9 is less than a time's last digit.
    bucket = sa.func.round((submission.c.sent_at - origin) / float(step) - 0.5 + 1e-9)
    each = (
        sa.select(_END, bucket.label("bucket"), submission.c.size)
        # The smaller submissions of one that was split count its numbers.
        .where(
            *_with_times(campaign_id),
            submission.c.state.not_in([State.PENDING.value, State.SPLIT.value]),
        )
        .subquery()
    )
    return sa.select(
        each.c.ended, each.c.bucket, sa.func.sum(each.c.size).label("numbers")
    ).group_by(each.c.ended, each.c.bucket)


def _with_times(campaign_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Choose the submissions of a campaign whose last attempt has ended."""
    ended = State.PENDING, State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.SPLIT
    return (
        submission.c.campaign_id == campaign_id,
        submission.c.state.in_([each.value for each in ended]),
        submission.c.sent_at.is_not(None),
        submission.c.ended_at.is_not(None),
    )


def _rejections(campaign_id: int) -> sa.Select[Any]:
    """Count what is rejected by its code, and by whether `retry` may send it."""
    each = (
        sa.select(
            submission.c.code,
            sa.case((_IS_DECIDED, 1), else_=0).label("is_decided"),
            submission.c.safe_to_resend,
            submission.c.size,
        )
        .where(submission.c.campaign_id == campaign_id, submission.c.state == State.REJECTED.value)
        .subquery()
    )
    by = each.c.code, each.c.is_decided, each.c.safe_to_resend
    numbers = sa.func.sum(each.c.size).label("numbers")
    counts = sa.select(*by, sa.func.count().label("submissions"), numbers).group_by(*by)
    return counts.order_by(numbers.desc(), *by)


def _earlier_rejections(campaign_id: int) -> sa.Select[Any]:
    """Count the rejections after which a submission became pending again, or was split."""
    later = history.alias()
    was_retried = sa.exists().where(
        later.c.submission_id == history.c.submission_id,
        later.c.id > history.c.id,
        later.c.before == State.REJECTED.value,
        later.c.after == State.PENDING.value,
    )
    again = State.PENDING, State.SPLIT, State.CANCELLED, State.SUPPRESSED
    by = history.c.code, history.c.after
    numbers = sa.func.sum(submission.c.size).label("numbers")
    return (
        sa.select(*by, sa.func.count().label("submissions"), numbers)
        .join(submission, history.c.submission_id == submission.c.id)
        .where(
            submission.c.campaign_id == campaign_id,
            # All others have one attempt, which is the last: few have a history to look into.
            sa.or_(
                submission.c.attempts > 1,
                sa.and_(
                    submission.c.attempts > 0,
                    submission.c.state.in_([each.value for each in again]),
                ),
            ),
            history.c.before == State.SUBMITTING.value,
            sa.or_(
                sa.and_(history.c.after == State.REJECTED.value, was_retried),
                sa.and_(
                    history.c.after.in_([State.PENDING.value, State.SPLIT.value]),
                    history.c.code.is_not(None),
                ),
            ),
        )
        .group_by(*by)
        .order_by(numbers.desc(), *by)
    )


def _largest_texts(campaign_id: int) -> sa.Select[Any]:
    """Choose the texts with the most numbers; none that only one number gets, and none purged."""
    numbers = sa.func.sum(submission.c.size)
    counts = [
        sa.func.sum(sa.case((submission.c.state == each.value, submission.c.size), else_=0)).label(
            each.value
        )
        for each in _COUNTED
    ]
    largest = (
        sa.select(submission.c.content_id, numbers.label("numbers"), *counts)
        .join(content, submission.c.content_id == content.c.id)
        .where(
            submission.c.campaign_id == campaign_id,
            # The smaller submissions have its numbers.
            submission.c.state != State.SPLIT.value,
            content.c.message != "",
        )
        .group_by(submission.c.content_id)
        .having(numbers > 1)
        .order_by(numbers.desc(), submission.c.content_id)
        .limit(_TEXTS)
        .subquery()
    )
    return (
        sa.select(content.c.message, largest)
        .join(largest, largest.c.content_id == content.c.id)
        .order_by(largest.c.numbers.desc(), content.c.id)
    )
