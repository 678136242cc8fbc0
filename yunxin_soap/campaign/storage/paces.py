"""Limits that hold for many runners: their rates, and the slots that runners take."""

from __future__ import annotations

import contextlib
import functools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import NAME_LENGTH, Pace, State, check_rate
from yunxin_soap.campaign.pacing import LOOK_AHEAD, Limit, Slots
from yunxin_soap.campaign.storage.dialects import READ_ONLY, ledger_time
from yunxin_soap.campaign.storage.engine import as_ledger_errors, repeat_after_deadlock
from yunxin_soap.campaign.storage.schema import campaign, pace, submission
from yunxin_soap.campaign.storage.statements import CompiledStatement
from yunxin_soap.errors import ConfigurationError, NotInLedger
from yunxin_soap.sentences import Sentence


class PaceRemoved(NotInLedger):
    """A pace that something is sent by is not there any more."""


class Paces:
    """Named limits of a ledger, such as that of an account: `Ledger.pace`.

    A run or a single send that names one keeps to it together with all others that do, in whatever
    process and on whatever machine.

    Args:
        engine: the ledger's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def set(
        self, name: str, *, rate: float | None = None, numbers_rate: float | None = None
    ) -> None:
        """Create a pace, or change it: what runs by it follows within a second or so.

        Args:
            name: its name, such as ``account-37``.
            rate: submissions a second, at most. None: no limit.
            numbers_rate: numbers a second, at most. None: no limit. A submission is never split to
                fit; a large one delays the next.

        Raises:
            ConfigurationError: the name is empty or not printable, or a limit is out of range.
            LedgerError: the ledger cannot be written.
        """
        if not name.strip() or not name.isprintable() or len(name) > NAME_LENGTH:
            raise ConfigurationError(
                Sentence(
                    "The name of a pace must be printable text of {name_length} characters at "
                    "most, not {name}.",
                    name_length=NAME_LENGTH,
                    name=repr(name),
                )
            )
        check_rate("rate", rate)
        check_rate("numbers_rate", numbers_rate)
        with as_ledger_errors():
            self._keep({"name": name}, rate, numbers_rate)

    def remove(self, name: str) -> None:
        """Remove a pace. A run by hand that names it ends with an error.

        Args:
            name: its name.

        Raises:
            NotInLedger: there is no such pace, or a started campaign or a queued send names it.
            LedgerError: the ledger cannot be written.
        """
        with as_ledger_errors(), self._engine.begin() as connection:
            named = pace.c.name == name
            if (
                not name.isprintable()
                or not connection.execute(pace.delete().where(named)).rowcount
            ):
                raise NotInLedger(
                    Sentence(
                        "There is no pace {name} in this ledger: check the name and the ledger.",
                        name=repr(name),
                    )
                )
            if user := _user_of(connection, name):
                raise NotInLedger(
                    Sentence(
                        "The pace {name} is that of {user}. Nothing was changed.",
                        name=repr(name),
                        user=user,
                    )
                )

    def list(self) -> tuple[Pace, ...]:
        """Return the paces, in the order of their names."""
        named = sa.select(pace).where(pace.c.name.is_not(None)).order_by(pace.c.name)
        with as_ledger_errors(), self._reading() as connection:
            rows = connection.execute(named).all()
        return tuple(Pace(row.name, row.rate, row.numbers_rate) for row in rows)

    def of_run(
        self,
        campaign_id: int,
        *,
        rate: float | None,
        numbers_rate: float | None,
        name: str | None,
    ) -> Sequence[int]:
        """Return the ids of the paces that a run keeps to, in ascending order.

        Args:
            campaign_id: the campaign. It has a pace of its own, for all of its runs with a limit;
                the limits of the run that began last hold.
            rate: submissions a second.
            numbers_rate: numbers a second.
            name: the pace that the run names.

        Raises:
            ConfigurationError: there is none of that name.
        """
        ids = []
        with as_ledger_errors():
            if name is not None:
                with self._reading() as connection:
                    ids.append(pace_id(connection, name))
            if rate is not None or numbers_rate is not None:
                ids.append(self._keep({"campaign_id": campaign_id}, rate, numbers_rate))
        return sorted(ids)

    def check(self, name: str | None) -> None:
        """Check that there is a pace, if one is named.

        Raises:
            ConfigurationError: there is none of that name.
        """
        if name is not None:
            with as_ledger_errors(), self._reading() as connection:
                pace_id(connection, name)

    @repeat_after_deadlock
    def _keep(self, key: dict[str, Any], rate: float | None, numbers_rate: float | None) -> int:
        """Create or change a pace, and return its id."""
        ((column, value),) = key.items()
        find = sa.select(pace).where(pace.c[column] == value)
        with self._reading() as connection:
            found = connection.execute(find).one_or_none()
        if found is None:
            try:
                with self._engine.begin() as connection:
                    row = {**key, "rate": rate, "numbers_rate": numbers_rate}
                    connection.execute(
                        pace.insert().values(**row, next_at=0.0, numbers_next_at=0.0)
                    )
            except sa.exc.IntegrityError:  # somebody else has created it, or the campaign is gone
                pass
            with self._reading() as connection:
                found = connection.execute(find).one_or_none()
            if found is None:
                raise NotInLedger("The campaign, or the pace, was deleted a moment ago.")
        if (found.rate, found.numbers_rate) != (rate, numbers_rate):
            with self._engine.begin() as connection:
                _change(connection, found.id, rate, numbers_rate)
        return int(found.id)

    def _reading(self) -> sa.Connection:
        return self._engine.connect().execution_options(**{READ_ONLY: True})


def _change(
    connection: sa.Connection, changed_id: int, rate: float | None, numbers_rate: float | None
) -> None:
    own = pace.c.id == changed_id
    found = connection.execute(sa.select(pace).where(own).with_for_update()).one_or_none()
    if found is None:
        raise NotInLedger("The pace was removed a moment ago.")
    now = ledger_time(connection)
    values: dict[str, Any] = {"rate": rate, "numbers_rate": numbers_rate}
    for column, old, new, counts_numbers in (
        ("next_at", found.rate, rate, False),
        ("numbers_next_at", found.numbers_rate, numbers_rate, True),
    ):
        if old is not None and new is not None:
            limit = Limit(old, getattr(found, column), counts_numbers)
            limit.change_rate(new, now)
            values[column] = limit.next_at
    connection.execute(pace.update().where(own).values(**values))


def _user_of(connection: sa.Connection, name: str) -> str:
    """Return what keeps to a pace, and is not sent yet: a started campaign, or a queued send."""
    started = sa.select(campaign.c.name, campaign.c.run_options)
    for row in connection.execute(started.where(campaign.c.run_options.is_not(None))):
        with contextlib.suppress(ValueError, AttributeError):
            if json.loads(row.run_options).get("pace") == name:
                return f"the campaign {row.name!r}: stop it, or start it without"
    queued = sa.select(submission.c.key).where(
        submission.c.campaign_id.is_(None),
        submission.c.state == State.PENDING.value,
        submission.c.pace == name,
    )
    key = connection.scalar(queued.limit(1))
    return "" if key is None else f"the queued send {key!r}"


def pace_id(connection: sa.Connection, name: str) -> int:
    """Return the id of a pace.

    Raises:
        ConfigurationError: there is none of that name.
    """
    found = None
    if name.isprintable():  # as every name is; some databases reject other text
        found = connection.scalar(sa.select(pace.c.id).where(pace.c.name == name))
    if found is None:
        raise ConfigurationError(
            Sentence(
                "There is no pace {name} in this ledger:"
                ' ledger.pace.set(…) or "pace set" creates it.',
                name=repr(name),
            )
        )
    return int(found)


def full_paces(connection: sa.Connection, now: float) -> Sequence[str]:
    """Return the names of the paces that have no slot now."""
    until = now + LOOK_AHEAD
    is_full = sa.or_(
        sa.and_(pace.c.rate.is_not(None), pace.c.next_at > until),
        sa.and_(pace.c.numbers_rate.is_not(None), pace.c.numbers_next_at > until),
    )
    return connection.scalars(sa.select(pace.c.name).where(pace.c.name.is_not(None), is_full)).all()


class Offer:
    """The slots that a transaction may take. It locks the paces until it ends.

    Args:
        connection: in the transaction that claims what is to be sent.
        pace_ids: the paces, in ascending order; two at most.
        clock: returns the ledger's time. It is called once the lock is there.

    Raises:
        PaceRemoved: there is one of them no more.
    """

    def __init__(
        self, connection: sa.Connection, pace_ids: Sequence[int], clock: Callable[[], float]
    ) -> None:
        self._connection = connection
        lock, self._update = _statements(connection.dialect, len(pace_ids))
        values = {f"id_{at}": each for at, each in enumerate(pace_ids)}
        self._rows = lock.execute(connection, values).all()
        if len(self._rows) < len(pace_ids):
            raise PaceRemoved("The pace of this run was removed, so that nothing more is sent.")
        self._now = clock()
        self._limits = [_limits_of(row) for row in self._rows]
        every = [each for limits in self._limits for each in limits.values()]
        self._slots = Slots(every, self._now) if every else None
        self.counts_numbers = any(each.counts_numbers for each in every)
        """Whether the size of each submission matters."""

    def room(self) -> float:
        """Return for how many submissions there are slots, if each has one number."""
        return math.inf if self._slots is None else self._slots.room()

    def fit(self, sizes: Sequence[int]) -> int:
        """Return for how many of some submissions there are slots, from the first one on."""
        return len(sizes) if self._slots is None else self._slots.fit(sizes)

    def take(self, sizes: Sequence[int]) -> list[float]:
        """Take the slots of submissions.

        Returns:
            When each is to be sent, by the ledger's clock.
        """
        if self._slots is None:
            return [self._now] * len(sizes)
        taken = self._slots.take(sizes)
        changes = [
            {
                "own_id": row.id,
                **{
                    f"new_{column}": limits[column].next_at if column in limits else before
                    for column, before in (
                        ("next_at", row.next_at),
                        ("numbers_next_at", row.numbers_next_at),
                    )
                },
            }
            for row, limits in zip(self._rows, self._limits, strict=True)
        ]
        self._update.execute(self._connection, changes)
        return taken

    def look_at(self) -> float:
        """Return when to look for slots again, by the ledger's clock."""
        return self._now if self._slots is None else self._slots.look_at()

    def awaited(self) -> str:
        """Return what lets the next submission wait, for people to read."""
        latest = max(
            (each.next_at, row.name or "")
            for row, limits in zip(self._rows, self._limits, strict=True)
            for each in limits.values()
        )
        return f"the pace {latest[1]}" if latest[1] else "its rate limit"


def _limits_of(row: Any) -> dict[str, Limit]:
    """Return the limits of a pace, by the columns of their first free slots."""
    limits = {}
    if row.rate is not None:
        limits["next_at"] = Limit(row.rate, row.next_at)
    if row.numbers_rate is not None:
        limits["numbers_next_at"] = Limit(
            row.numbers_rate, row.numbers_next_at, counts_numbers=True
        )
    return limits


@functools.lru_cache(maxsize=16)
def _statements(dialect: sa.Dialect, count: int) -> tuple[CompiledStatement, CompiledStatement]:
    """Return what locks and reads so many paces, and what changes one."""
    ids = [sa.bindparam(f"id_{at}", type_=sa.BigInteger()) for at in range(count)]
    lock = sa.select(pace).where(sa.or_(*[pace.c.id == each for each in ids]))
    update = (
        pace.update()
        .where(pace.c.id == sa.bindparam("own_id", type_=sa.BigInteger()))
        .values(
            {
                name: sa.bindparam(f"new_{name}", type_=sa.Double())
                for name in ("next_at", "numbers_next_at")
            }
        )
    )
    return (
        CompiledStatement(lock.order_by(pace.c.id).with_for_update(), dialect),
        CompiledStatement(update, dialect),
    )
