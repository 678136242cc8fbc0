"""The do-not-send list: numbers that nothing of this ledger is sent to.

A plan leaves them out. A claim leaves out those that were added since the plan: it sees in its own
statement whether the list has grown.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import compress
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.lists import Source
from yunxin_soap.campaign.lists.rows import as_source
from yunxin_soap.campaign.models import SkippedLine, SuppressedNumber, suppressed_reason
from yunxin_soap.campaign.planning import skip_reason, unreadable
from yunxin_soap.campaign.storage.column_types import damaged
from yunxin_soap.campaign.storage.dialects import (
    READ_ONLY,
    bulk_insert,
    dialect_of,
    ledger_time,
    read_consistently,
)
from yunxin_soap.campaign.storage.engine import as_ledger_errors, repeat_after_deadlock
from yunxin_soap.campaign.storage.schema import runner, suppression, suppression_state
from yunxin_soap.campaign.storage.statements import CompiledStatement
from yunxin_soap.errors import (
    ConfigurationError,
    InvalidRequest,
    RecipientsSuppressed,
    invalid_request,
)
from yunxin_soap.message import MAINLAND_MOBILE, MAINLAND_MOBILES, normalise_for_ledger
from yunxin_soap.redact import quote, summarise_numbers
from yunxin_soap.sentences import Sentence

_KEY_BYTES, _HASH_BYTES = 32, 16
_BATCH = 20_000
"""Numbers that one transaction adds, or one statement looks up, at most."""
_MAX_HELD = 1_000_000
"""Entries that a plan holds in memory, at most: some 100 MiB of them, or 130 MiB of hashes."""
_ROWS = 500
"""Rows fetched together."""
_GIVEN, _KNOWN, _LAST = "given_values", "known_generation", "last_value"
"""The names of the parameters of statements."""
_INTERNATIONAL = re.compile(r"\A(?:\+|00)?([1-9][0-9]*)\Z")
"""A number with a country code."""
_COLUMNS = ("value", "is_hash", "reason", "at", "by")
_NEXT = (
    sa.select(sa.type_coerce(suppression.c.value, sa.Text()).label("value"))
    .where(suppression.c.value > sa.bindparam(_LAST))
    .order_by(suppression.c.value)
    .limit(_BATCH)
    .subquery()
)
# One text for many rows: to fetch each of them takes longer than all else.
_NEXT_VALUES = sa.select(
    sa.func.aggregate_strings(_NEXT.c.value, ","),
    sa.func.count(),
    sa.func.max(_NEXT.c.value),
)


@dataclass(frozen=True)
class ListState:
    """What a transaction has read about the do-not-send list."""

    generation: int
    """Grows with each addition; 0 if nothing was ever on the list."""
    hash_key: bytes | None
    """The key of the hashes; None if there are none."""

    def values(self, entries: Sequence[str]) -> dict[str, str]:
        """Return the entry of each value under which the list may have one of these entries."""
        found = dict(zip(entries, entries, strict=True))
        if self.hash_key is not None:
            found |= zip(self.hashes(entries), entries, strict=True)
        return found

    def hashes(self, entries: Sequence[str]) -> list[str]:
        """Return the hash of each entry; there is a key."""
        assert self.hash_key is not None
        # A keyed BLAKE2 takes a third of the time of an HMAC, and a copy half of that of a new one:
        # a plan hashes all its numbers.
        new = hashlib.blake2b(key=self.hash_key, digest_size=_HASH_BYTES, usedforsecurity=True).copy
        found = []
        for entry in entries:
            keyed = new()
            keyed.update(entry.encode())
            found.append(keyed.hexdigest())
        return found

    def binds(self, numbers: Sequence[str]) -> dict[str, Any]:
        """Return the parameters of `none_is_suppressed`."""
        return {_GIVEN: json.dumps(list(self.values(_entries(numbers)))), _KNOWN: self.generation}


NO_LIST = ListState(0, None)
"""The state of a list that never had a number."""


def _entries(numbers: Sequence[str]) -> Sequence[str]:
    """Return the entry of the list for each number: one for all notations of a number.

    A foreign number may have its country code after a plus, after two zeros, or bare. What looks
    like a mainland number is one if it is bare.
    """
    if MAINLAND_MOBILES.fullmatch(",".join(numbers)):
        return numbers
    return [
        number if MAINLAND_MOBILE.fullmatch(number) else _INTERNATIONAL.sub(r"+\1", number)
        for number in numbers
    ]


def list_state(connection: sa.Connection) -> ListState:
    """Return the state of the list."""
    return _state(connection, sa.select(suppression_state))


def lock_list(connection: sa.Connection, *, shared: bool = False) -> ListState:
    """Return the state of the list, and let nobody add to it until the transaction ends.

    Args:
        connection: in a transaction.
        shared: whether others may lock it so at the same time.
    """
    return _state(connection, sa.select(suppression_state).with_for_update(read=shared))


def _state(connection: sa.Connection, query: sa.Select[Any]) -> ListState:
    rows = connection.execute(query).all()
    if len(rows) != 1:
        raise damaged("yunxin_suppression_state has not one row")
    generation, key = rows[0]
    try:
        return ListState(generation, None if key is None else bytes.fromhex(key))
    except ValueError:
        raise damaged("yunxin_suppression_state.hash_key is no key") from None


def reasons(
    connection: sa.Connection, numbers: Sequence[str], state: ListState | None = None
) -> dict[str, str]:
    """Return those of some numbers that are on the list, with the reason of each.

    Args:
        connection: reads them.
        numbers: the numbers, normalised.
        state: of the list, if the transaction has read it.
    """
    state = list_state(connection) if state is None else state
    if state.generation == 0:
        return {}
    entries = _entries(numbers)
    values = state.values(entries)
    found = {values[row.value]: row.reason for row in _look_up(connection, list(values))}
    if not found:
        return {}
    of_numbers = zip(numbers, entries, strict=True)
    return {number: found[entry] for number, entry in of_numbers if entry in found}


def _look_up(connection: sa.Connection, values: Sequence[str]) -> list[sa.Row[Any]]:
    """Return the rows of those of some values that the list has."""
    statement = _look_up_statement(connection.dialect)
    found: list[sa.Row[Any]] = []
    for start in range(0, len(values), _BATCH):
        part = json.dumps(values[start : start + _BATCH])
        found += statement.execute(connection, {_GIVEN: part})
    if not all(isinstance(row.reason, str) for row in found):
        raise damaged("yunxin_suppression.reason is a BLOB")
    return found


def refuse_suppressed(
    connection: sa.Connection, recipients: Sequence[str], state: ListState
) -> None:
    """Check that none of the recipients of a single send is on the list.

    Args:
        connection: reads the list.
        recipients: the numbers, normalised.
        state: of the list, as this transaction has read it.

    Raises:
        RecipientsSuppressed: a number is on the list.
    """
    if found := reasons(connection, recipients, state):
        number, reason = next(iter(found.items()))
        more = len(found) - 1
        verb, noun = ("is", "recipient") if more == 1 else ("are", "recipients")
        others = f" So {verb} {more} other {noun}." if more else ""
        raise RecipientsSuppressed(
            Sentence(
                "The recipient {number} is {reason}.{others} Nothing was sent: leave out what "
                "is on the list.",
                number=summarise_numbers(number),
                reason=suppressed_reason(reason),
                others=others,
            ),
            safe_to_resend=True,
        )


def none_is_suppressed(dialect: sa.Dialect) -> sa.ColumnElement[bool]:
    """Return the condition that the list is as it was read, and has none of some numbers.

    The statement binds what `ListState.binds` returns.
    """
    is_same = suppression_state.c.generation == sa.bindparam(_KNOWN, type_=sa.BigInteger())
    on_list = sa.exists(_select_given(dialect))
    return sa.and_(sa.select(is_same).scalar_subquery(), ~on_list)


@functools.lru_cache(maxsize=16)
def _look_up_statement(dialect: sa.Dialect) -> CompiledStatement:
    return CompiledStatement(_select_given(dialect), dialect)


def _select_given(dialect: sa.Dialect) -> sa.Select[Any]:
    """Return the query for the entries of the given values."""
    given = dialect_of(dialect).texts_of_json(sa.bindparam(_GIVEN, type_=sa.Text()))
    return sa.select(*(suppression.c[name] for name in _COLUMNS)).join(
        given, suppression.c.value == given.c.value
    )


@functools.lru_cache(maxsize=16)
def _delete_statement(dialect: sa.Dialect) -> CompiledStatement:
    given = dialect_of(dialect).texts_of_json(sa.bindparam(_GIVEN, type_=sa.Text()))
    chosen = suppression.c.value.in_(sa.select(given.c.value))
    return CompiledStatement(suppression.delete().where(chosen), dialect)


def _delete(connection: sa.Connection, values: Sequence[str]) -> int:
    """Remove some values from the list; return how many it had."""
    statement = _delete_statement(connection.dialect)
    parts = (json.dumps(values[at : at + _BATCH]) for at in range(0, len(values), _BATCH))
    return sum(statement.execute(connection, {_GIVEN: part}).rowcount for part in parts)


class Suppression:
    """The do-not-send list: `Ledger.suppression`.

    Nothing is sent to its numbers: a plan skips them, a run leaves out those that were added after
    the plan, and `once.send` refuses them. The list belongs to the ledger, is for all of its
    campaigns, and stays when these are purged or deleted.

    Args:
        engine: the ledger's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(
        self,
        numbers: Source | str | int | Iterable[Any],
        *,
        by: str,
        reason: str = "",
        hashed: bool = False,
        recipient_pattern: str | re.Pattern[str] = MAINLAND_MOBILE,
        on_skipped: Callable[[SkippedLine], None] | None = None,
    ) -> int:
        """Put numbers on the do-not-send list.

        Once it returns, no submission that is claimed later contains one of them. What is in flight
        at that moment may still be sent. Safe to repeat, as after a crash: what is on the list
        stays as it is.

        Args:
            numbers: numbers, rows with a column of numbers, or a `Csv`, `Text` or `Rows`.
            by: the person who decides; the list keeps the name.
            reason: why, for those who read a skipped line or a history.
            hashed: whether to keep only a keyed hash of each number, also of one that is on the
                list already; its reason stays. The key is in the ledger: whoever reads only the
                list learns no number; whoever has the whole ledger can try all numbers that there
                are.
            recipient_pattern: the pattern that a normalised number must match. Default: mainland
                mobile numbers.
            on_skipped: called with each line that has no valid number. Default: such a line is an
                error, and nothing is added. It always is if no line has one.

        Returns:
            The count of numbers that were not on the list before.

        Raises:
            InvalidRequest: a line has no valid number, and there is no ``on_skipped``; or lines
                have something else, and none has a number.
            ConfigurationError: the source cannot be read, or ``by`` or ``reason`` is not printable
                text.
            LedgerError: the ledger cannot be written.
        """
        if not by.strip() or not by.isprintable():
            raise ConfigurationError(Sentence("by={by} must be printable text.", by=repr(by)))
        if not reason.isprintable():
            raise ConfigurationError(
                Sentence("reason={reason} must be printable text.", reason=repr(reason))
            )
        parts = _read(as_source(numbers), re.compile(recipient_pattern), on_skipped)
        with as_ledger_errors():
            count = sum(self._add(part.split(","), reason.strip(), by, hashed) for part in parts)
            self._wait_for_claims()
        return count

    def remove(
        self,
        numbers: Source | str | int | Iterable[Any],
        *,
        recipient_pattern: str | re.Pattern[str] = MAINLAND_MOBILE,
    ) -> int:
        """Take numbers off the do-not-send list, so that later plans contain them again.

        What a campaign has left out stays left out.

        Args:
            numbers: numbers, rows with a column of numbers, or a `Csv`, `Text` or `Rows`.
            recipient_pattern: the pattern that a normalised number must match. Default: mainland
                mobile numbers.

        Returns:
            The count of numbers that were on the list.

        Raises:
            InvalidRequest: a line has no valid number; nothing was removed.
            ConfigurationError: the source cannot be read.
            LedgerError: the ledger cannot be written.
        """
        parts = _read(as_source(numbers), re.compile(recipient_pattern), None)
        with as_ledger_errors():
            return sum(self._remove(part.split(",")) for part in parts)

    def entries(self) -> Iterator[SuppressedNumber]:
        """Yield what is on the do-not-send list, the oldest first."""
        query = sa.select(suppression).order_by(suppression.c.at, suppression.c.value)
        with _streaming(self._engine, query, _ROWS) as rows:
            for row in rows:
                yield SuppressedNumber(
                    number=None if row.is_hash else row.value,
                    reason=row.reason,
                    by=row.by,
                    added_at=datetime.fromtimestamp(row.at, timezone.utc),
                )

    def for_plan(self) -> PlanSuppressions:
        """Return the list as a plan uses it, which begins now; one query."""
        with _reading(self._engine) as connection:
            return PlanSuppressions(self._engine, list_state(connection))

    @repeat_after_deadlock
    def _add(self, numbers: Sequence[str], reason: str, by: str, hashed: bool) -> int:
        """Add different numbers; return how many were not on the list."""
        with self._engine.begin() as connection:
            state = lock_list(connection)
            key = state.hash_key
            if hashed and key is None:
                key = secrets.token_bytes(_KEY_BYTES)
            found = ListState(state.generation, key).values(numbers)
            on_list = _look_up(connection, list(found))
            known = {found[row.value] for row in on_list}
            value_of = {number: value for value, number in found.items()} if hashed else {}
            now = ledger_time(connection)
            rows = [
                (value_of.get(each, each), hashed, reason, now, by)
                for each in numbers
                if each not in known
            ]
            listed = {row.value for row in on_list}
            plain = [row for row in on_list if hashed and not row.is_hash]
            if plain:
                # Who asked, when and why stays.
                _delete(connection, [row.value for row in plain])
                rows += [
                    (value_of[row.value], True, row.reason, row.at, row.by)
                    for row in plain
                    if value_of[row.value] not in listed
                ]
            if rows:
                bulk_insert(connection, suppression, _COLUMNS, rows)
                text = None if key is None else key.hex()
                connection.execute(
                    suppression_state.update().values(
                        generation=suppression_state.c.generation + 1, hash_key=text
                    )
                )
            return len(numbers) - len(known)

    @repeat_after_deadlock
    def _wait_for_claims(self) -> None:
        """Wait until every exchange has ended that may have claimed before the list had grown.

        An exchange locks the row of its runner first, and every later one sees the list as it is.
        """
        with self._engine.begin() as connection:
            connection.execute(sa.select(runner.c.id).order_by(runner.c.id).with_for_update())

    @repeat_after_deadlock
    def _remove(self, numbers: Sequence[str]) -> int:
        with self._engine.begin() as connection:
            values = lock_list(connection).values(numbers)
            return _delete(connection, list(values))


class PlanSuppressions:
    """The do-not-send list for one plan.

    Args:
        engine: the ledger's database.
        state: of the list when the plan began.
    """

    def __init__(self, engine: sa.Engine, state: ListState) -> None:
        self._engine, self._state = engine, state
        self._is_first = True
        self._listed: set[str] | None = None
        """All numbers on the list, and all hashes; None if it is too long, or not needed yet."""
        self._has_hashes = False
        """Whether there are hashes, once these are there."""
        self._is_long = False
        """Whether the list was found to be too long to be held."""

    @property
    def generation(self) -> int:
        """What of the list the plan has seen, at least."""
        return self._state.generation

    def reasons(self, numbers: Sequence[str]) -> Mapping[str, str]:
        """Return those of some numbers that are on the list, with the reason of each.

        The first call is a query, so that a short plan costs no more, however long the list is. The
        second one reads the list, unless it is very long, so that few numbers are left to look up.
        What is added to it meanwhile may be missed: claims see that it has grown.
        """
        if self._is_first:
            self._is_first = False
        elif self._listed is not None or self._load():
            assert self._listed is not None
            entries = _entries(numbers)
            is_listed = map(self._listed.__contains__, entries)
            found = [*compress(numbers, is_listed)]
            if self._has_hashes:
                is_listed = map(self._listed.__contains__, self._state.hashes(entries))
                found += compress(numbers, is_listed)
            numbers = found
        if not numbers:
            return {}
        with _reading(self._engine) as connection:
            return reasons(connection, numbers, self._state)

    def _load(self) -> bool:
        """Read the list, unless it is very long; return whether it was read."""
        if self._is_long:
            return False
        with _reading(self._engine) as connection:
            read_consistently(connection)
            if self._state.hash_key is not None:
                is_hash = sa.select(suppression.c.value).where(suppression.c.is_hash).limit(1)
                self._has_hashes = connection.scalar(is_hash) is not None
            listed: set[str] = set()
            last: str | None = ""
            while last is not None:
                joined, size, last = connection.execute(_NEXT_VALUES, {_LAST: last}).one()
                values = joined.split(",") if size else []
                if len(values) != size:
                    raise damaged("yunxin_suppression.value has a comma")
                listed.update(values)
                if len(listed) > _MAX_HELD:
                    self._is_long = True
                    return False
        self._listed = listed
        return True

    def refuse(self, numbers: Sequence[str]) -> None:
        """Check that none of some numbers is on the list.

        Raises:
            RecipientsSuppressed: a number is on the list.
        """
        with _reading(self._engine) as connection:
            refuse_suppressed(connection, numbers, list_state(connection))


@contextlib.contextmanager
def _reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    with (
        as_ledger_errors(),
        engine.connect().execution_options(**{READ_ONLY: True}) as connection,
    ):
        yield connection


@contextlib.contextmanager
def _streaming(
    engine: sa.Engine, query: sa.Select[Any], size: int
) -> Iterator[sa.CursorResult[Any]]:
    """Give the rows of a query, of which so many are fetched together."""
    with _reading(engine) as connection:
        read_consistently(connection)
        # A server-side cursor must be closed, also if the rows are not read to their end.
        rows = connection.execution_options(yield_per=size).execute(query)
        with contextlib.closing(rows):
            yield rows


def _read(
    source: Source,
    pattern: re.Pattern[str],
    on_skipped: Callable[[SkippedLine], None] | None,
) -> list[str]:
    """Read a source to its end; return its numbers, some different ones at a time, with commas."""
    first: SkippedLine | None = None

    def skip(line: int, value: str, reason: str) -> None:
        nonlocal first
        if on_skipped is None:
            raise invalid_request(
                Sentence(
                    "Line {line}, {value}, has no valid number: {reason} Nothing was changed.",
                    line=line,
                    value=quote(value),
                    reason=reason,
                )
            )
        skipped = SkippedLine(line, value, reason)
        first = first or skipped
        on_skipped(skipped)

    parts = list(_normalise(source, pattern, skip))
    # A list that was read by the wrong column must not seem to be done.
    if first is not None and not parts:
        raise invalid_request(
            Sentence(
                "No line has a valid number: check the column. The first one is line {line}, "
                "{first}: {reason} Nothing was changed.",
                line=first.line,
                first=quote(first.value),
                reason=first.reason,
            )
        )
    return parts


def _normalise(
    source: Source, pattern: re.Pattern[str], skip: Callable[[int, str, str], None]
) -> Iterator[str]:
    try:
        for batch in source.batches(columns=False):
            for each in batch.skipped:
                skip(each.line, each.value, each.reason)
            numbers: dict[str, None] = {}
            for line, value in zip(batch.lines, batch.values, strict=True):
                try:
                    found = normalise_for_ledger(value, pattern=pattern, limit=len(value))
                except InvalidRequest as error:  # noqa: PERF203 - each line by itself
                    skip(line, value, skip_reason(error))
                else:
                    numbers |= dict.fromkeys(_entries(found))
            if numbers:
                yield ",".join(numbers)
    except OSError as error:
        raise unreadable(error) from error
