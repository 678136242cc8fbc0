"""What follows from the error that a submission ended with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from yunxin_soap import (
    ConfigurationRejected,
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    Rejected,
    ResultCode,
    SendError,
)
from yunxin_soap.campaign.models import ClaimedSubmission, Ending, Pause, State
from yunxin_soap.campaign.running.decisions import (
    CircuitBreaker,
    Decision,
    decide,
    ending_of,
    ending_of_queued,
)
from yunxin_soap.errors import rejected_by_code
from yunxin_soap.message import Submission

CLAIMED = ClaimedSubmission(1, 1, 1, Submission(("13900000000",), "x【a】", "37", ""))
TWO = ClaimedSubmission(1, 1, 1, Submission(("13900000000", "13900000001"), "x【a】", "37", ""))
BAD_NUMBERS = {-14, -15, -16, -17}
CODES = [*(int(each) for each in ResultCode), -2, -4, -99, -1000]


def decide_on(
    error: SendError, claimed: ClaimedSubmission = TWO, *, isolate: bool = False
) -> Decision:
    return decide(error, claimed, began_at=0.0, ended_at=1.0, isolate=isolate)


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


@pytest.mark.parametrize("code", CODES)
def test_decide_isolate_splits_for_bad_numbers_only(code: int) -> None:
    """Only -14 to -17 split a submission: after any other code, a half could be a second copy."""
    error = rejected_by_code(code)
    assert (decide_on(error, isolate=True).ending.state is State.SPLIT) == (code in BAD_NUMBERS)
    assert decide_on(error, isolate=False).ending.state is not State.SPLIT
    assert decide_on(error, CLAIMED, isolate=True).ending.state is not State.SPLIT


def test_decide_split_is_not_safe_to_resend() -> None:
    """What was split is not resent itself: its halves are."""
    assert not decide_on(rejected_by_code(-14), isolate=True).ending.safe_to_resend


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("code", [-1, -2, -99])
def test_decide_code_that_may_have_sent_is_a_failure_and_unsafe(code: int, isolate: bool) -> None:
    """-1 and undocumented codes are the gateway's failures: rejected, unsafe, and no pause."""
    decision = decide_on(rejected_by_code(code), isolate=isolate)
    assert (decision.ending.state, decision.ending.code) == (State.REJECTED, code)
    assert not decision.ending.safe_to_resend
    assert decision.failed
    assert decision.pause is None


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (rejected_by_code(-8), 300.0),
        (rejected_by_code(-23), 10.0),
        (ConfigurationRejected("wait", http_status=429, temporary=True), 60.0),
    ],
)
def test_decide_temporary_rejection_is_a_timed_pause(error: Rejected, seconds: float) -> None:
    """What may pass by itself stays pending, and pauses the campaign for its time."""
    decision = decide_on(error)
    assert decision.ending.state is State.PENDING
    assert decision.ending.safe_to_resend
    # What HTTP says is a server's words, which may quote the text.
    assert decision.pause == Pause(str(error), seconds, may_quote=error.code is None)
    assert not decision.failed


def test_decide_invalid_request_waits_for_an_operator() -> None:
    """What this client's rules reject stays pending, and pauses until an operator resumes."""
    decision = decide_on(InvalidRequest("text too long", safe_to_resend=True))
    assert decision.ending.state is State.PENDING
    assert decision.ending.safe_to_resend
    assert decision.pause == Pause("text too long", may_quote=True)
    assert decision.pause.seconds is None


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 1), (2, 2), (3, 4), (8, 128), (9, 256), (10, 300), (11, 300), (100_000, 300)],
)
def test_decide_backoff_doubles_up_to_five_minutes(attempts: int, seconds: float) -> None:
    """Each attempt that was not sent doubles the wait, from one second to five minutes."""
    claimed = ClaimedSubmission(1, 1, attempts, TWO.submission)
    decision = decide_on(NotSent("connection refused"), claimed)
    assert decision.ending.state is State.PENDING
    assert decision.ending.retry_after == seconds
    assert decision.failed


@pytest.mark.parametrize(
    ("error", "state", "retry_after"),
    [
        (rejected_by_code(-7), State.PENDING, 300.0),  # a campaign would ask an operator
        (rejected_by_code(-8), State.PENDING, 300.0),
        (rejected_by_code(-23), State.PENDING, 10.0),
        (ConfigurationRejected("w", http_status=429, temporary=True), State.PENDING, 60.0),
        (InvalidRequest("text too long", safe_to_resend=True), State.PENDING, 300.0),
        (NotSent("connection refused"), State.PENDING, 4.0),
        (rejected_by_code(-6, "x"), State.REJECTED, 0.0),
        (rejected_by_code(-14), State.REJECTED, 0.0),
        (rejected_by_code(-1), State.REJECTED, 0.0),
        (OutcomeUnknown("it may have been sent"), State.UNKNOWN, 0.0),
    ],
)
def test_ending_of_queued_waits_where_a_campaign_would_pause(
    error: SendError, state: State, retry_after: float
) -> None:
    """A queued send stays pending for as long as a campaign would pause, and holds no content."""
    claimed = ClaimedSubmission(1, 1, 3, TWO.submission)
    ending = ending_of_queued(error, claimed, began_at=2.0, ended_at=5.0)
    assert (ending.state, ending.retry_after) == (state, retry_after)
    assert (ending.claimed, ending.began_at, ending.ended_at) == (claimed, 2.0, 5.0)
    assert not ending.hold_content


@pytest.mark.parametrize("end", [ending_of, ending_of_queued])
def test_ending_of_any_other_error_is_unknown(end: Callable[..., Ending]) -> None:
    """An error that says nothing about the request leaves the outcome unknown."""
    ending = end(RuntimeError("x"), CLAIMED, began_at=2.0, ended_at=5.0)
    assert ending == Ending(CLAIMED, State.UNKNOWN, 2.0, 5.0, reason="it ended with RuntimeError")


def test_ending_of_a_cancellation_keeps_the_reason_of_its_cause() -> None:
    """The reason says that it was cancelled, and what its cause says."""
    cancelled = asyncio.CancelledError()
    cancelled.__cause__ = OutcomeUnknown("a byte had left")
    ending = ending_of(cancelled, CLAIMED, began_at=2.0, ended_at=5.0)
    assert ending.reason == "cancelled while in flight: a byte had left"
    assert (ending.began_at, ending.ended_at) == (2.0, 5.0)


def test_decide_unknown_outcome_is_a_failure_without_a_pause() -> None:
    """What may have been sent stays unknown; only the breaker pauses for it."""
    decision = decide_on(OutcomeUnknown("it may have been sent"))
    assert decision.ending.state is State.UNKNOWN
    assert not decision.ending.safe_to_resend
    assert (decision.pause, decision.failed) == (None, True)


@pytest.mark.parametrize("code", [-5, -6, -12, -20])
def test_decide_rejected_content_is_held(code: int) -> None:
    """A text that is rejected is held, so that its other submissions do not go out with it."""
    decision = decide_on(rejected_by_code(code))
    assert (decision.ending.state, decision.ending.hold_content) == (State.REJECTED, True)
    assert decision.ending.safe_to_resend
    assert (decision.pause, decision.failed) == (None, False)


@pytest.mark.parametrize("code", [-3, -7, -13, -18, -19, -21, -22])
def test_decide_account_rejection_waits_for_an_operator(code: int) -> None:
    """What concerns the account concerns all: it stays pending until an operator resumes."""
    error = rejected_by_code(code)
    decision = decide_on(error)
    assert (decision.ending.state, decision.ending.safe_to_resend) == (State.PENDING, True)
    assert decision.pause == Pause(str(error), None)
    assert not decision.failed


def count(circuit: CircuitBreaker, *failures: State) -> list[Pause | None]:
    return [circuit.count(state, failed=True) for state in failures]


def succeed(circuit: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        assert circuit.count(State.ACCEPTED, failed=False) is None


def test_breaker_success_is_no_credit() -> None:
    """After 10,000 successes, the same few failures in a row pause the campaign."""
    breaker = CircuitBreaker(3)
    succeed(breaker, 10_000)
    *before, pause = count(breaker, *[State.UNKNOWN] * 3)
    assert before == [None, None]
    assert pause == Pause("3 of 3 submissions failed, and 3 may have been sent: ask the vendor.")


@pytest.mark.parametrize(("successes", "paused"), [(9, True), (10, False)])
def test_breaker_ten_successes_cancel_out_a_failure(successes: int, paused: bool) -> None:
    """Ten successes after a failure cancel it out; nine leave a tenth of it."""
    breaker = CircuitBreaker(2)
    count(breaker, State.UNKNOWN)
    succeed(breaker, successes)
    count(breaker, State.UNKNOWN)
    succeed(breaker, 1)
    assert (count(breaker, State.UNKNOWN)[0] is not None) is paused


def test_breaker_endless_code_1_waits_for_an_operator() -> None:
    """A gateway that answers only -1 pauses the campaign until an operator resumes it."""
    breaker = CircuitBreaker(5)
    decision = decide_on(rejected_by_code(-1))
    pauses = [breaker.count(decision.ending.state, failed=decision.failed) for _ in range(5)]
    assert pauses[:4] == [None] * 4
    assert pauses[4] == Pause(
        "5 of 5 submissions failed: the gateway rejected 5, and no outcome is unknown."
        " Ask the vendor for the cause."
    )


@pytest.mark.parametrize("at", range(5))
def test_breaker_one_unknown_among_unreached_waits_for_an_operator(at: int) -> None:
    """One unknown among many that reached nobody is enough: the pause is an operator's."""
    states = [State.PENDING] * 5
    states[at] = State.UNKNOWN
    pause = count(CircuitBreaker(5), *states)[-1]
    assert pause == Pause("5 of 5 submissions failed, and 1 may have been sent: ask the vendor.")


def test_breaker_unreachable_gateway_is_a_timed_pause() -> None:
    """If no failure reached the gateway, the campaign continues by itself; then it counts anew."""
    breaker = CircuitBreaker(2)
    count(breaker, State.UNKNOWN)
    succeed(breaker, 10)
    for _ in range(2):
        first, pause = count(breaker, State.PENDING, State.PENDING)
        assert first is None
        assert pause == Pause("The gateway was unreachable for 2 of 2 submissions.", 60.0)
