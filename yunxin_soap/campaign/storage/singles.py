"""Single sends: claims each by its key, and records how it ended, in as few statements as possible.

Each public method is one transaction, and durable once it returns.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import sqlalchemy as sa

from yunxin_soap.campaign.models import ClaimedSubmission, Ending, State
from yunxin_soap.campaign.storage import transitions
from yunxin_soap.campaign.storage.dialects import (
    READ_ONLY,
    WritingCTEs,
    dialect_of,
    ledger_time,
)
from yunxin_soap.campaign.storage.paces import full_paces
from yunxin_soap.campaign.storage.runners import HEARTBEAT_TIMEOUT, RunnerIdentity, Runners
from yunxin_soap.campaign.storage.schema import content, recipients, runner, submission
from yunxin_soap.campaign.storage.statements import CompiledStatement
from yunxin_soap.campaign.storage.suppression import (
    NO_LIST,
    lock_list,
    none_is_suppressed,
    refuse_suppressed,
)
from yunxin_soap.errors import ContentConflict
from yunxin_soap.message import Submission
from yunxin_soap.sentences import Sentence


class QueuedClaim(NamedTuple):
    """A queued send that was claimed."""

    claimed: ClaimedSubmission
    expires_at: float
    """By the ledger's clock."""
    left: float
    """Seconds until then."""


def digest_of(given: Submission) -> str:
    """Return the digest of the content of a single send."""
    fields = [sorted(given.recipients), given.message, given.channel, given.extension]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def content_of(connection: sa.Connection, submission_id: int) -> Submission | None:
    """Return the content of a single send; None if it was purged."""
    row = connection.execute(
        sa.select(recipients.c.numbers, content.c.message, content.c.channel, content.c.extension)
        .join(submission, recipients.c.submission_id == submission.c.id)
        .join(content, submission.c.content_id == content.c.id)
        .where(submission.c.id == submission_id)
    ).one_or_none()
    if row is None:
        return None
    return Submission(tuple(row.numbers.split(",")), row.message, row.channel, row.extension)


def check_content(key: str, found: Any, digest: str) -> None:
    """Check that the key of a single send was used for the same content.

    Args:
        key: the key.
        found: the row of the send.
        digest: of the content.

    Raises:
        ContentConflict: it was used for other content, or that was purged.
    """
    if found.digest is None:
        raise ContentConflict(
            Sentence(
                "The key {key} was used, and its content was purged, so it cannot be compared with"
                " this one. It ended {state}{batch}. Nothing was sent: give this one another key.",
                key=repr(key),
                state=found.state,
                batch=f" as {found.batch_no}" if found.batch_no else "",
            )
        )
    if found.digest != digest:
        raise ContentConflict(
            Sentence(
                "The key {key} was used for other recipients, text, channel or extension. "
                "Nothing was sent: give this one another key.",
                key=repr(key),
            )
        )


class Singles:
    """Claims single sends. One thread at a time may use a runner's identity.

    Args:
        engine: the ledger's database.
        heartbeat_timeout: seconds without a heartbeat after which a runner counts as stalled.
    """

    def __init__(self, engine: sa.Engine, heartbeat_timeout: float = HEARTBEAT_TIMEOUT) -> None:
        self._engine = engine
        self.runners = Runners(engine, heartbeat_timeout)
        self._list_state = NO_LIST
        """What was read of the do-not-send list."""

    def claim_unused(
        self,
        identity: RunnerIdentity,
        key: str,
        digest: str,
        given: Submission,
        lease: float,
    ) -> ClaimedSubmission | None:
        """Insert a single send, claim it and register its runner, by one statement.

        Args:
            identity: its runner.
            key: its key.
            digest: of its content.
            given: its content.
            lease: seconds until the runner counts as stalled.

        Returns:
            The claimed send; None if the key is used, a recipient is on the do-not-send list, or
            more statements are needed, since the database has no such statement or the list has
            changed.
        """
        ctes = dialect_of(self._engine).writing_ctes
        if ctes is None:
            return None
        values = {
            **asdict(identity),
            **self._list_state.binds(given.recipients),
            "lease": lease,
            "new_runner": identity.id,
            "new_key": key,
            "new_digest": digest,
            "new_size": len(given.recipients),
            "new_numbers": ",".join(given.recipients),
            "new_message": given.message,
            "new_channel": given.channel,
            "new_extension": given.extension,
        }
        statement = _claim_unused_statement(self._engine.dialect, ctes)
        with self._autocommit() as connection:
            row = statement.execute(connection, values).one_or_none()
        return None if row is None else ClaimedSubmission(row.id, row.content_id, 1, given)

    def claim_queued(self, identity: RunnerIdentity, key: str, lease: float) -> QueuedClaim | None:
        """Claim a queued send that is due and register its runner, by two statements.

        Args:
            identity: its runner.
            key: its key.
            lease: seconds until the runner counts as stalled.

        Returns:
            The claimed send; None if a transaction has to look at it: it is not due, has expired or
            another call has it, it has a pace, a recipient is on the do-not-send list, that list
            has changed, or the database has no such statement.
        """
        ctes = dialect_of(self._engine).writing_ctes
        if ctes is None:
            return None
        with self._autocommit() as connection:
            statement = _read_queued_statement(self._engine.dialect, ctes)
            row = statement.execute(connection, {"key": key}).one_or_none()
            if row is None or row.pace is not None:
                return None
            given = Submission(
                tuple(row.numbers.split(",")), row.message, row.channel, row.extension
            )
            if digest_of(given) != row.digest:
                return None
            values = {
                **asdict(identity),
                **self._list_state.binds(given.recipients),
                "lease": lease,
                "single": row.id,
                "new_runner": identity.id,
            }
            statement = _claim_queued_statement(self._engine.dialect, ctes)
            claimed = statement.execute(connection, values).one_or_none()
        if claimed is None:
            return None
        return QueuedClaim(
            ClaimedSubmission(row.id, row.content_id, claimed.attempts, given),
            row.expires_at,
            row.expires_at - row.now,
        )

    def refuse_suppressed(self, connection: sa.Connection, recipients: Sequence[str]) -> None:
        """Check that none of the recipients of a send is on the do-not-send list.

        None of them is put on it before the transaction ends, which claims the send.

        Raises:
            RecipientsSuppressed: a number is on the list.
        """
        self._list_state = lock_list(connection, shared=True)
        refuse_suppressed(connection, recipients, self._list_state)

    def due_keys(self, limit: int) -> Sequence[str]:
        """Return the keys of queued single sends to be tried now, the oldest first.

        Those whose pace has no slot now are not among them.
        """
        with self._engine.connect().execution_options(**{READ_ONLY: True}) as connection:
            now = ledger_time(connection)
            return connection.scalars(
                sa.select(submission.c.key)
                .where(
                    submission.c.campaign_id.is_(None),
                    submission.c.state == State.PENDING.value,
                    submission.c.expires_at.is_not(None),
                    sa.or_(
                        submission.c.pace.is_(None),
                        submission.c.pace.not_in(full_paces(connection, now)),
                        submission.c.expires_at <= now,
                    ),
                    sa.or_(
                        submission.c.not_before.is_(None),
                        submission.c.not_before <= now,
                        submission.c.expires_at <= now,
                    ),
                )
                # All three columns, so that the index gives this order, whatever is queued.
                .order_by(submission.c.campaign_id, submission.c.state, submission.c.id)
                .limit(limit)
            ).all()

    def end(self, identity: RunnerIdentity, ending: Ending) -> bool:
        """Record how a single send ended, and unregister its runner.

        Safe to repeat if it is not known whether it was committed.

        Returns:
            Whether it ended so in the ledger. Else its runner was reclaimed before, and only the
            history keeps the ending.
        """
        if ctes := dialect_of(self._engine).writing_ctes:
            statement = _end_statement(self._engine.dialect, ctes)
            with self._autocommit() as connection:
                values = transitions.ending_values(
                    ending, now_monotonic=time.monotonic(), runner_id=identity.id
                )
                if statement.execute(connection, {**values, "runner": identity.id}).first():
                    return True
        with self._engine.begin() as connection:
            connection.execute(
                sa.select(runner.c.id).where(runner.c.id == identity.id).with_for_update()
            )
            held = connection.scalar(
                sa.select(submission.c.id).where(
                    submission.c.id == ending.claimed.id, submission.c.runner_id == identity.id
                )
            )
            now_monotonic, now = time.monotonic(), ledger_time(connection)
            if held is not None:
                transitions.end(
                    connection,
                    [ending],
                    now=now,
                    now_monotonic=now_monotonic,
                    runner_id=identity.id,
                )
            is_late = held is None and not transitions.was_recorded(connection, ending, identity.id)
            if is_late:
                transitions.note_late(connection, [ending], now=now, runner_id=identity.id)
            connection.execute(runner.delete().where(runner.c.id == identity.id))
            return not is_late

    def _autocommit(self) -> sa.Connection:
        """Return a connection on which each statement is a transaction: one round trip."""
        return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")


@functools.lru_cache(maxsize=16)
def _claim_unused_statement(dialect: sa.Dialect, ctes: WritingCTEs) -> CompiledStatement:
    """Return what inserts a single send and its runner, unless its key is used.

    It does nothing either if a recipient is on the do-not-send list, or if that list has changed.
    """
    claimed, others = transitions.insert_claimed(ctes, none_is_suppressed(dialect))
    register = _register(claimed, ctes)
    return CompiledStatement(sa.select(claimed).add_cte(register, *others), dialect)


@functools.lru_cache(maxsize=16)
def _read_queued_statement(dialect: sa.Dialect, ctes: WritingCTEs) -> CompiledStatement:
    """Return what reads a queued send that is due."""
    columns = (
        *(submission.c.id, submission.c.content_id, submission.c.digest, submission.c.expires_at),
        *(submission.c.pace, recipients.c.numbers),
        *(content.c.message, content.c.channel, content.c.extension, ctes.now.label("now")),
    )
    query = (
        sa.select(*columns)
        .join(content, submission.c.content_id == content.c.id)
        .join(recipients, recipients.c.submission_id == submission.c.id)
        .where(submission.c.key == sa.bindparam("key", type_=sa.Text()), *_is_due(ctes))
    )
    return CompiledStatement(query, dialect)


@functools.lru_cache(maxsize=16)
def _claim_queued_statement(dialect: sa.Dialect, ctes: WritingCTEs) -> CompiledStatement:
    """Return what claims a queued send that is due, and inserts its runner.

    It does nothing if a recipient is on the do-not-send list, or if that list has changed.
    """
    chosen = (
        sa.select(submission.c.id)
        .where(
            submission.c.id == sa.bindparam("single", type_=sa.BigInteger()),
            none_is_suppressed(dialect),
            *_is_due(ctes),
        )
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    claimed, noted = transitions.claim_chosen(chosen, ctes.now)
    register = _register(claimed, ctes)
    return CompiledStatement(sa.select(claimed).add_cte(register, noted), dialect)


def _is_due(ctes: WritingCTEs) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions of a queued send that may be sent now."""
    return (
        submission.c.state == State.PENDING.value,
        submission.c.expires_at > ctes.now,
        sa.or_(submission.c.not_before.is_(None), submission.c.not_before <= ctes.now),
    )


def _register(claimed: sa.CTE, ctes: WritingCTEs) -> sa.CTE:
    """Return what inserts the runner of a send, if it was claimed."""
    registered: dict[str, sa.ColumnElement[Any]] = {
        name: sa.bindparam(name, type_=runner.c[name].type)
        for name in ("id", "host", "pid_namespace", "pid", "process_started")
    }
    lease: sa.BindParameter[float] = sa.bindparam("lease", type_=sa.Double())
    registered |= {"started_at": ctes.now, "expires_at": ctes.now + lease}
    row = sa.select(*registered.values()).select_from(claimed)
    return runner.insert().from_select([*registered], row).cte("registered")


@functools.lru_cache(maxsize=16)
def _end_statement(dialect: sa.Dialect, ctes: WritingCTEs) -> CompiledStatement:
    """Return what records how a single send ended, and unregisters its runner."""
    # Locked before the submission, as by all who lock both.
    own = sa.select(runner.c.id).where(runner.c.id == sa.bindparam("runner")).with_for_update()
    held = own.cte("held")
    ended, noted = transitions.end_held(held, ctes)
    # The runner of a submission that was reclaimed stays until its late result is noted, too: until
    # then it may not be sent again.
    is_held = runner.c.id.in_(sa.select(held.c.id))
    gone = runner.delete().where(is_held, sa.exists(sa.select(ended.c.id))).cte("gone")
    return CompiledStatement(sa.select(ended).add_cte(noted, gone), dialect)
