"""Counts what is left to do, at a cost that does not grow with the ledger."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import Backlog, CampaignState, State
from yunxin_soap.campaign.storage.dialects import ledger_time
from yunxin_soap.campaign.storage.schema import campaign, submission

BACKLOG_LIMIT = 100_000
"""Submissions of a state that are counted, at most."""
_UNFINISHED = CampaignState.OPEN.value, CampaignState.PAUSED.value
_FIRST_QUEUED = (
    sa.select(submission.c.queued_at)
    .where(
        submission.c.campaign_id.is_(None),
        submission.c.state == State.PENDING.value,
        submission.c.queued_at.is_not(None),
    )
    .order_by(submission.c.id)
    .limit(1)
)
_FIRST_STARTED = sa.select(sa.func.min(campaign.c.started_at)).where(
    campaign.c.started_at.is_not(None),
    campaign.c.state.in_(_UNFINISHED),
    # For each of them, and these are few, the first entry of a range of an index.
    sa.select(submission.c.id)
    .where(submission.c.campaign_id == campaign.c.id, submission.c.state == State.PENDING.value)
    .limit(1)
    .scalar_subquery()
    .is_not(None),
)


def read_backlog(connection: sa.Connection, limit: int = BACKLOG_LIMIT) -> Backlog:
    """Return what is left to do.

    Args:
        connection: reads.
        limit: submissions of a state to count, at most.
    """

    def count(state: State) -> int:
        found: int = 0
        for each in (_of_campaigns(state), _of_no_campaign(state)):
            some = each.limit(limit - found).subquery()
            found += connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
        return found

    def age(since: sa.Select[Any]) -> float | None:
        at = connection.scalar(since)
        return None if at is None else max(0.0, ledger_time(connection) - at)

    return Backlog(
        pending=count(State.PENDING),
        submitting=count(State.SUBMITTING),
        unknown=count(State.UNKNOWN),
        oldest_queued_age=age(_FIRST_QUEUED),
        oldest_started_age=age(_FIRST_STARTED),
    )


def _of_campaigns(state: State) -> sa.Select[tuple[int]]:
    # For each campaign, and these are few, a state is one range of an index.
    campaigns = sa.select(campaign.c.id)
    if state is State.PENDING:
        campaigns = campaigns.where(campaign.c.state.in_(_UNFINISHED))
    return sa.select(submission.c.id).where(
        submission.c.campaign_id.in_(campaigns), submission.c.state == state.value
    )


def _of_no_campaign(state: State) -> sa.Select[tuple[int]]:
    return sa.select(submission.c.id).where(
        submission.c.campaign_id.is_(None), submission.c.state == state.value
    )
