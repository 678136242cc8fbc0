"""Which runners live, and what becomes of a dead one's submits."""

from __future__ import annotations

import sqlalchemy as sa

from yunxin_soap.campaign.models import State
from yunxin_soap.campaign.storage.runner_identity import Owner
from yunxin_soap.campaign.storage.schema import runner, submit
from yunxin_soap.campaign.storage.transitions import change, now_of
from yunxin_soap.errors import LedgerError

LEASE = 30.0
"""Seconds after which a runner that was not heard of counts as dead, where nothing tells more."""
_PATIENCE = 10
"""Leases for which a silent runner is waited for whose process is alive."""
_DIED = "its runner died, or was not heard of in time, with it under way: {}"


class LostLease(LedgerError):
    """Others gave this runner up, since it was not heard of in time: it must send nothing more."""


class Leases:
    """Makes runners known, and takes over from those that died.

    Args:
        engine: the ledger's.
        lease: seconds until a silent runner counts as dead.
    """

    def __init__(self, engine: sa.Engine, lease: float = LEASE) -> None:
        self._engine, self.lease = engine, lease

    def join(self, owner: Owner, campaign_id: int | None) -> int:
        """Make a runner known, and turn what dead ones left under way into unknown.

        Args:
            owner: the runner.
            campaign_id: the campaign's; None for single sends.

        Returns:
            How many submits became unknown.

        Raises:
            LedgerError: a runner is not heard of any more, and its process is alive.
        """
        with self._engine.begin() as connection:
            self.enlist(connection, owner, self.lease)
            return len(self.bury(connection, campaign_id, strict=True))

    def enlist(self, connection: sa.Connection, owner: Owner, lease: float) -> None:
        """Make a runner known, for so many seconds."""
        connection.execute(
            runner.insert().values(
                id=owner.id,
                host=owner.host,
                machine=owner.machine,
                pid=owner.pid,
                started=owner.started,
                expires_at=now_of(connection) + lease,
            )
        )

    def bury(
        self, connection: sa.Connection, campaign_id: int | None, *, strict: bool = False
    ) -> list[int]:
        """Turn what dead runners left under way into unknown; return those submits.

        Args:
            connection: in a transaction.
            campaign_id: the campaign's; None for single sends.
            strict: whether a runner that is silent, and alive, is an error.
        """
        now = now_of(connection)
        theirs = (
            submit.c.campaign_id.is_(None)
            if campaign_id is None
            else submit.c.campaign_id == campaign_id
        )
        found = connection.execute(
            sa.select(runner)
            .where(sa.exists().where(theirs, submit.c.runner_id == runner.c.id))
            .order_by(runner.c.id)
            # One that is being written is alive, or somebody takes over from it already. Whoever
            # writes a runner's submits holds the runner first.
            .with_for_update(skip_locked=True)
        ).all()
        buried: list[int] = []
        for row in found:
            owner = Owner(row.id, row.host, row.machine, row.pid, row.started)
            dead = owner.is_dead()
            # A process that lives may have ended its work without being able to write that down. A
            # single send has an end of its own; a runner may only be stopped for a while.
            patience = 0.0 if dead is None or campaign_id is None else _PATIENCE * self.lease
            silent = now - row.expires_at
            if dead or silent > patience:
                buried += self._take_over(connection, owner, now)
            elif strict and silent > 0:
                raise LedgerError(
                    f"The runner in {owner} is alive and was not heard of for"
                    f" {silent + self.lease:.0f} s: end that process, or try again in"
                    f" {patience - silent:.0f} s, when it counts as dead."
                )
        return sorted(buried)

    @staticmethod
    def _take_over(connection: sa.Connection, owner: Owner, now: float) -> list[int]:
        left = sa.select(submit.c.id).where(submit.c.runner_id == owner.id).order_by(submit.c.id)
        ids = list(connection.scalars(left.with_for_update()))
        detail = _DIED.format(owner)
        changes = [{"id": each, "after": State.UNKNOWN, "detail": detail} for each in ids]
        change(connection, changes, State.SUBMITTING, now, owner.id)
        connection.execute(runner.delete().where(runner.c.id == owner.id))
        return ids

    def leave(self, owner: Owner) -> None:
        """Forget a runner that has nothing under way."""
        with self._engine.begin() as connection:
            busy = sa.exists().where(submit.c.runner_id == owner.id)
            connection.execute(runner.delete().where(runner.c.id == owner.id, ~busy))
