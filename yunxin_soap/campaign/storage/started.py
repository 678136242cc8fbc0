"""Which campaigns are started, and what each of them has to do now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import CampaignState, State
from yunxin_soap.campaign.storage.admin import refuse_cancelled
from yunxin_soap.campaign.storage.dialects import READ_ONLY, ledger_time
from yunxin_soap.campaign.storage.engine import as_ledger_errors, repeat_after_deadlock
from yunxin_soap.campaign.storage.reads import campaign_row
from yunxin_soap.campaign.storage.runners import Runners
from yunxin_soap.campaign.storage.schema import campaign, content, submission


@dataclass(frozen=True)
class Standing:
    """What a campaign has to do now."""

    state: CampaignState
    reason: str
    """Why it is paused, or who cancelled it."""
    pause_wait: float | None
    """Seconds until its pause ends; None: an operator ends it."""
    run_options: str | None
    """As JSON; None: it is not started."""
    workers: int
    left: int
    """Its pending submissions."""
    due_in: float | None
    """Seconds until one of them may be claimed; None if none is left that is not on hold."""
    in_flight: bool
    """Whether a runner has some of its submissions in flight."""


@dataclass(frozen=True)
class Wanted:
    """A started campaign that has something to send and not enough runners."""

    name: str
    run_options: str
    runners: int
    """How many more it should have."""


class Started:
    """Starts campaigns, and tells what should run.

    Args:
        engine: the ledger's database.
        runners: knows who is alive.
    """

    def __init__(self, engine: sa.Engine, runners: Runners) -> None:
        self._engine, self._runners = engine, runners

    @repeat_after_deadlock
    def start(self, name: str, *, workers: int, run_options: str) -> None:
        """Keep how a campaign is to run, in place of what was kept before."""
        with as_ledger_errors(), self._engine.begin() as connection:
            found = campaign_row(connection, name, lock=True)
            refuse_cancelled(found)
            _keep(connection, found.id, run_options, workers)

    @repeat_after_deadlock
    def stop(self, name: str) -> None:
        """Forget how a campaign is to run."""
        with as_ledger_errors(), self._engine.begin() as connection:
            _keep(connection, campaign_row(connection, name, lock=True).id, None, None)

    def find(self, name: str) -> tuple[int, str | None]:
        """Return the id of a campaign, and the options of its runs if it is started.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with as_ledger_errors(), self._reading() as connection:
            row = campaign_row(connection, name)
            return row.id, row.run_options

    def standing(self, name: str) -> Standing:
        """Return what a campaign has to do now."""
        with as_ledger_errors(), self._reading() as connection:
            row, now = campaign_row(connection, name), ledger_time(connection)
            of_campaign = submission.c.campaign_id == row.id
            left = sa.select(sa.func.count()).where(
                of_campaign, submission.c.state == State.PENDING.value
            )
            in_flight = sa.exists().where(of_campaign, submission.c.state == State.SUBMITTING.value)
            until = row.paused_until
            return Standing(
                state=CampaignState(row.state),
                reason=row.reason,
                pause_wait=None if until is None else max(0.0, until - now),
                run_options=row.run_options,
                workers=row.workers or 0,
                left=connection.scalar(left) or 0,
                due_in=_due_in(connection, row.id, now),
                in_flight=bool(connection.scalar(sa.select(in_flight))),
            )

    def wanted(self) -> list[Wanted]:
        """Return which started campaigns could send now, but for their hours, and lack runners."""
        with as_ledger_errors(), self._reading() as connection:
            now = ledger_time(connection)
            is_paused = campaign.c.state == CampaignState.PAUSED.value
            is_open = campaign.c.state == CampaignState.OPEN.value
            rows = connection.execute(
                sa.select(campaign)
                .where(
                    campaign.c.run_options.is_not(None),
                    sa.or_(is_open, sa.and_(is_paused, campaign.c.paused_until <= now)),
                )
                .order_by(campaign.c.id)
            ).all()
            alive = self._runners.count_alive(connection, [row.id for row in rows])
            return [
                Wanted(row.name, row.run_options, row.workers - alive[row.id])
                for row in rows
                if row.workers > alive[row.id] and _is_due(connection, row.id, now)
            ]

    def _reading(self) -> sa.Connection:
        return self._engine.connect().execution_options(**{READ_ONLY: True})


def _keep(
    connection: sa.Connection, campaign_id: int, run_options: str | None, workers: int | None
) -> None:
    started_at = None
    if run_options is not None:  # to start it again does not make it younger
        started_at = sa.func.coalesce(campaign.c.started_at, ledger_time(connection))
    values = {"run_options": run_options, "workers": workers, "started_at": started_at}
    connection.execute(campaign.update().where(campaign.c.id == campaign_id).values(**values))


def _sendable(campaign_id: int) -> Sequence[sa.ColumnElement[bool]]:
    """Return what chooses the pending submissions of a campaign that are not on hold."""
    # Not a join: the planner would have a choice.
    on_hold = sa.select(content.c.on_hold).where(content.c.id == submission.c.content_id)
    return (
        submission.c.campaign_id == campaign_id,
        submission.c.state == State.PENDING.value,
        on_hold.scalar_subquery().is_(None),
    )


def _is_due(connection: sa.Connection, campaign_id: int, now: float) -> bool:
    """Return whether a submission may be claimed now; the first that may ends the search."""
    due: sa.Select[Any] = sa.select(submission.c.id).where(
        *_sendable(campaign_id),
        sa.or_(submission.c.not_before.is_(None), submission.c.not_before <= now),
    )
    # In the order of the index, whatever the planner knows of the table.
    return connection.scalar(due.order_by(submission.c.id).limit(1)) is not None


def _due_in(connection: sa.Connection, campaign_id: int, now: float) -> float | None:
    """Return the seconds until a submission may be claimed; None if there is none."""
    if _is_due(connection, campaign_id, now):
        return 0.0
    first = sa.select(sa.func.min(submission.c.not_before)).where(*_sendable(campaign_id))
    due = connection.scalar(first)
    return None if due is None else max(0.0, due - now)
