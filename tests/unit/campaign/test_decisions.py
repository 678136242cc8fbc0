"""What follows from the error that a submission ended with."""

from __future__ import annotations

import asyncio

import pytest

from yunxin_soap import NotSent, OutcomeUnknown, SendError
from yunxin_soap.campaign.models import ClaimedSubmission, State
from yunxin_soap.campaign.running.decisions import ending_of
from yunxin_soap.errors import rejected_by_code
from yunxin_soap.message import Submission

CLAIMED = ClaimedSubmission(1, 1, 1, Submission(("13900000000",), "x【a】", "37", ""))


@pytest.mark.parametrize(
    ("cause", "state", "code", "safe"),
    [
        (None, State.PENDING, None, True),
        (NotSent("no byte left"), State.PENDING, None, True),
        (rejected_by_code(-1), State.REJECTED, -1, False),
        (rejected_by_code(-7), State.REJECTED, -7, True),
        (OutcomeUnknown("it may have been sent"), State.UNKNOWN, None, False),
    ],
)
def test_ending_of_a_cancellation_is_that_of_its_cause(
    cause: SendError | None, state: State, code: int | None, safe: bool
) -> None:
    """A cancelled submission ends as its cause says; without one, it was not sent."""
    cancelled = asyncio.CancelledError()
    cancelled.__cause__ = cause
    ending = ending_of(cancelled, CLAIMED, began_at=0.0, ended_at=1.0)
    assert (ending.state, ending.code, ending.safe_to_resend) == (state, code, safe)
