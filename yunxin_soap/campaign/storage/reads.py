"""What a ledger reports: the state of campaigns and single sends, and what became of a number."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from yunxin_soap.campaign.models import (
    ActiveRunner,
    Activity,
    Backlog,
    CampaignState,
    HistoryEntry,
    NumberResult,
    Plan,
    Preview,
    Progress,
    Sample,
    SkipKind,
    SkippedLine,
    State,
    Status,
    SubmissionRecord,
    Timing,
)
from yunxin_soap.campaign.report import Figures
from yunxin_soap.campaign.samples import Samples
from yunxin_soap.campaign.storage.backlog import read_backlog
from yunxin_soap.campaign.storage.column_types import damaged
from yunxin_soap.campaign.storage.dialects import READ_ONLY, read_consistently
from yunxin_soap.campaign.storage.engine import as_ledger_errors
from yunxin_soap.campaign.storage.figures import read_figures
from yunxin_soap.campaign.storage.runners import HEARTBEAT_TIMEOUT, Runners
from yunxin_soap.campaign.storage.schema import (
    campaign,
    content,
    history,
    recipients,
    skipped_line,
    submission,
)
from yunxin_soap.campaign.storage.suppression import list_state, reasons
from yunxin_soap.errors import InvalidRequest, NotInLedger
from yunxin_soap.message import normalise_recipients
from yunxin_soap.sentences import Sentence

_FOREIGN = re.compile(r"\+?[0-9]{3,20}")
_ROWS = 500
"""Rows fetched together, so that memory does not grow with a campaign."""
_NEVER = datetime.max.replace(tzinfo=timezone.utc)


def campaign_row(connection: sa.Connection, name: str, *, lock: bool = False) -> Any:
    """Return the row of a campaign.

    Args:
        connection: reads it.
        name: the campaign.
        lock: whether to lock its state until the transaction ends.

    Raises:
        NotInLedger: there is no campaign of that name.
    """
    found = None
    if name.isprintable():  # as every campaign's name is; some databases reject other text
        query = sa.select(campaign).where(campaign.c.name == name)
        if lock:
            query = query.with_for_update(key_share=True)
        found = connection.execute(query).one_or_none()
    if found is None:
        raise NotInLedger(
            Sentence(
                "There is no campaign {name} in this ledger: check the name and the ledger.",
                name=repr(name),
            )
        )
    return found


class Reads:
    """Reads the ledger; it waits for no writer.

    Args:
        engine: the ledger's database.
        heartbeat_timeout: seconds without a heartbeat after which a runner counts as stalled.
    """

    def __init__(self, engine: sa.Engine, heartbeat_timeout: float = HEARTBEAT_TIMEOUT) -> None:
        self._engine, self._runners = engine, Runners(engine, heartbeat_timeout)

    def campaigns(self) -> list[str]:
        """Return the names of all campaigns, the oldest first."""
        with self._reading() as connection:
            return list(connection.scalars(sa.select(campaign.c.name).order_by(campaign.c.id)))

    def campaign_id(self, name: str) -> int:
        """Return the id of a campaign.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with self._reading() as connection:
            found: int = campaign_row(connection, name).id
            return found

    def is_marketing(self, name: str) -> bool:
        """Return whether a campaign was planned as marketing.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with self._reading() as connection:
            found: bool = campaign_row(connection, name).marketing
            return found

    def status(self, name: str) -> Status:
        """Return the state of a campaign.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with self._reading() as connection:
            return self._status(connection, campaign_row(connection, name))

    def statuses(self) -> list[Status]:
        """Return the state of every campaign, the oldest first."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(campaign).order_by(campaign.c.id)).all()
            scope = submission.c.campaign_id.is_not(None)
            return _statuses(connection, self._runners, rows, scope)

    def progress(self, name: str) -> Progress:
        """Return how far a campaign is.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with self._reading() as connection:
            row = campaign_row(connection, name)
            numbers, submissions = dict.fromkeys(State, 0), dict.fromkeys(State, 0)
            for count in _counts(connection, submission.c.campaign_id == row.id):
                numbers[State(count.state)] = int(count.numbers)
                submissions[State(count.state)] = count.submissions
            left = submissions[State.PENDING] + submissions[State.SUBMITTING]
            activity = self._activity(connection, row)
            return Progress(
                accepted=numbers[State.ACCEPTED],
                rejected=numbers[State.REJECTED],
                unknown=numbers[State.UNKNOWN],
                in_flight=submissions[State.SUBMITTING],
                submissions=sum(submissions.values()) - left,
                state=activity.state,
                reason=activity.reason,
                until=activity.until,
            )

    def activity(self, name: str) -> Activity:
        """Return who runs a campaign, and what that waits for.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with self._reading() as connection:
            return self._activity(connection, campaign_row(connection, name))

    def _activity(self, connection: sa.Connection, row: Any) -> Activity:
        runners = tuple(each for _, each in self._runners.active(connection, [row.id]))
        state, reason = CampaignState(row.state), row.reason
        until = None if row.paused_until is None else _datetime(row.paused_until)
        live = [each for each in runners if not each.is_stalled]
        if state is CampaignState.OPEN and live and all(each.reason for each in live):
            first = min(live, key=lambda each: each.until or _NEVER)
            reason, until = first.reason, first.until
        return Activity(state, reason, until, runners)

    def backlog(self) -> Backlog:
        """Return what is left to do in the whole ledger."""
        with self._reading() as connection:
            return read_backlog(connection)

    def preview(self, name: str) -> Preview:
        """Return what a run would send now: the counts and texts of what is pending.

        What was put on the do-not-send list after the plan is left out, and counted in a note.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with self._reading() as connection:
            row = campaign_row(connection, name)
            samples, texts, submissions = Samples(), 0, 0
            left_out = _suppressed_since_plan(connection, row)
            kept_numbers: dict[int, str] = {}
            for each in _stream(connection, _pending_texts(row.id)):
                left = left_out.get(each.content_id, _LeftOut())
                numbers = int(each.numbers) - left.numbers
                if numbers == 0:
                    continue
                texts, submissions = texts + 1, submissions + each.submissions - left.submissions
                if left.kept is not None:
                    kept_numbers[each.first_id] = left.kept
                samples.add(each.message, numbers, partial(_sample_without_number, each.first_id))
            about = connection.execute(
                sa.select(content.c.channel, content.c.extension)
                .where(content.c.campaign_id == row.id)
                .limit(1)
            ).one_or_none()
            chosen = samples.chosen()
            rows = connection.execute(
                sa.select(recipients).where(
                    recipients.c.submission_id.in_([int(each.number) for each in chosen])
                )
            )
            first_numbers = {each.submission_id: each.numbers.split(",")[0] for each in rows}
            if lost := {int(each.number) for each in chosen} - first_numbers.keys():
                raise damaged(f"the submission {min(lost)} has no yunxin_recipients")
            by_segments = dict(sorted(samples.numbers_by_segments.items()))
            return Preview(
                plan=Plan(
                    name=row.name,
                    digest=row.digest,
                    numbers=sum(by_segments.values()),
                    submissions=submissions,
                    texts=texts,
                    segments=sum(size * count for size, count in by_segments.items()),
                    skipped=row.skipped,
                    skipped_by=_skipped_by(row.skipped_by),
                    existing=True,
                    notes=_describe_left_out(left_out),
                ),
                channel="" if about is None else about.channel,
                extension="" if about is None else about.extension,
                samples=tuple(
                    replace(each, number=(first_numbers | kept_numbers)[int(each.number)])
                    for each in chosen
                ),
                numbers_by_segments=by_segments,
            )

    def once_counts(self) -> dict[State, int]:
        """Return the count of single sends in each state."""
        with self._reading() as connection:
            counts = connection.execute(
                sa.select(submission.c.state, sa.func.count())
                .where(submission.c.key.is_not(None))
                .group_by(submission.c.state)
            )
            return dict.fromkeys(State, 0) | {State(state): count for state, count in counts}

    def once_keys(self, state: State, *, can_retry: bool) -> Iterator[str]:
        """Yield the keys of the single sends in a state, the oldest first."""
        wanted = (
            sa.select(submission.c.key)
            .where(submission.c.key.is_not(None), submission.c.state == state.value)
            .order_by(submission.c.id)
        )
        if can_retry:
            is_kept = sa.exists().where(recipients.c.submission_id == submission.c.id)
            wanted = wanted.where(submission.c.safe_to_resend, is_kept)
        with self._reading() as connection:
            for row in _stream(connection, wanted):
                yield row.key

    def find(self, number: str | int) -> list[SubmissionRecord]:
        """Return every submission that contains a number, the oldest first.

        Raises:
            InvalidRequest: it is not a phone number.
        """
        try:
            (wanted,) = normalise_recipients(number)
        except InvalidRequest:
            wanted = str(number).strip()
            if not _FOREIGN.fullmatch(wanted):
                raise
        owner = sa.type_coerce(campaign.c.name, sa.Text()).label("name")  # null for a single send
        with self._reading() as connection:
            rows = connection.execute(
                sa.select(submission, content.c.message, owner, recipients.c.numbers)
                .join(recipients, recipients.c.submission_id == submission.c.id)
                .join(content, submission.c.content_id == content.c.id)
                .outerjoin(campaign, submission.c.campaign_id == campaign.c.id)
                .where(recipients.c.numbers.contains(wanted, autoescape=True))
                .order_by(submission.c.id)
            ).all()
            return [
                SubmissionRecord(
                    campaign=row.name,
                    key=row.key,
                    submission_id=row.id,
                    state=State(row.state),
                    batch_no=row.batch_no,
                    code=row.code,
                    reason=row.reason,
                    message=row.message,
                    history=self._history(connection, row.id, row.parent_id),
                )
                for row in rows
                if wanted in row.numbers.split(",")
            ]

    def _history(
        self, connection: sa.Connection, submission_id: int, parent_id: int | None
    ) -> tuple[HistoryEntry, ...]:
        earlier: tuple[HistoryEntry, ...] = ()
        if parent_id is not None:
            grandparent = connection.scalar(
                sa.select(submission.c.parent_id).where(submission.c.id == parent_id)
            )
            earlier = self._history(connection, parent_id, grandparent)
        rows = connection.execute(
            sa.select(history)
            .where(history.c.submission_id == submission_id)
            .order_by(history.c.id)
        )
        return earlier + tuple(
            HistoryEntry(
                submission_id=submission_id,
                at=_datetime(row.at),
                before=State(row.before),
                after=State(row.after),
                batch_no=row.batch_no,
                code=row.code,
                detail=row.detail,
                by=row.by,
            )
            for row in rows
        )

    def results(
        self, name: str, *, states: Collection[State] | None = None
    ) -> Iterator[NumberResult]:
        """Yield what became of each number of a campaign; purged numbers are left out.

        Args:
            name: the campaign.
            states: only the numbers in these states. Default: all.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with self._reading() as connection:
            wanted = [submission.c.campaign_id == campaign_row(connection, name).id]
            if states is not None:
                wanted.append(submission.c.state.in_([each.value for each in states]))
            for row in _stream(
                connection,
                sa.select(submission, recipients.c.numbers)
                .join(recipients, recipients.c.submission_id == submission.c.id)
                .where(*wanted)
                .order_by(submission.c.id),
            ):
                state = State(row.state)
                for number in row.numbers.split(","):
                    yield NumberResult(number, state, row.batch_no, row.code, row.reason, row.id)

    def timings(self, name: str) -> list[Timing]:
        """Return when each accepted or rejected submission was sent and answered.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with self._reading() as connection:
            found = campaign_row(connection, name)
            rows = connection.execute(
                sa.select(submission.c.sent_at, submission.c.ended_at, submission.c.size)
                .where(
                    submission.c.campaign_id == found.id,
                    submission.c.state.in_([State.ACCEPTED.value, State.REJECTED.value]),
                    submission.c.sent_at.is_not(None),
                    submission.c.ended_at.is_not(None),
                )
                .order_by(submission.c.id)
            )
            return [Timing(_datetime(sent), _datetime(ended), size) for sent, ended, size in rows]

    def figures(self, name: str, zone: ZoneInfo) -> Figures:
        """Return what the report about a campaign shows.

        Args:
            name: the campaign.
            zone: the time zone of the times in the report.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with self._reading() as connection:
            row = campaign_row(connection, name)
            return read_figures(connection, row.id, self._status(connection, row), zone)

    def skipped_lines(self, name: str) -> Iterator[SkippedLine]:
        """Yield the lines of a campaign's source that no submission was made of.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        with self._reading() as connection:
            found = campaign_row(connection, name)
            for row in _stream(
                connection,
                sa.select(skipped_line)
                .where(skipped_line.c.campaign_id == found.id)
                .order_by(skipped_line.c.id),
            ):
                yield SkippedLine(row.line, row.value, row.reason)

    def _status(self, connection: sa.Connection, row: sa.Row[Any]) -> Status:
        scope = submission.c.campaign_id == row.id
        (status,) = _statuses(connection, self._runners, [row], scope)
        return status

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with (
            as_ledger_errors(),
            self._engine.connect().execution_options(**{READ_ONLY: True}) as connection,
        ):
            # Several queries, and a stream of rows, must show one moment.
            read_consistently(connection)
            yield connection


def _counts(connection: sa.Connection, scope: sa.ColumnElement[bool]) -> Sequence[sa.Row[Any]]:
    """Count submissions and numbers by campaign and state."""
    by = submission.c.campaign_id, submission.c.state
    return connection.execute(
        sa.select(
            *by,
            sa.func.count().label("submissions"),
            sa.func.sum(submission.c.size).label("numbers"),
            sa.func.min(submission.c.ended_at).label("first_ended_at"),
        )
        .where(scope)
        .group_by(*by)
    ).all()


def _statuses(
    connection: sa.Connection,
    runners: Runners,
    rows: Sequence[Any],
    scope: sa.ColumnElement[bool],
) -> list[Status]:
    """Return the status of campaigns; each query is about all of them.

    Args:
        connection: reads.
        runners: knows who runs them.
        rows: the rows of the campaigns.
        scope: chooses their submissions.
    """
    numbers = {row.id: dict.fromkeys(State, 0) for row in rows}
    submissions = {row.id: dict.fromkeys(State, 0) for row in rows}
    oldest_unknown: dict[int, datetime] = {}
    for count in _counts(connection, scope):
        state = State(count.state)
        submissions[count.campaign_id][state] = count.submissions
        if state is not State.SPLIT:  # the smaller submissions count its numbers
            numbers[count.campaign_id][state] = int(count.numbers)
        if state is State.UNKNOWN:
            if count.first_ended_at is None:
                raise damaged("an unknown submission has no ended_at in yunxin_submission")
            oldest_unknown[count.campaign_id] = _datetime(count.first_ended_at)
    codes: dict[int, dict[int, int]] = {row.id: {} for row in rows}
    for campaign_id, code, size in connection.execute(
        sa.select(submission.c.campaign_id, submission.c.code, sa.func.sum(submission.c.size))
        .where(scope, submission.c.state == State.REJECTED.value, submission.c.code.is_not(None))
        .group_by(submission.c.campaign_id, submission.c.code)
    ):
        codes[campaign_id][code] = int(size)
    on_hold = _on_hold(connection, scope)
    active: dict[int, list[ActiveRunner]] = {row.id: [] for row in rows}
    left_behind: dict[int, dict[str, int]] = {row.id: {} for row in rows}
    for row, each, is_dead in runners.registered(connection, active):
        if not is_dead:
            active[row.campaign_id].append(each)
        elif each.in_flight:
            left = left_behind[row.campaign_id]
            left[str(each)] = left.get(str(each), 0) + each.in_flight
    return [
        Status(
            name=row.name,
            state=CampaignState(row.state),
            reason=row.reason,
            paused_until=None if row.paused_until is None else _datetime(row.paused_until),
            created_at=_datetime(row.created_at),
            purged_at=None if row.purged_at is None else _datetime(row.purged_at),
            planned=row.numbers,
            skipped=row.skipped,
            skipped_by=_skipped_by(row.skipped_by),
            numbers=numbers[row.id],
            submissions=submissions[row.id],
            codes=codes[row.id],
            on_hold=on_hold.get(row.id, {}),
            oldest_unknown_at=oldest_unknown.get(row.id),
            runners=tuple(active[row.id]),
            left_behind=left_behind[row.id],
            workers=row.workers,
        )
        for row in rows
    ]


def _skipped_by(text: str) -> dict[SkipKind, int]:
    """Return the counts of skipped lines that a campaign has as JSON."""
    try:
        return {SkipKind(kind): int(count) for kind, count in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        raise damaged("yunxin_campaign.skipped_by is no count by causes") from None


def _on_hold(connection: sa.Connection, scope: sa.ColumnElement[bool]) -> dict[int, dict[str, int]]:
    """Count the pending numbers whose text is held back, by campaign and reason."""
    found: dict[int, dict[str, int]] = {}
    # To join all that is pending takes long, and most ledgers hold no text back.
    if connection.scalar(sa.select(sa.exists().where(content.c.on_hold.is_not(None)))):
        for campaign_id, reason, size in connection.execute(
            sa.select(submission.c.campaign_id, content.c.on_hold, sa.func.sum(submission.c.size))
            .join(content, submission.c.content_id == content.c.id)
            .where(
                scope,
                submission.c.state == State.PENDING.value,
                content.c.on_hold.is_not(None),
            )
            .group_by(submission.c.campaign_id, content.c.on_hold)
        ):
            found.setdefault(campaign_id, {})[reason] = int(size)
    return found


def _sample_without_number(submission_id: int, message: str, segments: int) -> Sample:
    """Return a sample with the id of a submission: a driver reads one result at a time."""
    return Sample((), str(submission_id), message, segments, {})


def _pending_texts(campaign_id: int) -> sa.Select[Any]:
    """Select the texts that a run would send, in the order of the campaign, with their counts."""
    pending = (
        sa.select(
            submission.c.content_id,
            sa.func.count().label("submissions"),
            sa.func.sum(submission.c.size).label("numbers"),
            sa.func.min(submission.c.id).label("first_id"),
        )
        .where(submission.c.campaign_id == campaign_id, submission.c.state == State.PENDING.value)
        .group_by(submission.c.content_id)
        .subquery()
    )
    return (
        sa.select(
            content.c.message,
            pending.c.content_id,
            pending.c.submissions,
            pending.c.numbers,
            pending.c.first_id,
        )
        .join(pending, pending.c.content_id == content.c.id)
        .where(content.c.on_hold.is_(None))
        .order_by(pending.c.first_id)
    )


@dataclass
class _LeftOut:
    """What of a text's pending submissions was put on the do-not-send list after the plan."""

    numbers: int = 0
    submissions: int = 0
    """Those that have no other number."""
    kept: str | None = None
    """A number that gets the text all the same; None if all of them come before the others."""


def _suppressed_since_plan(connection: sa.Connection, row: Any) -> dict[int, _LeftOut]:
    """Return what a run would leave out of the texts of a campaign, by the id of the content."""
    found: dict[int, _LeftOut] = {}
    state = list_state(connection)
    if state.generation <= row.suppression_generation:
        return found
    # Page by page: a driver reads one result at a time.
    last, query = 0, _pending_numbers(row.id)
    while page := connection.execute(query, {"last": last}).all():
        last = page[-1].id
        on_list = reasons(connection, [n for each in page for n in each.numbers.split(",")], state)
        for each in page:
            numbers = each.numbers.split(",")
            kept = [number for number in numbers if number not in on_list]
            if len(kept) < len(numbers):
                left = found.setdefault(each.content_id, _LeftOut())
                left.numbers += len(numbers) - len(kept)
                left.submissions += not kept
            if kept and each.content_id in found and found[each.content_id].kept is None:
                found[each.content_id].kept = kept[0]
    return found


def _describe_left_out(left_out: dict[int, _LeftOut]) -> tuple[str, ...]:
    if not left_out:
        return ()
    count = sum(each.numbers for each in left_out.values())
    return (
        Sentence(
            "Numbers on the do-not-send list since the plan: {count}. A run leaves them out, and"
            " they are not counted here.",
            count=count,
        ),
    )


def _pending_numbers(campaign_id: int) -> sa.Select[Any]:
    """Select the next numbers of pending submissions whose text is not held back."""
    return (
        sa.select(submission.c.id, submission.c.content_id, recipients.c.numbers)
        .join(recipients, recipients.c.submission_id == submission.c.id)
        .join(content, content.c.id == submission.c.content_id)
        .where(
            submission.c.campaign_id == campaign_id,
            submission.c.state == State.PENDING.value,
            submission.c.id > sa.bindparam("last", type_=sa.BigInteger()),
            content.c.on_hold.is_(None),
        )
        .order_by(submission.c.id)
        .limit(_ROWS)
    )


def _stream(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    # A server-side cursor must be closed, also if the rows are not read to their end.
    with contextlib.closing(connection.execution_options(yield_per=_ROWS).execute(query)) as rows:
        yield from rows


def _datetime(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
