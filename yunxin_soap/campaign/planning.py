"""Turns a list of numbers and a message into submissions.

The list is read once, in batches. Until all of it is read, the numbers are in a private SQLite
file that the operating system removes with the process. So memory use does not grow with the list,
and the ledger is written in one transaction.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import compress, groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypedDict

from yunxin_soap import message as rules
from yunxin_soap.campaign.lists import Batch, Source
from yunxin_soap.campaign.lists.rows import as_source
from yunxin_soap.campaign.models import (
    NAME_LENGTH,
    Plan,
    Preview,
    Sample,
    SkipKind,
    SkippedLine,
    suppressed_reason,
)
from yunxin_soap.campaign.samples import Samples
from yunxin_soap.campaign.template import Template
from yunxin_soap.errors import ConfigurationError, InvalidRequest
from yunxin_soap.marketing import check_opt_out, describe_marketing
from yunxin_soap.message import (
    DEFAULT_MAX_RECIPIENTS,
    MAINLAND_MOBILE,
    MAINLAND_MOBILES,
)
from yunxin_soap.redact import quote
from yunxin_soap.sentences import Sentence, from_json, text_of, to_json

if TYPE_CHECKING:
    from typing_extensions import Required, Unpack

_CACHE_KIB = 64 << 10
"""KiB of the scratch file that are kept in memory, at most."""
_READ_ROWS = 20_000
"""Numbers read from the scratch file at once."""
_NEXT_NUMBERS = (
    "SELECT group_concat(n), max(n) FROM (SELECT n FROM seen WHERE n > ? ORDER BY n LIMIT ?)"
)
_FILLED_SIGNATURE = re.compile(r"【[^【】]*\{[^【】]*】\s*\Z")
_MAX_VALUE = 200
"""Characters kept of a skipped line's value."""
_MAX_NOTES = 10
"""Notes about the texts, about that many; each of a million texts may have its own."""
DUPLICATE_REASON = Sentence("a duplicate: this number is in the campaign already")


class PlanOptions(TypedDict, total=False):
    """The options of a plan beside its name, list and message."""

    channel: Required[str | int]
    """The channel number, such as 37."""
    extension: str | int
    """The extension number (the vendor's ``ExeNo``). Default: none."""
    signature: str | None
    """Appended to a message that has none. Default: none, so the message needs its own."""
    max_recipients: int
    """Numbers in a submission, at most; from 1 to 1000. Default: 500."""
    max_segments: int
    """Segments of a text, at most; from 1 to 255. Default: 10."""
    recipient_pattern: str | re.Pattern[str]
    """The pattern that a normalised number must match. Default: mainland mobile numbers. Whatever
    it allows, a number has only digits, with at most a + before them."""
    strict: bool
    """Whether a line that would be skipped is an error, but for the do-not-send list. Default:
    False."""
    marketing: bool
    """Whether the campaign is marketing: every text must say how to refuse further ones, and a run
    must keep to the hours from 08:00 to 21:00 in China's time. Default: False."""
    dash_is_empty: bool
    """Whether a lone ``-`` in a column that the message uses counts as empty. Default: False."""


class Suppressions(Protocol):
    """The do-not-send list, as a plan uses it."""

    def reasons(self, numbers: Sequence[str]) -> Mapping[str, str]:
        """Return those of some numbers that are on the list, with the reason of each."""


class PlannedSubmission(NamedTuple):
    """A submission that the ledger does not have yet."""

    message: str
    numbers: str
    """Joined by commas."""
    size: int
    """How many numbers there are."""


class Planner:
    """Reads a source and groups its numbers into submissions. Close it after use.

    Args:
        message: the message. ``{name}`` in it is replaced by the row's column of that name.
        channel: the channel number.
        extension: the extension number (the vendor's ``ExeNo``).
        signature: appended to a message that has none.
        max_recipients: numbers in a submission, at most; from 1 to 1000.
        max_segments: segments of a text, at most; from 1 to 255.
        recipient_pattern: the pattern that a normalised number must match.
        strict: whether a line that would be skipped is an error; a number on the do-not-send list
            is none.
        dash_is_empty: whether a lone ``-`` in a column that the message uses counts as empty.
        marketing: whether every text must say how to refuse further ones.
        suppressions: the do-not-send list; None if nothing is on it.

    Raises:
        InvalidRequest: the message, the channel or another argument is invalid.
    """

    def __init__(
        self,
        message: str,
        *,
        suppressions: Suppressions | None = None,
        channel: str | int = "",
        extension: str | int = "",
        signature: str | None = None,
        max_recipients: int = DEFAULT_MAX_RECIPIENTS,
        max_segments: int = rules.DEFAULT_MAX_SEGMENTS,
        recipient_pattern: str | re.Pattern[str] = MAINLAND_MOBILE,
        strict: bool = False,
        dash_is_empty: bool = False,
        marketing: bool = False,
    ) -> None:
        self.channel = rules.normalise_channel(channel)
        self.extension = rules.normalise_extension(extension)
        rules.check_limits(max_recipients, max_segments)
        self._max_segments = max_segments
        self.marketing = marketing
        self._notes: dict[str, None] = {}
        """What `Plan.notes` has, in order."""
        self._signature = None if signature is None else rules.normalise_signature(signature)
        self._template = Template(message, dash_is_empty=dash_is_empty)
        self._template.check_notation()
        if not marketing and (note := describe_marketing(message)):
            self._notes[note] = None
        self._required_end = "" if self._signature is None else f"【{self._signature}】"
        """The end that each text must have, if a column could bring another signature."""
        if not self._template.columns or rules.rstrip_invisible(self._template.end).endswith("】"):
            self._required_end = ""
        if self._signature is not None and (own := _FILLED_SIGNATURE.search(self._template.text)):
            self._notes[
                Sentence(
                    "The message ends in {own}, whose columns make the signature: the signature"
                    " 【{signature}】 is not appended.",
                    own=quote(own[0]),
                    signature=self._signature,
                )
            ] = None
        text = self._template.text
        has_bracket = rules.rstrip_invisible(text).endswith("】")
        if self._required_end or (has_bracket and not rules.ends_in_signature(text)):
            rules.check_unsigned(text, self._signature)
        self._max_recipients, self._strict = max_recipients, strict
        self._pattern = re.compile(recipient_pattern)
        self._mainland = self._pattern.pattern == MAINLAND_MOBILE.pattern
        self._message = None if self._template.columns else self._fill({})
        """The message of all submissions; None if it depends on the row."""
        self._suppressions = suppressions
        self._batch = 0
        self._skipped = dict.fromkeys(SkipKind, 0)
        self._digest = ""
        self._source_notes: tuple[str, ...] = ()
        self._samples = Samples()
        self._ungrouped: list[str] = []
        """Numbers that are in no submission yet."""
        # The name "" makes a file that no other process sees and that ends with the connection.
        self._db = sqlite3.connect(
            "", isolation_level=None, check_same_thread=False, factory=_ScratchConnection
        )
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        # A mainland number is an integer, so it can be the row's key: the smallest and fastest.
        kind = "n INTEGER PRIMARY KEY" if self._mainland else "n TEXT PRIMARY KEY"
        # The batch is 0 for a number on the do-not-send list. It belongs to the digest, so that
        # a plan stays the same when that list grows.
        self._db.execute(f"CREATE TABLE seen ({kind}, batch INTEGER)")
        # The other tables are written and read in order: a second file with a small cache will do.
        self._db.execute("ATTACH '' AS rest")
        self._db.execute("CREATE TABLE rest.row (message TEXT, n TEXT, is_kept INTEGER)")
        self._db.execute("CREATE TABLE rest.submission (message TEXT, numbers TEXT, size INTEGER)")
        self._db.execute("CREATE TABLE rest.skipped (line INTEGER, value TEXT, reason TEXT)")
        self._db.execute("BEGIN")

    def read(self, source: Source, on_progress: Callable[[int], None] = lambda _rows: None) -> None:
        """Read a source to its end.

        Args:
            source: where the numbers come from.
            on_progress: called after each batch with the number of rows read so far.

        Raises:
            ConfigurationError: the source cannot be read; or a line is invalid, and the planner is
                strict.
        """
        rows = 0
        needs_columns = self._message is None or self._template.may_have_foreign_placeholders
        try:
            for batch in source.batches(columns=needs_columns):
                for each in batch.skipped:
                    self._skip(each.line, each.value, each.reason, SkipKind.UNREADABLE)
                if rows == 0 and batch.values:
                    self._check_columns(batch)
                self._add(batch)
                rows += len(batch.values)
                on_progress(rows)
        except OSError as error:
            raise unreadable(error) from error
        self._source_notes = tuple(source.notes)
        self._finish()

    def close(self) -> None:
        """Remove the scratch file."""
        self._db.close()

    def plan(self, name: str) -> Plan:
        """Return the counts and the digest of the list."""
        submissions, texts, numbers = self._db.execute(
            "SELECT count(*), count(DISTINCT message), coalesce(sum(size), 0) FROM submission"
        ).fetchone()
        by_segments = self._samples.numbers_by_segments.items()
        return Plan(
            name=name,
            digest=self._digest,
            numbers=numbers,
            submissions=submissions,
            texts=texts,
            segments=sum(segments * count for segments, count in by_segments),
            skipped=sum(self._skipped.values()),
            skipped_by={kind: count for kind, count in self._skipped.items() if count},
            notes=tuple(self._notes),
            source_notes=self._source_notes,
        )

    def preview(self, plan: Plan) -> Preview:
        """Return a plan with the texts that a person should see."""
        return Preview(
            plan=plan,
            channel=self.channel,
            extension=self.extension,
            samples=self._samples.chosen(),
            numbers_by_segments=dict(sorted(self._samples.numbers_by_segments.items())),
        )

    def submissions(self) -> Iterator[PlannedSubmission]:
        """Yield the submissions. Those with the same message are neighbours.

        Those of the list's first text are the first ones, so that it is sent first, as a preview
        says.
        """
        query = "SELECT message, numbers, size FROM submission WHERE message {} ? ORDER BY rowid"
        for comparison in ("=", "<>"):
            rows = self._db.execute(query.format(comparison), (self._samples.first,))
            yield from map(PlannedSubmission._make, rows)

    def skipped_lines(self) -> Iterator[SkippedLine]:
        """Yield the skipped lines in the order of the list."""
        for row in self._db.execute("SELECT line, value, reason FROM skipped ORDER BY line, rowid"):
            line, value, reason = row
            yield SkippedLine(line, value, from_json(reason))

    def _check_columns(self, batch: Batch) -> None:
        """Raise an error if the message names a column that no row has, or in a wrong notation."""
        usable = tuple(batch.rows[0]) if batch.rows else ()
        for name in self._template.columns:
            if any(name in row for row in batch.rows or ()):
                continue
            before = re.split("[:：]", name)[0].strip()
            if before in usable:
                raise ConfigurationError(
                    Sentence(
                        "The message uses {{{name}}}: a format after the colon is for "
                        "dates only, as "
                        "in {{{before}:%m月%d日}}. Write {{{before}}}.",
                        name=name,
                        before=before,
                    )
                )
            raise ConfigurationError(
                Sentence(
                    "The message uses {{{name}}}, but the list does not have exactly one column "
                    "{name2}. Usable columns: {usable}. Fix the message or the heading.",
                    name=name,
                    name2=repr(name),
                    usable=", ".join(usable) or "none",
                )
            )
        self._template.check_notation(usable)

    def _add(self, batch: Batch) -> None:
        numbers, lines, texts = self._without_suppressed(*self._parse(batch))
        is_new = self._deduplicate(numbers, lines)
        if is_new is not None:
            numbers, lines, texts = _chosen(is_new, numbers, lines, texts)
        if numbers:
            self._look_at(batch, numbers, lines, texts)
        if texts is not None:
            rows = zip(texts, numbers, strict=True)
            self._db.executemany("INSERT INTO row VALUES (?, ?, 1)", rows)
        else:
            assert self._message is not None
            self._ungrouped += numbers
            self._group(self._message, final=False)

    def _look_at(
        self,
        batch: Batch,
        numbers: Sequence[str],
        lines: Sequence[int],
        texts: Sequence[str] | None,
    ) -> None:
        """Choose samples of a batch; the arguments are what is new in it, as in `_parse`."""

        def sample(message: str, segments: int) -> Sample:
            at = 0 if texts is None else texts.index(message)
            row = batch.rows[batch.lines.index(lines[at])] if batch.rows else {}
            return Sample((), numbers[at], message, segments, self._template.values(row))

        if texts is not None and self._samples.add_usual(texts):
            return
        counts = Counter(texts) if texts is not None else {self._message or "": len(numbers)}
        for text, count in counts.items():
            self._samples.add(text, count, sample)

    def _parse(self, batch: Batch) -> tuple[list[str], Sequence[int], list[str] | None]:
        """Return a batch's numbers, the line of each, and the text of each if texts differ."""
        values, lines = batch.values, batch.lines
        if self._mainland:
            joined = ",".join(values)
            # Nearly all numbers need no normalisation: one match checks a batch.
            if joined.count(",") == len(values) - 1 and MAINLAND_MOBILES.fullmatch(joined):
                if self._message is not None:
                    return values, lines, None
                if batch.rows and (filled := self._fill_plain(batch.rows)):
                    return values, lines, filled
        numbers: list[str] = []
        places: list[int] = []
        texts: list[str] = []
        for at, (line, value) in enumerate(zip(lines, values, strict=True)):
            kind = SkipKind.INVALID_NUMBER
            try:
                found = self._numbers(value)
                kind = SkipKind.INVALID_TEXT
                text = self._message or self._fill(batch.rows[at] if batch.rows else {})
            except InvalidRequest as error:
                self._skip(line, value, skip_reason(error), kind)
                continue
            numbers += found
            places += [line] * len(found)
            texts += [text] * len(found)
        return numbers, places, None if self._message is not None else texts

    def _numbers(self, value: str) -> tuple[str, ...]:
        if self._mainland and self._pattern.fullmatch(value):
            return (value,)
        return rules.normalise_for_ledger(value, pattern=self._pattern, limit=len(value))

    def _fill_plain(self, rows: Sequence[Mapping[str, Any]]) -> list[str] | None:
        """Return what `_fill` returns for each row; None if a text needs a look by itself."""
        if self.marketing or self._required_end:
            return None
        texts = self._template.fill_plain(rows)
        return texts if texts and rules.are_ready(texts, self._max_segments) else None

    def _fill(self, row: Mapping[str, Any]) -> str:
        """Return the text for a row, with its signature."""
        text = self._template.fill(row)
        if self._required_end and not rules.rstrip_invisible(text).endswith(self._required_end):
            text += self._required_end
        message = rules.normalise_message(text, self._signature, literal_braces=True)
        rules.check_segments(message, self._max_segments)
        if self.marketing:
            check_opt_out(message)
        if len(self._notes) < _MAX_NOTES and (notes := rules.describe_oddities(message)):
            self._notes.update(dict.fromkeys(notes))
        return message

    def _without_suppressed(
        self, numbers: list[str], lines: Sequence[int], texts: list[str] | None
    ) -> tuple[list[str], Sequence[int], list[str] | None]:
        """Skip the numbers that are on the do-not-send list, and return the others.

        The arguments, and what it returns, are what `_parse` returns.
        """
        reasons = {} if self._suppressions is None else self._suppressions.reasons(numbers)
        if not reasons:
            return numbers, lines, texts
        is_kept = [each not in reasons for each in numbers]
        for at in [at for at, kept in enumerate(is_kept) if not kept]:
            number = numbers[at]
            reason = suppressed_reason(reasons[number])
            self._skip(lines[at], number, reason, SkipKind.SUPPRESSED)
            is_first = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?, 0)", (number,))
            if is_first.rowcount and texts is not None:
                self._db.execute("INSERT INTO row VALUES (?, ?, 0)", (texts[at], number))
        return _chosen(is_kept, numbers, lines, texts)

    def _deduplicate(self, numbers: list[str], lines: Sequence[int]) -> list[bool] | None:
        """Skip the numbers that are in the campaign already.

        Returns:
            Which numbers are to be sent to; None if all are.
        """
        self._batch += 1
        # In order, so that SQLite writes few pages of the tree.
        array = self._array(sorted(numbers))
        inserted = self._db.execute(
            "INSERT OR IGNORE INTO seen SELECT value, ? FROM json_each(?)", (self._batch, array)
        ).rowcount
        if inserted == len(numbers):
            return None
        new = {
            str(key)
            for (key,) in self._db.execute(
                "SELECT n FROM seen JOIN json_each(?) ON n = value WHERE batch = ?",
                (array, self._batch),
            )
        }
        is_new = []
        for number, line in zip(numbers, lines, strict=True):
            is_new.append(number in new)
            new.discard(number)
            if not is_new[-1]:
                self._skip(line, number, DUPLICATE_REASON, SkipKind.DUPLICATE)
        return is_new

    def _array(self, numbers: list[str]) -> str:
        """Return numbers as a JSON array of what is the key of `seen`."""
        return f"[{','.join(numbers)}]" if self._mainland else json.dumps(numbers)

    def _skip(
        self, line: int, value: str, reason: str, kind: SkipKind = SkipKind.INVALID_NUMBER
    ) -> None:
        # Nothing is wrong with a list that has a number which is not to be sent to.
        if self._strict and kind is not SkipKind.SUPPRESSED:
            raise ConfigurationError(
                Sentence("Line {line} of the list is invalid: {reason}", line=line, reason=reason)
            )
        self._skipped[kind] += 1
        # Not every database can store NUL or half of a surrogate pair.
        shown = value[:_MAX_VALUE].encode("utf-8", "backslashreplace").decode()
        row = (line, shown.replace("\0", r"\x00"), to_json(reason))
        self._db.execute("INSERT INTO skipped VALUES (?, ?, ?)", row)

    def _group(self, message: str, *, final: bool) -> None:
        """Make submissions of the ungrouped numbers.

        Args:
            message: the text of those numbers.
            final: whether no more numbers follow, so that the last submission may be smaller.
        """
        ungrouped, limit = self._ungrouped, self._max_recipients
        end = len(ungrouped) if final else len(ungrouped) - len(ungrouped) % limit
        parts = (ungrouped[start : start + limit] for start in range(0, end, limit))
        self._db.executemany(
            "INSERT INTO submission VALUES (?, ?, ?)",
            ((message, ",".join(part), len(part)) for part in parts),
        )
        del ungrouped[:end]

    def _finish(self) -> None:
        """Make the last submissions, and the digest."""
        about = [self.channel, self.extension, *["marketing"] * self.marketing]
        digest = hashlib.sha256(json.dumps(about).encode())
        if self._message is not None:
            self._group(self._message, final=True)
            self._hash(digest, self._message, self._sorted_numbers())
        else:
            rows = self._db.execute("SELECT message, n, is_kept FROM row ORDER BY message, n")
            for message, group in groupby(rows, key=itemgetter(0)):
                self._hash(digest, message, self._grouped_numbers(message, group))
                self._group(message, final=True)
        self._digest = digest.hexdigest()

    def _grouped_numbers(self, message: str, rows: Iterator[tuple[str, str, int]]) -> Iterator[str]:
        """Yield one text's numbers, some at a time, and make submissions of those to send to."""
        while part := list(islice(rows, _READ_ROWS)):
            _, numbers, kept = zip(*part, strict=True)
            self._ungrouped += compress(numbers, kept)
            self._group(message, final=False)
            yield ",".join(numbers)

    def _sorted_numbers(self) -> Iterator[str]:
        """Yield all numbers in order, some at a time, joined by commas."""
        last: int | str = 0 if self._mainland else ""
        while True:
            joined, last = self._db.execute(_NEXT_NUMBERS, (last, _READ_ROWS)).fetchone()
            if joined is None:
                return
            yield joined

    @staticmethod
    def _hash(digest: hashlib._Hash, message: str, numbers: Iterator[str]) -> None:
        digest.update(f"\0{message}\0".encode())
        for part in numbers:
            digest.update(f"{part},".encode())


@contextmanager
def prepare_plan(
    name: str,
    source: Source | str | int | Iterable[Any],
    message: str,
    on_progress: Callable[[int], None] = lambda _rows: None,
    on_skipped: Callable[[SkippedLine], None] | None = None,
    on_preview: Callable[[Preview], None] | None = None,
    *,
    suppressions: Suppressions | None = None,
    **options: Unpack[PlanOptions],
) -> Iterator[tuple[Plan, Planner]]:
    """Read a list to its end; the arguments are those of `Ledger.plan` and `Planner`.

    Yields:
        The plan, and the planner that holds its submissions until the block ends. The plan has no
        number if all of them are on the do-not-send list: a ledger may have the campaign already.
    """
    if not name.strip() or not name.isprintable():
        raise ConfigurationError("A campaign needs a name of printable characters: give one.")
    if len(name) > NAME_LENGTH:
        raise ConfigurationError(
            Sentence(
                "A campaign's name may have {name_length} characters at most: shorten it.",
                name_length=NAME_LENGTH,
            )
        )
    planner = Planner(message, suppressions=suppressions, **options)
    try:
        planner.read(as_source(source), on_progress)
        if on_skipped is not None:
            for line in planner.skipped_lines():
                on_skipped(line)
        plan = planner.plan(name)
        if plan.numbers == 0 and SkipKind.SUPPRESSED not in plan.skipped_by:
            raise ConfigurationError(_why_empty(planner))
        if on_preview is not None:
            on_preview(planner.preview(plan))
        yield plan, planner
    finally:
        planner.close()


def preview(
    name: str,
    source: Source | str | int | Iterable[Any],
    message: str,
    *,
    on_progress: Callable[[int], None] = lambda _rows: None,
    on_skipped: Callable[[SkippedLine], None] | None = None,
    **options: Unpack[PlanOptions],
) -> Preview:
    """Return the plan that `Ledger.plan` would make of the same arguments, and some of its texts.

    It needs no ledger.

    Args:
        name: the campaign's name.
        source: the list, or the numbers.
        message: the message. ``{name}`` in it is replaced by the row's column of that name.
        on_progress: called now and then with the number of rows read so far.
        on_skipped: called with each skipped line.
        options: the other arguments of `Ledger.plan`.

    Raises:
        InvalidRequest: the message, the channel or another argument is invalid.
        ConfigurationError: the list cannot be read, or has no valid number.
    """
    planning = prepare_plan(name, source, message, on_progress, on_skipped, **options)
    with planning as (plan, planner):
        return planner.preview(plan)


class _ScratchConnection(sqlite3.Connection):
    """The connection to the scratch file.

    It translates SQLite errors, so that they differ from those of a source that reads SQLite.
    """

    def execute(self, *args: Any) -> sqlite3.Cursor:
        with _translated_errors():
            return super().execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        with _translated_errors():
            return super().executemany(*args)


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ConfigurationError(
            Sentence(
                "The scratch file of the plan cannot be written ({error}): free some "
                "space on the disk with the temporary files.",
                error=error,
            )
        ) from None


def _chosen(
    wanted: Sequence[bool], numbers: list[str], lines: Sequence[int], texts: list[str] | None
) -> tuple[list[str], Sequence[int], list[str] | None]:
    """Return what `Planner._parse` returns for those numbers that are wanted."""
    return (
        list(compress(numbers, wanted)),
        list(compress(lines, wanted)),
        None if texts is None else list(compress(texts, wanted)),
    )


def _why_empty(planner: Planner) -> str:
    for first in planner.skipped_lines():
        return Sentence(
            "No line of the list can be sent: check its column and the text. The first skipped"
            " line is {line}: {reason}",
            line=first.line,
            reason=first.reason,
        )
    return Sentence("The list is empty.")


def unreadable(error: OSError) -> ConfigurationError:
    """Return the error for a list that cannot be read."""
    return ConfigurationError(
        Sentence(
            "The list cannot be read ({problem}): check the file and its permissions.",
            problem=error.strerror or error,
        )
    )


def skip_reason(error: InvalidRequest) -> str:
    """Return why a line is skipped."""
    # The skipped line says where the number is, so "Recipient 3" would only confuse.
    text = text_of(error)
    if isinstance(text, Sentence) and "why" in text.values:
        return Sentence("the number {why}", why=text.values["why"])
    if not text.startswith("Recipient "):
        return text
    return re.sub(r"\ARecipient [0-9]+(, .*?, | )", "the number ", text, flags=re.DOTALL)
