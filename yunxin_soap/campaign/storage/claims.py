"""A runner's work on the ledger: it records how submissions ended, and claims the next ones.

Each public method but `Claims.make_room` is one transaction, and durable once it returns.
"""

from __future__ import annotations

import functools
import shlex
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import (
    ActiveRunner,
    CampaignState,
    ClaimedSubmission,
    Ending,
    Pause,
    State,
)
from yunxin_soap.campaign.storage import transitions
from yunxin_soap.campaign.storage.column_types import damaged
from yunxin_soap.campaign.storage.dialects import WritingCTEs, dialect_of, ledger_time
from yunxin_soap.campaign.storage.engine import repeat_after_deadlock
from yunxin_soap.campaign.storage.runners import (
    HEARTBEAT_TIMEOUT,
    RunnerIdentity,
    RunnerReclaimed,
    Runners,
)
from yunxin_soap.campaign.storage.schema import (
    campaign,
    content,
    recipients,
    runner,
    submission,
)
from yunxin_soap.campaign.storage.statements import CompiledStatement
from yunxin_soap.errors import LedgerError
from yunxin_soap.message import Submission

_LOCKED_WAIT = 0.1
"""Seconds until the next look for submissions that another transaction has locked."""
_NEVER_RECEIVED = "it was never sent: the runner lost the ledger before it received the claim"

_LIMIT = "the_limit"
"""Stands for a number in the text of a compiled statement."""


@dataclass(frozen=True)
class ClaimResult:
    """What a runner gets from each exchange with the ledger."""

    claimed: list[ClaimedSubmission]
    state: CampaignState
    reason: str
    """Why the campaign is paused, or who cancelled it; empty if it is neither."""
    wait: float | None
    """Seconds until a submission may be claimed; None if this runner has nothing left to claim."""
    others_in_flight: bool = False
    """Whether other runners have submissions in flight."""
    waiting_for: tuple[ActiveRunner, ...] = ()
    """Who they are, if this runner has nothing to claim."""


class Claims:
    """Claims submissions for runners. One thread at a time may use a runner's identity.

    Args:
        engine: the ledger's database.
        heartbeat_timeout: seconds without a heartbeat after which a runner counts as stalled.
    """

    def __init__(self, engine: sa.Engine, heartbeat_timeout: float = HEARTBEAT_TIMEOUT) -> None:
        self._engine = engine
        self.runners = Runners(engine, heartbeat_timeout)

    def exchange(
        self,
        identity: RunnerIdentity,
        campaign_id: int,
        *,
        endings: Sequence[Ending],
        in_flight: Collection[int],
        limit: int,
        lowest: int = 0,
        pause: Pause | None = None,
        is_certain: bool = False,
        may_still_send: bool = False,
    ) -> ClaimResult:
        """Send a heartbeat, record how submissions ended, and claim the next ones.

        Safe to repeat with the same endings if it is not known whether it was committed.

        Args:
            identity: the runner.
            campaign_id: its campaign.
            endings: how submissions ended since the last exchange.
            in_flight: the ids of the runner's submissions that have not ended.
            limit: how many submissions it may claim.
            lowest: the id to look for them from, first; if there are none, it looks for all.
            pause: why the campaign is to wait.
            is_certain: whether the runner has the result of its last exchange, so that it holds
                just what is in flight and what ended.
            may_still_send: whether this is its last exchange, and a thread that cannot be cancelled
                may still send what it records as unknown: then its row stays as a reclaimed one.

        Raises:
            RunnerReclaimed: another runner reclaimed the submissions; the history keeps the
                endings.
        """
        with self._engine.begin() as connection:
            now, now_monotonic, is_registered = self.runners.beat(connection, identity)
            if is_registered:
                ended, lost = list(endings), set[int]()
                if not is_certain:
                    held = set(connection.scalars(_HELD, {"runner": identity.id}).all())
                    ended = [each for each in endings if each.claimed.id in held]
                    lost = held.difference(in_flight, (each.claimed.id for each in endings))
                splits = [each.claimed for each in ended if each.state is State.SPLIT]
                self._split(connection, campaign_id, splits)
                recorded = transitions.end(
                    connection, ended, now=now, now_monotonic=now_monotonic, runner_id=identity.id
                )
                if recorded != len(ended):
                    raise LedgerError(
                        f"The ledger was changed by something else: of {len(ended)} submissions"
                        f" that ended, this runner held {recorded}."
                    )
                transitions.reclaim(
                    connection, lost, State.PENDING, _NEVER_RECEIVED, now=now, by=identity.id
                )
                if pause is not None:
                    transitions.pause_campaign(connection, campaign_id, pause, now=now)
                is_idle = not in_flight
                result = self._next(
                    connection, identity, campaign_id, limit, lowest, now, is_idle=is_idle
                )
                if may_still_send:
                    self.runners.keep(connection, identity, now)
                return result
            late = list(endings)
            if may_still_send:  # it may be the last exchange, whose answer was lost
                late = [
                    each
                    for each in endings
                    if not transitions.was_recorded(connection, each, identity.id)
                ]
                if not late:
                    return ClaimResult([], CampaignState.OPEN, "", None)
            transitions.note_late(connection, late, now=now, runner_id=identity.id)
            name = connection.scalar(_NAME, {"campaign": campaign_id})
        raise _reclaimed(name)

    def end_single(self, identity: RunnerIdentity, ending: Ending) -> bool:
        """Record how a single send ended, and unregister its runner.

        Safe to repeat if it is not known whether it was committed.

        Returns:
            Whether it ended so in the ledger. Else its runner was reclaimed before, and only the
            history keeps the ending.
        """
        if ctes := dialect_of(self._engine).writing_ctes:
            statement = _end_single_statement(self._engine.dialect, ctes)
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
            The claimed send; None if the key is used, or the database needs more statements.
        """
        ctes = dialect_of(self._engine).writing_ctes
        if ctes is None:
            return None
        values = {
            **asdict(identity),
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

    def _autocommit(self) -> sa.Connection:
        """Return a connection on which each statement is a transaction: one round trip."""
        return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    @staticmethod
    def _claim(
        connection: sa.Connection, identity: RunnerIdentity, ids: Sequence[int], now: float
    ) -> list[ClaimedSubmission]:
        """Commit pending submissions to a runner, and return them."""
        transitions.claim(connection, ids, now=now, runner_id=identity.id)
        claimed = _claimed_submissions(connection.execute(_CLAIMED, {"ids": ids}))
        if lost := set(ids).difference(each.id for each in claimed):
            raise damaged(f"the submission {min(lost)} has no yunxin_content or yunxin_recipients")
        return claimed

    def _claim_from(
        self,
        connection: sa.Connection,
        identity: RunnerIdentity,
        campaign_id: int,
        limit: int,
        lowest: int,
        now: float,
    ) -> list[ClaimedSubmission]:
        """Claim the first pending submissions from an id on."""
        if limit <= 0:
            return []
        values: dict[str, Any] = {"campaign": campaign_id, "now": now, "lowest": lowest}
        if dialect_of(connection).writing_ctes:
            statement = _claim_statement(connection.dialect).replace(_LIMIT, str(limit))
            values |= {"new_at": now, "new_runner": identity.id}
            return _claimed_submissions(statement.execute(connection, values))
        statement = _claimable_statement(connection.dialect).replace(_LIMIT, str(limit))
        ids = [row.id for row in statement.execute(connection, values)]
        return self._claim(connection, identity, ids, now) if ids else []

    def make_room(self) -> bool | None:
        """Give the ledger's reserve back to a full disk.

        Returns:
            Whether there was a reserve; None if the disk is a server's.
        """
        return dialect_of(self._engine).release_reserve(self._engine)

    @repeat_after_deadlock
    def finish(self, campaign_id: int) -> None:
        """Mark a campaign as done if it has nothing left to send."""
        with self._engine.begin() as connection:
            transitions.finish_campaign(connection, campaign_id)

    @staticmethod
    def _split(
        connection: sa.Connection, campaign_id: int, parents: Sequence[ClaimedSubmission]
    ) -> None:
        """Replace each submission by two pending ones, with half of its numbers each."""
        halves = []
        for each in parents:
            numbers = each.submission.recipients
            middle = (len(numbers) + 1) // 2
            halves += [
                (each.content_id, each.id, len(half), ",".join(half))
                for half in (numbers[:middle], numbers[middle:])
            ]
        if halves:
            transitions.insert_pending(connection, campaign_id, halves)
            ids = [each.id for each in parents]
            connection.execute(recipients.delete().where(recipients.c.submission_id.in_(ids)))

    def _next(
        self,
        connection: sa.Connection,
        identity: RunnerIdentity,
        campaign_id: int,
        limit: int,
        lowest: int,
        now: float,
        *,
        is_idle: bool,
    ) -> ClaimResult:
        claim = functools.partial(self._claim_from, connection, identity, campaign_id, limit)
        # It claims nothing unless the campaign is open.
        if claimed := claim(lowest, now) or (claim(0, now) if lowest else []):
            return ClaimResult(claimed, CampaignState.OPEN, "", 0.0)
        found = connection.execute(_CAMPAIGN, {"campaign": campaign_id}).one()
        state = CampaignState(found.state)
        if state is CampaignState.CANCELLED:
            self._cancel_returned(connection, campaign_id, identity)
            return ClaimResult([], state, found.reason, None)
        if state is CampaignState.PAUSED:
            if found.paused_until is None:
                return ClaimResult([], state, found.reason, None)
            if found.paused_until > now:
                return ClaimResult([], state, found.reason, found.paused_until - now)
        if state is not CampaignState.OPEN:
            if not transitions.open_if_due(connection, campaign_id, now=now):
                return ClaimResult([], state, found.reason, 0.0)
            return self._next(connection, identity, campaign_id, limit, 0, now, is_idle=is_idle)
        # An idle runner that may claim nothing now, as outside its sending hours, still has to know
        # whether anything is left.
        if limit <= 0 and not is_idle:
            return ClaimResult([], state, "", 0.0)
        return self._nothing_claimed(connection, identity, campaign_id, limit, now)

    def _nothing_claimed(
        self,
        connection: sa.Connection,
        identity: RunnerIdentity,
        campaign_id: int,
        limit: int,
        now: float,
    ) -> ClaimResult:
        """Return what a runner waits for that found nothing to claim in an open campaign."""
        state = CampaignState.OPEN
        due = connection.execute(
            sa.select(sa.func.min(sa.func.coalesce(submission.c.not_before, 0.0)))
            .join(content, submission.c.content_id == content.c.id)
            .where(
                submission.c.campaign_id == campaign_id,
                submission.c.state == State.PENDING.value,
                content.c.on_hold.is_(None),
            )
        ).scalar_one()
        others = connection.execute(
            sa.select(sa.func.count())
            .select_from(submission)
            .where(
                submission.c.campaign_id == campaign_id,
                submission.c.state == State.SUBMITTING.value,
                submission.c.runner_id != identity.id,
            )
        ).scalar_one()
        if others and self.runners.reclaim_stalled(connection, campaign_id):
            return ClaimResult([], state, "", 0.0)
        wait = None if due is None else max(0.0, due - now)
        waiting_for: tuple[ActiveRunner, ...] = ()
        is_locked = limit > 0 and wait == 0.0
        if is_locked:
            wait = _LOCKED_WAIT
        if others or is_locked:
            active = self.runners.active(connection, [campaign_id], but=identity)
            waiting_for = tuple(each for _, each in active if each.in_flight or is_locked)
        return ClaimResult([], state, "", wait, bool(others), waiting_for)

    @staticmethod
    def _cancel_returned(
        connection: sa.Connection, campaign_id: int, identity: RunnerIdentity
    ) -> None:
        """Cancel what became pending again, or was split off, after the campaign was cancelled."""
        ids = connection.scalars(_RETURNED, {"campaign": campaign_id}).all()
        transitions.cancel(connection, ids, by=identity.id, reason="its campaign was cancelled")


# Built once: building a statement takes longer than running it.
_HELD = sa.select(submission.c.id).where(submission.c.runner_id == sa.bindparam("runner"))
_CAMPAIGN = sa.select(campaign.c.state, campaign.c.reason, campaign.c.paused_until).where(
    campaign.c.id == sa.bindparam("campaign")
)
_NAME = sa.select(campaign.c.name).where(campaign.c.id == sa.bindparam("campaign"))
_RETURNED = (
    sa.select(submission.c.id)
    .where(
        submission.c.campaign_id == sa.bindparam("campaign"),
        submission.c.state == State.PENDING.value,
        sa.or_(submission.c.attempts > 0, submission.c.parent_id.is_not(None)),
    )
    # Skip what the operator's own transaction is cancelling.
    .with_for_update(skip_locked=True)
)
_CONTENTS = (content.c.message, content.c.channel, content.c.extension)
_CLAIMED = (
    sa.select(
        submission.c.id,
        submission.c.content_id,
        submission.c.attempts,
        recipients.c.numbers,
        *_CONTENTS,
    )
    .join(content, submission.c.content_id == content.c.id)
    .join(recipients, recipients.c.submission_id == submission.c.id)
    .where(submission.c.id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(submission.c.id)
)


def _claimable() -> sa.Select[int]:
    """Return what selects and locks the first pending submissions from an id on."""
    # Not a join: it would lock texts on some servers, and leave the planner a choice.
    on_hold = sa.select(content.c.on_hold).where(content.c.id == submission.c.content_id)
    of_campaign = sa.select(campaign.c.state).where(campaign.c.id == sa.bindparam("campaign"))
    return (
        sa.select(submission.c.id)
        .where(
            submission.c.campaign_id == sa.bindparam("campaign"),
            submission.c.state == State.PENDING.value,
            # The index has entries of all that was pending until the database cleans it up.
            submission.c.id >= sa.bindparam("lowest", type_=sa.BigInteger()),
            sa.or_(
                submission.c.not_before.is_(None), submission.c.not_before <= sa.bindparam("now")
            ),
            on_hold.scalar_subquery().is_(None),
            of_campaign.scalar_subquery() == CampaignState.OPEN.value,
        )
        .order_by(submission.c.id)
        # A number in the text: with a parameter, the planner does not know that it is small.
        .limit(sa.literal_column(_LIMIT, sa.Integer()))
        # Skip what another runner is claiming; SQLite has one writer at a time.
        .with_for_update(skip_locked=True)
    )


@functools.lru_cache(maxsize=16)
def _claimable_statement(dialect: sa.Dialect) -> CompiledStatement:
    return CompiledStatement(_claimable(), dialect)


@functools.lru_cache(maxsize=16)
def _claim_statement(dialect: sa.Dialect) -> CompiledStatement:
    """Return what claims the first pending submissions, notes it in the history, and reads them."""
    claimed, noted = transitions.claim_chosen(_claimable().cte("chosen"))
    statement = (
        sa.select(claimed, recipients.c.numbers, *_CONTENTS)
        .join(content, claimed.c.content_id == content.c.id)
        .join(recipients, recipients.c.submission_id == claimed.c.id)
        .order_by(claimed.c.id)
    )
    return CompiledStatement(statement.add_cte(noted), dialect)


def _reclaimed(name: str | None) -> RunnerReclaimed:
    """Return why a runner is not registered any more.

    Args:
        name: the campaign; None if it was deleted.
    """
    if name is None:
        return RunnerReclaimed("This runner sent no heartbeat, and its campaign was deleted.")
    command, name = "yunxin-soap campaign", shlex.quote(name)
    return RunnerReclaimed(
        "This runner sent no heartbeat in time, and another one reclaimed its submissions: what"
        " it had in flight is unknown. The campaign goes on in the other runner:"
        f' "{command} status {name}" names it, "{command} watch {name}" shows its progress, and'
        f' "{command} resolve {name}" decides what is unknown.'
    )


@functools.lru_cache(maxsize=16)
def _claim_unused_statement(dialect: sa.Dialect, ctes: WritingCTEs) -> CompiledStatement:
    """Return what inserts a single send and its runner, unless its key is used."""
    claimed, others = transitions.insert_claimed(ctes)
    registered: dict[str, sa.ColumnElement[Any]] = {
        name: sa.bindparam(name, type_=runner.c[name].type)
        for name in ("id", "host", "pid_namespace", "pid", "process_started")
    }
    lease: sa.BindParameter[float] = sa.bindparam("lease", type_=sa.Double())
    registered |= {"started_at": ctes.now, "expires_at": ctes.now + lease}
    row = sa.select(*registered.values()).select_from(claimed)
    register = runner.insert().from_select([*registered], row).cte("registered")
    return CompiledStatement(sa.select(claimed).add_cte(register, *others), dialect)


@functools.lru_cache(maxsize=16)
def _end_single_statement(dialect: sa.Dialect, ctes: WritingCTEs) -> CompiledStatement:
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


def _claimed_submissions(rows: Iterable[Any]) -> list[ClaimedSubmission]:
    return [
        ClaimedSubmission(
            row.id,
            row.content_id,
            row.attempts,
            Submission(
                recipients=tuple(row.numbers.split(",")),
                message=row.message,
                channel=row.channel,
                extension=row.extension,
            ),
        )
        for row in rows
    ]
