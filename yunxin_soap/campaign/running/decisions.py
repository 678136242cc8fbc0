"""What follows from how a submit ended; pure."""

from __future__ import annotations

from dataclasses import dataclass

from yunxin_soap.campaign.models import State
from yunxin_soap.campaign.turns import Pause
from yunxin_soap.codes import Category, ResultCode
from yunxin_soap.errors import InvalidRequest, NotSent, Rejected, SendError

CHANNEL_PAUSE = 300.0
"""Seconds to wait where no channel is usable, or it is outside its hours (-8)."""
TOO_OFTEN_PAUSE = 10.0
"""Seconds to wait where the gateway was asked too often (-23); from the vendor's manual."""
NOT_REACHED_PAUSE = 60.0
"""Seconds to wait where the gateway cannot be reached time after time."""
_BACKOFF = 1.0
_MAX_BACKOFF = 300.0
_BAD_NUMBERS = frozenset(
    {
        ResultCode.USER_BLACKLIST,
        ResultCode.SYSTEM_BLACKLIST,
        ResultCode.MALFORMED_NUMBER,
        ResultCode.UNREAL_NUMBER,
    }
)


@dataclass(frozen=True)
class Reaction:
    """What to record of a submit that was not accepted, and what to do about it."""

    state: State
    reason: str
    code: int | None = None
    safe: bool = False
    wait: float = 0.0
    """Seconds before it is tried again, if it is pending."""
    stop_text: bool = False
    """Whether submits with the same text are held back."""
    pause: Pause | None = None
    """Whether the whole campaign waits."""
    failed: bool = False
    """Whether it counts for the breaker: the gateway did not answer as it does when it is well."""


def react(error: SendError, *, attempts: int, size: int, isolate: bool) -> Reaction:
    """Say what follows from an error.

    Args:
        error: how the submit ended.
        attempts: how often it was tried.
        size: its numbers.
        isolate: whether a submit that is refused for its numbers is to be split.
    """
    if isinstance(error, InvalidRequest):
        # It was planned under other rules than this client's: a person has to look.
        return _wait_for_a_person(error)
    if isinstance(error, NotSent):
        wait = min(_MAX_BACKOFF, _BACKOFF * 2 ** min(attempts - 1, 20))
        return Reaction(State.PENDING, str(error), safe=True, wait=wait, failed=True)
    if isinstance(error, Rejected):
        return _refused(error, size, isolate=isolate)
    return Reaction(State.UNKNOWN, str(error), failed=True)


def _refused(error: Rejected, size: int, *, isolate: bool) -> Reaction:
    code = error.code
    if error.temporary:
        seconds = TOO_OFTEN_PAUSE if code == ResultCode.BALANCE_QUERIED_TOO_OFTEN else CHANNEL_PAUSE
        pause = Pause(str(error), seconds)
        return Reaction(State.PENDING, str(error), code, safe=True, pause=pause)
    if error.category in _NEEDS_A_PERSON:
        return _wait_for_a_person(error)
    if error.category is Category.CONTENT:
        return Reaction(State.REJECTED, str(error), code, safe=True, stop_text=True)
    if code in _BAD_NUMBERS and isolate and size > 1:
        return Reaction(State.SPLIT, str(error), code)
    return Reaction(
        State.REJECTED,
        str(error),
        code,
        safe=error.safe_to_resend,
        failed=error.category is Category.GATEWAY,
    )


_NEEDS_A_PERSON = frozenset(
    {Category.CREDENTIALS, Category.BALANCE, Category.CHANNEL, Category.CONFIGURATION}
)


def _wait_for_a_person(error: SendError) -> Reaction:
    code = error.code if isinstance(error, Rejected) else None
    return Reaction(State.PENDING, str(error), code, safe=True, pause=Pause(str(error)))


class Breaker:
    """Weighs failures against successes, and says when to stop.

    Args:
        limit: failures in a row that are one too many. Where some submits succeed between, each
            `MAKES_UP` of them make up for one failure.
    """

    MAKES_UP = 10

    def __init__(self, limit: int) -> None:
        self._limit = limit * self.MAKES_UP
        self._forget()

    def _forget(self) -> None:
        self._weight = self._failed = self._all = 0
        self._unknown = False

    def count(self, state: State | None, *, failed: bool) -> Pause | None:
        """Take one more into account; return the pause that follows."""
        self._weight += self.MAKES_UP if failed else -1
        self._failed += failed
        self._all += 1
        self._unknown = self._unknown or (failed and state is not State.PENDING)
        if self._weight <= 0:
            self._forget()
        if self._weight < self._limit:
            return None
        share, unknown = f"{self._failed} of {self._all}", self._unknown
        self._forget()
        if unknown:
            return Pause(f"{share} submits failed, and some may have been sent.")
        return Pause(f"The gateway was not reached by {share} submits.", NOT_REACHED_PAUSE)
