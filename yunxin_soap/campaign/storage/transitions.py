"""The one writer of states, of the history, and of the times that belong to them."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import ALLOWED, CampaignState, Ending, Pause, State
from yunxin_soap.campaign.storage.dialects import ledger_time
from yunxin_soap.campaign.storage.schema import campaign, content, history, submission

LATE = "its result came after its runner was reclaimed"
_BATCH = 500
"""Rows of one statement."""


def transition(
    connection: sa.Connection,
    update: sa.Update,
    changes: Sequence[Mapping[str, Any]],
    *,
    before: State,
    by: str,
) -> None:
    """Change the state of submissions, and add an entry to the history of each.

    Every change of a state goes through here.

    Args:
        connection: in a transaction that holds the submissions.
        update: the statement. It binds ``submission_id``, ``before_state`` and the values of a
            change that it needs.
        changes: ``submission_id``, ``new_state``, ``at`` and ``detail`` of each, and the other
            values that ``update`` binds.
        before: the state that they are in.
        by: the id of the runner, or the person who decides.

    Raises:
        ValueError: the state of a change may not follow that state.
    """
    for each in changes:
        if State(each["new_state"]) not in ALLOWED[before]:
            raise ValueError(
                f"A submission cannot change from {before.value} to {each['new_state']}."
            )
    bound = _bound_names(update)
    for start in range(0, len(changes), _BATCH):
        batch = [{**each, "before_state": before.value} for each in changes[start : start + _BATCH]]
        connection.execute(update, [{name: each[name] for name in bound} for each in batch])
        connection.execute(
            _HISTORY,
            [
                {
                    "submission_id": each["submission_id"],
                    "at": each["at"],
                    "before": before.value,
                    "after": each["new_state"],
                    "batch_no": each.get("new_batch_no"),
                    "code": each.get("new_code"),
                    "detail": each["detail"],
                    "by": by,
                }
                for each in batch
            ],
        )


@functools.cache
def _bound_names(update: sa.Update) -> tuple[str, ...]:
    parameters = update.compile().binds.items()
    return tuple(name for name, parameter in parameters if parameter.required)


def claim(connection: sa.Connection, ids: Collection[int], *, now: float, runner_id: str) -> None:
    """Commit pending submissions to a runner that is about to send them."""
    changes = [
        {
            "submission_id": each,
            "new_state": State.SUBMITTING.value,
            "at": now,
            "detail": "",
            "new_runner": runner_id,
        }
        for each in ids
    ]
    transition(connection, _CLAIM, changes, before=State.PENDING, by=runner_id)


def end(
    connection: sa.Connection,
    endings: Sequence[Ending],
    *,
    now: float,
    now_monotonic: float,
    runner_id: str,
) -> None:
    """Record how claimed submissions ended.

    Args:
        connection: in a transaction that holds them.
        endings: how they ended.
        now: the ledger's time.
        now_monotonic: this process's monotonic clock, read just before that. Later would be wrong:
            a lock may have been waited for since.
        runner_id: the runner that sent them.
    """
    changes = []
    for each in endings:
        ended_at = now - (now_monotonic - each.ended_at)
        changes.append(
            {
                "submission_id": each.claimed.id,
                "new_state": each.state.value,
                "at": ended_at,
                "new_batch_no": each.batch_no,
                "new_code": each.code,
                "new_keyword": each.keyword,
                "detail": each.reason,
                "new_safe": each.safe_to_resend,
                "new_not_before": ended_at + each.retry_after if each.retry_after else None,
                "new_sent_at": ended_at - (each.ended_at - each.began_at),
            }
        )
        if each.hold_content:
            connection.execute(
                content.update()
                .where(content.c.id == each.claimed.content_id, content.c.on_hold.is_(None))
                .values(on_hold=each.reason)
            )
    transition(connection, _END, changes, before=State.SUBMITTING, by=runner_id)


def reclaim(
    connection: sa.Connection,
    ids: Collection[int],
    state: State,
    detail: str,
    *,
    now: float,
    by: str,
) -> None:
    """Take claimed submissions from a runner that did not record how they ended.

    Args:
        connection: in a transaction that holds them.
        ids: the submissions.
        state: PENDING if they were certainly not sent, else UNKNOWN.
        detail: why.
        now: the ledger's time.
        by: the id of the runner that had claimed them.
    """
    changes = [
        {
            "submission_id": each,
            "new_state": state.value,
            "at": now,
            "new_batch_no": None,
            "new_code": None,
            "new_keyword": None,
            "detail": detail,
            "new_safe": state is State.PENDING,
            "new_not_before": None,
            "new_sent_at": None,  # what the claim wrote stays
        }
        for each in ids
    ]
    transition(connection, _END, changes, before=State.SUBMITTING, by=by)


def decide(
    connection: sa.Connection,
    ids: Collection[int],
    *,
    before: State,
    after: State,
    by: str,
    detail: str,
    batch_no: str | None = None,
) -> None:
    """Record what a person decided about submissions.

    Args:
        connection: in a transaction that holds them.
        ids: the submissions.
        before: the state that they are in.
        after: the state that the person gives them.
        by: the person who decides.
        detail: the decision, for the history.
        batch_no: of an accepted one, if it is known.
    """
    now = ledger_time(connection)
    changes = [
        {
            "submission_id": each,
            "new_state": after.value,
            "at": now,
            "new_batch_no": batch_no,
            "detail": detail,
            # A pending one keeps the reason why it was not accepted before.
            "new_reason": None if after is State.PENDING else f"decided by {by}",
            # To reject it, the person has made sure that it was not sent.
            "new_safe": True if after is State.REJECTED else None,
        }
        for each in ids
    ]
    transition(connection, _DECIDE, changes, before=before, by=by)


def cancel(connection: sa.Connection, ids: Collection[int], *, by: str, reason: str) -> None:
    """Record that pending submissions of a cancelled campaign are never sent.

    Args:
        connection: in a transaction that holds them.
        ids: the submissions.
        by: the id of the runner, or the person who cancelled the campaign.
        reason: why, for the submission and the history.
    """
    now = ledger_time(connection)
    changes = [
        {
            "submission_id": each,
            "new_state": State.CANCELLED.value,
            "at": now,
            "detail": reason,
        }
        for each in ids
    ]
    transition(connection, _CANCEL, changes, before=State.PENDING, by=by)


def was_recorded(connection: sa.Connection, ending: Ending, runner_id: str) -> bool:
    """Return whether this runner has recorded this ending already."""
    own = sa.exists().where(
        history.c.submission_id == ending.claimed.id,
        history.c.by == runner_id,
        history.c.before == State.SUBMITTING.value,
        history.c.after == ending.state.value,
    )
    return bool(connection.scalar(sa.select(own)))


def note_late(
    connection: sa.Connection, endings: Sequence[Ending], *, now: float, runner_id: str
) -> None:
    """Add to the history what became known too late to change a state."""
    for each in endings:
        state = connection.scalar(
            sa.select(submission.c.state).where(submission.c.id == each.claimed.id)
        )
        connection.execute(
            _HISTORY,
            {
                "submission_id": each.claimed.id,
                "at": now,
                "before": state,
                "after": state,
                "batch_no": each.batch_no,
                "code": each.code,
                "detail": f"{LATE}: {each.state.value} {each.reason}".strip(),
                "by": runner_id,
            },
        )


def late_batch_numbers(connection: sa.Connection, scope: sa.ColumnElement[bool]) -> dict[int, str]:
    """Return the batch numbers of unknown submissions, by id, which became known too late.

    Args:
        connection: in a transaction.
        scope: which submissions.
    """
    found = connection.execute(
        sa.select(history.c.submission_id, history.c.batch_no)
        .join(submission, history.c.submission_id == submission.c.id)
        .where(scope, submission.c.state == State.UNKNOWN.value, history.c.batch_no.is_not(None))
        .order_by(history.c.id)
    )
    return {each.submission_id: each.batch_no for each in found}


def reclaimed_from(
    connection: sa.Connection, runner_ids: Collection[str], scope: sa.ColumnElement[bool]
) -> dict[int, str]:
    """Return which unknown submissions were made unknown for which of some runners.

    Args:
        connection: in a transaction.
        runner_ids: the runners.
        scope: which submissions.
    """
    found = connection.execute(
        sa.select(history.c.submission_id, history.c.by)
        .join(submission, history.c.submission_id == submission.c.id)
        .where(
            scope,
            submission.c.state == State.UNKNOWN.value,
            history.c.by.in_(runner_ids),
            history.c.before == State.SUBMITTING.value,
            history.c.after == State.UNKNOWN.value,
        )
    )
    return {each.submission_id: each.by for each in found}


def open_campaign(connection: sa.Connection, campaign_id: int) -> bool:
    """Let runners send a campaign unless it is cancelled; return whether they may."""
    is_cancelled = campaign.c.state == CampaignState.CANCELLED.value
    return _set_campaign(
        connection, CampaignState.OPEN, campaign.c.id == campaign_id, ~is_cancelled
    )


def open_if_due(connection: sa.Connection, campaign_id: int, *, now: float) -> bool:
    """Let runners send a campaign that was done, or whose pause is over; return whether it was."""
    is_over = sa.and_(
        campaign.c.state == CampaignState.PAUSED.value, campaign.c.paused_until <= now
    )
    is_done = campaign.c.state == CampaignState.DONE.value
    # An operator may have paused or cancelled it since it was read.
    return _set_campaign(
        connection, CampaignState.OPEN, campaign.c.id == campaign_id, sa.or_(is_done, is_over)
    )


def reopen_if_done(connection: sa.Connection, campaign_id: int) -> None:
    """Let runners send a campaign that was done; a pause stays."""
    is_done = campaign.c.state == CampaignState.DONE.value
    _set_campaign(connection, CampaignState.OPEN, campaign.c.id == campaign_id, is_done)


def pause_campaign(
    connection: sa.Connection, campaign_id: int, pause: Pause, *, now: float
) -> None:
    """Pause a campaign because of what its runner met, if anything is left to send.

    What is in flight may still become pending: the runner then pauses it again.
    """
    is_left = sa.exists().where(
        submission.c.campaign_id == campaign_id, submission.c.state == State.PENDING.value
    )
    _set_campaign(
        connection,
        CampaignState.PAUSED,
        campaign.c.id == campaign_id,
        campaign.c.state != CampaignState.CANCELLED.value,
        is_left,
        # A timed pause must not replace a pause that waits for an operator.
        sa.or_(
            campaign.c.state != CampaignState.PAUSED.value, campaign.c.paused_until.is_not(None)
        ),
        reason=pause.reason,
        paused_until=None if pause.seconds is None else now + pause.seconds,
    )


def pause_by_operator(connection: sa.Connection, campaign_id: int, *, reason: str) -> bool:
    """Let a campaign wait for an operator; return whether it had anything to wait for."""
    return _set_campaign(
        connection,
        CampaignState.PAUSED,
        campaign.c.id == campaign_id,
        campaign.c.state.in_([CampaignState.OPEN.value, CampaignState.PAUSED.value]),
        reason=reason,
    )


def cancel_campaign(connection: sa.Connection, campaign_id: int, *, reason: str) -> None:
    """Let no runner claim anything of a campaign any more; one that is done stays as it is."""
    _set_campaign(
        connection,
        CampaignState.CANCELLED,
        campaign.c.id == campaign_id,
        campaign.c.state.in_([CampaignState.OPEN.value, CampaignState.PAUSED.value]),
        reason=reason,
    )


def finish_campaign(connection: sa.Connection, campaign_id: int) -> None:
    """Mark a campaign as done if it has nothing left to send."""
    unfinished = sa.exists().where(
        submission.c.campaign_id == campaign_id,
        submission.c.state.in_([State.PENDING.value, State.SUBMITTING.value]),
    )
    is_cancelled = campaign.c.state == CampaignState.CANCELLED.value
    _set_campaign(
        connection, CampaignState.DONE, campaign.c.id == campaign_id, ~is_cancelled, ~unfinished
    )


def _set_campaign(
    connection: sa.Connection,
    state: CampaignState,
    *where: sa.ColumnElement[bool],
    reason: str = "",
    paused_until: float | None = None,
) -> bool:
    values = {"state": state.value, "reason": reason, "paused_until": paused_until}
    return connection.execute(campaign.update().where(*where).values(**values)).rowcount > 0


# Built once: building a statement takes longer than running it.
_HISTORY = history.insert()
_ONE = submission.update().where(
    submission.c.id == sa.bindparam("submission_id"),
    submission.c.state == sa.bindparam("before_state"),
)
_CLAIM = _ONE.values(
    state=sa.bindparam("new_state"),
    runner_id=sa.bindparam("new_runner"),
    attempts=submission.c.attempts + 1,
    not_before=None,
    sent_at=sa.bindparam("at"),
    ended_at=None,
)
_END = _ONE.values(
    state=sa.bindparam("new_state"),
    runner_id=None,
    batch_no=sa.bindparam("new_batch_no"),
    code=sa.bindparam("new_code"),
    keyword=sa.bindparam("new_keyword"),
    reason=sa.bindparam("detail"),
    safe_to_resend=sa.bindparam("new_safe"),
    not_before=sa.bindparam("new_not_before"),
    sent_at=sa.func.coalesce(sa.bindparam("new_sent_at", type_=sa.Double), submission.c.sent_at),
    ended_at=sa.bindparam("at"),
)
_CANCEL = _ONE.values(
    state=sa.bindparam("new_state"),
    not_before=None,
    reason=sa.bindparam("detail"),
    ended_at=sa.bindparam("at"),
)
_DECIDE = _ONE.values(
    state=sa.bindparam("new_state"),
    not_before=None,
    batch_no=sa.func.coalesce(sa.bindparam("new_batch_no", type_=sa.Text), submission.c.batch_no),
    reason=sa.func.coalesce(sa.bindparam("new_reason", type_=sa.Text), submission.c.reason),
    safe_to_resend=sa.func.coalesce(
        sa.bindparam("new_safe", type_=sa.Boolean), submission.c.safe_to_resend
    ),
)
