"""What an operator does to a ledger: pause, cancel, retry, resolve, purge and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import CampaignState, DecisionName, State
from yunxin_soap.campaign.storage import transitions
from yunxin_soap.campaign.storage.dialects import (
    advisory_lock,
    is_local,
    ledger_time,
    lift_timeouts,
    truncate_wal,
)
from yunxin_soap.campaign.storage.engine import (
    PURGE_LOCK,
    as_ledger_errors,
    repeat_after_deadlock,
)
from yunxin_soap.campaign.storage.reads import campaign_row
from yunxin_soap.campaign.storage.runners import RunnerIdentity, remove_ended_runners
from yunxin_soap.campaign.storage.schema import (
    campaign,
    content,
    history,
    pace,
    recipients,
    runner,
    skipped_line,
    submission,
)
from yunxin_soap.errors import ConfigurationError, LedgerError, NotInLedger
from yunxin_soap.sentences import Sentence

_SHOWN = 10
"""Ids that an error message lists."""
_CANCEL_BATCH = 5000
"""Submissions that one transaction cancels."""
_AFTER: dict[DecisionName, State] = {
    "resend": State.PENDING,
    "accepted": State.ACCEPTED,
    "not_sent": State.REJECTED,
}
"""The state that follows from each decision."""


class Admin:
    """Changes a ledger by an operator's decision; a method is one transaction, but for `cancel`.

    Args:
        engine: the ledger's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @repeat_after_deadlock
    def resume(self, name: str) -> None:
        """End a campaign's pause."""
        with as_ledger_errors(), self._engine.begin() as connection:
            found = campaign_row(connection, name)
            if not transitions.open_campaign(connection, found.id):
                raise _cancelled(name)

    @repeat_after_deadlock
    def pause(self, name: str, *, by: str, reason: str) -> None:
        """Let a campaign wait for an operator."""
        with as_ledger_errors(), self._engine.begin() as connection:
            found = campaign_row(connection, name, lock=True)
            _check(by)
            if reason and not reason.isprintable():
                raise ConfigurationError(
                    Sentence("reason={reason} must be printable text.", reason=repr(reason))
                )
            text = Sentence("by {by}", by=by)
            if reason.strip():
                text = Sentence("by {by}: {reason}", by=by, reason=reason)
            if found.state == CampaignState.PAUSED.value and found.paused_until is None:
                if found.reason == text:  # the same call again, as after a crash
                    return
                raise NotInLedger(
                    Sentence(
                        "Campaign {name} is paused already ({reason}), until somebody resumes it. "
                        "Nothing was changed.",
                        name=repr(name),
                        reason=found.reason,
                    )
                )
            if not transitions.pause_by_operator(connection, found.id, reason=text):
                raise _nothing_left(found, Sentence("pause"))

    @repeat_after_deadlock
    def cancel(self, name: str, *, by: str, on_progress: Callable[[int], None]) -> int:
        """Cancel a campaign and its pending submissions; return the count of these."""
        with as_ledger_errors():
            with self._engine.begin() as connection:
                found = campaign_row(connection, name, lock=True)
                _check(by)
                if found.state == CampaignState.DONE.value:
                    raise _nothing_left(found, Sentence("cancel"))
                transitions.cancel_campaign(connection, found.id, reason=Sentence("by {by}", by=by))
            with self._engine.begin() as connection:
                # A runner's exchange locks its row. One that read the campaign before it was
                # cancelled ends here; every later one claims nothing.
                connection.execute(
                    sa.select(runner.c.id)
                    .where(runner.c.campaign_id == found.id)
                    .order_by(runner.c.id)
                    .with_for_update()
                )
            count = 0
            # Live runners must be able to record what is in flight in between.
            while batch := self._cancel_some(found.id, by):
                count += batch
                on_progress(count)
            return count

    @repeat_after_deadlock
    def _cancel_some(self, campaign_id: int, by: str) -> int:
        with self._engine.begin() as connection:
            ids = connection.scalars(
                sa.select(submission.c.id)
                .join(campaign, submission.c.campaign_id == campaign.c.id)
                .where(
                    submission.c.campaign_id == campaign_id,
                    submission.c.state == State.PENDING.value,
                    campaign.c.state == CampaignState.CANCELLED.value,
                )
                .order_by(submission.c.id)
                .limit(_CANCEL_BATCH)
                .with_for_update(of=submission)
            ).all()
            transitions.cancel(connection, ids, by=by, reason=Sentence("cancelled by {by}", by=by))
            return len(ids)

    @repeat_after_deadlock
    def delete(self, name: str) -> None:
        """Delete a campaign that never sent anything."""
        with as_ledger_errors():
            with self._engine.begin() as connection:
                advisory_lock(connection, PURGE_LOCK)
                self._delete(connection, name)
            obstacle = truncate_wal(self._engine)
        if obstacle:
            raise LedgerError(
                Sentence(
                    "The campaign {name} was deleted, and is still in the file ({obstacle}): purge "
                    "later, which removes it from there.",
                    name=repr(name),
                    obstacle=obstacle,
                )
            )

    @staticmethod
    def _delete(connection: sa.Connection, name: str) -> None:
        # Runners before the campaign, as an exchange locks them.
        campaign_id = campaign_row(connection, name).id
        own = sa.select(runner).where(runner.c.campaign_id == campaign_id).order_by(runner.c.id)
        connection.execute(own.with_for_update())
        # No runner can register until this transaction ends.
        connection.execute(
            sa.select(campaign.c.id).where(campaign.c.id == campaign_id).with_for_update()
        )
        found = campaign_row(connection, name)
        now = ledger_time(connection)
        for row in connection.execute(own):
            identity = RunnerIdentity.of(row)
            dead = identity.is_dead(on_this_machine=is_local(connection))
            if not dead and row.expires_at > identity.lease_time(connection, now):
                raise NotInLedger(
                    Sentence(
                        "Campaign {name} is being run by {identity}: stop that first. Nothing was "
                        "deleted.",
                        name=repr(name),
                        identity=identity,
                    )
                )
        was_sent = sa.exists().where(
            submission.c.campaign_id == found.id,
            sa.or_(
                submission.c.attempts > 0,
                submission.c.state.not_in([State.PENDING.value, State.CANCELLED.value]),
            ),
        )
        if connection.scalar(sa.select(was_sent)):
            if found.state == CampaignState.DONE.value:
                raise _nothing_left(found, Sentence("delete"))
            raise NotInLedger(
                Sentence(
                    "Campaign {name} has begun to send, so its record stays: cancel what is left "
                    "of it, and purge its numbers and texts once they are old enough. Nothing was "
                    "deleted.",
                    name=repr(name),
                )
            )
        submissions = sa.select(submission.c.id).where(submission.c.campaign_id == found.id)
        for table in (recipients, history):
            connection.execute(table.delete().where(table.c.submission_id.in_(submissions)))
        for table in (submission, content, skipped_line, runner, pace):
            connection.execute(table.delete().where(table.c.campaign_id == found.id))
        connection.execute(campaign.delete().where(campaign.c.id == found.id))

    @repeat_after_deadlock
    def retry(self, name: str, *, code: int | None, unsafe: bool, by: str) -> int:
        """Make rejected submissions pending, and release held texts; return their count."""
        with as_ledger_errors(), self._engine.begin() as connection:
            advisory_lock(connection, PURGE_LOCK)
            found = campaign_row(connection, name, lock=True)
            _check(by)
            refuse_cancelled(found)
            wanted = [
                submission.c.campaign_id == found.id,
                submission.c.state == State.REJECTED.value,
                # A purged submission has no numbers left.
                sa.exists().where(recipients.c.submission_id == submission.c.id),
            ]
            if not unsafe:
                wanted.append(submission.c.safe_to_resend)
            if code is not None:
                wanted.append(submission.c.code == code)
            chosen = sa.select(submission.c.id).where(*wanted).order_by(submission.c.id)
            ids = list(connection.scalars(chosen.with_for_update(key_share=True)))
            transitions.decide(
                connection,
                ids,
                before=State.REJECTED,
                after=State.PENDING,
                by=by,
                detail=Sentence("retry"),
            )
            # A released text has pending submissions, which may be sent now.
            released = self._release_texts(connection, found.id, code)
            if ids or released:
                transitions.reopen_if_done(connection, found.id)
            return len(ids)

    @staticmethod
    def _release_texts(connection: sa.Connection, campaign_id: int, code: int | None) -> int:
        """Release a campaign's held texts, or only those rejected with a code; return the count."""
        held = [content.c.campaign_id == campaign_id, content.c.on_hold.is_not(None)]
        if code is not None:
            text = content.alias()
            rejected_texts = (
                sa.select(text.c.id)
                .join(submission, submission.c.content_id == text.c.id)
                .where(
                    submission.c.campaign_id == campaign_id,
                    submission.c.code == code,
                    submission.c.reason == text.c.on_hold,
                )
            )
            held.append(content.c.id.in_(rejected_texts))
        return connection.execute(content.update().where(*held).values(on_hold=None)).rowcount

    def resolve(
        self,
        name: str,
        decision: DecisionName,
        *,
        by: str,
        submission_ids: Iterable[int] | None,
        batch_no: str | None,
        even_if_alive: bool,
    ) -> int:
        """Decide what became of unknown submissions of a campaign; return their count."""
        # Read once: a deadlock repeats the rest.
        chosen = None if submission_ids is None else list(dict.fromkeys(submission_ids))
        return self._resolve(name, decision, by, chosen, batch_no, even_if_alive)

    @repeat_after_deadlock
    def _resolve(
        self,
        name: str,
        decision: DecisionName,
        by: str,
        chosen: list[int] | None,
        batch_no: str | None,
        even_if_alive: bool,
    ) -> int:
        after = _state_after(decision)
        with as_ledger_errors(), self._engine.begin() as connection:
            found = campaign_row(connection, name, lock=True)
            _check(by, batch_no, after, even_if_alive=even_if_alive)
            runners = remove_ended_runners(connection)
            if after is State.PENDING:
                refuse_cancelled(found)
            ids = list(
                connection.scalars(
                    sa.select(submission.c.id)
                    .where(
                        submission.c.campaign_id == found.id,
                        submission.c.state == State.UNKNOWN.value,
                    )
                    .order_by(submission.c.id)
                    # The second of two operators who decide at once gets what the first left.
                    .with_for_update(key_share=True)
                )
            )
            if chosen is not None:
                if wrong := sorted(set(chosen).difference(ids)):
                    raise NotInLedger(
                        Sentence(
                            "Campaign {name} has no unknown submission {wrong}. Its unknown"
                            " submissions: {ids}{more}. Nothing was changed.",
                            name=repr(name),
                            wrong=wrong[0],
                            ids=", ".join(map(str, ids[:_SHOWN])) or Sentence("none"),
                            more=", …" if len(ids) > _SHOWN else "",
                        )
                    )
                ids = chosen
            decided = _Decided(decision, after, by, batch_no, even_if_alive)
            decided.record(connection, ids, submission.c.campaign_id == found.id, runners)
            if ids and after is State.PENDING:
                transitions.reopen_if_done(connection, found.id)
            return len(ids)

    @repeat_after_deadlock
    def resolve_single(
        self,
        key: str,
        decision: DecisionName,
        *,
        by: str,
        batch_no: str | None,
        even_if_alive: bool,
    ) -> None:
        """Decide what became of an unknown single send."""
        after = _state_after(decision)
        with as_ledger_errors(), self._engine.begin() as connection:
            runners = remove_ended_runners(connection)
            found = self._single_send(connection, key)
            if found.state != State.UNKNOWN.value:
                raise NotInLedger(
                    Sentence(
                        "The single send {key} is {state}, so there is nothing to resolve.",
                        key=repr(key),
                        state=Sentence(found.state),
                    )
                )
            _check(by, batch_no, after, even_if_alive=even_if_alive)
            decided = _Decided(decision, after, by, batch_no, even_if_alive)
            decided.record(connection, [found.id], submission.c.id == found.id, runners)
            if found.expires_at is not None:
                transitions.make_due(connection, found.id)

    @repeat_after_deadlock
    def retry_single(self, key: str, *, unsafe: bool, by: str) -> None:
        """Make a rejected single send pending."""
        with as_ledger_errors(), self._engine.begin() as connection:
            advisory_lock(connection, PURGE_LOCK)
            found = self._single_send(connection, key)
            if found.state == State.PENDING.value and found.expires_at is not None:
                _check(by)
                transitions.make_due(connection, found.id)
                return
            if found.state != State.REJECTED.value:
                raise NotInLedger(
                    Sentence(
                        "The single send {key} is {state}, so there is nothing to retry.",
                        key=repr(key),
                        state=Sentence(found.state),
                    )
                )
            if found.is_purged:
                raise NotInLedger(
                    Sentence(
                        "The single send {key} was purged, so it cannot be retried: use "
                        "another key.",
                        key=repr(key),
                    )
                )
            if not found.safe_to_resend and not unsafe:
                raise NotInLedger(
                    Sentence(
                        "The rejected single send {key} may have been sent. If it was not, or if a "
                        "second copy does no harm, retry it with unsafe=True.",
                        key=repr(key),
                    )
                )
            _check(by)
            transitions.decide(
                connection,
                [found.id],
                before=State.REJECTED,
                after=State.PENDING,
                by=by,
                detail=Sentence("retry"),
            )
            if found.expires_at is not None:
                transitions.make_due(connection, found.id)

    @staticmethod
    def _single_send(connection: sa.Connection, key: str) -> Any:
        """Lock a single send, and return it.

        Raises:
            NotInLedger: there is no single send with the key.
        """
        found = None
        if key.isprintable():  # as every key is; some databases reject other text
            found = connection.execute(
                sa.select(
                    submission.c.id,
                    submission.c.state,
                    submission.c.safe_to_resend,
                    submission.c.expires_at,
                    recipients.c.submission_id.is_(None).label("is_purged"),
                )
                .outerjoin(recipients, recipients.c.submission_id == submission.c.id)
                .where(submission.c.key == key)
                .with_for_update(of=submission, key_share=True)
            ).one_or_none()
        if found is None:
            raise NotInLedger(
                Sentence(
                    "The ledger has no single send {key}: check the key and the ledger.",
                    key=repr(key),
                )
            )
        return found

    @repeat_after_deadlock
    def purge(self, *, older_than: float | timedelta) -> int:
        """Delete the numbers and texts of old submissions; return the count of numbers."""
        age = older_than.total_seconds() if isinstance(older_than, timedelta) else older_than
        with as_ledger_errors(), self._engine.begin() as connection:
            count = self._purge(connection, age)
        with as_ledger_errors():
            obstacle = truncate_wal(self._engine)
        if obstacle:
            raise LedgerError(
                Sentence(
                    "{count} numbers were deleted, and are still in the file ({obstacle}): purge "
                    "again.",
                    count=count,
                    obstacle=obstacle,
                )
            )
        return count

    @staticmethod
    def _purge(connection: sa.Connection, age: float) -> int:
        lift_timeouts(connection)
        advisory_lock(connection, PURGE_LOCK)
        now = ledger_time(connection)
        before = now - age
        unended = (State.PENDING, State.SUBMITTING, State.UNKNOWN)
        final = [each.value for each in State if each not in unended]
        is_old = sa.and_(submission.c.state.in_(final), submission.c.ended_at < before)
        count = int(
            connection.scalar(
                sa.select(sa.func.coalesce(sa.func.sum(submission.c.size), 0))
                .join(recipients, recipients.c.submission_id == submission.c.id)
                .where(is_old)
            )
            or 0
        )
        old = sa.select(submission.c.id).where(is_old)
        connection.execute(recipients.delete().where(recipients.c.submission_id.in_(old)))
        without_numbers = (
            sa.select(submission.c.content_id)
            .outerjoin(recipients, recipients.c.submission_id == submission.c.id)
            .group_by(submission.c.content_id)
            .having(sa.func.count(recipients.c.submission_id) == 0)
        )
        connection.execute(
            content.update()
            .where(content.c.id.in_(without_numbers), content.c.message != "")
            .values(message="")
        )
        # Whoever knows the text could guess a number from the digest.
        connection.execute(
            submission.update()
            .where(
                submission.c.digest.is_not(None),
                ~sa.exists().where(recipients.c.submission_id == submission.c.id),
            )
            .values(digest=None)
        )
        with_numbers = (
            sa.select(submission.c.campaign_id)
            .join(recipients, recipients.c.submission_id == submission.c.id)
            .where(submission.c.campaign_id.is_not(None))
        )
        purged = sa.select(campaign.c.id).where(
            campaign.c.id.not_in(with_numbers), campaign.c.created_at < before
        )
        connection.execute(skipped_line.delete().where(skipped_line.c.campaign_id.in_(purged)))
        connection.execute(
            campaign.update()
            .where(campaign.c.id.in_(purged), campaign.c.purged_at.is_(None))
            .values(purged_at=now, digest="")
        )
        return count


@dataclass(frozen=True)
class _Decided:
    """What a person decided about unknown submissions."""

    decision: DecisionName
    after: State
    by: str
    batch_no: str | None
    even_if_alive: bool

    def record(
        self,
        connection: sa.Connection,
        ids: Sequence[int],
        scope: sa.ColumnElement[bool],
        runners: Mapping[str, RunnerIdentity],
    ) -> None:
        """Record the decision.

        Args:
            connection: in a transaction that holds the submissions.
            ids: the submissions.
            scope: finds them, and perhaps others, in the table.
            runners: the reclaimed runners that may still be alive.

        Raises:
            NotInLedger: they would be sent again, although they were accepted, or their runner may
                still send them.
        """
        at_risk: dict[int, str] = {}
        if self.after is not State.ACCEPTED:
            late = transitions.late_batch_numbers(connection, scope)
            if accepted := [each for each in ids if each in late]:
                raise _accepted_late({each: late[each] for each in accepted})
            reclaimed = transitions.reclaimed_from(connection, list(runners), scope)
            at_risk = {each: reclaimed[each] for each in ids if each in reclaimed}
            if at_risk and not self.even_if_alive:
                raise _still_alive(at_risk, runners)
        for detail, chosen in (
            (self.decision, [each for each in ids if each not in at_risk]),
            (f"{self.decision}, although its runner may be alive", list(at_risk)),
        ):
            transitions.decide(
                connection,
                chosen,
                before=State.UNKNOWN,
                after=self.after,
                by=self.by,
                detail=detail,
                batch_no=self.batch_no,
            )


def _accepted_late(batch_numbers: Mapping[int, str]) -> NotInLedger:
    shown = [f"submission {each} as {batch_no}" for each, batch_no in batch_numbers.items()]
    return NotInLedger(
        Sentence(
            "The gateway has accepted {shown}, as became known after the runner was "
            "reclaimed: resolve it as accepted, with that batch number. Nothing was "
            "changed.",
            shown=_listed(shown),
        )
    )


def _still_alive(at_risk: Mapping[int, str], runners: Mapping[str, RunnerIdentity]) -> NotInLedger:
    shown = _listed([str(each) for each in at_risk])
    count = len(at_risk)
    what = f"Submission {shown} was" if count == 1 else f"{count} submissions ({shown}) were"
    involved = [runners[each] for each in dict.fromkeys(at_risk.values())]
    processes = _listed([str(each) for each in involved])
    hosts = _listed(list(dict.fromkeys(each.host for each in involved)))
    return NotInLedger(
        Sentence(
            "{what} last in flight in {processes}, which stopped sending heartbeats and is "
            "not known to have ended: it may only be suspended, and send later. End it, "
            "and run this command on {hosts}, where that can be seen; or take the risk of "
            "a second copy with even_if_alive=True (--even-if-alive). Nothing was changed.",
            what=what,
            processes=processes,
            hosts=hosts,
        )
    )


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values[:_SHOWN]) + (", …" if len(values) > _SHOWN else "")


def _state_after(decision: str) -> State:
    """Return the state that follows from a decision."""
    for name, state in _AFTER.items():
        if name == decision:
            return state
    raise ConfigurationError(
        Sentence(
            "decision={decision} must be one of {after}.",
            decision=repr(decision),
            after=", ".join(_AFTER),
        )
    )


def refuse_cancelled(found: Any) -> None:
    """Check that a campaign is not cancelled, so that its submissions may become pending."""
    if found.state == CampaignState.CANCELLED.value:
        raise _cancelled(found.name)


def _nothing_left(found: Any, verb: Sentence) -> NotInLedger:
    """Return the error about a campaign that has ended, for all that only others allow."""
    more = Sentence(
        " Its record stays; purge removes its numbers and texts once they are old enough."
    )
    return NotInLedger(
        Sentence(
            "Campaign {name} is {state}, so there is nothing to {verb}. Nothing was changed.{more}",
            name=repr(found.name),
            state=Sentence(found.state),
            verb=verb,
            more=more if verb == "delete" else "",
        )
    )


def _cancelled(name: str) -> NotInLedger:
    return NotInLedger(
        Sentence(
            "Campaign {name} was cancelled, so nothing of it is sent again: plan another "
            "campaign for the numbers that are to get a message.",
            name=repr(name),
        )
    )


def _check(
    by: str,
    batch_no: str | None = None,
    after: State = State.PENDING,
    *,
    even_if_alive: bool = False,
) -> None:
    """Check the arguments of a decision."""
    if even_if_alive and after is State.ACCEPTED:
        raise ConfigurationError(
            "even_if_alive is for the decisions 'resend' and 'not_sent' only: leave it out."
        )
    if batch_no is not None and after is not State.ACCEPTED:
        raise ConfigurationError("batch_no is for the decision 'accepted' only: leave it out.")
    for name, value in (("by", by), ("batch_no", batch_no)):
        if value is not None and (not value.strip() or not value.isprintable()):
            raise ConfigurationError(
                Sentence("{name}={value} must be printable text.", name=name, value=repr(value))
            )
