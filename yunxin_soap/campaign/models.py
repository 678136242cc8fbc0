"""The states of a submit in the ledger, and which may follow which; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class State(str, Enum):
    """Where a submit stands."""

    PENDING = "pending"
    """Not sent yet, or known not to have arrived."""
    SUBMITTING = "submitting"
    """A runner has committed itself to send it; whether it did is not recorded yet."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    """It may have been sent; only a person's decision moves it."""
    SPLIT = "split"
    """Rejected for its numbers, which were moved to two smaller submissions."""


ALLOWED: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.SUBMITTING}),
    State.SUBMITTING: frozenset(
        {State.PENDING, State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.SPLIT}
    ),
    State.ACCEPTED: frozenset(),
    State.REJECTED: frozenset({State.PENDING}),
    State.UNKNOWN: frozenset({State.PENDING, State.ACCEPTED, State.REJECTED}),
    State.SPLIT: frozenset(),
}
"""What may follow each state. From rejected and unknown it goes on by a person's decision alone."""


class CampaignState(str, Enum):
    """Where a campaign stands."""

    OPEN = "open"
    """It has submits to send, and they may be sent."""
    PAUSED = "paused"
    """It waits: until a time, or until somebody resumes it."""
    DONE = "done"
    """Nothing is left that may be sent."""


@dataclass(frozen=True)
class Plan:
    """The counts of a campaign, before it is written to the ledger or after."""

    name: str
    digest: str
    """Equal for the same numbers, texts, channel and extension, in any order."""
    numbers: int
    submissions: int
    texts: int
    """How many different texts are sent."""
    segments: int
    """An estimate of the SMS that the vendor bills: a text of up to 70 characters is one, a longer
    one is split into parts of 67."""
    skipped: int
    """How many lines of the list are in no submission."""
    existing: bool = False
    """Whether the ledger had the same campaign already, so that nothing was written."""


@dataclass(frozen=True)
class SkippedLine:
    """A line of the list that is in no submission."""

    line: int
    """Counted from 1."""
    value: str
    """The cell with the number, truncated to 200 characters."""
    reason: str


@dataclass(frozen=True)
class Status:
    """The state of a campaign. ``numbers`` adds up to ``planned``."""

    name: str
    state: CampaignState
    reason: str
    """Why it is paused; empty if it is not."""
    paused_until: datetime | None
    """When a pause ends by itself; None if it does not, or if there is no pause."""
    created_at: datetime
    planned: int
    """The count of its numbers."""
    skipped: int
    """The count of lines that no submission was made of."""
    numbers: dict[State, int]
    """The count of numbers in each state."""
    submissions: dict[State, int]
    """The count of submissions in each state."""
    codes: dict[int, int]
    """The count of rejected numbers by result code."""
    on_hold: dict[str, int]
    """The count of pending numbers whose text was rejected, by the reason."""


@dataclass(frozen=True)
class Timing:
    """When one submission was sent and answered, by the ledger's clock."""

    sent_at: datetime
    ended_at: datetime
    numbers: int
    """The count of its numbers."""
