"""What follows from the error that a submission ended with. Pure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from yunxin_soap.campaign.models import ClaimedSubmission, Ending, Pause, State
from yunxin_soap.codes import TOO_MANY_REQUESTS, Category, ResultCode
from yunxin_soap.errors import (
    ConfigurationError,
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    Rejected,
    SendError,
)
from yunxin_soap.sentences import Sentence

CHANNEL_PAUSE = 300.0
"""Seconds to wait if no channel is usable, or the channel is outside its hours (-8)."""
BALANCE_QUERY_PAUSE = 10.0
"""Seconds to wait after -23 (balance queried too often); the vendor's manual says 10 s."""
TOO_MANY_REQUESTS_PAUSE = 60.0
"""Seconds to wait after HTTP 429 (too many requests)."""
UNREACHABLE_PAUSE = 60.0
"""Seconds to wait if the gateway stays unreachable."""
FIRST_BACKOFF = 1.0
"""Seconds to wait after the first attempt that was not sent. Each further one doubles it."""
MAX_BACKOFF = 300.0
"""The most seconds to wait after an attempt that was not sent."""
_BAD_NUMBERS = frozenset(
    {
        ResultCode.USER_BLACKLIST,
        ResultCode.SYSTEM_BLACKLIST,
        ResultCode.MALFORMED_NUMBER,
        ResultCode.UNREAL_NUMBER,
    }
)
_NEEDS_OPERATOR = frozenset(
    {Category.CREDENTIALS, Category.BALANCE, Category.CHANNEL, Category.CONFIGURATION}
)


@dataclass(frozen=True)
class Decision:
    """What to record about a submission, and what its campaign does about it."""

    ending: Ending
    pause: Pause | None = None
    """A pause of the whole campaign; None: it goes on."""
    failed: bool = False
    """Whether it is a failure for the circuit breaker: a healthy gateway answers otherwise."""


def ending_of(
    error: BaseException, claimed: ClaimedSubmission, *, began_at: float, ended_at: float
) -> Ending:
    """Return how a submission ended that raised an error, whatever the error is.

    Args:
        error: what was raised.
        claimed: the submission.
        began_at: when it was sent, by the monotonic clock.
        ended_at: when it ended, by the same clock.
    """
    ending = Ending(claimed, State.UNKNOWN, began_at, ended_at)
    if isinstance(error, asyncio.CancelledError):
        # The cause says how far the request came before it was cancelled.
        cause = error.__cause__
        if isinstance(cause, SendError):
            known = ending_of(cause, claimed, began_at=began_at, ended_at=ended_at)
            reason = Sentence("cancelled while in flight: {reason}", reason=known.reason)
            return replace(known, reason=reason)
        reason = Sentence("cancelled before it was sent")
        return replace(ending, state=State.PENDING, reason=reason, safe_to_resend=True)
    if isinstance(error, (InvalidRequest, NotSent, ConfigurationError)):
        return replace(ending, state=State.PENDING, reason=str(error), safe_to_resend=True)
    if isinstance(error, Rejected):
        return replace(
            ending,
            state=State.REJECTED,
            reason=str(error),
            code=error.code,
            keyword=error.keyword,
            safe_to_resend=error.safe_to_resend,
        )
    if isinstance(error, OutcomeUnknown):
        return replace(ending, reason=str(error))
    return replace(ending, reason=Sentence("it ended with {error}", error=type(error).__name__))


def ending_of_queued(
    error: BaseException, claimed: ClaimedSubmission, *, began_at: float, ended_at: float
) -> Ending:
    """Return how a queued single send ended that raised an error.

    What a campaign would pause for leaves it pending, for as long as a pause would last. Nobody
    resumes it, so it is tried again in five minutes where a campaign would wait for an operator.

    Args:
        error: what was raised.
        claimed: the send.
        began_at: when it was sent, by the monotonic clock.
        ended_at: when it ended, by the same clock.
    """
    if not isinstance(error, SendError):
        return ending_of(error, claimed, began_at=began_at, ended_at=ended_at)
    decision = decide(error, claimed, began_at=began_at, ended_at=ended_at, isolate=False)
    ending = replace(decision.ending, hold_content=False)
    if ending.state is not State.PENDING:
        return ending
    wait = ending.retry_after
    if decision.pause is not None:
        wait = decision.pause.seconds or MAX_BACKOFF
    return replace(ending, retry_after=wait)


def _backoff(claimed: ClaimedSubmission) -> float:
    """Return the seconds until a submission that was not sent is tried again."""
    doubled: float = FIRST_BACKOFF * 2 ** min(claimed.attempts - 1, 20)
    return min(MAX_BACKOFF, doubled)


def decide(
    error: SendError,
    claimed: ClaimedSubmission,
    *,
    began_at: float,
    ended_at: float,
    isolate: bool,
) -> Decision:
    """Return what follows, in a campaign, from an error.

    Args:
        error: how the submission ended.
        claimed: the submission.
        began_at: when it was sent, by the monotonic clock.
        ended_at: when it ended, by the same clock.
        isolate: whether to split a submission that is rejected for its numbers.
    """
    ending = ending_of(error, claimed, began_at=began_at, ended_at=ended_at)
    if isinstance(error, InvalidRequest):
        # It was planned under other rules than those of this client.
        return _ask_operator(ending)
    if isinstance(error, NotSent):
        return Decision(replace(ending, retry_after=_backoff(claimed)), failed=True)
    if isinstance(error, Rejected):
        return _decide_rejected(error, ending, isolate=isolate)
    return Decision(ending, failed=True)


def _decide_rejected(error: Rejected, ending: Ending, *, isolate: bool) -> Decision:
    if error.temporary:
        pause = _pause(ending, _seconds_to_pause(error))
        return Decision(replace(ending, state=State.PENDING, safe_to_resend=True), pause)
    if error.category in _NEEDS_OPERATOR:
        return _ask_operator(ending)
    if error.category is Category.CONTENT:
        return Decision(replace(ending, safe_to_resend=True, hold_content=True))
    if error.code in _BAD_NUMBERS and isolate and ending.claimed.size > 1:
        return Decision(replace(ending, state=State.SPLIT, safe_to_resend=False))
    return Decision(ending, failed=error.category is Category.GATEWAY)


def _seconds_to_pause(error: Rejected) -> float:
    if error.http_status == TOO_MANY_REQUESTS:
        return TOO_MANY_REQUESTS_PAUSE
    if error.code == ResultCode.BALANCE_QUERIED_TOO_OFTEN:
        return BALANCE_QUERY_PAUSE
    return CHANNEL_PAUSE


def _ask_operator(ending: Ending) -> Decision:
    pending = replace(ending, state=State.PENDING, safe_to_resend=True)
    return Decision(pending, _pause(ending))


def _pause(ending: Ending, seconds: float | None = None) -> Pause:
    # What is said about a code is from the vendor's manual. HTTP's or SOAP's words are a server's.
    return Pause(ending.reason, seconds, may_quote=ending.code is None)


class CircuitBreaker:
    """Weighs failures against successes, and says when the campaign has to pause.

    Successes before a failure give no credit.

    Args:
        threshold: failures in a row that pause the campaign. `SUCCESSES_PER_FAILURE` successes
            cancel out one failure.
    """

    SUCCESSES_PER_FAILURE = 10

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold * self.SUCCESSES_PER_FAILURE
        self._reset()

    def _reset(self) -> None:
        self._weight = self._failed = self._all = self._unknown = self._rejected = 0

    def count(self, state: State, *, failed: bool) -> Pause | None:
        """Count one submission that ended; return the pause that follows, if any.

        Args:
            state: how it ended. If all failures are PENDING, the gateway was only unreachable, and
                the pause is a timed one.
            failed: whether it is a failure.
        """
        self._weight += self.SUCCESSES_PER_FAILURE if failed else -1
        self._failed += failed
        self._all += 1
        self._unknown += failed and state is State.UNKNOWN
        self._rejected += failed and state is State.REJECTED
        if self._weight <= 0:
            self._reset()
        if self._weight < self._threshold:
            return None
        counts = {"failed": self._failed, "all": self._all}
        unknown, rejected = self._unknown, self._rejected
        self._reset()
        if unknown:
            return Pause(
                Sentence(
                    "{failed} of {all} submissions failed, and {unknown} may have been sent: ask"
                    " the vendor.",
                    **counts,
                    unknown=unknown,
                )
            )
        if rejected:
            return Pause(
                Sentence(
                    "{failed} of {all} submissions failed: the gateway rejected {rejected}, and no"
                    " outcome is unknown. Ask the vendor for the cause.",
                    **counts,
                    rejected=rejected,
                )
            )
        return Pause(
            Sentence("The gateway was unreachable for {failed} of {all} submissions.", **counts),
            UNREACHABLE_PAUSE,
        )
