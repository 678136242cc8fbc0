"""The runners of a ledger: which are alive, and how to reclaim the submissions of stalled ones.

A runner holds a lease on the submissions that it has claimed, and renews it by heartbeats. A
runner whose process is dead, or whose lease has run out, is *stalled*: its submissions become
unknown.
"""

from __future__ import annotations

import functools
import logging
import os
import socket
import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import sqlalchemy as sa

from yunxin_soap.campaign.models import ActiveRunner, State
from yunxin_soap.campaign.storage.column_types import damaged
from yunxin_soap.campaign.storage.dialects import (
    READ_ONLY,
    WritingCTEs,
    dialect_of,
    is_local,
    ledger_time,
)
from yunxin_soap.campaign.storage.engine import repeat_after_deadlock
from yunxin_soap.campaign.storage.schema import campaign, runner, submission
from yunxin_soap.campaign.storage.statements import CompiledStatement
from yunxin_soap.campaign.storage.transitions import reclaim
from yunxin_soap.clock import lease_clock
from yunxin_soap.errors import LedgerError, NotInLedger
from yunxin_soap.redact import truncate_printable

HEARTBEAT_TIMEOUT = 30.0
"""Seconds without a heartbeat after which a runner counts as stalled."""
_LEASES_WHILE_ALIVE = 10
"""Lease periods granted to a silent runner whose process is still alive."""
_START_TOLERANCE = 1.0
"""Seconds by which two readings of one process's start may differ."""
_HOST_LENGTH = 255
"""Characters of a host's name that are kept; no name in the DNS has more."""
_FORGOTTEN_AFTER = 86400.0
"""Seconds from the end of its lease until an idle runner is removed that may still be alive."""
RECLAIMED = "its runner died or stopped sending heartbeats while it was in flight"
"""Why a submission is unknown; the runner follows, after a colon."""

_log = logging.getLogger("yunxin_soap.campaign")
_active: set[str] = set()
"""The ids of this process's runners that have not ended."""


class RunnerReclaimed(LedgerError):
    """Another runner reclaimed this one's submissions, so this one must send nothing more."""


@dataclass(frozen=True)
class RunnerIdentity:
    """Identifies one runner, and the process that it is in."""

    id: str
    """Unique, and readable in the history: ``host/pid/random``."""
    host: str
    pid_namespace: str
    """The boot and the set of processes in which `pid` means something; empty if not known."""
    pid: int
    process_started: float | None
    """When its process started, comparable within that namespace only; None if not known."""

    @classmethod
    def new(cls) -> RunnerIdentity:
        """Return a new runner of this process. It counts as alive until `end`."""
        # A database takes no lone surrogates, which stand for bytes that are no UTF-8.
        host, pid = truncate_printable(socket.gethostname(), _HOST_LENGTH), os.getpid()
        unique = f"{host}/{pid}/{uuid.uuid4().hex[:12]}"
        new = cls(unique, host, _pid_namespace(), pid, _process_started(pid))
        _active.add(new.id)
        return new

    @classmethod
    def of(cls, row: sa.Row[Any]) -> RunnerIdentity:
        """Return the runner of a row of the table."""
        return cls(row.id, row.host, row.pid_namespace, row.pid, row.process_started)

    def lease_time(self, connection: sa.Connection, now: float) -> float:
        """Return the time by the clock that its lease is measured by, in seconds.

        It is the ledger's clock, or the boot clock of this machine for a file: nobody can set that.
        After a restart, that clock begins at 0, and an old lease would look as if it lasted long.
        So it is used only if a restart can be told, as by the boot's id on Linux. In a container
        that hides it, a lease is measured by the machine's clock, and a step of that may give a
        live runner up: then its results come late, and are kept in the history.

        Args:
            connection: the ledger.
            now: the ledger's time.
        """
        return lease_clock() if self.pid_namespace and is_local(connection) else now

    def end(self) -> None:
        """Let others reclaim what this runner may have left in flight."""
        _active.discard(self.id)

    def is_dead(self, *, on_this_machine: bool = False) -> bool | None:
        """Return whether it has ended for sure; None if that cannot be decided from here.

        Args:
            on_this_machine: whether it is known to have run on this machine, as with a ledger in
                a file: there it did not survive a restart.
        """
        here = _pid_namespace()
        # Elsewhere than on Linux, all processes of a machine are in one set, and its names, as of
        # its network devices, may change while a process lives.
        is_in_one_set = on_this_machine and not psutil.LINUX
        if not is_in_one_set and (not self.pid_namespace or self.pid_namespace != here):
            restarted = self.pid_namespace.partition("/")[0] != here.partition("/")[0]
            both_known = bool(self.pid_namespace and here)
            return True if on_this_machine and both_known and restarted else None
        try:
            started = _process_started(self.pid)
        except ProcessLookupError:
            return True
        if started is None or self.process_started is None:
            return None
        if abs(started - self.process_started) > _START_TOLERANCE:
            return True  # the pid belongs to another process now
        return self.id not in _active if self.pid == os.getpid() else False

    def __str__(self) -> str:
        """Name the process and its host."""
        return f"process {self.pid} on {self.host}"


class _Seen(NamedTuple):
    """What can be seen of a runner."""

    identity: RunnerIdentity
    is_dead: bool | None
    """Whether its process has ended for sure; None if that cannot be decided from here."""
    stalled_at: float
    """When it counts as stalled if it sends no heartbeat before, by the ledger's time."""
    is_stalled: bool
    """Whether it is dead, or that time has passed."""


class Heartbeat(NamedTuple):
    """What a runner learns when it sends a heartbeat."""

    now: float
    """The ledger's time."""
    now_monotonic: float
    """This process's monotonic clock at that time."""
    is_registered: bool
    """Whether the runner still has its submissions; else another one has reclaimed them."""


def _pid_namespace() -> str:
    # A container on the same machine has the same boot id, and other processes under the same pids.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - not a path
    except OSError:
        # Only Linux has namespaces. Elsewhere the start time of a process distinguishes boots.
        return "" if psutil.LINUX else f"{uuid.getnode():x}/{socket.gethostname()}"


def _process_started(pid: int) -> float | None:
    """Return when a process started, in seconds; None if this user may not see it.

    Raises:
        ProcessLookupError: there is no such process, or it is a zombie.
    """
    boot = _boot_time()
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            raise ProcessLookupError(pid)
        return None if boot is None else process.create_time() - boot
    except psutil.ZombieProcess:
        raise ProcessLookupError(pid) from None
    except psutil.NoSuchProcess:
        # Under ``hidepid`` another user's process looks as if it did not exist.
        _check_hidden(pid)
        return None
    except (psutil.Error, FileNotFoundError):  # the latter: psutil 5 finds no boot time
        return None


def _boot_time() -> float | None:
    """Return what psutil adds to the start of a process; None if this user may not see it.

    Linux counts from its boot. psutil adds the boot time, which moves whenever the machine's clock
    is set. Before 7.1, it adds the boot time that was read last: so read it before the process.
    """
    if not psutil.LINUX:
        return 0.0
    try:
        return psutil.boot_time()
    except (OSError, RuntimeError):
        return None


def _check_hidden(pid: int) -> None:
    """Check that a process exists, although its details are hidden.

    Raises:
        ProcessLookupError: there is no such process.
    """
    if os.name == "nt":  # there os.kill would end the process
        raise ProcessLookupError(pid)
    try:
        os.kill(pid, 0)
    except PermissionError:
        return


class Runners:
    """Registers runners, and reclaims the submissions of stalled ones.

    Args:
        engine: the ledger's database.
        heartbeat_timeout: seconds without a heartbeat after which a runner counts as stalled.
    """

    def __init__(self, engine: sa.Engine, heartbeat_timeout: float = HEARTBEAT_TIMEOUT) -> None:
        self._engine, self.heartbeat_timeout = engine, heartbeat_timeout

    @repeat_after_deadlock
    def register(self, identity: RunnerIdentity, campaign_id: int | None) -> int:
        """Register a runner, and reclaim what stalled ones left in flight.

        Args:
            identity: the runner.
            campaign_id: its campaign; None for single sends.

        Returns:
            The count of submissions that became unknown.

        Raises:
            NotInLedger: the campaign was deleted.
        """
        try:
            with self._engine.begin() as connection:
                _remove_idle(connection)
                self.add(connection, identity, campaign_id, self.heartbeat_timeout)
                return len(self.reclaim_stalled(connection, campaign_id))
        except sa.exc.IntegrityError:
            raise NotInLedger("The campaign was deleted a moment ago.") from None

    @repeat_after_deadlock
    def join(self, identity: RunnerIdentity, campaign_id: int, run_options: str) -> bool:
        """Register a runner, unless enough runners of its campaign are alive.

        Args:
            identity: the runner.
            campaign_id: its campaign.
            run_options: the options that the runner has read.

        Returns:
            Whether it is registered. If it is not, enough runners are alive, or the campaign was
            stopped or started again with other options.

        Raises:
            NotInLedger: the campaign was deleted.
        """
        with self._engine.begin() as connection:
            # Those that join at once do so one after the other, and each sees the one before.
            found = connection.execute(
                sa.select(campaign.c.run_options, campaign.c.workers)
                .where(campaign.c.id == campaign_id)
                .with_for_update(key_share=True)
            ).one_or_none()
            if found is None:
                raise NotInLedger("The campaign was deleted a moment ago.")
            if found.run_options != run_options:
                return False
            if self.count_alive(connection, [campaign_id])[campaign_id] >= found.workers:
                return False
            self.add(connection, identity, campaign_id, self.heartbeat_timeout)
            return True

    @repeat_after_deadlock
    def tidy(self, campaign_id: int) -> None:
        """Reclaim what stalled runners of a campaign left in flight, and remove idle ones."""
        with self._engine.begin() as connection:
            _remove_idle(connection)
            self.reclaim_stalled(connection, campaign_id)

    def count_alive(
        self, connection: sa.Connection, campaign_ids: Collection[int]
    ) -> dict[int, int]:
        """Return how many runners of each campaign are not stalled."""
        counts = dict.fromkeys(campaign_ids, 0)
        registered = sa.select(runner).where(
            runner.c.campaign_id.in_(campaign_ids), runner.c.reclaimed_at.is_(None)
        )
        rows, now = connection.execute(registered).all(), ledger_time(connection)
        for row in rows:
            counts[row.campaign_id] += not self._look_at(connection, row, now).is_stalled
        return counts

    def sweep(self) -> tuple[int, set[int]]:
        """Reclaim the stalled runners of all campaigns and single sends, each by a transaction.

        Returns:
            The count of submissions that became unknown, and the ids of their campaigns.
        """
        registered = sa.select(runner).where(runner.c.reclaimed_at.is_(None))
        with self._engine.connect().execution_options(**{READ_ONLY: True}) as connection:
            rows = connection.execute(registered.order_by(runner.c.id)).all()
            now = ledger_time(connection)
            stalled = [row for row in rows if self._look_at(connection, row, now).is_stalled]
        count, campaign_ids = 0, set[int]()
        for row in stalled:
            if reclaimed := self._reclaim_if_stalled(row.id):
                count += reclaimed
                campaign_ids.update([] if row.campaign_id is None else [row.campaign_id])
        return count, campaign_ids

    @repeat_after_deadlock
    def _reclaim_if_stalled(self, runner_id: str) -> int:
        """Reclaim a runner unless it is alive after all, or somebody else reclaims it."""
        with self._engine.begin() as connection:
            row = connection.execute(
                sa.select(runner)
                .where(runner.c.id == runner_id, runner.c.reclaimed_at.is_(None))
                .with_for_update(skip_locked=True)
            ).one_or_none()
            now = ledger_time(connection)
            if row is None or not (seen := self._look_at(connection, row, now)).is_stalled:
                return 0
            return len(self._reclaim(connection, seen.identity, now, is_dead=bool(seen.is_dead)))

    def add(
        self,
        connection: sa.Connection,
        identity: RunnerIdentity,
        campaign_id: int | None,
        lease: float,
    ) -> float:
        """Register a runner in an open transaction, with a first lease of so many seconds.

        Returns:
            The ledger's time.
        """
        dialect_of(connection).make_reserve(self._engine)
        now = ledger_time(connection)
        connection.execute(
            runner.insert().values(
                **asdict(identity),
                campaign_id=campaign_id,
                started_at=now,
                expires_at=identity.lease_time(connection, now) + lease,
            )
        )
        return now

    def beat(self, connection: sa.Connection, identity: RunnerIdentity) -> Heartbeat:
        """Send a heartbeat, and lock the runner until the transaction ends."""
        ctes = dialect_of(connection).writing_ctes
        statement = _heartbeat(connection.dialect, ctes)
        values = {"new_lease": self.heartbeat_timeout, "runner": identity.id}
        # The clocks are read before a lock is waited for.
        now_monotonic = time.monotonic()
        if ctes is not None:
            row = statement.execute(connection, values).first()
            now = ledger_time(connection) if row is None else row[0]
            return Heartbeat(now, now_monotonic, row is not None)
        now = ledger_time(connection)
        values["new_start"] = identity.lease_time(connection, now)
        return Heartbeat(now, now_monotonic, statement.execute(connection, values).rowcount > 0)

    def reclaim_stalled(self, connection: sa.Connection, campaign_id: int | None) -> list[int]:
        """Make unknown what stalled runners left in flight, and reclaim these runners.

        The row of one that may still be alive stays, marked as reclaimed: it may still send.

        Args:
            connection: in a transaction that writes.
            campaign_id: the campaign; None for single sends.

        Returns:
            The ids of the submissions that became unknown.
        """
        now = ledger_time(connection)
        scope = (
            submission.c.campaign_id.is_(None)
            if campaign_id is None
            else submission.c.campaign_id == campaign_id
        )
        known = sa.exists().where(runner.c.id == submission.c.runner_id)
        orphans = sa.select(submission.c.id).where(
            scope, submission.c.state == State.SUBMITTING.value, ~known
        )
        # Nobody would ever reclaim it, and everybody would wait for it.
        if (orphan := connection.scalar(orphans.limit(1))) is not None:
            raise damaged(
                f"the submission {orphan} is submitting, and its runner_id is of no yunxin_runner"
            )
        found = connection.execute(
            sa.select(runner)
            .where(sa.exists().where(scope, submission.c.runner_id == runner.c.id))
            .order_by(runner.c.id)
            # A runner whose row is locked is sending a heartbeat, or is being reclaimed already:
            # every writer of a runner's submissions locks the runner first.
            .with_for_update(skip_locked=True)
        ).all()
        reclaimed: list[int] = []
        for row in found:
            seen = self._look_at(connection, row, now)
            if seen.is_stalled:
                reclaimed += self._reclaim(
                    connection, seen.identity, now, is_dead=bool(seen.is_dead)
                )
        return sorted(reclaimed)

    def _look_at(self, connection: sa.Connection, row: sa.Row[Any], now: float) -> _Seen:
        """Return what can be seen of a runner from here.

        A live process may have ended its work on a campaign without being able to record that, or
        may only be suspended for a while. A single send ends by its own timeout.
        """
        identity = RunnerIdentity.of(row)
        dead = identity.is_dead(on_this_machine=is_local(connection))
        is_patient = dead is False and row.campaign_id is not None
        patience = _LEASES_WHILE_ALIVE * self.heartbeat_timeout if is_patient else 0.0
        ahead = now - identity.lease_time(connection, now)
        stalled_at = row.expires_at + ahead + patience
        return _Seen(identity, dead, stalled_at, bool(dead) or stalled_at < now)

    def active(
        self,
        connection: sa.Connection,
        campaign_ids: Collection[int],
        *,
        but: RunnerIdentity | None = None,
    ) -> Iterator[tuple[sa.Row[Any], ActiveRunner]]:
        """Yield the rows and the values of the runners of campaigns, the oldest first.

        It waits for no lock: a runner that is in the middle of a transaction is among them. One
        that was reclaimed, or that is known to be dead, is not.

        Args:
            connection: reads.
            campaign_ids: the campaigns.
            but: a runner to leave out.
        """
        for row, each, is_dead in self.registered(connection, campaign_ids):
            if not is_dead and (but is None or row.id != but.id):
                yield row, each

    def registered(
        self, connection: sa.Connection, campaign_ids: Collection[int]
    ) -> Iterator[tuple[sa.Row[Any], ActiveRunner, bool]]:
        """Yield what `active` yields and whether it is known to be dead, also of dead runners."""
        held = (
            sa.select(submission.c.runner_id, sa.func.count().label("count"))
            .where(
                submission.c.campaign_id.in_(campaign_ids),
                submission.c.state == State.SUBMITTING.value,
            )
            .group_by(submission.c.runner_id)
            .subquery()
        )
        found = connection.execute(
            sa.select(runner, sa.func.coalesce(held.c.count, 0).label("in_flight"))
            .outerjoin(held, held.c.runner_id == runner.c.id)
            .where(runner.c.campaign_id.in_(campaign_ids), runner.c.reclaimed_at.is_(None))
            .order_by(runner.c.started_at, runner.c.id)
        ).all()
        if not found:
            return
        now = ledger_time(connection)
        for row in found:
            seen = self._look_at(connection, row, now)
            yield (
                row,
                ActiveRunner(
                    host=row.host,
                    pid=row.pid,
                    started_at=datetime.fromtimestamp(row.started_at, timezone.utc),
                    in_flight=row.in_flight,
                    counts_as_stalled_at=datetime.fromtimestamp(seen.stalled_at, timezone.utc),
                    is_stalled=seen.stalled_at < now,
                    reason=row.wait_reason or "",
                    until=(
                        None
                        if row.wait_until is None
                        else datetime.fromtimestamp(row.wait_until, timezone.utc)
                    ),
                ),
                bool(seen.is_dead),
            )

    def note_wait(self, identity: RunnerIdentity, reason: str, until: datetime | None) -> None:
        """Let others read what a runner waits for.

        Args:
            identity: the runner.
            reason: why it waits; empty if it does not.
            until: when that ends.
        """
        values = {
            "wait_reason": reason or None,
            "wait_until": None if until is None else until.timestamp(),
        }
        with self._engine.begin() as connection:
            connection.execute(runner.update().where(runner.c.id == identity.id).values(**values))

    @staticmethod
    def _reclaim(
        connection: sa.Connection, identity: RunnerIdentity, now: float, *, is_dead: bool
    ) -> list[int]:
        held = (
            sa.select(submission.c.id)
            .where(submission.c.runner_id == identity.id)
            .order_by(submission.c.id)
        )
        ids = list(connection.scalars(held.with_for_update()))
        if not ids and not is_dead:  # it may only be suspended, and has nothing to lose
            return ids
        if ids:
            _log.warning(
                "The runner %s died or is stalled: %d submissions that it had in flight are"
                " unknown, from %d to %d.",
                identity.id,
                len(ids),
                ids[0],
                ids[-1],
                extra={"outcome": State.UNKNOWN.value},
            )
        detail = f"{RECLAIMED}: {identity}"
        reclaim(connection, ids, State.UNKNOWN, detail, now=now, by=identity.id)
        if is_dead:
            connection.execute(runner.delete().where(runner.c.id == identity.id))
        else:
            Runners.keep(connection, identity, now)
        return ids

    @staticmethod
    def keep(connection: sa.Connection, identity: RunnerIdentity, now: float) -> None:
        """Mark a runner as reclaimed: it may still send, so its row stays until it has ended."""
        own = runner.c.id == identity.id
        connection.execute(runner.update().where(own).values(reclaimed_at=now))

    @repeat_after_deadlock
    def unregister(self, identity: RunnerIdentity, *, may_still_send: bool = False) -> None:
        """Remove a runner that has nothing in flight; else it stays, to be reclaimed.

        Args:
            identity: the runner.
            may_still_send: whether a thread that cannot be cancelled may still send what it has
                recorded as unknown. Then its row stays, too, until its process has ended.
        """
        with self._engine.begin() as connection:
            busy = sa.exists().where(submission.c.runner_id == identity.id)
            idle = sa.and_(runner.c.id == identity.id, ~busy)
            if may_still_send:
                now = ledger_time(connection)
                connection.execute(runner.update().where(idle).values(reclaimed_at=now))
            else:
                connection.execute(runner.delete().where(idle))


@functools.lru_cache(maxsize=16)
def _heartbeat(dialect: sa.Dialect, ctes: WritingCTEs | None) -> CompiledStatement:
    """Return what moves the end of a lease, and where it can, returns the ledger's time."""
    start = sa.bindparam("new_start", type_=sa.Double()) if ctes is None else ctes.now
    update = (
        runner.update()
        .where(runner.c.id == sa.bindparam("runner"), runner.c.reclaimed_at.is_(None))
        .values(expires_at=start + sa.bindparam("new_lease", type_=sa.Double()))
    )
    return CompiledStatement(update if ctes is None else update.returning(ctes.now), dialect)


def _remove_idle(connection: sa.Connection) -> None:
    """Remove the runners of ended processes that held nothing, so that nobody reclaims them.

    One that cannot be looked at from here, as of another host, is removed a day after its lease
    has run out. If it is alive after all, it ends as one that was reclaimed: it has sent nothing.
    """
    now, on_this_machine = ledger_time(connection), is_local(connection)
    is_idle = ~sa.exists().where(submission.c.runner_id == runner.c.id)
    idle = sa.select(runner).where(runner.c.reclaimed_at.is_(None), is_idle)
    for row in connection.execute(idle.order_by(runner.c.id)).all():
        identity = RunnerIdentity.of(row)
        dead = identity.is_dead(on_this_machine=on_this_machine)
        long_ago = identity.lease_time(connection, now) - _FORGOTTEN_AFTER
        if dead or (dead is None and row.expires_at < long_ago):
            # Unless it has claimed something, or sent a heartbeat, meanwhile.
            is_same = sa.and_(runner.c.id == row.id, runner.c.expires_at == row.expires_at)
            connection.execute(runner.delete().where(is_same, is_idle))


def remove_ended_runners(connection: sa.Connection) -> dict[str, RunnerIdentity]:
    """Remove the reclaimed runners that have ended; return those that may be alive, by their ids.

    Call it before you lock submissions, as all who lock a runner do.
    """
    found = connection.execute(sa.select(runner).where(runner.c.reclaimed_at.is_not(None))).all()
    runners = {row.id: RunnerIdentity.of(row) for row in found}
    on_this_machine = is_local(connection)
    ended = [each.id for each in runners.values() if each.is_dead(on_this_machine=on_this_machine)]
    if ended:
        connection.execute(runner.delete().where(runner.c.id.in_(ended)))
    return {key: each for key, each in runners.items() if key not in ended}
