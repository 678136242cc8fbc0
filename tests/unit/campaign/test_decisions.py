"""What follows, in a campaign, from the error that a submission ended with."""

from __future__ import annotations

import asyncio

import pytest

from yunxin_soap import InvalidRequest, NotSent, OutcomeUnknown, Rejected
from yunxin_soap.campaign import State
from yunxin_soap.campaign.models import ClaimedSubmission
from yunxin_soap.campaign.running.decisions import (
    CHANNEL_PAUSE,
    MAX_BACKOFF,
    UNREACHABLE_PAUSE,
    CircuitBreaker,
    Decision,
    decide,
    ending_of,
)
from yunxin_soap.codes import DOCUMENTED, Category
from yunxin_soap.errors import SendError, rejected_by_code
from yunxin_soap.message import Submission

UNDOCUMENTED = -99
NUMBERS = ("13900000000", "13900000001")


def claimed(*, attempts: int = 1, numbers: tuple[str, ...] = NUMBERS) -> ClaimedSubmission:
    return ClaimedSubmission(1, 1, attempts, Submission(numbers, "您好【签名】", "37", ""))


def decided(error: SendError, *, attempts: int = 1, isolate: bool = False) -> Decision:
    return decide(error, claimed(attempts=attempts), began_at=1.0, ended_at=2.0, isolate=isolate)


@pytest.mark.parametrize("code", [*DOCUMENTED, UNDOCUMENTED])
def test_decide_isolate_splits_only_bad_numbers(code: int) -> None:
    """With ``isolate``, only -14 to -17 split: -1 and undocumented codes may have been sent."""
    is_split = decided(rejected_by_code(code), isolate=True).ending.state is State.SPLIT
    assert is_split == (code in (-14, -15, -16, -17))


@pytest.mark.parametrize("code", [-14, -15, -16, -17])
def test_decide_bad_number_alone_is_rejected(code: int) -> None:
    """A submission with one number is not split any further."""
    error = rejected_by_code(code)
    decision = decide(error, claimed(numbers=NUMBERS[:1]), began_at=1.0, ended_at=2.0, isolate=True)
    assert decision.ending.state is State.REJECTED
    assert decision.ending.safe_to_resend


def test_decide_undocumented_code_is_unsafe_and_fails() -> None:
    """An undocumented code is the gateway's failure, not temporary, and not safe to resend."""
    error = rejected_by_code(UNDOCUMENTED)
    assert (error.category, error.temporary) == (Category.GATEWAY, False)
    decision = decided(error)
    assert decision.failed
    assert decision.pause is None
    assert decision.ending.state is State.REJECTED
    assert decision.ending.code == UNDOCUMENTED
    assert not decision.ending.safe_to_resend


def test_decide_banned_word_keeps_keyword_and_holds_text() -> None:
    """The ending of a -6 names the banned word, and other submissions with the text are held."""
    ending = decided(rejected_by_code(-6, "促销")).ending
    assert (ending.state, ending.code, ending.keyword) == (State.REJECTED, -6, "促销")
    assert ending.hold_content
    assert ending.safe_to_resend


def test_decide_invalid_request_waits_for_operator() -> None:
    """A submission that this client's own rules find invalid waits for an operator."""
    decision = decided(InvalidRequest("The message is invalid."))
    assert decision.ending.state is State.PENDING
    assert decision.pause is not None
    assert decision.pause.seconds is None
    assert not decision.failed


@pytest.mark.parametrize("code", [-3, -7, -13, -18, -19, -21, -22])
def test_decide_operators_cause_pauses_until_resumed(code: int) -> None:
    """Account, balance, channel and settings pause the campaign until an operator resumes it."""
    decision = decided(rejected_by_code(code))
    assert decision.ending.state is State.PENDING
    assert decision.pause is not None
    assert decision.pause.seconds is None


def test_decide_channel_outside_hours_pauses_for_a_time() -> None:
    """-8 is temporary: the campaign waits, and sends the submission again."""
    decision = decided(rejected_by_code(-8))
    assert decision.ending.state is State.PENDING
    assert decision.pause is not None
    assert decision.pause.seconds == CHANNEL_PAUSE


def test_decide_backoff_doubles_up_to_five_minutes() -> None:
    """Each further attempt that was not sent waits twice as long, up to 300 s."""
    waits = [
        decided(NotSent("no connection"), attempts=attempts).ending.retry_after
        for attempts in range(1, 12)
    ]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, MAX_BACKOFF, MAX_BACKOFF]
    assert MAX_BACKOFF == 300
    assert decided(NotSent("no connection"), attempts=5000).ending.retry_after == MAX_BACKOFF


def test_decide_unknown_keeps_reason_and_fails() -> None:
    """An unknown outcome keeps its reason, and is a failure for the circuit breaker."""
    decision = decided(OutcomeUnknown("The response timed out."))
    assert decision.ending.state is State.UNKNOWN
    assert decision.ending.reason == "The response timed out."
    assert not decision.ending.safe_to_resend
    assert decision.failed


@pytest.mark.parametrize(
    ("cause", "state"),
    [(None, State.PENDING), (OutcomeUnknown("in flight"), State.UNKNOWN)],
)
def test_ending_of_cancellation_depends_on_its_cause(
    cause: OutcomeUnknown | None, state: State
) -> None:
    """A cancelled submission is unknown only if its request may have left."""
    error = asyncio.CancelledError()
    error.__cause__ = cause
    ending = ending_of(error, claimed(), began_at=1.0, ended_at=2.0)
    assert ending.state is state
    assert ending.safe_to_resend == (state is State.PENDING)


def test_ending_of_other_exception_is_unknown() -> None:
    """An exception that is no `SendError` says nothing about the SMS."""
    ending = ending_of(ZeroDivisionError(), claimed(), began_at=1.0, ended_at=2.0)
    assert (ending.state, ending.safe_to_resend) == (State.UNKNOWN, False)
    assert ending.reason == "it ended with ZeroDivisionError"


@pytest.mark.parametrize("http_status", [400, 404, 429])
def test_decide_http_rejection_keeps_campaign_from_resending(http_status: int) -> None:
    """A rejection by HTTP has no code; the campaign waits instead of trying the next submission."""
    error = Rejected(
        "HTTP status", http_status=http_status, category=Category.CONFIGURATION, safe_to_resend=True
    )
    decision = decided(error)
    assert decision.ending.code is None
    assert decision.pause is not None


@pytest.mark.parametrize(("every", "failures"), [(1, 5), (2, 6), (3, 6), (5, 8), (11, None)])
def test_circuit_breaker_ten_successes_cancel_out_one_failure(
    every: int, failures: int | None
) -> None:
    """Five failures in a row pause; with successes between, it takes more."""
    breaker = CircuitBreaker(5)
    failed = 0
    for number in range(10_000):
        is_bad = number % every == 0
        failed += is_bad
        pause = breaker.count(State.UNKNOWN if is_bad else State.ACCEPTED, failed=is_bad)
        if pause is not None:
            assert pause.reason.startswith(f"{failures} of {number + 1} submissions failed")
            break
    assert (failed == failures) if failures else (failed > 900)


def test_circuit_breaker_success_gives_no_credit() -> None:
    """After 10,000 successes, five failures still pause the campaign."""
    breaker = CircuitBreaker(5)
    for _ in range(10_000):
        assert breaker.count(State.ACCEPTED, failed=False) is None
    pauses = [breaker.count(State.UNKNOWN, failed=True) for _ in range(5)]
    assert pauses[:4] == [None] * 4
    assert pauses[4] is not None
    assert pauses[4].reason.startswith("5 of 5 ")


def test_circuit_breaker_endless_application_exceptions_pause() -> None:
    """-1 again and again is a failing gateway."""
    breaker = CircuitBreaker(5)
    pause = None
    for _ in range(5):
        decision = decided(rejected_by_code(-1))
        pause = breaker.count(decision.ending.state, failed=decision.failed)
    assert pause is not None
    assert pause.seconds is None


def test_circuit_breaker_unreachable_gateway_pauses_for_a_time() -> None:
    """If nothing was sent, the pause ends by itself."""
    breaker = CircuitBreaker(3)
    pauses = [breaker.count(State.PENDING, failed=True) for _ in range(3)]
    assert pauses[-1] is not None
    assert pauses[-1].seconds == UNREACHABLE_PAUSE


@pytest.mark.parametrize("place", [0, 1, 2])
def test_circuit_breaker_one_unknown_waits_for_operator(place: int) -> None:
    """One unknown among many that were not sent makes the pause one for an operator."""
    breaker = CircuitBreaker(3)
    states = [State.PENDING] * 3
    states[place] = State.UNKNOWN
    pauses = [breaker.count(state, failed=True) for state in states]
    assert pauses[-1] is not None
    assert pauses[-1].seconds is None
