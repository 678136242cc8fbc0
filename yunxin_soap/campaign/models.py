"""The states of a submit in the ledger, and which may follow which; pure."""

from __future__ import annotations

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
    """SkippedLine for its numbers, which went over to two smaller submits."""


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
