"""Turns a list of numbers and a text into submits, in a file of its own until all is known.

The list is read once, in batches. Numbers wait in a private SQLite file that vanishes with the
process, so that memory does not grow with the list, and the ledger is written in one transaction.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress, groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypedDict

from yunxin_soap import message as rules
from yunxin_soap.campaign.lists.rows import Batch, Source
from yunxin_soap.campaign.template import Template
from yunxin_soap.errors import ConfigurationError, InvalidRequest
from yunxin_soap.message import (
    DEFAULT_MAX_RECIPIENTS,
    MAINLAND_MOBILE,
    MAINLAND_MOBILES,
    segments,
)

if TYPE_CHECKING:
    from typing_extensions import Required

_CACHE = 64 << 10
"""KiB of the private file that are kept in memory at most."""
_READ = 20_000
_SHOWN = 200
"""Characters kept of a line that is refused."""
TORN = "a quote runs over this line, and over others that look like rows: close it where it ends"
DUPLICATE = "a duplicate: this number is in the campaign already"


@dataclass(frozen=True)
class SkippedLine:
    """A line of the source of which no submit was made."""

    line: int
    value: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """What a campaign will be, or is."""

    name: str
    digest: str
    """The same for the same numbers, texts, channel and extension, in whatever order."""
    numbers: int
    submits: int
    texts: int
    segments: int
    """An estimate of what will be billed: 70 characters alone, 67 in each of several parts."""
    refused: int
    """How many lines no submit was made of."""
    existing: bool = False
    """Whether it was in the ledger already, so that nothing was written."""


class PlanOptions(TypedDict, total=False):
    """What a plan is told beside its name, list and text; see `Planner`."""

    channel: Required[str | int]
    extension: str | int
    signature: str | None
    max_recipients: int
    recipient_pattern: str | re.Pattern[str]
    strict: bool


class _Scratch(sqlite3.Connection):
    """A file of the planner's own, whose errors are told from those of a source in SQLite."""

    def execute(self, *args: Any) -> sqlite3.Cursor:
        with _kept():
            return super().execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        with _kept():
            return super().executemany(*args)


@contextmanager
def _kept() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ConfigurationError(
            f"The list cannot be kept while it is read ({error}): is the disk of temporary files"
            " full?"
        ) from None


class Planner:
    """Reads a source, and holds what it makes of it until it is closed.

    Args:
        message: the text; ``{name}`` in it is filled from the column of that name.
        channel: the channel number.
        extension: the extension number.
        signature: appended to a text that has none.
        max_recipients: numbers in a submit, at most.
        recipient_pattern: what a normalised number must match.
        strict: whether a line that is refused is an error.

    Raises:
        InvalidRequest: the text, the channel or another argument breaks a rule.
    """

    def __init__(
        self,
        message: str,
        *,
        channel: str | int = "",
        extension: str | int = "",
        signature: str | None = None,
        max_recipients: int = DEFAULT_MAX_RECIPIENTS,
        recipient_pattern: str | re.Pattern[str] = MAINLAND_MOBILE,
        strict: bool = False,
    ) -> None:
        self.channel = rules.normalise_channel(channel)
        self.extension = rules.normalise_extension(extension)
        if not 1 <= max_recipients <= rules.MAX_RECIPIENTS:
            raise InvalidRequest(
                f"max_recipients={max_recipients!r} must be from 1 to {rules.MAX_RECIPIENTS}."
            )
        self._signature = None if signature is None else rules.normalise_signature(signature)
        self._template = Template(message)
        self._own_end = "" if self._signature is None else f"【{self._signature}】"
        """What each text is to end in, where it is a row that says how it ends."""
        if not self._template.columns or rules.rstrip_invisible(self._template.end).endswith("】"):
            self._own_end = ""
        self._limit, self._strict = max_recipients, strict
        self._pattern = re.compile(recipient_pattern)
        self._mainland = self._pattern.pattern == MAINLAND_MOBILE.pattern
        self._message = None if self._template.columns else self._text({})
        self._batch = 0
        self._refused = 0
        self._digest = ""
        self._waiting: list[str] = []
        """Numbers of which no submit was made yet."""
        # "" is a file that nobody else sees, and that ends with the connection.
        self._db = sqlite3.connect(
            "", isolation_level=None, check_same_thread=False, factory=_Scratch
        )
        self._db.execute(f"PRAGMA cache_size = -{_CACHE}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        # A mainland number is its own key: nothing is smaller, and nothing faster.
        kind = "n INTEGER PRIMARY KEY" if self._mainland else "n TEXT PRIMARY KEY"
        self._db.execute(f"CREATE TABLE seen ({kind}, batch INTEGER)")
        # What is only written and read in order needs no memory: a file with a small cache.
        self._db.execute("ATTACH '' AS rest")
        self._db.execute("CREATE TABLE rest.row (message TEXT, n TEXT)")
        self._db.execute("CREATE TABLE rest.submit (message TEXT, numbers TEXT, size INTEGER)")
        self._db.execute("CREATE TABLE rest.refused (line INTEGER, value TEXT, reason TEXT)")
        self._db.execute("BEGIN")

    def read(self, source: Source, on_progress: Callable[[int], None] = lambda _rows: None) -> None:
        """Read all of a source.

        Args:
            source: where the numbers come from.
            on_progress: called now and then with the rows read so far.

        Raises:
            ConfigurationError: it cannot be read; or a line is refused, and the plan is strict.
        """
        rows = 0
        try:
            for batch in source.batches(rows=self._message is None):
                for line, text in batch.torn:
                    self._refuse(line, text, TORN)
                if rows == 0 and batch.values:
                    self._check_columns(batch)
                self._take(batch)
                rows += len(batch.values)
                on_progress(rows)
        except OSError as error:
            why = error.strerror or error
            raise ConfigurationError(f"The list cannot be read ({why}).") from error
        self._finish()

    def close(self) -> None:
        """Let go of everything."""
        self._db.close()

    def plan(self, name: str) -> Plan:
        """Return what was read, counted."""
        (numbers,) = self._db.execute("SELECT count(*) FROM seen").fetchone()
        (submits,) = self._db.execute("SELECT count(*) FROM submit").fetchone()
        texts = parts = 0
        for message, size in self._db.execute(
            "SELECT message, sum(size) FROM submit GROUP BY message"
        ):
            texts += 1
            parts += size * segments(message)
        return Plan(name, self._digest, numbers, submits, texts, parts, self._refused)

    def submits(self) -> Iterator[tuple[str, str, int]]:
        """Give each submit's text, its numbers joined by commas, and how many they are."""
        yield from self._db.execute("SELECT message, numbers, size FROM submit ORDER BY rowid")

    def refused(self) -> Iterator[SkippedLine]:
        """Give the lines of which no submit was made, in their order."""
        for row in self._db.execute("SELECT line, value, reason FROM refused ORDER BY line, rowid"):
            yield SkippedLine(*row)

    def _check_columns(self, batch: Batch) -> None:
        """Refuse a text that asks for a column that no row has."""
        for name in self._template.columns:
            if not any(name in row for row in batch.rows or ()):
                known = ", ".join(batch.rows[0]) if batch.rows else "without names"
                raise ConfigurationError(
                    f"The text asks for {{{name}}}, and the list has no such column, or several:"
                    f" those with a name of their own are {known}."
                )

    def _take(self, batch: Batch) -> None:
        numbers, lines, texts = self._checked(batch)
        fresh = self._fresh(numbers, lines)
        if fresh is not None:
            numbers = list(compress(numbers, fresh))
            texts = None if texts is None else list(compress(texts, fresh))
        if texts is not None:
            self._db.executemany("INSERT INTO row VALUES (?, ?)", zip(texts, numbers, strict=True))
        else:
            assert self._message is not None
            self._waiting += numbers
            self._put(self._message, whole=False)

    def _checked(self, batch: Batch) -> tuple[list[str], Sequence[int], list[str] | None]:
        """Return the numbers of a batch, the line of each, and its text if each has its own."""
        values, lines = batch.values, batch.lines
        if self._message is not None and self._mainland:
            joined = ",".join(values)
            # What is normal already, as nearly all is, is recognised at once.
            if joined.count(",") == len(values) - 1 and MAINLAND_MOBILES.fullmatch(joined):
                return values, lines, None
        numbers: list[str] = []
        places: list[int] = []
        texts: list[str] = []
        for at, (line, value) in enumerate(zip(lines, values, strict=True)):
            try:
                found = self._numbers(value)
                text = self._message or self._text(batch.rows[at] if batch.rows else {})
            except InvalidRequest as error:
                self._refuse(line, value, _reason(error))
                continue
            numbers += found
            places += [line] * len(found)
            texts += [text] * len(found)
        return numbers, places, None if self._message is not None else texts

    def _numbers(self, value: str) -> tuple[str, ...]:
        if self._mainland and self._pattern.fullmatch(value):
            return (value,)
        return rules.normalise_recipients(
            value,
            pattern=MAINLAND_MOBILE if self._mainland else self._pattern,
            limit=len(value),
        )

    def _text(self, row: Mapping[str, str]) -> str:
        text = self._template.fill(row)
        if self._own_end and not rules.rstrip_invisible(text).endswith(self._own_end):
            text += self._own_end
        return rules.normalise_message(text, self._signature)

    def _fresh(self, numbers: list[str], lines: Sequence[int]) -> list[bool] | None:
        """Say which numbers are in the campaign for the first time; None if all are."""
        self._batch += 1
        # In order, so that they go into few pages of the tree.
        keys = sorted(numbers)
        array = f"[{','.join(keys)}]" if self._mainland else json.dumps(keys)
        inserted = self._db.execute(
            "INSERT OR IGNORE INTO seen SELECT value, ? FROM json_each(?)", (self._batch, array)
        ).rowcount
        if inserted == len(numbers):
            return None
        own = {
            str(key)
            for (key,) in self._db.execute(
                "SELECT n FROM seen JOIN json_each(?) ON n = value WHERE batch = ?",
                (array, self._batch),
            )
        }
        fresh = []
        for number, line in zip(numbers, lines, strict=True):
            fresh.append(number in own)
            own.discard(number)
            if not fresh[-1]:
                self._refuse(line, number, DUPLICATE)
        return fresh

    def _refuse(self, line: int, value: str, reason: str) -> None:
        if self._strict:
            raise ConfigurationError(f"Line {line} of the list is refused: {reason}")
        self._refused += 1
        # Neither half of a surrogate pair nor NUL can be kept by every database.
        shown = value[:_SHOWN].encode("utf-8", "backslashreplace").decode().replace("\0", r"\x00")
        row = (line, shown, reason)
        self._db.execute("INSERT INTO refused VALUES (?, ?, ?)", row)

    def _put(self, message: str, *, whole: bool) -> None:
        """Make submits of the numbers that wait; of the last few only if that is all."""
        waiting, limit = self._waiting, self._limit
        end = len(waiting) if whole else len(waiting) - len(waiting) % limit
        parts = (waiting[start : start + limit] for start in range(0, end, limit))
        self._db.executemany(
            "INSERT INTO submit VALUES (?, ?, ?)",
            ((message, ",".join(part), len(part)) for part in parts),
        )
        del waiting[:end]

    def _finish(self) -> None:
        digest = hashlib.sha256(json.dumps([self.channel, self.extension]).encode())
        if self._message is not None:
            self._put(self._message, whole=True)
            self._hash(digest, self._message, self._sorted())
        else:
            rows = self._db.execute("SELECT message, n FROM row ORDER BY message, n")
            for message, group in groupby(rows, key=itemgetter(0)):
                numbers = map(itemgetter(1), group)
                self._hash(digest, message, self._grouped(message, numbers))
                self._put(message, whole=True)
        self._digest = digest.hexdigest()

    def _grouped(self, message: str, numbers: Iterator[str]) -> Iterator[str]:
        """Make submits of one text's numbers, and pass them on."""
        while part := list(islice(numbers, _READ)):
            self._waiting += part
            self._put(message, whole=False)
            yield ",".join(part)

    def _sorted(self) -> Iterator[str]:
        last: Any = 0 if self._mainland else ""
        while True:
            joined, last = self._db.execute(
                "SELECT group_concat(n), max(n) FROM"
                " (SELECT n FROM seen WHERE n > ? ORDER BY n LIMIT ?)",
                (last, _READ),
            ).fetchone()
            if joined is None:
                return
            yield joined

    @staticmethod
    def _hash(digest: Any, message: str, numbers: Iterator[str]) -> None:
        digest.update(f"\0{message}\0".encode())
        for part in numbers:
            digest.update(f"{part},".encode())


def _reason(error: InvalidRequest) -> str:
    # Its place in the list is said by the line.
    return re.sub(r"\ARecipient [0-9]+(, .*?, | )", "the number ", str(error), flags=re.DOTALL)
