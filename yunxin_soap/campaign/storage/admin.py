"""What only a person may do to a ledger: decide on unknown submits, try again, remove."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Literal

import sqlalchemy as sa

from yunxin_soap.campaign.models import ALLOWED, CampaignState, State
from yunxin_soap.campaign.storage.engine import REVIVING, alone, forget, reported
from yunxin_soap.campaign.storage.reads import Queries
from yunxin_soap.campaign.storage.schema import (
    campaign,
    content,
    history,
    recipients,
    refused,
    submit,
)
from yunxin_soap.errors import ConfigurationError, LedgerError, NotInLedger

_ROWS = 500
"""Rows written together."""
_SHOWN = 10


class Decisions(Queries):
    """The decisions, and the questions."""

    def resume(self, name: str) -> None:
        """Let a paused campaign go on; it is sent by the next run.

        Raises:
            NotInLedger: there is none of that name.
        """
        with reported(), self._engine.begin() as connection:
            found = self._campaign(connection, name)
            connection.execute(
                campaign.update()
                .where(campaign.c.id == found.id)
                .values(state=CampaignState.OPEN.value, reason="", paused_until=None)
            )

    def retry(self, name: str, *, code: int | None = None, unsafe: bool = False, by: str) -> int:
        """Have rejected submits sent again, and texts that were refused tried again.

        Args:
            name: the campaign.
            code: only those with that code, and texts that were refused with it.
            unsafe: also those that may have been sent, at the risk of a second copy: with -1, or
                a code that is not in the manual.
            by: who decides; it is kept in the history.

        Returns:
            How many submits are pending again.
        """
        with reported(), self._engine.begin() as connection:
            alone(connection, REVIVING)
            found = self._campaign(connection, name)
            wanted = [
                submit.c.campaign_id == found.id,
                submit.c.state == State.REJECTED.value,
                # What was purged has no numbers any more.
                sa.exists().where(recipients.c.submit_id == submit.c.id),
            ]
            if not unsafe:
                wanted.append(submit.c.safe)
            if code is not None:
                wanted.append(submit.c.code == code)
            chosen = sa.select(submit.c.id).where(*wanted).order_by(submit.c.id)
            ids = list(connection.scalars(chosen.with_for_update(key_share=True)))
            self._decide(connection, ids, State.REJECTED, State.PENDING, by, "retry")
            freed = [content.c.campaign_id == found.id, content.c.stopped.is_not(None)]
            if code is not None:
                text = content.alias()
                refusals = sa.select(text.c.id).join(submit, submit.c.content_id == text.c.id)
                freed.append(
                    content.c.id.in_(
                        refusals.where(
                            submit.c.campaign_id == found.id,
                            submit.c.code == code,
                            submit.c.reason == text.c.stopped,
                        )
                    )
                )
            connection.execute(content.update().where(*freed).values(stopped=None))
            self._open(connection, found.id)
            return len(ids)

    def resolve(
        self,
        name: str,
        decision: Literal["resend", "accepted", "rejected"],
        *,
        by: str,
        submits: Iterable[int] | None = None,
        batch_no: str | None = None,
    ) -> int:
        """Decide what became of unknown submits; nothing else moves them.

        Args:
            name: the campaign.
            decision: ``resend`` makes them pending, at the risk of a second copy; ``rejected``
                says that they were not sent, so that `retry` may have them sent.
            by: who decides; it is kept in the history.
            submits: which, by number; all that are unknown if it is left out.
            batch_no: of an accepted one, if it is known.

        Returns:
            How many were decided.

        Raises:
            ConfigurationError: ``by`` or ``batch_no`` is not printable text.
            NotInLedger: one of the submits is not unknown.
        """
        after = _after(decision)
        with reported(), self._engine.begin() as connection:
            found = self._campaign(connection, name)
            ids = list(
                connection.scalars(
                    sa.select(submit.c.id)
                    .where(
                        submit.c.campaign_id == found.id,
                        submit.c.state == State.UNKNOWN.value,
                    )
                    .order_by(submit.c.id)
                    # Of two who decide at once, the second finds what the first has left.
                    .with_for_update(key_share=True)
                )
            )
            if submits is not None:
                chosen = list(dict.fromkeys(submits))
                if strange := sorted(set(chosen).difference(ids)):
                    raise NotInLedger(
                        f"Submission {strange[0]} of {name!r} is not unknown; these are:"
                        f" {', '.join(map(str, ids[:_SHOWN])) or 'none'}"
                        + (", …" if len(ids) > _SHOWN else "")
                    )
                ids = chosen
            self._decide(connection, ids, State.UNKNOWN, after, by, decision, batch_no)
            if decision == "resend":
                self._open(connection, found.id)
            return len(ids)

    def resolve_once(
        self,
        key: str,
        decision: Literal["resend", "accepted", "rejected"],
        *,
        by: str,
        batch_no: str | None = None,
    ) -> None:
        """Decide what became of an unknown single send; see `resolve`.

        After ``resend`` the next `Ledger.send_once` with that key sends again.

        Raises:
            NotInLedger: there is no send with that key, or it is not unknown.
        """
        after = _after(decision)
        with reported(), self._engine.begin() as connection:
            found = self._send(connection, key)
            if found is None or found.state != State.UNKNOWN.value:
                raise NotInLedger(f"There is no unknown send with the key {key!r}.")
            self._decide(connection, [found.id], State.UNKNOWN, after, by, decision, batch_no)

    def retry_once(self, key: str, *, unsafe: bool = False, by: str) -> None:
        """Let a single send that was refused be sent by the next `Ledger.send_once` with its key.

        As after a top-up.

        Args:
            key: of the send.
            unsafe: also if it may have been sent, as `retry`.
            by: who decides; it is kept in the history.

        Raises:
            NotInLedger: no send with that key was refused so, or it was purged.
        """
        with reported(), self._engine.begin() as connection:
            alone(connection, REVIVING)
            found = self._send(connection, key)
            if found is None or found.state != State.REJECTED.value:
                raise NotInLedger(f"There is no refused send with the key {key!r}.")
            if not found.safe and not unsafe:
                raise NotInLedger(
                    f"The refused send with the key {key!r} may have been sent: if it was not, or a"
                    " second copy does no harm, say that it is to be sent all the same (unsafe)."
                )
            self._decide(connection, [found.id], State.REJECTED, State.PENDING, by, "retry")

    @staticmethod
    def _send(connection: sa.Connection, key: str) -> Any:
        if not key.isprintable():  # as every key is; not every database takes others
            return None
        return connection.execute(
            sa.select(submit.c.id, submit.c.state, submit.c.safe)
            .join(recipients, recipients.c.submit_id == submit.c.id)
            .where(submit.c.key == key)
            .with_for_update(of=submit, key_share=True)
        ).one_or_none()

    def _decide(
        self,
        connection: sa.Connection,
        ids: list[int],
        before: State,
        after: State,
        by: str,
        detail: str,
        batch_no: str | None = None,
    ) -> None:
        """Change the state of submits that this transaction holds."""
        assert after in ALLOWED[before]
        if batch_no is not None and after is not State.ACCEPTED:
            raise ConfigurationError("Only what was accepted has a batch number.")
        for each in (by, batch_no):
            if each is not None and (not each.strip() or not each.isprintable()):
                raise ConfigurationError(
                    "Who decides, and a batch number, are given in characters that can be printed."
                )
        now = time.time()
        for start in range(0, len(ids), _ROWS):
            part = ids[start : start + _ROWS]
            values: dict[str, Any] = {"state": after.value, "not_before": None}
            if after is not State.PENDING:
                values["reason"] = f"decided by {by}"
            if after is State.REJECTED:
                values["safe"] = True  # somebody has made sure that it was not sent
            if batch_no is not None:
                values["batch_no"] = batch_no
            connection.execute(submit.update().where(submit.c.id.in_(part)).values(**values))
            connection.execute(
                history.insert(),
                [
                    {
                        "submit_id": each,
                        "at": now,
                        "before": before.value,
                        "after": after.value,
                        "batch_no": batch_no,
                        "detail": detail,
                        "by": by,
                    }
                    for each in part
                ],
            )

    def _open(self, connection: sa.Connection, campaign_id: int) -> None:
        connection.execute(
            campaign.update()
            .where(campaign.c.id == campaign_id, campaign.c.state == CampaignState.DONE.value)
            .values(state=CampaignState.OPEN.value)
        )

    def purge(self, *, older_than: float) -> int:
        """Remove numbers and texts of old campaigns and single sends; counts stay.

        What is pending, under way or unknown is left alone: somebody has still to decide. In an
        SQLite file the place of what is removed is overwritten; a server keeps it until its next
        vacuum, and backups keep it as long as they are kept.

        Args:
            older_than: seconds since a submit ended.

        Returns:
            How many numbers were removed.

        Raises:
            LedgerError: what was removed is still in the SQLite file, as while somebody reads it.
        """
        before = time.time() - older_than
        final = [State.ACCEPTED.value, State.REJECTED.value, State.SPLIT.value]
        with reported(), self._engine.begin() as connection:
            alone(connection, REVIVING)
            old = sa.select(submit.c.id).where(
                submit.c.state.in_(final), submit.c.ended_at < before
            )
            there = sa.select(sa.func.coalesce(sa.func.sum(submit.c.size), 0)).join(
                recipients, recipients.c.submit_id == submit.c.id
            )
            count = int(
                connection.scalar(
                    there.where(submit.c.state.in_(final), submit.c.ended_at < before)
                )
                or 0
            )
            connection.execute(recipients.delete().where(recipients.c.submit_id.in_(old)))
            bare = (
                sa.select(submit.c.content_id)
                .outerjoin(recipients, recipients.c.submit_id == submit.c.id)
                .group_by(submit.c.content_id)
                .having(sa.func.count(recipients.c.submit_id) == 0)
            )
            connection.execute(
                content.update()
                .where(content.c.id.in_(bare), content.c.message != "")
                .values(message="")
            )
            # By which a number could be guessed, once the text is known.
            connection.execute(
                submit.update()
                .where(
                    submit.c.digest.is_not(None),
                    ~sa.exists().where(recipients.c.submit_id == submit.c.id),
                )
                .values(digest=None)
            )
            busy = (
                sa.select(submit.c.campaign_id)
                .join(recipients, recipients.c.submit_id == submit.c.id)
                .where(submit.c.campaign_id.is_not(None))
            )
            done = sa.select(campaign.c.id).where(
                campaign.c.id.not_in(busy), campaign.c.created_at < before
            )
            connection.execute(refused.delete().where(refused.c.campaign_id.in_(done)))
            connection.execute(
                campaign.update()
                .where(campaign.c.id.in_(done), campaign.c.purged_at.is_(None))
                .values(purged_at=time.time(), digest="")
            )
        with reported():
            in_the_way = forget(self._engine)
        if in_the_way:
            raise LedgerError(
                f"{count} numbers were removed, and are still in the file ({in_the_way}): purge"
                " again."
            )
        return count


def _after(decision: str) -> State:
    after = {"resend": State.PENDING, "accepted": State.ACCEPTED, "rejected": State.REJECTED}
    if decision not in after:
        raise ConfigurationError(f"decision={decision!r} must be one of {', '.join(after)}.")
    return after[decision]
