"""What a ledger can tell: where campaigns stand, what became of a number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import CampaignState, SkippedLine, State
from yunxin_soap.campaign.storage.engine import READS, reported
from yunxin_soap.campaign.storage.schema import (
    campaign,
    content,
    history,
    recipients,
    refused,
    submit,
)
from yunxin_soap.errors import InvalidRequest, NotInLedger
from yunxin_soap.message import normalise_recipients

_FOREIGN = re.compile(r"\+?[0-9]{3,20}")
_ROWS = 500
"""Rows read together."""


@dataclass(frozen=True)
class Status:
    """Where a campaign stands. Its numbers are those of the states together."""

    name: str
    state: CampaignState
    reason: str
    """Why it waits, or what holds texts back."""
    paused_until: float | None
    created_at: float
    planned: int
    """Numbers."""
    refused: int
    """Lines of the source of which no submit was made."""
    numbers: dict[State, int]
    submits: dict[State, int]
    codes: dict[int, int]
    """Numbers by the code with which they were rejected."""
    held: dict[str, int]
    """Pending numbers whose text was refused, by the reason."""


@dataclass(frozen=True)
class HistoryEntry:
    """One entry of a submit's history."""

    submit: int
    """Another than the one that was found, before that was split off it."""
    at: float
    before: State
    after: State
    batch_no: str | None
    code: int | None
    detail: str
    by: str


@dataclass(frozen=True)
class SubmissionRecord:
    """A submit that a number was in."""

    campaign: str | None
    key: str | None
    """Of a single send."""
    submit: int
    state: State
    batch_no: str | None
    code: int | None
    reason: str
    message: str
    history: tuple[HistoryEntry, ...]


class Queries:
    """The questions.

    Args:
        engine: the ledger's.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def campaigns(self) -> list[str]:
        """Return the names of all campaigns, the oldest first."""
        with self._reading() as connection:
            return list(connection.scalars(sa.select(campaign.c.name).order_by(campaign.c.id)))

    def status(self, name: str) -> Status:
        """Say where a campaign stands.

        Raises:
            NotInLedger: there is none of that name.
        """
        with self._reading() as connection:
            row = self._campaign(connection, name)
            numbers, submits = dict.fromkeys(State, 0), dict.fromkeys(State, 0)
            for state, count, size in connection.execute(
                sa.select(submit.c.state, sa.func.count(), sa.func.sum(submit.c.size))
                .where(submit.c.campaign_id == row.id)
                .group_by(submit.c.state)
            ):
                submits[State(state)] = count
                numbers[State(state)] = int(size)
            numbers[State.SPLIT] = 0  # they are counted where they went
            codes = connection.execute(
                sa.select(submit.c.code, sa.func.sum(submit.c.size))
                .where(
                    submit.c.campaign_id == row.id,
                    submit.c.state == State.REJECTED.value,
                    submit.c.code.is_not(None),
                )
                .group_by(submit.c.code)
            )
            held = connection.execute(
                sa.select(content.c.stopped, sa.func.sum(submit.c.size))
                .join(submit, submit.c.content_id == content.c.id)
                .where(
                    submit.c.campaign_id == row.id,
                    submit.c.state == State.PENDING.value,
                    content.c.stopped.is_not(None),
                )
                .group_by(content.c.stopped)
            )
            return Status(
                name=row.name,
                state=CampaignState(row.state),
                reason=row.reason,
                paused_until=row.paused_until,
                created_at=row.created_at,
                planned=row.numbers,
                refused=row.refused,
                numbers=numbers,
                submits=submits,
                codes={code: int(size) for code, size in codes},
                held={reason: int(size) for reason, size in held},
            )

    def sends(self) -> dict[State, int]:
        """Return how many once-only single sends are in each state."""
        with self._reading() as connection:
            counts = connection.execute(
                sa.select(submit.c.state, sa.func.count())
                .where(submit.c.key.is_not(None))
                .group_by(submit.c.state)
            )
            return dict.fromkeys(State, 0) | {State(state): count for state, count in counts}

    def keys(self, state: State) -> Iterator[str]:
        """Give the keys of the single sends that are in a state, the oldest first."""
        with self._reading() as connection:
            last = 0
            while rows := connection.execute(
                sa.select(submit.c.id, submit.c.key)
                .where(submit.c.key.is_not(None), submit.c.state == state.value)
                .where(submit.c.id > last)
                .order_by(submit.c.id)
                .limit(_ROWS)
            ).all():
                last = rows[-1].id
                for row in rows:
                    yield row.key

    def find(self, number: str | int) -> list[SubmissionRecord]:
        """Tell every submit that a number was in, and how it ended; it looks at all of them.

        Raises:
            InvalidRequest: it is not a number.
        """
        try:
            (wanted,) = normalise_recipients(number)
        except InvalidRequest:
            wanted = str(number).strip()
            if not _FOREIGN.fullmatch(wanted):
                raise
        with self._reading() as connection:
            rows = connection.execute(
                sa.select(submit, content.c.message, campaign.c.name, recipients.c.numbers)
                .join(recipients, recipients.c.submit_id == submit.c.id)
                .join(content, submit.c.content_id == content.c.id)
                .outerjoin(campaign, submit.c.campaign_id == campaign.c.id)
                .where(recipients.c.numbers.contains(wanted, autoescape=True))
                .order_by(submit.c.id)
            ).all()
            return [
                SubmissionRecord(
                    campaign=row.name,
                    key=row.key,
                    submit=row.id,
                    state=State(row.state),
                    batch_no=row.batch_no,
                    code=row.code,
                    reason=row.reason,
                    message=row.message,
                    history=self._history(connection, row.id, row.parent_id),
                )
                for row in rows
                if wanted in row.numbers.split(",")
            ]

    def _history(
        self, connection: sa.Connection, submit_id: int, parent_id: int | None
    ) -> tuple[HistoryEntry, ...]:
        earlier: tuple[HistoryEntry, ...] = ()
        if parent_id is not None:
            grandparent = connection.scalar(
                sa.select(submit.c.parent_id).where(submit.c.id == parent_id)
            )
            earlier = self._history(connection, parent_id, grandparent)
        rows = connection.execute(
            sa.select(history).where(history.c.submit_id == submit_id).order_by(history.c.id)
        )
        return earlier + tuple(
            HistoryEntry(
                submit_id,
                row.at,
                State(row.before),
                State(row.after),
                row.batch_no,
                row.code,
                row.detail,
                row.by,
            )
            for row in rows
        )

    def results(self, name: str) -> Iterator[tuple[str, State, str | None, int | None, str, int]]:
        """Give every number of a campaign with state, batch number, code, reason and submit.

        What was purged is left out.
        """
        with self._reading() as connection:
            found = self._campaign(connection, name)
            last = 0
            while True:
                rows = connection.execute(
                    sa.select(submit, recipients.c.numbers)
                    .join(recipients, recipients.c.submit_id == submit.c.id)
                    .where(submit.c.campaign_id == found.id, submit.c.id > last)
                    .order_by(submit.c.id)
                    .limit(_ROWS)
                ).all()
                if not rows:
                    return
                last = rows[-1].id
                for row in rows:
                    state = State(row.state)
                    for number in row.numbers.split(","):
                        yield number, state, row.batch_no, row.code, row.reason, row.id

    def times(self, name: str) -> list[tuple[float, float, int]]:
        """Return when each submit was sent and when it ended, and its numbers."""
        with self._reading() as connection:
            found = self._campaign(connection, name)
            rows = connection.execute(
                sa.select(submit.c.sent_at, submit.c.ended_at, submit.c.size).where(
                    submit.c.campaign_id == found.id,
                    submit.c.state.in_([State.ACCEPTED.value, State.REJECTED.value]),
                    submit.c.sent_at.is_not(None),
                    submit.c.ended_at.is_not(None),
                )
            )
            return [(sent, ended, size) for sent, ended, size in rows]

    def refused(self, name: str) -> Iterator[SkippedLine]:
        """Give the lines of a campaign's source of which no submit was made."""
        with self._reading() as connection:
            found = self._campaign(connection, name)
            last = 0
            while rows := connection.execute(
                sa.select(refused)
                .where(refused.c.campaign_id == found.id, refused.c.id > last)
                .order_by(refused.c.id)
                .limit(_ROWS)
            ).all():
                last = rows[-1].id
                for row in rows:
                    yield SkippedLine(row.line, row.value, row.reason)

    def _named(self, name: str) -> Any:
        with self._reading() as connection:
            return self._campaign(connection, name)

    def _campaign(self, connection: sa.Connection, name: str) -> Any:
        found = None
        if name.isprintable():  # as every campaign's name is; not every database takes others
            found = connection.execute(
                sa.select(campaign).where(campaign.c.name == name)
            ).one_or_none()
        if found is None:
            raise NotInLedger(f"There is no campaign {name!r} in this ledger.")
        return found

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with (
            reported(),
            self._engine.connect().execution_options(**{READS: True}) as connection,
        ):
            if connection.dialect.name == "postgresql":
                # What is read in several pieces is of one moment.
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection
