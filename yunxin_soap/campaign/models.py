"""The values that a ledger works with: states, endings, and the records that it returns. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Literal

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.message import Submission
from yunxin_soap.sentences import Sentence

_RUNNER_ID = re.compile(r"(?P<host>.*)/(?P<pid>[0-9]+)/[0-9a-f]{12}")
DecisionName = Literal["resend", "accepted", "not_sent"]
"""What a person may decide about an unknown submission."""
LanguageName = Literal["en", "zh"]
"""A language that the report opens in."""
SampleName = Literal["first", "longest", "shortest"]
"""Why a text is shown before a campaign is sent."""

NAME_LENGTH = 255
"""Characters of a campaign's name, and of a single send's key, at most."""
DEFAULT_EXPIRES_IN = 86400.0
"""Seconds until a queued single send is cancelled if it was not sent."""


class State(str, Enum):
    """The state of a submission in the ledger."""

    PENDING = "pending"
    """It was not sent yet, or it is known that it did not arrive."""
    SUBMITTING = "submitting"
    """A runner has claimed it to send it; the ledger does not know yet whether that happened."""
    ACCEPTED = "accepted"
    """The gateway returned a batch number."""
    REJECTED = "rejected"
    """The gateway rejected it, or a person decided that it was not sent."""
    UNKNOWN = "unknown"
    """It may have been sent. Only a person's decision changes this state."""
    SPLIT = "split"
    """Smaller submissions replace it: the gateway rejected it for its numbers, or some of them were
    put on the do-not-send list."""
    CANCELLED = "cancelled"
    """Its campaign was cancelled before it was sent, or it was queued and has expired; it never
    will be sent."""
    SUPPRESSED = "suppressed"
    """Its numbers were put on the do-not-send list after the plan, or a number after it was queued;
    it never will be sent."""


ALLOWED: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.SUBMITTING, State.CANCELLED, State.SUPPRESSED}),
    State.SUBMITTING: frozenset(
        {
            State.PENDING,
            State.ACCEPTED,
            State.REJECTED,
            State.UNKNOWN,
            State.SPLIT,
            State.SUPPRESSED,
        }
    ),
    State.ACCEPTED: frozenset(),
    State.REJECTED: frozenset({State.PENDING}),
    State.UNKNOWN: frozenset({State.PENDING, State.ACCEPTED, State.REJECTED}),
    State.SPLIT: frozenset(),
    State.CANCELLED: frozenset(),
    State.SUPPRESSED: frozenset(),
}
"""The states that may follow each state. Only a person moves a submission out of REJECTED and
UNKNOWN."""


class CampaignState(str, Enum):
    """The state of a campaign."""

    OPEN = "open"
    """It has submissions left, and runners may send them."""
    PAUSED = "paused"
    """It waits until a time, or until an operator resumes it."""
    DONE = "done"
    """It has nothing left to send."""
    CANCELLED = "cancelled"
    """An operator cancelled it: nothing of it is sent any more."""


@dataclass(frozen=True)
class Pause:
    """A reason for a campaign to wait."""

    reason: str
    seconds: float | None = None
    """How long it waits; None: until an operator resumes it."""
    may_quote: bool = False
    """Whether the reason may quote a response or an argument: then no log shows it."""

    @property
    def logged_reason(self) -> str:
        """The reason as a log may show it."""
        return "what the gateway said is in the ledger alone" if self.may_quote else self.reason


@dataclass(frozen=True)
class ClaimedSubmission:
    """A submission that the ledger has committed to one runner, before it is sent."""

    id: int
    content_id: int
    attempts: int
    """How often it was claimed, this time included."""
    submission: Submission

    @property
    def size(self) -> int:
        """The count of its numbers."""
        return len(self.submission.recipients)


@dataclass(frozen=True)
class Ending:
    """How one claimed submission ended: the one value from the error to the SQL statement."""

    claimed: ClaimedSubmission
    state: State
    began_at: float
    """When it was sent, by this process's monotonic clock. The ledger stores its own time."""
    ended_at: float
    """When it ended, by the same clock."""
    reason: str = ""
    batch_no: str | None = None
    code: int | None = None
    keyword: str | None = None
    """The banned word of a -6."""
    safe_to_resend: bool = False
    """Whether no second copy can come of sending it again."""
    retry_after: float = 0.0
    """Seconds until a pending one may be claimed again."""
    hold_content: bool = False
    """Whether the campaign holds back every other submission with the same text."""


class SkipKind(str, Enum):
    """Why a line of a list is in no submission. `SkippedLine.reason` says more."""

    INVALID_NUMBER = "invalid_number"
    """It has no valid number."""
    INVALID_TEXT = "invalid_text"
    """Its text has a hole, or breaks a rule."""
    DUPLICATE = "duplicate"
    """Its number is in the campaign already."""
    SUPPRESSED = "suppressed"
    """Its number is on the do-not-send list."""
    UNREADABLE = "unreadable"
    """Nobody can tell what it says: a quote is not closed in it, for example."""

    @property
    def label(self) -> str:
        """The cause in words, for people to read."""
        return _SKIP_LABELS[self]


_SKIP_LABELS = {
    SkipKind.INVALID_NUMBER: Sentence("invalid number"),
    SkipKind.INVALID_TEXT: Sentence("invalid text"),
    SkipKind.DUPLICATE: Sentence("duplicate"),
    SkipKind.SUPPRESSED: Sentence("on the do-not-send list"),
    SkipKind.UNREADABLE: Sentence("unreadable"),
}


def suppressed_reason(reason: str) -> str:
    """Return why nothing is sent to a number on the do-not-send list.

    Args:
        reason: what the list says about the number; it may be empty.
    """
    if not reason:
        return _SKIP_LABELS[SkipKind.SUPPRESSED]
    return Sentence("on the do-not-send list: {reason}", reason=reason)


@dataclass(frozen=True)
class Plan:
    """The counts of a campaign, before it is written to the ledger or after."""

    name: str
    digest: str
    """Equal for the same numbers, texts, channel and extension, in any order; another one if it is
    marketing."""
    numbers: int
    submissions: int
    texts: int
    """How many different texts are sent."""
    segments: int
    """An estimate of the SMS that the vendor bills: a text of up to 70 characters is one, a longer
    one is split into segments of 67."""
    skipped: int
    """How many lines of the list are in no submission."""
    skipped_by: dict[SkipKind, int]
    """How many of them, by each cause that there is."""
    existing: bool = False
    """Whether the ledger had the same campaign already, so that nothing was written."""
    notes: tuple[str, ...] = ()
    """What a person should know before the campaign is run, a sentence each."""
    source_notes: tuple[str, ...] = ()
    """How the list was read, a sentence each: its encoding with a line in it, what was left out
    above its headings, the column with the numbers."""


@dataclass(frozen=True)
class Sample:
    """One finished text of a campaign, and a number that gets it."""

    names: tuple[SampleName, ...]
    """What it is: the first, the longest, the shortest, or several of these. Empty if it is shown
    for its count of segments only."""
    number: str
    message: str
    """The text with its signature."""
    segments: int
    """The segments of this text, estimated as in `Plan`."""
    values: dict[str, str]
    """What the columns filled in, by name. Empty if the message uses no column, and in what
    `Ledger.preview` returns: a ledger has only the finished texts."""


def check_rate(option: str, rate: float | None) -> None:
    """Check a limit of submissions or numbers a second; None is no limit.

    Raises:
        ConfigurationError: it is no number above 0, or is above 1,000,000.
    """
    if rate is not None and not 0 < rate <= 1_000_000:
        raise ConfigurationError(
            Sentence(
                "{option}={rate} must be a number above 0, and 1,000,000 at most.",
                option=option,
                rate=repr(rate),
            )
        )


def parse_price(price: Decimal | str | int) -> Decimal:
    """Return the price of one segment as an exact amount.

    Raises:
        ConfigurationError: it is no amount from 0 to 1,000,000 with at most 10 decimals.
    """
    if isinstance(price, float):
        raise ConfigurationError(
            Sentence(
                "price={price} is a float, which is no exact amount: give a string or a Decimal.",
                price=repr(price),
            )
        )
    try:
        exact = Decimal("NaN" if isinstance(price, bool) else price)
    except (InvalidOperation, TypeError, ValueError):
        exact = Decimal("NaN")
    # The limits keep the cost of any campaign exact, and short enough to read.
    if not exact.is_finite() or not 0 <= exact <= 1_000_000 or exact != round(exact, 10):
        raise ConfigurationError(
            Sentence(
                "price={price} must be an amount such as 0.045, from 0 to 1,000,000 with at "
                "most 10 decimals.",
                price=repr(price),
            )
        )
    return exact


@dataclass(frozen=True)
class Preview:
    """What a campaign sends, before it is sent."""

    plan: Plan
    channel: str
    extension: str
    samples: tuple[Sample, ...]
    """Finished texts: the first, the longest and the shortest, and one of each other count of
    segments."""
    numbers_by_segments: dict[int, int]
    """How many numbers get a text of each count of segments, the smallest count first."""

    def cost(self, price: Decimal | str | int) -> Decimal:
        """Return the estimated cost: the price of one segment, times the plan's segments.

        Args:
            price: the price of one segment, such as ``"0.045"``, in any currency. A float is no
                exact amount, so it is refused.

        Raises:
            ConfigurationError: the price is no amount from 0 to 1,000,000 with at most 10 decimals.
        """
        return parse_price(price) * self.plan.segments


@dataclass(frozen=True)
class SkippedLine:
    """A line of the list that is in no submission."""

    line: int
    """Counted from 1."""
    value: str
    """The cell with the number, truncated to 200 characters."""
    reason: str


@dataclass(frozen=True)
class SuppressedNumber:
    """A number on the do-not-send list."""

    number: str | None
    """The number; None if the list has only its hash."""
    reason: str
    """Why nothing is to be sent to it; it may be empty."""
    by: str
    """The person who put it on the list."""
    added_at: datetime


@dataclass(frozen=True)
class ActiveRunner:
    """A process that runs a campaign: it has registered, and is not known to be dead."""

    host: str
    pid: int
    started_at: datetime
    in_flight: int
    """Submissions that it has claimed, and that have not ended in the ledger."""
    counts_as_stalled_at: datetime
    """When these become unknown if it sends no heartbeat before."""
    is_stalled: bool = False
    """Whether that time has passed: the next run makes them unknown."""
    reason: str = ""
    """Why it waits although its campaign does not, as for its sending hours; empty if it does not
    wait, or only for other runners."""
    until: datetime | None = None
    """When that wait ends."""

    def __str__(self) -> str:
        """Name the process and its host."""
        return Sentence("process {pid} on {host}", pid=self.pid, host=self.host)


@dataclass(frozen=True)
class Status:
    """The state of a campaign. ``numbers`` adds up to ``planned``."""

    name: str
    state: CampaignState
    reason: str
    """Why it is paused, or who cancelled it; empty if it is neither."""
    paused_until: datetime | None
    """When a pause ends by itself; None if it does not, or if there is no pause."""
    created_at: datetime
    purged_at: datetime | None
    """When the last of its numbers and texts were deleted; None if some are left."""
    planned: int
    """The count of its numbers."""
    skipped: int
    """The count of lines that no submission was made of."""
    skipped_by: dict[SkipKind, int]
    """The count of these lines by each cause that there is."""
    numbers: dict[State, int]
    """The count of numbers in each state."""
    submissions: dict[State, int]
    """The count of submissions in each state."""
    codes: dict[int, int]
    """The count of rejected numbers by result code."""
    on_hold: dict[str, int]
    """The count of pending numbers whose text was rejected, by the reason."""
    oldest_unknown_at: datetime | None
    """When the first of the unknown submissions became unknown; None if there is none."""
    runners: tuple[ActiveRunner, ...]
    """Who runs it now."""
    left_behind: dict[str, int]
    """The count of submissions in flight of each process that is known to have ended, as by
    ``process 4711 on web-3``: the next run or sweep makes them unknown."""
    workers: int | None = None
    """How many runners are to work on it; None if it is not started."""

    @property
    def exit_status(self) -> int:
        """The exit status of a job that has run it, as of ``campaign run``; the worst comes first.

        5: for some numbers it is unknown whether the SMS was sent; 4: some are still to be sent;
        3: some were rejected or cancelled, or are on hold; 0: all else.
        """
        numbers = self.numbers
        if numbers[State.UNKNOWN]:
            return 5
        if numbers[State.PENDING] - sum(self.on_hold.values()) or numbers[State.SUBMITTING]:
            return 4
        if numbers[State.REJECTED] or numbers[State.CANCELLED] or self.on_hold:
            return 3
        return 0


@dataclass(frozen=True)
class Slice:
    """What a bounded piece of work on a started campaign did, and when the next one makes sense."""

    sent: int
    """Submissions that ended in this slice."""
    left: int
    """Submissions of the campaign that are pending, also those that are not due or on hold."""
    wait: float | None
    """Seconds until another slice makes sense; 0.0: at once; None: not before somebody acts, as if
    the campaign is done, paused without an end, cancelled or stopped, or enough runners work on
    it."""
    reason: str
    """Why it ended, for people to read; empty if its time was up."""


@dataclass(frozen=True)
class Pace:
    """A limit that holds for all runs and single sends that name it."""

    name: str
    rate: float | None
    """Submissions a second; None: no limit."""
    numbers_rate: float | None
    """Numbers a second; None: no limit."""


@dataclass(frozen=True)
class Sweep:
    """What a look at the whole ledger did, and what should run."""

    reclaimed: int
    """Submissions of stalled runners that became unknown."""
    wanted: dict[str, int]
    """How many more runners each started campaign should have now, by its name. Only campaigns that
    could send now are in it."""
    due_keys: tuple[str, ...]
    """The keys of queued single sends that are due, the oldest first; at most 1000."""


@dataclass(frozen=True)
class Activity:
    """Who runs a campaign now, and what that waits for."""

    state: CampaignState
    reason: str
    """As in `Progress`."""
    until: datetime | None
    """As in `Progress`."""
    runners: tuple[ActiveRunner, ...]
    """Who runs it now."""


@dataclass(frozen=True)
class Backlog:
    """What is left to do in a whole ledger: counts of submissions, each 100,000 at most."""

    pending: int
    """Those that are still to be sent: of campaigns that are open or paused, and single sends."""
    submitting: int
    """Those that runners have in flight."""
    unknown: int
    """Those that may have been sent, and wait for a person."""
    oldest_queued_age: float | None
    """Seconds since the first of the queued single sends that are pending was queued; None if there
    is none."""
    oldest_started_age: float | None
    """Seconds since the first of the started campaigns with pending submissions was started; None
    if there is none."""


@dataclass(frozen=True)
class NumberResult:
    """What became of one number of a campaign."""

    number: str
    state: State
    batch_no: str | None
    code: int | None
    reason: str
    submission_id: int


@dataclass(frozen=True)
class Timing:
    """When one submission was sent and answered, by the ledger's clock."""

    sent_at: datetime
    ended_at: datetime
    numbers: int
    """The count of its numbers."""


@dataclass(frozen=True)
class HistoryEntry:
    """One change of a submission's state, or a late response that did not change it."""

    submission_id: int
    """The id of the submission; before a split, the id of the original."""
    at: datetime
    before: State
    after: State
    batch_no: str | None
    code: int | None
    detail: str
    by: str
    """The id of the runner, or the person who decided."""

    @property
    def who(self) -> str:
        """Who did it, for people to read: ``process 4711 on web-3``, or the person who decided."""
        runner = _RUNNER_ID.fullmatch(self.by)
        return Sentence("process {pid} on {host}", **runner.groupdict()) if runner else self.by


@dataclass(frozen=True)
class SubmissionRecord:
    """A submission that contains a given number."""

    campaign: str | None
    """The name of its campaign; None for a single send."""
    key: str | None
    """The key of a single send; None in a campaign."""
    submission_id: int
    state: State
    batch_no: str | None
    code: int | None
    reason: str
    message: str
    history: tuple[HistoryEntry, ...]
    """Its changes of state, the oldest first."""


@dataclass(frozen=True)
class Progress:
    """How far one run is, or all runs of a campaign together. It holds no personal data."""

    accepted: int
    """Numbers."""
    rejected: int
    """Numbers."""
    unknown: int
    """Numbers."""
    in_flight: int
    """Submissions that are being sent now."""
    submissions: int
    """Submissions that ended."""
    state: CampaignState
    reason: str
    """Why the campaign waits, or this run (or all of its runs), as until the sending hours, or who
    cancelled it; empty if nothing of that is so."""
    until: datetime | None
    """When that wait ends; None if nothing but an operator ends it."""
    waiting_for: tuple[ActiveRunner, ...] = ()
    """Whose submissions this run waits for, because it has nothing else to do."""
