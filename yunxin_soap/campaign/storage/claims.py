"""What a runner does to the ledger: each method is one transaction, durable when it returns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa

from yunxin_soap.campaign.models import CampaignState, State
from yunxin_soap.campaign.storage.runner_identity import Owner
from yunxin_soap.campaign.storage.runners import Leases, LostLease
from yunxin_soap.campaign.storage.schema import campaign, content, recipients, runner, submit
from yunxin_soap.campaign.storage.transitions import HISTORY, change, note, now_of, recorded
from yunxin_soap.campaign.turns import Pause, Result, Turn, Work

_UNHEARD = "it was never sent: the ledger was lost before it was known"


class Store(Leases):
    """The statements of running; safe to use from one thread at a time."""

    def conclude(self, owner: Owner, result: Result) -> None:
        """Record how a single send ended, and forget its runner.

        Safe to repeat where it is not known whether it was committed.
        """
        with self._engine.begin() as connection:
            connection.execute(
                sa.select(runner.c.id).where(runner.c.id == owner.id).with_for_update()
            )
            held = connection.scalar(
                sa.select(submit.c.id).where(
                    submit.c.id == result.work.id, submit.c.runner_id == owner.id
                )
            )
            if held is not None:
                self._settle(connection, [result], owner)
            elif not recorded(connection, result, owner):
                note(connection, [result], now_of(connection), owner)
            connection.execute(runner.delete().where(runner.c.id == owner.id))

    def exchange(
        self,
        owner: Owner,
        campaign_id: int,
        *,
        results: Sequence[Result],
        flying: Collection[int],
        want: int,
        pause: Pause | None = None,
    ) -> Turn:
        """Record how submits ended, and commit a runner to the next ones.

        Safe to repeat with the same results where it is not known whether it was committed.

        Args:
            owner: the runner.
            campaign_id: the campaign's.
            results: how submits ended since the last time.
            flying: the runner's submits that have not ended.
            want: how many more it may send at once.
            pause: why the campaign is to wait.

        Raises:
            LostLease: others gave the runner up; the results are kept in the history.
        """
        with self._engine.begin() as connection:
            now = now_of(connection)
            values = {"owner": owner.id, "until": now + self.lease}
            renewed = connection.execute(_RENEW, values).rowcount
            held = set(connection.scalars(_HELD, {"owner": owner.id}).all())
            if renewed:
                self._settle(connection, [each for each in results if each.work.id in held], owner)
                unheard = held.difference(flying, (each.work.id for each in results))
                self._give_back(connection, unheard, now, owner)
                if pause is not None:
                    self._pause(connection, campaign_id, pause, now)
                return self._next(connection, owner, campaign_id, want, now, idle=not flying)
            note(connection, results, now, owner)
        raise LostLease(
            "This runner was not heard of in time, and others gave it up: what it had under way is"
            " unknown."
        )

    def _settle(self, connection: sa.Connection, results: Iterable[Result], owner: Owner) -> None:
        changes = []
        for each in sorted(results, key=lambda result: result.work.content_id):  # as all do
            changes.append(
                {
                    "id": each.work.id,
                    "after": each.state,
                    "batch_no": each.batch_no,
                    "code": each.code,
                    "keyword": each.keyword,
                    "detail": each.reason,
                    "safe": each.safe,
                    "sent_at": each.sent_at,
                    "ended_at": each.ended_at,
                    "not_before": each.ended_at + each.wait if each.wait else None,
                }
            )
            if each.stop_text:
                connection.execute(
                    content.update()
                    .where(content.c.id == each.work.content_id, content.c.stopped.is_(None))
                    .values(stopped=each.reason)
                )
            if each.state is State.SPLIT:
                self._split(connection, each.work)
        change(connection, changes, State.SUBMITTING, None, owner.id)

    def _split(self, connection: sa.Connection, work: Work) -> None:
        numbers = work.numbers.split(",")
        middle = (len(numbers) + 1) // 2
        parent = connection.execute(sa.select(submit).where(submit.c.id == work.id)).one()
        for half in (numbers[:middle], numbers[middle:]):
            made = connection.execute(
                submit.insert().values(
                    campaign_id=parent.campaign_id,
                    content_id=parent.content_id,
                    parent_id=parent.id,
                    size=len(half),
                    state=State.PENDING.value,
                    attempts=0,
                    reason="",
                    safe=True,
                )
            ).inserted_primary_key
            assert made is not None
            connection.execute(
                recipients.insert().values(submit_id=made[0], numbers=",".join(half))
            )
        connection.execute(recipients.delete().where(recipients.c.submit_id == work.id))

    def _give_back(
        self, connection: sa.Connection, ids: Collection[int], now: float, owner: Owner
    ) -> None:
        changes = [{"id": each, "after": State.PENDING, "detail": _UNHEARD} for each in ids]
        change(connection, changes, State.SUBMITTING, now, owner.id)

    def _pause(self, connection: sa.Connection, campaign_id: int, pause: Pause, now: float) -> None:
        until = None if pause.seconds is None else now + pause.seconds
        connection.execute(
            campaign.update()
            .where(campaign.c.id == campaign_id)
            # Who is to be asked is not let go on by a pause that passes by itself.
            .where(
                sa.or_(
                    campaign.c.state != CampaignState.PAUSED.value,
                    campaign.c.paused_until.is_not(None),
                )
            )
            .values(state=CampaignState.PAUSED.value, reason=pause.reason, paused_until=until)
        )

    def _next(
        self,
        connection: sa.Connection,
        owner: Owner,
        campaign_id: int,
        want: int,
        now: float,
        *,
        idle: bool,
    ) -> Turn:
        stands = connection.execute(_STANDS, {"campaign": campaign_id}).one()
        state = CampaignState(stands.state)
        if state is CampaignState.PAUSED:
            if stands.paused_until is None:
                return Turn([], state, stands.reason, None)
            if stands.paused_until > now:
                return Turn([], state, stands.reason, stands.paused_until - now)
        if state is not CampaignState.OPEN:
            connection.execute(
                campaign.update()
                .where(campaign.c.id == campaign_id)
                .values(state=CampaignState.OPEN.value, reason="", paused_until=None)
            )
            state = CampaignState.OPEN
        work = self._claim(connection, owner, campaign_id, want, now) if want > 0 else []
        # Who may send nothing now, as outside the hours, is told whether there is anything to send.
        if work or (want <= 0 and not idle):
            return Turn(work, state, "", 0.0)
        due = connection.execute(
            sa.select(sa.func.min(sa.func.coalesce(submit.c.not_before, 0.0)))
            .join(content, submit.c.content_id == content.c.id)
            .where(
                submit.c.campaign_id == campaign_id,
                submit.c.state == State.PENDING.value,
                content.c.stopped.is_(None),
            )
        ).scalar_one()
        others = connection.execute(
            sa.select(sa.func.count())
            .select_from(submit)
            .where(
                submit.c.campaign_id == campaign_id,
                submit.c.state == State.SUBMITTING.value,
                submit.c.runner_id != owner.id,
            )
        ).scalar_one()
        if others and self.bury(connection, campaign_id):
            return Turn([], state, "", 0.0)
        return Turn([], state, "", None if due is None else max(0.0, due - now), bool(others))

    def _claim(
        self, connection: sa.Connection, owner: Owner, campaign_id: int, want: int, now: float
    ) -> list[Work]:
        values = {"campaign": campaign_id, "now": now, "want": want}
        ids = connection.scalars(_CANDIDATES, values).all()
        return self.commit_to(connection, owner, ids, now)

    def commit_to(
        self, connection: sa.Connection, owner: Owner, ids: Sequence[int], now: float
    ) -> list[Work]:
        """Write down that pending submits are about to be sent; return them."""
        if not ids:
            return []
        connection.execute(_COMMIT, {"ids": ids, "owner": owner.id, "now": now})
        connection.execute(
            HISTORY,
            [
                {
                    "submit_id": each,
                    "at": now,
                    "before": State.PENDING.value,
                    "after": State.SUBMITTING.value,
                    "batch_no": None,
                    "code": None,
                    "detail": "",
                    "by": owner.id,
                }
                for each in ids
            ],
        )
        return [Work(*row) for row in connection.execute(_WORK, {"ids": ids}).all()]

    def finish(self, campaign_id: int) -> None:
        """Say that nothing is left to send, if that is so."""
        waits = sa.exists().where(
            submit.c.campaign_id == campaign_id,
            submit.c.state.in_([State.PENDING.value, State.SUBMITTING.value]),
        )
        with self._engine.begin() as connection:
            connection.execute(
                campaign.update()
                .where(campaign.c.id == campaign_id, ~waits)
                .values(state=CampaignState.DONE.value, reason="", paused_until=None)
            )


# Made once: to put a statement together takes longer than to run it.
_HELD = sa.select(submit.c.id).where(submit.c.runner_id == sa.bindparam("owner"))
_RENEW = (
    runner.update()
    .where(runner.c.id == sa.bindparam("owner"))
    .values(expires_at=sa.bindparam("until"))
)
_STANDS = sa.select(campaign.c.state, campaign.c.reason, campaign.c.paused_until).where(
    campaign.c.id == sa.bindparam("campaign")
)
_CANDIDATES = (
    sa.select(submit.c.id)
    .join(content, submit.c.content_id == content.c.id)
    .where(
        submit.c.campaign_id == sa.bindparam("campaign"),
        submit.c.state == State.PENDING.value,
        sa.or_(submit.c.not_before.is_(None), submit.c.not_before <= sa.bindparam("now")),
        content.c.stopped.is_(None),
    )
    .order_by(submit.c.id)
    .limit(sa.bindparam("want", type_=sa.Integer))
    # What another runner is taking is passed over (SQLite has one writer at a time).
    .with_for_update(of=submit, skip_locked=True)
)
_COMMIT = (
    submit.update()
    .where(submit.c.id.in_(sa.bindparam("ids", expanding=True)))
    .values(
        state=State.SUBMITTING.value,
        runner_id=sa.bindparam("owner"),
        attempts=submit.c.attempts + 1,
        not_before=None,
        sent_at=sa.bindparam("now"),
        ended_at=None,
    )
)
_WORK = (
    sa.select(
        submit.c.id,
        recipients.c.numbers,
        submit.c.size,
        content.c.message,
        content.c.channel,
        content.c.extension,
        submit.c.content_id,
        submit.c.attempts,
    )
    .join(content, submit.c.content_id == content.c.id)
    .join(recipients, recipients.c.submit_id == submit.c.id)
    .where(submit.c.id.in_(sa.bindparam("ids", expanding=True)))
    .order_by(submit.c.id)
)
