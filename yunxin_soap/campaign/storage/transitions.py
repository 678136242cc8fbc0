"""The one writer of states, of the history, and of the times that belong to them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import (
    ALLOWED,
    DEFAULT_EXPIRES_IN,
    CampaignState,
    Ending,
    Pause,
    State,
)
from yunxin_soap.campaign.storage.dialects import (
    WritingCTEs,
    bulk_insert,
    dialect_of,
    insert_with_ids,
    ledger_time,
)
from yunxin_soap.campaign.storage.schema import (
    campaign,
    content,
    history,
    recipients,
    submission,
)
from yunxin_soap.campaign.storage.statements import (
    Columns,
    CompiledStatement,
    RowSource,
    insert_selected,
)
from yunxin_soap.message import Submission

LATE = "its result came after its runner was reclaimed"
DECIDED = "decided by"
"""Why a submission that was unknown is accepted or rejected; the person follows."""
_BATCH = 500
"""Rows of one statement."""
_CHANGE: Mapping[str, sa.types.TypeEngine[Any]] = {
    "submission_id": sa.BigInteger(),
    "old_state": sa.Text(),
    "new_state": sa.Text(),
    "new_at": sa.Double(),
    "new_by": sa.Text(),
    "new_detail": sa.Text(),
    "new_runner": sa.Text(),
    "new_batch_no": sa.Text(),
    "new_code": sa.Integer(),
    "new_keyword": sa.Text(),
    "new_reason": sa.Text(),
    "new_safe": sa.Boolean(),
    "new_not_before": sa.Double(),
    "new_sent_at": sa.Double(),
}
"""What a change of a state consists of."""
_UNCHANGED = dict.fromkeys(_CHANGE)


def insert_pending(
    connection: sa.Connection,
    campaign_id: int,
    rows: Sequence[tuple[int, int | None, int, str]],
) -> Sequence[int]:
    """Insert submissions of a campaign that are to be sent; return their ids.

    Args:
        connection: in a transaction that writes.
        campaign_id: their campaign.
        rows: the content, the submission that it is split from, and the count and the text of the
            numbers, of each.
    """
    fixed = campaign_id, State.PENDING.value, 0, "", True
    columns = "content_id", "parent_id", "size", "campaign_id"
    ids = insert_with_ids(
        connection,
        submission,
        (*columns, "state", "attempts", "reason", "safe_to_resend"),
        [(*row, *fixed) for *row, _ in rows],
    )
    bulk_insert(
        connection,
        recipients,
        ("submission_id", "numbers"),
        [(each, numbers) for each, (*_, numbers) in zip(ids, rows, strict=True)],
    )
    return ids


def insert_pending_single(
    connection: sa.Connection, key: str, digest: str, given: Submission
) -> tuple[int, int]:
    """Insert a single send that is to be sent.

    Args:
        connection: in a transaction that writes.
        key: its key.
        digest: of its content.
        given: its content.

    Returns:
        Its id and content_id.

    Raises:
        sqlalchemy.exc.IntegrityError: the key is used.
    """
    text = connection.execute(
        content.insert().values(
            message=given.message, channel=given.channel, extension=given.extension
        )
    ).inserted_primary_key
    assert text is not None
    made = connection.execute(
        submission.insert().values(
            key=key,
            digest=digest,
            content_id=text[0],
            size=len(given.recipients),
            state=State.PENDING.value,
            attempts=0,
            reason="",
            safe_to_resend=True,
        )
    ).inserted_primary_key
    assert made is not None
    connection.execute(
        recipients.insert().values(submission_id=made[0], numbers=",".join(given.recipients))
    )
    return made[0], text[0]


def insert_queued_single(
    connection: sa.Connection,
    key: str,
    digest: str,
    given: Submission,
    *,
    now: float,
    expires_at: float,
    pace: str | None,
) -> bool:
    """Insert a single send that a worker is to send, unless its key is used.

    Args:
        connection: in a transaction that writes, perhaps an application's own.
        key: its key.
        digest: of its content.
        given: its content.
        now: the ledger's time.
        expires_at: the ledger's time from which on it is not to be sent.
        pace: the pace that it is sent at, if any.

    Returns:
        Whether it was inserted.
    """
    text = connection.execute(
        content.insert().values(
            message=given.message, channel=given.channel, extension=given.extension
        )
    ).inserted_primary_key
    assert text is not None
    row = {
        "key": key,
        "digest": digest,
        "content_id": text[0],
        "size": len(given.recipients),
        "state": State.PENDING.value,
        "attempts": 0,
        "reason": "",
        "safe_to_resend": True,
        "queued_at": now,
        "expires_at": expires_at,
        "pace": pace,
    }
    connection.execute(dialect_of(connection).insert_unless_used(submission.c.key, row))
    # A count of rows says on no two drivers the same. A lock also shows what was committed since
    # the snapshot of the transaction.
    made = connection.execute(
        sa.select(submission.c.id, submission.c.content_id)
        .where(submission.c.key == key)
        .with_for_update()
    ).one()
    if made.content_id != text[0]:
        connection.execute(content.delete().where(content.c.id == text[0]))
        return False
    numbers = ",".join(given.recipients)
    connection.execute(recipients.insert().values(submission_id=made.id, numbers=numbers))
    return True


def queue(
    connection: sa.Connection,
    submission_id: int,
    *,
    now: float,
    expires_at: float,
    pace: str | None,
) -> bool:
    """Let a worker send a single send that was not queued; return whether it does now.

    One that is in flight is queued if it turns out that it was not sent.
    """
    # It may have ended since it was read.
    unsent = submission.c.state.in_([State.PENDING.value, State.SUBMITTING.value])
    own = submission.c.id == submission_id, unsent
    changed = connection.execute(
        submission.update()
        .where(*own, submission.c.expires_at.is_(None))
        .values(queued_at=now, expires_at=expires_at, pace=pace)
    )
    return changed.rowcount > 0


def make_due(connection: sa.Connection, submission_id: int) -> None:
    """Let a queued single send that is pending be sent at once, for a day if it has expired."""
    now = ledger_time(connection)
    expires_at = sa.case(
        (submission.c.expires_at <= now, now + DEFAULT_EXPIRES_IN), else_=submission.c.expires_at
    )
    connection.execute(
        submission.update()
        .where(submission.c.id == submission_id, submission.c.state == State.PENDING.value)
        .values(not_before=None, expires_at=expires_at)
    )


def transition(
    connection: sa.Connection,
    values: Callable[[Columns], dict[str, Any]],
    changes: Sequence[Mapping[str, Any]],
    *,
    before: State,
    by: str,
) -> int:
    """Change the state of submissions, and add an entry to the history of each.

    Every change of a state goes through here, or is one statement of this module that does both.

    Args:
        connection: in a transaction that holds the submissions.
        values: returns what the columns of a submission become, for the columns of a change.
        changes: the columns of each change; those that it has not are null.
        before: the state that they are in.
        by: the id of the runner, or the person who decides. Only a runner changes what it holds.

    Returns:
        How many are changed.

    Raises:
        ValueError: the state of a change may not follow that state.
    """
    for each in changes:
        _check_allowed(before, State(each["new_state"]))
    source, statements = _transition(connection.dialect, values, before)
    changed = 0
    common = {**_UNCHANGED, "old_state": before.value, "new_by": by}
    for start in range(0, len(changes), _BATCH):
        rows = [{**common, **each} for each in changes[start : start + _BATCH]]
        results = [each.execute(connection, source.parameters(rows)) for each in statements]
        changed += results[0].rowcount
    return changed


def _check_allowed(before: State, after: State) -> None:
    if after not in ALLOWED[before]:
        raise ValueError(f"A submission cannot change from {before.value} to {after.value}.")


@functools.lru_cache(maxsize=64)
def _transition(
    dialect: sa.Dialect, values: Callable[[Columns], dict[str, Any]], before: State
) -> tuple[RowSource, list[CompiledStatement]]:
    source = RowSource(dialect, _CHANGE)
    new = source.columns
    update = (
        submission.update()
        .where(submission.c.id == new["submission_id"], submission.c.state == new["old_state"])
        .values(**values(new))
    )
    if before is State.SUBMITTING:
        update = update.where(submission.c.runner_id == new["new_by"])
    if not dialect_of(dialect).writing_ctes:
        return source, [CompiledStatement(each, dialect) for each in (update, _history(new))]
    updated = update.returning(submission.c.id).cte("updated")
    both = _history(new, new["submission_id"] == updated.c.id)
    return source, [CompiledStatement(both, dialect)]


def _history(new: Columns, *where: sa.ColumnElement[bool]) -> sa.Insert:
    entry = {
        "submission_id": new["submission_id"],
        "at": new["new_at"],
        "before": new["old_state"],
        "after": new["new_state"],
        "batch_no": new["new_batch_no"],
        "code": new["new_code"],
        "detail": new["new_detail"],
        "by": new["new_by"],
    }
    return insert_selected(history, entry, *where)


def claim(connection: sa.Connection, ids: Collection[int], *, now: float, runner_id: str) -> None:
    """Commit pending submissions to a runner that is about to send them."""
    changes = [
        {
            "submission_id": each,
            "new_state": State.SUBMITTING.value,
            "new_at": now,
            "new_detail": "",
            "new_runner": runner_id,
        }
        for each in ids
    ]
    transition(connection, _claim_values, changes, before=State.PENDING, by=runner_id)


def claim_chosen(
    chosen: sa.CTE, now: sa.ColumnElement[float] | None = None
) -> tuple[sa.CTE, sa.CTE]:
    """Return what claims submissions in one statement, for a database with writing CTEs.

    Args:
        chosen: the ids of pending submissions, which it locks.
        now: the ledger's time. Default: the statement binds it as ``new_at``.

    Returns:
        The claimed submissions, and the entries of their history. The statement binds
        ``new_runner``.
    """
    new: dict[str, sa.ColumnElement[Any]] = {
        name: sa.bindparam(name, type_=_CHANGE[name]) for name in ("new_at", "new_runner")
    }
    if now is not None:
        new["new_at"] = now
    new |= {"old_state": _text(State.PENDING), "new_state": _text(State.SUBMITTING)}
    claimed = (
        submission.update()
        .where(submission.c.id == chosen.c.id)
        .values(**_claim_values(new))
        .returning(submission.c.id, submission.c.content_id, submission.c.attempts)
        .cte("claimed")
    )
    new |= {"submission_id": claimed.c.id, "new_by": new["new_runner"]}
    new |= {"new_detail": sa.literal_column("''"), "new_batch_no": sa.null(), "new_code": sa.null()}
    return claimed, _history(new).cte("noted")


def insert_claimed(
    ctes: WritingCTEs, condition: sa.ColumnElement[bool]
) -> tuple[sa.CTE, list[sa.CTE]]:
    """Return what inserts a single send and claims it, in one statement.

    Args:
        ctes: what such a statement needs.
        condition: on what it does so.

    Returns:
        Its id and content_id, or no row if its key is used or the condition does not hold; and its
        rows in other tables. The statement binds ``new_runner``, and its columns as ``new_key``,
        ``new_digest`` and so on.
    """
    columns = submission.c.key, submission.c.digest, submission.c.size, recipients.c.numbers
    text = content.c.message, content.c.channel, content.c.extension
    new = {
        each.name: sa.bindparam(f"new_{each.name}", type_=each.type) for each in (*columns, *text)
    }
    by = sa.bindparam("new_runner", type_=sa.Text())
    single = (
        ctes.insert_unless_used(
            submission.c.key,
            {
                "key": new["key"],
                "digest": new["digest"],
                "content_id": ctes.next_id(content),
                "size": new["size"],
                "state": State.SUBMITTING.value,
                "attempts": 1,
                "reason": "",
                "safe_to_resend": True,
                "runner_id": by,
                "sent_at": ctes.now,
            },
            condition,
        )
        .returning(submission.c.id, submission.c.content_id)
        .cte("single")
    )
    entry = {
        "submission_id": single.c.id,
        "old_state": _text(State.PENDING),
        "new_state": _text(State.SUBMITTING),
        "new_at": ctes.now,
        "new_by": by,
        "new_detail": sa.literal_column("''"),
        "new_batch_no": sa.null(),
        "new_code": sa.null(),
    }
    rows = {
        "text": insert_selected(
            content, {"id": single.c.content_id, **{each.name: new[each.name] for each in text}}
        ),
        "given": insert_selected(
            recipients, {"submission_id": single.c.id, "numbers": new["numbers"]}
        ),
        "noted": _history(entry),
    }
    return single, [insert.cte(name) for name, insert in rows.items()]


def _text(state: State) -> sa.ColumnElement[str]:
    return sa.literal_column(f"'{state.value}'", sa.Text())


def end(
    connection: sa.Connection,
    endings: Sequence[Ending],
    *,
    now: float,
    now_monotonic: float,
    runner_id: str,
) -> int:
    """Record how claimed submissions ended.

    Args:
        connection: in a transaction that holds them.
        endings: how they ended.
        now: the ledger's time.
        now_monotonic: this process's monotonic clock, read just before that. Later would be wrong:
            a lock may have been waited for since.
        runner_id: the runner that sent them.

    Returns:
        How many of them it still held.
    """
    changes = [_ending(each, now, now_monotonic) for each in endings]
    _hold_contents(connection, [each for each in endings if each.hold_content])
    return transition(connection, _end_values, changes, before=State.SUBMITTING, by=runner_id)


def _ending(each: Ending, now: float, now_monotonic: float) -> dict[str, Any]:
    ended_at = now - (now_monotonic - each.ended_at)
    return {
        "submission_id": each.claimed.id,
        "new_state": each.state.value,
        "new_at": ended_at,
        "new_batch_no": each.batch_no,
        "new_code": each.code,
        "new_keyword": each.keyword,
        "new_detail": each.reason,
        "new_safe": each.safe_to_resend,
        "new_not_before": ended_at + each.retry_after if each.retry_after else None,
        "new_sent_at": ended_at - (each.ended_at - each.began_at),
    }


def end_held(held: sa.CTE, ctes: WritingCTEs) -> tuple[sa.CTE, sa.CTE]:
    """Return what records how the submission of a runner ended, in one statement.

    Args:
        held: the id of the runner, which it locks; no row if the runner is gone.
        ctes: what such a statement needs.

    Returns:
        The id of the submission, or no row if the runner does not hold it; and the entry of its
        history. The statement binds `ending_values`.
    """
    new: dict[str, sa.ColumnElement[Any]] = {
        name: sa.bindparam(name, type_=type_) for name, type_ in _CHANGE.items()
    }
    new |= {name: new[name] + ctes.now for name in ("new_at", "new_not_before", "new_sent_at")}
    ended = (
        submission.update()
        .where(
            submission.c.id == new["submission_id"],
            submission.c.runner_id == sa.select(held.c.id).scalar_subquery(),
            submission.c.state == new["old_state"],
        )
        .values(**_end_values(new))
        .returning(submission.c.id)
        .cte("ended")
    )
    return ended, _history({**new, "submission_id": ended.c.id}).cte("noted")


def ending_values(ending: Ending, *, now_monotonic: float, runner_id: str) -> dict[str, Any]:
    """Return what `end_held` binds: the times are relative to the ledger's.

    Args:
        ending: how the submission ended.
        now_monotonic: this process's monotonic clock, right before the statement.
        runner_id: the runner that sent it.

    Raises:
        ValueError: no submission in flight may end so.
    """
    _check_allowed(State.SUBMITTING, ending.state)
    change = _ending(ending, 0.0, now_monotonic)
    return {**_UNCHANGED, **change, "old_state": State.SUBMITTING.value, "new_by": runner_id}


def _hold_contents(connection: sa.Connection, endings: Sequence[Ending]) -> None:
    """Hold back the texts that were rejected, each for the first reason."""
    reasons: dict[int, str] = {}
    for each in endings:
        reasons.setdefault(each.claimed.content_id, each.reason)
    if not reasons:
        return
    # Every transaction locks contents in the same order.
    free = connection.scalars(
        sa.select(content.c.id)
        .where(content.c.id.in_([*reasons]), content.c.on_hold.is_(None))
        .order_by(content.c.id)
        .with_for_update(key_share=True)
    ).all()
    if free:
        connection.execute(
            content.update()
            .where(content.c.id.in_(free))
            .values(on_hold=sa.case({each: reasons[each] for each in free}, value=content.c.id))
        )


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
            "new_at": now,
            "new_batch_no": None,
            "new_code": None,
            "new_keyword": None,
            "new_detail": detail,
            "new_safe": state is State.PENDING,
            "new_not_before": None,
            "new_sent_at": None,  # what the claim wrote stays
        }
        for each in ids
    ]
    transition(connection, _end_values, changes, before=State.SUBMITTING, by=by)


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
            "new_at": now,
            "new_batch_no": batch_no,
            "new_detail": detail,
            # A pending one keeps the reason why it was not accepted before.
            "new_reason": None if after is State.PENDING else f"{DECIDED} {by}",
            # To reject it, the person has made sure that it was not sent.
            "new_safe": True if after is State.REJECTED else None,
        }
        for each in ids
    ]
    transition(connection, _decide_values, changes, before=before, by=by)


def cancel(connection: sa.Connection, ids: Collection[int], *, by: str, reason: str) -> None:
    """Record that pending submissions of a cancelled campaign, or expired ones, are never sent.

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
            "new_at": now,
            "new_detail": reason,
        }
        for each in ids
    ]
    transition(connection, _cancel_values, changes, before=State.PENDING, by=by)


def suppress(
    connection: sa.Connection,
    endings: Sequence[tuple[int, State, str]],
    *,
    before: State,
    now: float,
    runner_id: str,
) -> None:
    """Record that submissions are not sent as they are, because of the do-not-send list.

    Args:
        connection: in a transaction that holds them.
        endings: the id of each, SUPPRESSED or SPLIT, and why.
        before: the state that they are in.
        now: the ledger's time.
        runner_id: the runner that was about to send them.
    """
    changes = [
        {
            "submission_id": each,
            "new_state": state.value,
            "new_at": now,
            "new_detail": reason,
        }
        for each, state, reason in endings
    ]
    transition(connection, _suppress_values, changes, before=before, by=runner_id)


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
    source, statement = _late(connection.dialect)
    rows = [
        {
            **_UNCHANGED,
            "submission_id": each.claimed.id,
            "new_at": now,
            "new_by": runner_id,
            "new_batch_no": each.batch_no,
            "new_code": each.code,
            "new_detail": f"{LATE}: {each.state.value} {each.reason}".strip(),
        }
        for each in endings
    ]
    if rows:
        statement.execute(connection, source.parameters(rows))


@functools.lru_cache(maxsize=16)
def _late(dialect: sa.Dialect) -> tuple[RowSource, CompiledStatement]:
    source = RowSource(dialect, _CHANGE)
    state = (
        sa.select(submission.c.state)
        .where(submission.c.id == source.columns["submission_id"])
        .scalar_subquery()
    )
    return source, CompiledStatement(
        _history({**source.columns, "old_state": state, "new_state": state}), dialect
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
    # An operator who makes submissions pending locks it, too. A statement that waits for that lock
    # would not see them.
    own = sa.select(campaign.c.id).where(campaign.c.id == campaign_id)
    connection.execute(own.with_for_update(key_share=True))
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


def _claim_values(new: Columns) -> dict[str, Any]:
    return {
        "state": new["new_state"],
        "runner_id": new["new_runner"],
        "attempts": submission.c.attempts + 1,
        "not_before": None,
        "sent_at": new["new_at"],
        "ended_at": None,
    }


def _end_values(new: Columns) -> dict[str, Any]:
    return {
        "state": new["new_state"],
        "runner_id": None,
        "batch_no": new["new_batch_no"],
        "code": new["new_code"],
        "keyword": new["new_keyword"],
        "reason": new["new_detail"],
        "safe_to_resend": new["new_safe"],
        "not_before": new["new_not_before"],
        "sent_at": sa.func.coalesce(new["new_sent_at"], submission.c.sent_at),
        "ended_at": new["new_at"],
    }


def _cancel_values(new: Columns) -> dict[str, Any]:
    return {
        "state": new["new_state"],
        "not_before": None,
        "reason": new["new_detail"],
        "ended_at": new["new_at"],
    }


def _suppress_values(new: Columns) -> dict[str, Any]:
    return {**_cancel_values(new), "runner_id": None, "sent_at": None}


def _decide_values(new: Columns) -> dict[str, Any]:
    return {
        "state": new["new_state"],
        "not_before": None,
        "batch_no": sa.func.coalesce(new["new_batch_no"], submission.c.batch_no),
        "reason": sa.func.coalesce(new["new_reason"], submission.c.reason),
        "safe_to_resend": sa.func.coalesce(new["new_safe"], submission.c.safe_to_resend),
    }
