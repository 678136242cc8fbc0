"""A runner's work on the ledger: it records how submissions ended, and claims the next ones.

Each public method but `Claims.make_room` is one transaction, and durable once it returns.
"""

from __future__ import annotations

import functools
import shlex
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import (
    ActiveRunner,
    CampaignState,
    ClaimedSubmission,
    Ending,
    Pause,
    State,
    suppressed_reason,
)
from yunxin_soap.campaign.storage import transitions
from yunxin_soap.campaign.storage.column_types import LedgerDamaged, damaged
from yunxin_soap.campaign.storage.dialects import dialect_of, is_repeated, make_room
from yunxin_soap.campaign.storage.engine import repeat_after_deadlock
from yunxin_soap.campaign.storage.paces import Offer, PaceRemoved
from yunxin_soap.campaign.storage.runners import (
    HEARTBEAT_TIMEOUT,
    Heartbeat,
    RunnerIdentity,
    RunnerReclaimed,
    Runners,
)
from yunxin_soap.campaign.storage.schema import (
    campaign,
    content,
    recipients,
    submission,
    suppression_state,
)
from yunxin_soap.campaign.storage.statements import CompiledStatement
from yunxin_soap.campaign.storage.suppression import reasons
from yunxin_soap.errors import LedgerError
from yunxin_soap.message import STORED_NUMBERS, Submission
from yunxin_soap.sentences import Sentence

LOCKED_WAIT = 0.1
"""Seconds until the next look for submissions that another transaction has locked."""
_NEVER_RECEIVED = "it was never sent: the runner lost the ledger before it received the claim"

_PARTLY_SUPPRESSED = "some of its numbers are on the do-not-send list"
_MAX_SUPPRESSING = 20
"""Claims of one exchange that may find only suppressed submissions, so that it ends in time."""

_LIMIT = "the_limit"
"""Stands for a number in the text of a compiled statement."""


@dataclass(frozen=True)
class TakenSlots:
    """What a runner learns of its paces. Times are by this process's monotonic clock."""

    begin_at: Sequence[float]
    """When to send each of what it claimed."""
    look_at: float
    """When to look for slots again."""
    awaited: str
    """What lets it wait, for people to read, if there was no slot for it; else empty."""


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
    damage: LedgerError | None = None
    """What in the ledger is damaged, or not there any more, so that nothing was claimed."""
    slots: TakenSlots | None = None
    """The slots of what was claimed, if the runner keeps to a pace and looked for some."""


@dataclass(frozen=True)
class _Ended:
    """What a runner knows of its submissions. The fields are arguments of `Claims.exchange`."""

    endings: Sequence[Ending]
    in_flight: Collection[int]
    is_certain: bool


@dataclass(frozen=True)
class _Asked:
    """What a runner asks for. The fields but one are arguments of `Claims.exchange`."""

    limit: int
    lowest: int
    is_idle: bool
    """Whether it has to know what is left, since it has nothing in flight."""
    run_options: str | None
    paces: Sequence[int]
    claims_soon: bool


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
        run_options: str | None = None,
        paces: Sequence[int] = (),
        claims_soon: bool = False,
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
            run_options: claim only while the campaign is started with these options. None: also if
                it is not started.
            paces: the ids of the paces that it keeps to, in ascending order.
            claims_soon: whether it may claim nothing only for a moment, until there are slots, so
                that it need not know what is left but whether anything is.

        Returns:
            What it claimed. If something that it read is damaged, it recorded the endings all the
            same, and claimed nothing.

        Raises:
            RunnerReclaimed: another runner reclaimed the submissions; the history keeps the
                endings.
            LedgerError: the ledger was changed by something else; nothing was recorded.
        """
        ended = _Ended(endings, in_flight, is_certain)
        asked = _Asked(limit, lowest, not in_flight, run_options, paces, claims_soon)
        try:
            with is_repeated(), self._engine.begin() as connection:
                beat = self.runners.beat(connection, identity)
                if beat.is_registered:
                    self._reconcile(connection, identity, campaign_id, ended, beat)
                    if pause is not None:
                        transitions.pause_campaign(connection, campaign_id, pause, now=beat.now)
                    result = self._next(connection, identity, campaign_id, asked, beat)
                    if may_still_send:
                        self.runners.keep(connection, identity, beat.now)
                    return result
                if not self._note_late(connection, identity, ended, beat.now, may_still_send):
                    return ClaimResult([], CampaignState.OPEN, "", None)
                name = connection.scalar(_NAME, {"campaign": campaign_id})
        except (LedgerDamaged, PaceRemoved) as found:
            self._only_record(identity, campaign_id, ended, may_still_send=may_still_send)
            return ClaimResult([], CampaignState.OPEN, "", None, damage=found)
        raise _reclaimed(name)

    def _only_record(
        self, identity: RunnerIdentity, campaign_id: int, ended: _Ended, *, may_still_send: bool
    ) -> None:
        """Record how submissions ended, and read nothing else of a damaged ledger."""
        with self._engine.begin() as connection:
            beat = self.runners.beat(connection, identity)
            if beat.is_registered:
                self._reconcile(connection, identity, campaign_id, ended, beat)
                if may_still_send:
                    self.runners.keep(connection, identity, beat.now)
            else:
                self._note_late(connection, identity, ended, beat.now, may_still_send)

    @staticmethod
    def _note_late(
        connection: sa.Connection,
        identity: RunnerIdentity,
        ended: _Ended,
        now: float,
        may_still_send: bool,
    ) -> bool:
        """Keep the endings of a runner that was reclaimed in the history.

        Returns:
            Whether it was reclaimed by another one. Else this is its last exchange again, whose
            answer was lost.
        """
        late = list(ended.endings)
        if may_still_send:
            late = [
                each for each in late if not transitions.was_recorded(connection, each, identity.id)
            ]
        transitions.note_late(connection, late, now=now, runner_id=identity.id)
        return bool(late) or not may_still_send

    def _reconcile(
        self,
        connection: sa.Connection,
        identity: RunnerIdentity,
        campaign_id: int,
        ended: _Ended,
        beat: Heartbeat,
    ) -> None:
        """Record how submissions ended, and take back what the runner never got.

        Raises:
            LedgerError: the ledger was changed by something else.
        """
        endings, lost = list(ended.endings), set[int]()
        if not ended.is_certain:
            held = set(connection.scalars(_HELD, {"runner": identity.id}).all())
            lost = held.difference(ended.in_flight, (each.claimed.id for each in endings))
            # The others were recorded by an exchange whose answer was lost.
            endings = [each for each in endings if each.claimed.id in held]
        splits = [each.claimed for each in endings if each.state is State.SPLIT]
        self._split(connection, campaign_id, splits)
        recorded = transitions.end(
            connection,
            endings,
            now=beat.now,
            now_monotonic=beat.now_monotonic,
            runner_id=identity.id,
        )
        if recorded != len(endings):
            raise LedgerError(
                Sentence(
                    "The ledger was changed by something else: of {count} submissions that ended, "
                    "this runner held {recorded}. Find out what else writes to it.",
                    count=len(endings),
                    recorded=recorded,
                )
            )
        transitions.reclaim(
            connection, lost, State.PENDING, _NEVER_RECEIVED, now=beat.now, by=identity.id
        )

    @staticmethod
    def _claim(
        connection: sa.Connection,
        identity: RunnerIdentity,
        campaign_id: int,
        ids: Sequence[int],
        now: float,
    ) -> Sequence[Any]:
        """Commit pending submissions to a runner, and return their rows."""
        transitions.claim(connection, ids, now=now, runner_id=identity.id)
        rows = connection.execute(_CLAIMED, {"ids": ids, "campaign": campaign_id}).all()
        if lost := set(ids).difference(row.id for row in rows):
            raise damaged(f"the submission {min(lost)} has no yunxin_content or yunxin_recipients")
        return rows

    @staticmethod
    def _leave_out_suppressed(
        connection: sa.Connection,
        identity: RunnerIdentity,
        campaign_id: int,
        claimed: Sequence[ClaimedSubmission],
        now: float,
    ) -> list[ClaimedSubmission]:
        """Return those of the claimed submissions that no number of is on the do-not-send list.

        Of the others, the numbers that are on it become suppressed, and all others pending again.
        """
        found = reasons(connection, [n for each in claimed for n in each.submission.recipients])
        kept: list[ClaimedSubmission] = []
        endings: list[tuple[int, State, str]] = []
        split: list[int] = []
        parts: list[tuple[int, int | None, int, str]] = []
        parts_reasons: list[str | None] = []
        for each in claimed:
            by_reason: dict[str | None, list[str]] = {}
            for number in each.submission.recipients:
                by_reason.setdefault(found.get(number), []).append(number)
            first, *others = by_reason
            if others:
                split.append(each.id)
                for reason, numbers in by_reason.items():
                    parts.append((each.content_id, each.id, len(numbers), ",".join(numbers)))
                    parts_reasons.append(reason)
            elif first is None:
                kept.append(each)
            else:
                endings.append((each.id, State.SUPPRESSED, suppressed_reason(first)))
        if split:
            ids = transitions.insert_pending(connection, campaign_id, parts)
            suppressed = [
                (each, State.SUPPRESSED, suppressed_reason(reason))
                for each, reason in zip(ids, parts_reasons, strict=True)
                if reason is not None
            ]
            transitions.suppress(
                connection, suppressed, before=State.PENDING, now=now, runner_id=identity.id
            )
            connection.execute(recipients.delete().where(recipients.c.submission_id.in_(split)))
            endings += [(each, State.SPLIT, _PARTLY_SUPPRESSED) for each in split]
        transitions.suppress(
            connection, endings, before=State.SUBMITTING, now=now, runner_id=identity.id
        )
        return kept

    def _claim_from(
        self,
        connection: sa.Connection,
        identity: RunnerIdentity,
        campaign_id: int,
        limit: int,
        run_options: str | None,
        offer: Offer | None,
        lowest: int,
        now: float,
    ) -> list[ClaimedSubmission]:
        """Claim the first pending submissions from an id on, as far as there are slots for them."""
        values: dict[str, Any] = {"campaign": campaign_id, "now": now, "lowest": lowest}
        if must_be_started := run_options is not None:
            values["run_options"] = run_options
        dialect, counts_numbers = connection.dialect, offer is not None and offer.counts_numbers
        for _ in range(_MAX_SUPPRESSING):
            if dialect_of(connection).writing_ctes and not counts_numbers:
                claim = _claim_statement(dialect, must_be_started=must_be_started)
                statement = claim.replace(_LIMIT, str(limit))
                values |= {"new_at": now, "new_runner": identity.id}
                rows = statement.execute(connection, values).all()
            else:
                select = _claimable_statement(dialect, must_be_started=must_be_started)
                statement = select.replace(_LIMIT, str(limit))
                found = statement.execute(connection, values).all()
                count = len(found) if offer is None else offer.fit([row.size for row in found])
                ids = [row.id for row in found[:count]]
                rows = self._claim(connection, identity, campaign_id, ids, now) if ids else []
            claimed = _claimed_submissions(rows)
            # It is null if the ledger is damaged.
            if all(row.list_has_grown == 0 for row in rows):
                break
            claimed = self._leave_out_suppressed(connection, identity, campaign_id, claimed, now)
            if claimed:
                break
        return claimed

    def make_room(self) -> bool | None:
        """Give the ledger's reserve back to a full disk.

        Returns:
            Whether there was a reserve; None if the disk is a server's.
        """
        return make_room(self._engine)

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
        asked: _Asked,
        beat: Heartbeat,
    ) -> ClaimResult:
        claimed, slots = self._claim_in_slots(connection, identity, campaign_id, asked, beat)
        # It claims nothing unless the campaign is open.
        if claimed:
            return ClaimResult(claimed, CampaignState.OPEN, "", 0.0, slots=slots)
        now = beat.now
        found = connection.execute(_CAMPAIGN, {"campaign": campaign_id}).one()
        state = CampaignState(found.state)
        if state is CampaignState.CANCELLED:
            self._cancel_returned(connection, campaign_id, identity)
            return ClaimResult([], state, found.reason, None)
        if asked.run_options is not None and found.run_options != asked.run_options:
            return ClaimResult([], state, "", None)
        if state is CampaignState.PAUSED:
            if found.paused_until is None:
                return ClaimResult([], state, found.reason, None)
            if found.paused_until > now:
                return ClaimResult([], state, found.reason, found.paused_until - now)
        if state is not CampaignState.OPEN:
            if not transitions.open_if_due(connection, campaign_id, now=now):
                return ClaimResult([], state, found.reason, 0.0)
            from_0 = replace(asked, lowest=0)
            return self._next(connection, identity, campaign_id, from_0, beat)
        return self._nothing_claimed(connection, identity, campaign_id, asked, slots, now)

    def _claim_in_slots(
        self,
        connection: sa.Connection,
        identity: RunnerIdentity,
        campaign_id: int,
        asked: _Asked,
        beat: Heartbeat,
    ) -> tuple[list[ClaimedSubmission], TakenSlots | None]:
        """Claim submissions, and take their slots if the runner keeps to a pace."""
        ahead, limit, offer = beat.now - beat.now_monotonic, asked.limit, None
        if limit > 0 and asked.paces:
            offer = Offer(connection, asked.paces, lambda: time.monotonic() + ahead)
            limit = int(min(limit, offer.room()))
        claimed: list[ClaimedSubmission] = []
        if limit > 0:
            claim = functools.partial(
                self._claim_from, connection, identity, campaign_id, limit, asked.run_options, offer
            )
            claimed = claim(asked.lowest, beat.now) or (claim(0, beat.now) if asked.lowest else [])
        if offer is None:
            return claimed, None
        taken = offer.take([each.size for each in claimed]) if claimed else []
        awaited = "" if limit > 0 else offer.awaited()
        begin_at = [each - ahead for each in taken]
        return claimed, TakenSlots(begin_at, offer.look_at() - ahead, awaited)

    def _nothing_claimed(
        self,
        connection: sa.Connection,
        identity: RunnerIdentity,
        campaign_id: int,
        asked: _Asked,
        slots: TakenSlots | None,
        now: float,
    ) -> ClaimResult:
        """Return what a runner waits for that found nothing to claim in an open campaign."""
        state, limit = CampaignState.OPEN, asked.limit
        is_awaiting = slots is not None and bool(slots.awaited)
        if (is_awaiting or asked.claims_soon) and asked.is_idle:
            # It need not wait for a slot that nothing is left for.
            waits = self._is_pending(connection, campaign_id, asked.lowest)
        else:
            waits = is_awaiting
        if waits:
            look_at = 0.0 if slots is None else slots.look_at
            until_slot = max(0.0, look_at - time.monotonic())
            return ClaimResult([], state, "", until_slot, slots=slots)
        # An idle runner that may claim nothing now, as outside its sending hours, still has to know
        # whether anything is left.
        if limit <= 0 and not asked.is_idle:
            return ClaimResult([], state, "", 0.0)
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
            wait = LOCKED_WAIT
        if others or is_locked:
            active = self.runners.active(connection, [campaign_id], but=identity)
            waiting_for = tuple(each for _, each in active if each.in_flight or is_locked)
        return ClaimResult([], state, "", wait, bool(others), waiting_for)

    @staticmethod
    def _is_pending(connection: sa.Connection, campaign_id: int, lowest: int) -> bool:
        """Return whether anything of a campaign is pending; it looks from an id on first."""
        values = {"campaign": campaign_id}
        return any(
            connection.scalar(_FIRST_PENDING, {**values, "lowest": each}) is not None
            for each in dict.fromkeys((lowest, 0))
        )

    @staticmethod
    def _cancel_returned(
        connection: sa.Connection, campaign_id: int, identity: RunnerIdentity
    ) -> None:
        """Cancel what became pending again, or was split off, after the campaign was cancelled."""
        ids = connection.scalars(_RETURNED, {"campaign": campaign_id}).all()
        transitions.cancel(
            connection, ids, by=identity.id, reason=Sentence("its campaign was cancelled")
        )


# Built once: building a statement takes longer than running it.
_HELD = sa.select(submission.c.id).where(submission.c.runner_id == sa.bindparam("runner"))
_CAMPAIGN = sa.select(
    campaign.c.state, campaign.c.reason, campaign.c.paused_until, campaign.c.run_options
).where(campaign.c.id == sa.bindparam("campaign"))
_FIRST_PENDING = (
    sa.select(submission.c.id)
    .where(
        submission.c.campaign_id == sa.bindparam("campaign"),
        submission.c.state == State.PENDING.value,
        submission.c.id >= sa.bindparam("lowest"),
    )
    .order_by(submission.c.id)
    .limit(1)
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
_GENERATION_OF_PLAN = sa.select(campaign.c.suppression_generation).where(
    campaign.c.id == sa.bindparam("campaign")
)
# In the statement of a claim: whoever adds to the list waits for those that do not see it.
_LIST_HAS_GROWN = (
    sa.select(suppression_state.c.generation > _GENERATION_OF_PLAN.scalar_subquery())
    .scalar_subquery()
    .label("list_has_grown")
)
_CONTENTS = (content.c.message, content.c.channel, content.c.extension, _LIST_HAS_GROWN)
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


def _claimable(*, must_be_started: bool) -> sa.Select[int, int]:
    """Return what selects and locks the first pending submissions from an id on."""
    # Not a join: it would lock texts on some servers, and leave the planner a choice.
    on_hold = sa.select(content.c.on_hold).where(content.c.id == submission.c.content_id)
    of_campaign = sa.select(campaign.c.state).where(campaign.c.id == sa.bindparam("campaign"))
    if must_be_started:
        options = sa.bindparam("run_options", type_=sa.Text())
        of_campaign = of_campaign.where(campaign.c.run_options == options)
    return (
        sa.select(submission.c.id, submission.c.size)
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
def _claimable_statement(dialect: sa.Dialect, *, must_be_started: bool) -> CompiledStatement:
    return CompiledStatement(_claimable(must_be_started=must_be_started), dialect)


@functools.lru_cache(maxsize=16)
def _claim_statement(dialect: sa.Dialect, *, must_be_started: bool) -> CompiledStatement:
    """Return what claims the first pending submissions, notes it in the history, and reads them."""
    claimable = _claimable(must_be_started=must_be_started)
    claimed, noted = transitions.claim_chosen(claimable.cte("chosen"))
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
    return RunnerReclaimed(
        Sentence(
            "This runner sent no heartbeat in time, and another one reclaimed its submissions: what"
            " it had in flight is unknown. The campaign goes on in the other runner:"
            ' "campaign status {name}" names it, "campaign watch {name}" shows its progress, and'
            ' "campaign resolve {name}" decides what is unknown.',
            name=shlex.quote(name),
        )
    )


def _claimed_submissions(rows: Iterable[Any]) -> list[ClaimedSubmission]:
    """Return what was claimed.

    Raises:
        LedgerDamaged: some numbers are no phone numbers.
    """
    found = list(rows)
    if found and not STORED_NUMBERS.fullmatch(",".join([row.numbers for row in found])):
        wrong = next(row.id for row in found if not STORED_NUMBERS.fullmatch(row.numbers))
        raise damaged(f"yunxin_recipients.numbers of the submission {wrong} is no phone numbers")
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
        for row in found
    ]
