"""Tell observers and the log how each submission goes, without a number, a text or a secret.

An observer is for a whole process, since workers, task queues and the command line make clients of
their own. It is told of every submission, whichever client or runner sends it::

    def count(started: SubmissionStarted) -> Callable[[SubmissionEnded], None]:
        def end(ended: SubmissionEnded) -> None:
            print(ended.outcome.value, started.recipients, ended.duration)
        return end

    with observe(count):
        ...
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from yunxin_soap.errors import (
    ConfigurationError,
    Outcome,
    OutcomeUnknown,
    Rejected,
    SendError,
)
from yunxin_soap.results import parse_result
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from typing_extensions import Self

    from yunxin_soap.codes import Category
    from yunxin_soap.operation import ProtocolName

_log = logging.getLogger("yunxin_soap")
_CHANNEL = re.compile(r"[0-9]{1,10}")
"""A channel number. A phone number is longer."""
_BATCH_NO = re.compile(r"[0-9]{1,20}")


class Origin(NamedTuple):
    """What a ledger knows about a submission that it sends."""

    campaign: str | None = None
    submission_id: int | None = None
    attempt: int | None = None
    pace_wait: float | None = None


_NO_LEDGER = Origin()
ORIGIN: ContextVar[Origin] = ContextVar("yunxin_soap_origin", default=_NO_LEDGER)
"""What the ledger knows about the submission that this task or thread is about to send."""


@contextlib.contextmanager
def sent_from(origin: Origin) -> Iterator[None]:
    """Note what the ledger knows about what is sent inside a ``with`` block."""
    token = ORIGIN.set(origin)
    try:
        yield
    finally:
        ORIGIN.reset(token)


@dataclass(frozen=True)
class SubmissionStarted:
    """A submission that is about to be sent. It has no place for a number, a text or a secret."""

    protocol: ProtocolName
    server_address: str
    """The host of the endpoint."""
    server_port: int
    recipients: int
    """The count of its numbers."""
    channel: str
    """The channel number; empty if it is none, as `Client.service` lets any text be a channel."""
    campaign: str | None = None
    """The name of the campaign; None for a single send, and for one without a ledger."""
    submission_id: int | None = None
    """The submission's id in the ledger; None without a ledger."""
    attempt: int | None = None
    """How often the ledger has begun to send it, this time included; None without a ledger."""
    pace_wait: float | None = None
    """Seconds that it has waited for its turn by a shared pace; None if it has no pace."""

    def __post_init__(self) -> None:
        """Drop what is no channel number, and might be a number or a secret."""
        if not _CHANNEL.fullmatch(self.channel):
            object.__setattr__(self, "channel", "")


@dataclass(frozen=True)
class SubmissionEnded:
    """A submission that has ended. It has no place for a number, a text or a secret."""

    started: SubmissionStarted
    outcome: Outcome
    duration: float
    """Seconds from the beginning: waiting for a connection and connecting are included."""
    batch_no: str | None = None
    """The vendor's batch number of an accepted one: up to 20 digits."""
    code: int | None = None
    """The gateway's negative code of a rejected one; None if HTTP or SOAP rejected it."""
    category: Category | None = None
    """What to fix before a rejected one can succeed."""
    http_status: int | None = None
    """The HTTP status; None if no response came."""
    error: type[BaseException] | None = None
    """The class of the error; None for an accepted one."""

    def __post_init__(self) -> None:
        """Drop what is no batch number."""
        if self.batch_no is not None and not _BATCH_NO.fullmatch(self.batch_no):
            object.__setattr__(self, "batch_no", None)


Observer = Callable[[SubmissionStarted], Callable[[SubmissionEnded], object] | None]
"""What `observe` takes.

It is called right before a submission is sent. What it returns is called once when the submission
has ended; None: it need not know. Both are called in the thread or the task that sends, also on an
event loop, so they must not block.
"""


class Observation:
    """An observer that is told of every submission, until `remove`; `observe` returns it.

    It may be used as a context manager, too.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._has_failed = False

    def remove(self) -> None:
        """Tell the observer of no further submission. Those that have begun are told to the end."""
        global _observations
        with _lock:
            _observations = tuple(each for each in _observations if each is not self)

    def __enter__(self) -> Self:
        """Return the observation itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the observer."""
        self.remove()

    def begin(self, started: SubmissionStarted) -> Callable[[SubmissionEnded], object] | None:
        """Tell the observer that a submission begins, and return what to call when it ends."""
        end: Callable[[SubmissionEnded], object] | None = self._call(self._observer, started)
        return end

    def end(self, end: Callable[[SubmissionEnded], object], ended: SubmissionEnded) -> None:
        """Tell the observer that a submission has ended."""
        self._call(end, ended)

    def _call(self, function: Callable[[Any], Any], event: object) -> Any:
        """Call a function of the observer. Its errors are logged once, and change nothing."""
        try:
            return function(event)
        except Exception:  # noqa: BLE001 - whatever it is, it must not change an outcome
            if not self._has_failed:
                self._has_failed = True
                _log.exception(
                    "An observer of submissions failed (%s). The submission goes on; further errors"
                    " of this observer are not logged.",
                    getattr(self._observer, "__qualname__", type(self._observer).__qualname__),
                )
            return None


_lock = threading.Lock()
_observations: tuple[Observation, ...] = ()


def observe(observer: Observer) -> Observation:
    """Tell an observer of every submission that this process sends from now on.

    An observer that raises changes no outcome: its first error is logged, and no other.

    Args:
        observer: called with each `SubmissionStarted`; what it returns is called with the
            `SubmissionEnded`. See `Observer`.

    Returns:
        What ends it: by ``remove()``, or as a context manager.

    Raises:
        ConfigurationError: it cannot be called.
    """
    global _observations
    if not callable(observer):
        raise ConfigurationError(
            Sentence(
                "observer={observer} cannot be called: pass a function.", observer=repr(observer)
            )
        )
    observation = Observation(observer)
    with _lock:
        _observations = (*_observations, observation)
    return observation


def is_watched() -> bool:
    """Return whether an observer or the log wants to know of a submission."""
    return bool(_observations) or _log.isEnabledFor(logging.DEBUG)


class Watch:
    """Tells observers and the log of one submission.

    Args:
        started: the submission.
        observations: who is told.
    """

    def __init__(
        self, started: SubmissionStarted, observations: tuple[Observation, ...] | None = None
    ) -> None:
        self._started = started
        self._ends = [
            (each, end)
            for each in (_observations if observations is None else observations)
            if (end := each.begin(started)) is not None
        ]
        self._began_at = time.perf_counter()

    def accepted(self, batch_no: str) -> None:
        """Tell that the gateway accepted it."""
        # Only a response with this status is a receipt.
        self._end(Outcome.ACCEPTED, batch_no=batch_no, http_status=200)

    def returned(self, result: str) -> None:
        """Tell what the method returned: a batch number or a code, or neither."""
        try:
            batch_no = parse_result(result)
        except SendError as error:
            self.failed(error)
        else:
            self.accepted(batch_no)

    def failed(self, raised: BaseException) -> None:
        """Tell that it raised an error, which may be a cancellation whose cause says more."""
        error = raised if isinstance(raised, SendError) else raised.__cause__
        if isinstance(error, Rejected):
            by_code = error.code is not None
            self._end(
                error.outcome,
                error,
                code=error.code,
                category=error.category,
                http_status=200 if by_code else error.http_status,
            )
        elif isinstance(error, OutcomeUnknown):
            self._end(error.outcome, error, http_status=error.http_status)
        elif isinstance(error, SendError):
            self._end(error.outcome, error)
        else:
            is_local = isinstance(raised, ConfigurationError)
            self._end(Outcome.NOT_SENT if is_local else Outcome.UNKNOWN, raised)

    def _end(self, outcome: Outcome, error: BaseException | None = None, **details: Any) -> None:
        duration = time.perf_counter() - self._began_at
        kind = None if error is None else type(error)
        ended = SubmissionEnded(self._started, outcome, duration, error=kind, **details)
        for observation, end in reversed(self._ends):
            observation.end(end, ended)
        self._ends.clear()
        with contextlib.suppress(Exception):  # of a filter of the application's log
            _log_end(ended, error)


def _log_end(ended: SubmissionEnded, error: BaseException | None) -> None:
    """Log the end of a submission: an unknown one as a warning, any other at DEBUG."""
    if ended.outcome is not Outcome.UNKNOWN:
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(
                "A submission ended (numbers: %d): %s",
                ended.started.recipients,
                _describe(ended),
                extra=_extra(ended),
            )
        return
    # An excerpt of a response, which these errors quote, may be a page that quotes the message.
    is_quoting = not isinstance(error, OutcomeUnknown) or error.excerpt is not None
    _log.warning(
        "It is unknown whether a submission was sent (numbers: %d): %s",
        ended.started.recipients,
        _describe(ended) if is_quoting else error,
        extra=_extra(ended),
    )


def _describe(ended: SubmissionEnded) -> str:
    facts = {
        "batch_no": ended.batch_no,
        "code": ended.code,
        "http_status": ended.http_status,
        "error": None if ended.error is None else ended.error.__name__,
    }
    known = (f"{name}={value}" for name, value in facts.items() if value is not None)
    return ", ".join((ended.outcome.value, *known))


def _extra(ended: SubmissionEnded) -> dict[str, Any]:
    """Return the attributes of a log record. None of these names is one that `logging` uses."""
    started = ended.started
    return {
        "campaign": started.campaign,
        "submission_id": started.submission_id,
        "outcome": ended.outcome.value,
        "code": ended.code,
        "batch_no": ended.batch_no,
        "recipients": started.recipients,
    }
