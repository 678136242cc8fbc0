"""Single sends, each at most once for its key, over the same ledger as campaigns."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import re
import shlex
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeAlias, TypeVar

import sqlalchemy as sa

from yunxin_soap import message as rules
from yunxin_soap.campaign.models import (
    DEFAULT_EXPIRES_IN,
    NAME_LENGTH,
    ClaimedSubmission,
    DecisionName,
    Ending,
    State,
)
from yunxin_soap.campaign.running.decisions import ending_of, ending_of_queued
from yunxin_soap.campaign.storage import transitions
from yunxin_soap.campaign.storage.admin import Admin
from yunxin_soap.campaign.storage.column_types import damaged
from yunxin_soap.campaign.storage.dialects import (
    driver_message,
    is_deadlock,
    is_full,
    is_transient,
    ledger_time,
    make_room,
)
from yunxin_soap.campaign.storage.engine import OUTAGE_TIMEOUT, as_ledger_errors
from yunxin_soap.campaign.storage.outbox import Outbox, connection_of
from yunxin_soap.campaign.storage.paces import Offer, pace_id
from yunxin_soap.campaign.storage.reads import Reads
from yunxin_soap.campaign.storage.runners import RunnerIdentity
from yunxin_soap.campaign.storage.schema import submission
from yunxin_soap.campaign.storage.singles import (
    Singles,
    check_content,
    content_of,
    digest_of,
)
from yunxin_soap.clock import lease_clock
from yunxin_soap.codes import Category
from yunxin_soap.errors import (
    ConfigurationError,
    ConfigurationRejected,
    LedgerError,
    NotInLedger,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RecipientsSuppressed,
    Rejected,
    SendError,
    SendExpired,
    rejected_by_code,
)
from yunxin_soap.message import Submission
from yunxin_soap.observer import Origin, sent_from
from yunxin_soap.results import Receipt
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.campaign.storage.outbox import Transaction
    from yunxin_soap.operation import ProtocolName

    AnyClient: TypeAlias = "Client | QueueClient"
    """What a call of this module needs of either client."""
    from yunxin_soap.client import Client

_log = logging.getLogger("yunxin_soap.campaign")
_P = ParamSpec("_P")
_T = TypeVar("_T")
_POLL = 0.1
"""Seconds between two polls of a send that another process has in flight."""
_LOOK_AT_PACE = 1.0
"""The most seconds until the next look at a pace: somebody may change it."""
_LONGEST_SLOT_WAIT = 5.0
"""Seconds that a call waits for a slot for what is queued: others need its thread, too."""
_NO_WAIT = 0.05
"""Seconds of a statement that has waited for no other transaction."""
_LOST_ANSWER_TIMEOUT = 10.0
"""Seconds to find out whether a claim was committed whose answer was lost."""
_JITTER = 0.8, 1.2
"""Between which shares of a backoff a queued send waits."""
_LONGEST = 366 * 86400.0
"""Seconds in which a queued send may be sent, at most."""
_PURGED = Submission((), "", "", "")
"""Stands for the content of a queued send that was purged."""
LEASE_MARGIN = 60.0
"""Seconds that a lease outlasts the client's total timeout, for the ledger's own time."""


class QueueClient(Protocol):
    """What sends for a worker; `AsyncClient` is one."""

    @property
    def total_timeout(self) -> float:
        """The most seconds that a submission takes."""

    @property
    def protocol(self) -> ProtocolName:
        """The protocol of its receipts."""

    async def submit(
        self, submission: Submission, /, *, valid_until: float | None = None
    ) -> Receipt:
        """Send it once, unless its first byte cannot leave before ``valid_until``."""


class OnceSends:
    """Single sends with a key: `Ledger.once`.

    Args:
        engine: the ledger's database.
        singles: claims single sends.
        reads: reads the ledger.
        admin: changes it by decisions.
        outage_timeout: seconds to wait for a ledger that cannot record how a send ended.
    """

    def __init__(
        self,
        engine: sa.Engine,
        singles: Singles,
        reads: Reads,
        admin: Admin,
        *,
        outage_timeout: float = OUTAGE_TIMEOUT,
    ) -> None:
        self._engine, self._singles, self._reads, self._admin = engine, singles, reads, admin
        self.outbox = Outbox(engine)
        """Queues sends; `Ledger.sweep` and the asynchronous twin use it, too."""
        self._outage_timeout = outage_timeout

    def send(
        self,
        client: Client,
        key: str,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int | None = None,
        extension: str | int | None = None,
        literal: bool = False,
        pace: str | None = None,
    ) -> Receipt:
        """Send one submission, at most once for each key, however often it is called.

        The first call sends. Every later call with that key, from any process, returns the same
        receipt or raises the same outcome; a call that comes while the first is in flight waits
        for it. If the process of the first call died in between, the outcome is unknown. If the
        outcome is *not sent*, the next call tries again; if it is *rejected*, the next call tries
        again once `retry` allows it.

        The rules for marketing are not checked: send it by a campaign that is planned as such.

        Args:
            client: the client that sends.
            key: names what is sent, such as ``order-42-shipped``.
            recipients: as `Client.send`.
            message: as `Client.send`.
            channel: as `Client.send`.
            extension: as `Client.send`.
            literal: as `Client.send`.
            pace: the pace to keep to, together with all others that name it: it waits for its turn,
                and then sends. Default: none.

        Returns:
            The receipt of the call that sent.

        Raises:
            ConfigurationError: the key is empty or not printable, or there is no such pace.
            ContentConflict: the key was used for other recipients, text, channel or extension.
            InvalidRequest: a rule is broken; nothing was sent.
            RecipientsSuppressed: a number is on the do-not-send list; nothing was sent, and the key
                stays as it was.
            NotSent: nothing can have reached the gateway; the next call tries again.
            Rejected: the gateway rejected it.
            OutcomeUnknown: it may have been sent.
            LedgerError: the ledger cannot be written; the message says whether it was sent.
            RuntimeError: the client is closed.
        """
        require_client(client, "once.send", asynchronous=False)
        checked = client.check(
            recipients, message, channel=channel, extension=extension, literal=literal
        )
        with as_ledger_errors():
            return self.begin(key, pace).send(client, checked)

    def enqueue(
        self,
        key: str,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int,
        extension: str | int = "",
        signature: str | None = None,
        max_recipients: int = rules.DEFAULT_MAX_RECIPIENTS,
        max_segments: int = rules.DEFAULT_MAX_SEGMENTS,
        recipient_pattern: str | re.Pattern[str] = rules.MAINLAND_MOBILE,
        literal: bool = False,
        expires_in: float | timedelta = DEFAULT_EXPIRES_IN,
        pace: str | None = None,
        connection: Transaction | None = None,
    ) -> bool:
        """Queue one submission: `Ledger.work` or `send_queued` sends it, at most once for its key.

        With the connection or session of the application it is part of the application's own
        transaction: an order and its notice are committed together, or neither is. After a rollback
        the key is as if it had never been used. The ledger must then be in the database of the
        application.

        *Not sent*, and what the gateway rejects for a cause that a campaign would wait for (no
        channel, outside its hours, balance, account), is tried again until it expires. Then it is
        cancelled. What else is rejected, or is unknown, stays for a person: see `retry` and
        `resolve`. If one of its numbers is put on the do-not-send list meanwhile, all of it is
        suppressed: give each person a key.

        It warns (`UserWarning`) of the message as `Client.check` does.

        Args:
            key: names what is sent, such as ``order-42-shipped``.
            recipients: as `Client.send`.
            message: the text, with its signature unless ``signature`` is given.
            channel: the channel number, such as 37.
            extension: the extension number. Default: none.
            signature: appended to a message that has none.
            max_recipients: the most numbers, from 1 to 1000.
            max_segments: the most segments of the text, from 1 to 255.
            recipient_pattern: the pattern that a normalised number must match. Default: mainland
                mobile numbers. Whatever it allows, a number has only digits, with at most a +.
            literal: whether to send what looks like an unfilled placeholder as it is.
            expires_in: the time in which it may be sent, in seconds or as a `timedelta`; above 0.
                Default: a day.
            pace: the pace that it is sent at. Default: none.
            connection: a `Connection` or `Session` of SQLAlchemy, in a transaction.
                Default: a transaction of its own.

        Returns:
            Whether it is queued now. False: the key was used for the same content before, whatever
            became of it. What `send` could not send, or has in flight, is queued: a worker sends it
            if it was not sent.

        Raises:
            ConfigurationError: the key is empty or not printable, ``expires_in`` is out of range,
                there is no such pace, or the connection does not lead to this ledger or is in
                autocommit mode.
            ContentConflict: the key was used for other recipients, text, channel or extension.
            InvalidRequest: a rule is broken.
            RecipientsSuppressed: a number is on the do-not-send list.
            LedgerError: the ledger cannot be written. In a transaction of the application, errors
                of the database are raised as they are.
            TypeError: the connection is of another kind.
        """
        given, seconds = check_queued(
            key,
            recipients,
            message,
            channel=channel,
            extension=extension,
            signature=signature,
            max_recipients=max_recipients,
            max_segments=max_segments,
            recipient_pattern=recipient_pattern,
            literal=literal,
            expires_in=expires_in,
        )
        for note in given.notes:
            warnings.warn(note, UserWarning, stacklevel=2)
        if connection is None:
            return self.outbox.add(key, given, expires_in=seconds, pace=pace)
        return self.outbox.add_within(
            connection_of(connection), key, given, expires_in=seconds, pace=pace
        )

    def send_queued(self, client: Client, key: str) -> Receipt:
        """Send what was queued with a key, now and at most once; its content is in the ledger.

        If it was sent before, it returns the same receipt or raises the same outcome; while another
        call has it in flight, it waits for that.

        Args:
            client: the client that sends.
            key: the key that it was queued with.

        Returns:
            The receipt of the call that sent.

        Raises:
            NotInLedger: nothing was queued with that key.
            SendExpired: it was not sent before it expired, so it is cancelled.
            RecipientsSuppressed: a number was put on the do-not-send list, so it is suppressed.
            NotSent: nothing can have reached the gateway, or its pace had no slot for five seconds.
                It stays queued, for a later time.
            InvalidRequest: the client's protocol cannot carry it; it stays queued.
            Rejected: the gateway rejected it. For a cause that may pass or that concerns more than
                this send, as its balance, it stays queued for a later time.
            OutcomeUnknown: it may have been sent.
            LedgerError: the ledger cannot be written; the message says whether it was sent.
            RuntimeError: the client is closed.
        """
        require_client(client, "once.send_queued", asynchronous=False)
        with as_ledger_errors():
            return self.begin(key).send(client, None)

    def counts(self) -> dict[State, int]:
        """Return the count of single sends in each state."""
        return self._reads.once_counts()

    def keys(self, state: State, *, can_retry: bool = False) -> Iterator[str]:
        """Yield the keys of the single sends in a state, the oldest first.

        Args:
            state: such as ``State.UNKNOWN``.
            can_retry: only of those that `retry` takes without ``unsafe``: what is purged, or may
                have been sent, is left out.
        """
        return self._reads.once_keys(state, can_retry=can_retry)

    def retry(self, key: str, *, unsafe: bool = False, by: str) -> None:
        """Let the next `send` with this key send again after a rejection, as after a top-up.

        What was queued is due at once, also if it only waits to be tried again; if it has expired,
        it has another day.

        Args:
            key: the key of the send.
            unsafe: also if it may have been sent, at the risk of a second copy.
            by: the person who decides; the history keeps the name.

        Raises:
            ConfigurationError: ``by`` is not printable text.
            NotInLedger: no send with that key was rejected so, or it was purged.
        """
        self._admin.retry_single(key, unsafe=unsafe, by=by)

    def resolve(
        self,
        key: str,
        decision: DecisionName,
        *,
        by: str,
        batch_no: str | None = None,
        even_if_alive: bool = False,
    ) -> None:
        """Decide what became of an unknown send; nothing else changes its state.

        Args:
            key: the key of the send.
            decision: ``resend`` lets the next `send` with this key send again, or a worker what was
                queued, at the risk of a second copy; ``accepted`` records that it was sent;
                ``not_sent`` records that it was not sent: it counts as rejected, and `retry` lets
                the next `send` send it.
            by: the person who decides; the history keeps the name.
            batch_no: the vendor's batch number of an accepted one, if it is known.
            even_if_alive: also if the process that had it in flight is not known to have ended. It
                may only be suspended, and send it later.

        Raises:
            ConfigurationError: the decision is none of these, or ``by`` or ``batch_no`` is not
                printable text.
            NotInLedger: no send with that key is unknown, or it might go out twice: it was
                accepted after all, or its process may still be alive.
        """
        self._admin.resolve_single(
            key, decision, by=by, batch_no=batch_no, even_if_alive=even_if_alive
        )

    def begin(self, key: str, pace: str | None = None) -> OnceSend:
        """Return one call's work on a key, for this class and its asynchronous twin."""
        return OnceSend(self._engine, self._singles, key, pace, outage_timeout=self._outage_timeout)


class OnceSend:
    """One call of `OnceSends.send`.

    Args:
        engine: the ledger's database.
        singles: claims the submission.
        key: names what is sent.
        pace: the pace that it is sent at, if any; what was queued has its own.
        outage_timeout: seconds to wait for a ledger that cannot record how it ended.

    Raises:
        ConfigurationError: the key is empty or not printable.
    """

    def __init__(
        self,
        engine: sa.Engine,
        singles: Singles,
        key: str,
        pace: str | None = None,
        *,
        outage_timeout: float,
    ) -> None:
        _check_key(key)
        self.submission_id: int | None = None
        """Its id in the ledger, once it was found or claimed."""
        self.slot_wait: float | None = None
        """Seconds until its pace may have a slot for it, if there was none; else None."""
        self._engine, self._singles, self._key, self._pace = engine, singles, key, pace
        self._slot = 0.0
        """When to send it, by the monotonic clock, if it has a pace."""
        self._waits_since: float | None = None
        """Since when it waits for its turn, by the same clock, if it has a pace."""
        self._ahead = 0.0
        """How far the ledger's clock is ahead of the monotonic one."""
        self._outage_timeout = outage_timeout
        self._valid_until = 0.0
        self._only_due = False
        """Whether it is sent only if it is due and nobody else has it in flight."""
        self._expires_at: float | None = None
        """By the ledger's clock; None if it is not queued."""

    def send(self, client: Client, checked: Submission | None) -> Receipt:
        """Send it, or return or raise how it ended before.

        Args:
            client: the client that sends.
            checked: the content; None: what was queued with the key.
        """
        self._identity = RunnerIdentity.new()
        try:
            while (step := self._claim_or_look_up(checked, client)) is None:
                time.sleep(self._look_again_in(checked))
            if isinstance(step, Receipt):
                return step
            self._await_slot(step)
            began_at = time.monotonic()
            try:
                with _noted(step, self._pace_wait()):
                    receipt = client.submit(step.submission, valid_until=self._valid_until)
            except BaseException as error:
                if self._record_error(step, error, began_at) or not isinstance(error, SendError):
                    raise
                late: Receipt | SendError = error
            else:
                if self._record(_accepted(step, receipt, began_at)):
                    return receipt
                late = receipt
            while (earlier := self._look_up(checked, client, late)) is None:
                time.sleep(_POLL)
            return earlier
        finally:
            self._identity.end()

    async def send_async(self, client: AsyncClient, checked: Submission | None) -> Receipt:
        """Send it, or return or raise how it ended before; what is in the ledger survives a cancel.

        Args:
            client: the client that sends.
            checked: the content; None: what was queued with the key.

        Raises:
            asyncio.CancelledError: the task was cancelled; the ledger has recorded the outcome.
        """
        self._identity = RunnerIdentity.new()
        try:
            while (step := await self._claim_or_look_up_async(checked, client)) is None:  # noqa: ASYNC110
                await asyncio.sleep(self._look_again_in(checked))
            if isinstance(step, Receipt):
                return step
            return await self._send_claimed(step, checked, client)
        finally:
            self._identity.end()

    def _look_again_in(self, checked: Submission | None) -> float:
        """Return the seconds until the next look at a send that could not be claimed.

        Raises:
            NotSent: it is queued, and its pace had no slot for too long: a worker sends it later.
        """
        if self.slot_wait is None:
            return _POLL
        if checked is None and (self._pace_wait() or 0.0) > _LONGEST_SLOT_WAIT:
            raise NotSent(
                Sentence(
                    "Nothing was sent yet: the pace of the send {key} had no slot for it in "
                    "{longest_slot_wait} s. It stays queued, and a worker sends it.",
                    key=repr(self._key),
                    longest_slot_wait=f"{_LONGEST_SLOT_WAIT:.0f}",
                )
            )
        return self.slot_wait

    async def send_due(self, client: QueueClient) -> bool:
        """Send what was queued with the key if it is due and nobody else has it in flight.

        Args:
            client: the client that sends.

        Returns:
            Whether this call has sent it.

        Raises:
            SendError: it ended so now.
            asyncio.CancelledError: the task was cancelled; the ledger has recorded the outcome.
        """
        self._only_due = True
        self._identity = RunnerIdentity.new()
        try:
            step = await self._claim_or_look_up_async(None, client)
            if not isinstance(step, ClaimedSubmission):
                return False
            await self._send_claimed(step, None, client)
            return True
        finally:
            self._identity.end()

    async def _send_claimed(
        self, step: ClaimedSubmission, checked: Submission | None, client: QueueClient
    ) -> Receipt:
        """Send what this call has claimed, and record how it ended."""
        await self._await_slot_async(step)
        began_at = time.monotonic()
        try:
            with _noted(step, self._pace_wait()):
                receipt = await client.submit(step.submission, valid_until=self._valid_until)
        except BaseException as error:
            recorded, cancelled = await uncancellable(self._record_error, step, error, began_at)
            if cancelled is not None:
                raise cancelled from error
            if recorded or not isinstance(error, SendError):
                raise
            late: Receipt | SendError = error
        else:
            if await _to_its_end(self._record, _accepted(step, receipt, began_at)):
                return receipt
            late = receipt
        while True:
            earlier = await _to_its_end(self._look_up, checked, client, late)
            if earlier is not None:
                return earlier
            await asyncio.sleep(_POLL)

    def _pace_wait(self) -> float | None:
        """Return for how long it has waited for its turn; None if it has no pace."""
        return None if self._waits_since is None else time.monotonic() - self._waits_since

    def _await_slot(self, claimed: ClaimedSubmission) -> None:
        """Wait for the slot of the pace; if that is interrupted, nothing was sent."""
        if (wait := self._slot - time.monotonic()) > 0:
            try:
                time.sleep(wait)
            except BaseException:
                self._record(_not_begun(claimed))
                raise

    async def _await_slot_async(self, claimed: ClaimedSubmission) -> None:
        if (wait := self._slot - time.monotonic()) > 0:
            try:
                await asyncio.sleep(wait)
            except BaseException:
                await uncancellable(self._record, _not_begun(claimed))
                raise

    async def _claim_or_look_up_async(
        self, checked: Submission | None, client: QueueClient
    ) -> Receipt | ClaimedSubmission | None:
        """Do as `_claim_or_look_up`, and give back what was claimed if the task is cancelled."""
        step, cancelled = await uncancellable(self._claim_or_look_up, checked, client)
        if cancelled is not None:
            if isinstance(step, ClaimedSubmission):  # it was not sent yet
                await uncancellable(self._record_error, step, cancelled, time.monotonic())
            raise cancelled
        return step

    def _claim_or_look_up(
        self, checked: Submission | None, client: AnyClient
    ) -> Receipt | ClaimedSubmission | None:
        """Claim the send, or return its receipt; None while another call has it in flight.

        None, too, while its pace has no slot for it.

        Raises:
            NotInLedger: there is no content, as nothing was queued with the key.
            RecipientsSuppressed: a number is on the do-not-send list.
            SendExpired: it was queued, and has expired.
            Rejected, OutcomeUnknown: it ended so before.
            ContentConflict: the key was used for something else.
        """
        try:
            step = self._try_to_claim(checked, client)
        except sa.exc.IntegrityError:
            return None  # another call inserted the key first
        except sa.exc.DBAPIError as error:
            if is_deadlock(error):
                return None  # the server has chosen another call
            if error.connection_invalidated and (own := self._own_claim(checked)) is not None:
                return own
            raise LedgerError(
                Sentence(
                    "The ledger cannot be used ({error}): this call sent nothing. "
                    "Call again later.",
                    error=driver_message(error),
                )
            ) from None
        if isinstance(step, SendError):
            raise step
        return step

    def _own_claim(self, checked: Submission | None) -> ClaimedSubmission | None:
        """Return what this call has claimed although the answer of the ledger was lost.

        None: it has claimed nothing, or the ledger cannot say it in time.
        """
        own = sa.select(submission).where(
            submission.c.key == self._key, submission.c.runner_id == self._identity.id
        )
        give_up_at = time.monotonic() + _LOST_ANSWER_TIMEOUT
        while True:
            try:
                with self._engine.connect() as connection:
                    found = connection.execute(own).one_or_none()
                    if found is None:
                        return None
                    content = checked or content_of(connection, found.id)
                    if content is None:
                        return None
                self._expires_at = found.expires_at
                return ClaimedSubmission(found.id, found.content_id, found.attempts, content)
            except sa.exc.DBAPIError as error:
                if not is_transient(error) or time.monotonic() >= give_up_at:
                    return None
            time.sleep(_POLL)

    def _try_to_claim(
        self, checked: Submission | None, client: AnyClient
    ) -> Receipt | ClaimedSubmission | SendError | None:
        """Do as `_claim_or_look_up`, without a look at the errors of the database.

        Returns:
            Also the error of a queued send that must not be sent any more: the transaction that has
            recorded it is committed.
        """
        digest = "" if checked is None else digest_of(checked)
        self.slot_wait = None
        if checked is not None and self._pace is None:
            lease = self._begin_lease(client)
            asked_at = time.monotonic()
            claimed = self._singles.claim_unused(self._identity, self._key, digest, checked, lease)
            if claimed is not None:
                if time.monotonic() - asked_at > _NO_WAIT:
                    self._look_at_list_again(claimed)
                return claimed
        elif checked is None and (claimed := self._claim_queued(client)) is not None:
            return claimed
        with self._engine.begin() as connection:
            found = connection.execute(self._existing()).one_or_none()
            if found is None and self._only_due:
                return None
            if found is not None:
                self.submission_id = found.id
            if found is not None and checked is not None:
                check_content(self._key, found, digest)
            if found is None or found.state == State.PENDING.value:
                return self._claim_in_slot(connection, found, checked, client)
            if found.state != State.SUBMITTING.value:
                return _earlier_outcome(connection, found, checked, client.protocol)
            # The next look finds what became of a stalled one.
            self._singles.runners.reclaim_stalled(connection, None)
            return None

    def _look_at_list_again(self, claimed: ClaimedSubmission) -> None:
        """Check again that no recipient of what this call has claimed is on the do-not-send list.

        The statement sees the list as it was when it began, and waits for a transaction that has
        queued something with the same key, and may be rolled back.

        Raises:
            RecipientsSuppressed: a number is on the list now; the send is pending.
        """
        try:
            with self._engine.begin() as connection:
                self._singles.refuse_suppressed(connection, claimed.submission.recipients)
        except RecipientsSuppressed as error:
            self._record_error(claimed, error, time.monotonic())
            raise

    def _existing(self) -> sa.Select[Any]:
        """Return what selects and locks the send."""
        own = sa.select(submission).where(submission.c.key == self._key)
        if not self._only_due:
            return own.with_for_update()
        queued = submission.c.state == State.PENDING.value, submission.c.expires_at.is_not(None)
        return own.where(*queued).with_for_update(skip_locked=True)

    def _claim_queued(self, client: AnyClient) -> ClaimedSubmission | None:
        """Claim a queued send that is due by few statements, if the database and the send allow."""
        lease = self._begin_lease(client)
        began_at = lease_clock()
        found = self._singles.claim_queued(self._identity, self._key, lease)
        if found is None:
            return None
        self.submission_id, self._expires_at = found.claimed.id, found.expires_at
        self._valid_until = min(self._valid_until, began_at + found.left)
        return found.claimed

    def _claim_in_slot(
        self,
        connection: sa.Connection,
        found: Any,
        checked: Submission | None,
        client: AnyClient,
    ) -> ClaimedSubmission | SendError | None:
        """Claim a send that is pending, or whose key is not used, if its pace has a slot for it.

        Raises:
            NotInLedger: there is no content, as nothing was queued with the key.
            RecipientsSuppressed: it was not queued, and a number is on the do-not-send list.
        """
        if found is None:
            if checked is None:
                raise NotInLedger(
                    Sentence(
                        "Nothing was queued with the key {key}: check the key and the ledger.",
                        key=repr(self._key),
                    )
                )
            # It may wait for the lock of the list, and all others of a pace would wait with it.
            self._singles.refuse_suppressed(connection, checked.recipients)
            # So may the insert, for a transaction that has queued the key.
            pending = self._insert(connection, checked)
            offer = self._look_for_slot(connection, self._pace)
        else:
            step = self._claimable(connection, found, checked)
            if not isinstance(step, ClaimedSubmission):
                return step
            pending = step
            queued = found.expires_at is not None
            offer = self._look_for_slot(connection, found.pace if queued else self._pace)
        if not self._has_slot(offer):
            connection.rollback()
            return None
        self._claim(connection, pending, client)
        if offer is not None:
            (slot,) = offer.take([pending.size])
            self._slot = slot - self._ahead
        return pending

    def _look_for_slot(self, connection: sa.Connection, pace: str | None) -> Offer | None:
        """Return the slots of a pace, which stay locked until the transaction ends.

        Raises:
            ConfigurationError: there is no such pace.
        """
        if pace is None:
            return None
        found = pace_id(connection, pace)
        before = time.monotonic()
        self._waits_since = before if self._waits_since is None else self._waits_since
        self._ahead = ledger_time(connection) - before
        return Offer(connection, [found], lambda: time.monotonic() + self._ahead)

    def _has_slot(self, offer: Offer | None) -> bool:
        """Return whether there is a slot now; else note when to look again."""
        if offer is None or offer.room() >= 1:
            return True
        wait = offer.look_at() - self._ahead - time.monotonic()
        self.slot_wait = min(_LOOK_AT_PACE, max(_POLL, wait))
        return False

    def _insert(self, connection: sa.Connection, checked: Submission) -> ClaimedSubmission:
        """Insert a send whose key is not used."""
        ids = transitions.insert_pending_single(connection, self._key, digest_of(checked), checked)
        return ClaimedSubmission(*ids, 1, checked)

    def _claimable(
        self, connection: sa.Connection, found: Any, checked: Submission | None
    ) -> ClaimedSubmission | SendError | None:
        """Return what a pending send is claimed as; an error if it was queued, and has ended now.

        None: only one that is due is wanted.

        Raises:
            NotInLedger: there is no content, as nothing was queued with the key.
            RecipientsSuppressed: it was not queued, and a number is on the do-not-send list.
        """
        self._expires_at = found.expires_at
        if found.expires_at is None:
            if checked is None:
                raise NotInLedger(
                    Sentence(
                        "The send with the key {key} was not queued: once.send sends it.",
                        key=repr(self._key),
                    )
                )
            self._singles.refuse_suppressed(connection, checked.recipients)
        else:
            now = ledger_time(connection)
            if self._only_due and now < min(found.not_before or now, found.expires_at):
                return None
            checked = content_of(connection, found.id)
            if checked is None or digest_of(checked) != found.digest:
                raise damaged(f"the content of the submission {found.id} is not what was queued")
            if (ended := self._end_queued(connection, found, checked, now)) is not None:
                return ended
        return ClaimedSubmission(found.id, found.content_id, found.attempts + 1, checked)

    def _end_queued(
        self, connection: sa.Connection, found: Any, content: Submission, now: float
    ) -> SendError | None:
        """Record that a queued send is not sent any more, if so; return the error of it."""
        by = self._identity.id
        if found.expires_at <= now:
            last = f": {found.reason}" if found.reason else ""
            _log.error(
                "A queued send expired before it was sent.",
                extra={"submission_id": found.id, "outcome": Outcome.NOT_SENT.value},
            )
            reason = f"it was not sent before it expired at {_shown(found.expires_at)}{last}"
            transitions.cancel(connection, [found.id], by=by, reason=reason)
            return _expired(self._key, reason)
        try:
            self._singles.refuse_suppressed(connection, content.recipients)
        except RecipientsSuppressed as error:
            ending = found.id, State.SUPPRESSED, str(error)
            transitions.suppress(connection, [ending], before=State.PENDING, now=now, runner_id=by)
            return error
        return None

    def _claim(
        self, connection: sa.Connection, claimed: ClaimedSubmission, client: AnyClient
    ) -> None:
        """Commit a pending send to this call."""
        lease = self._begin_lease(client)
        now = self._singles.runners.add(connection, self._identity, None, lease)
        if self._expires_at is not None:
            left = lease_clock() + self._expires_at - now
            self._valid_until = min(self._valid_until, left)
        transitions.claim(connection, [claimed.id], now=now, runner_id=self._identity.id)

    def _look_up(
        self, checked: Submission | None, client: AnyClient, late: Receipt | SendError
    ) -> Receipt | None:
        """Return what the ledger says, once another call has reclaimed this one.

        All calls with a key get the same outcome, also one whose process was suspended.

        Args:
            checked: what was to be sent.
            client: the client that was to send.
            late: how this call ended, which came too late to be recorded.

        Returns:
            The receipt; None while another call has it in flight.

        Raises:
            SendError: it ended so, or it is to be sent again.
        """
        with self._engine.begin() as connection:
            found = connection.execute(
                sa.select(submission).where(submission.c.key == self._key)
            ).one()
            if found.state == State.SUBMITTING.value:
                self._singles.runners.reclaim_stalled(connection, None)
                return None
            if found.state != State.PENDING.value:
                return _earlier_outcome(
                    connection, found, checked, client.protocol, was_suspended=True
                )
        if isinstance(late, NotSent):
            raise late
        ended = f"accepted as {late.batch_no}" if isinstance(late, Receipt) else str(late)
        raise OutcomeUnknown(
            Sentence(
                "The SMS may have been sent: another process took over the send {key} while this "
                "one was suspended, and it was decided to send it again. The next call with that "
                "key sends it, so ask the vendor first. This call ended too late: {ended}",
                key=repr(self._key),
                ended=ended,
            )
        )

    def _begin_lease(self, client: AnyClient) -> float:
        """Return the seconds of a lease that the ledger is about to begin."""
        lease = client.total_timeout + LEASE_MARGIN
        # Before the ledger's own clock is read: this process must be the first to give up.
        self._valid_until = lease_clock() + lease - LEASE_MARGIN / 2
        return lease

    def _record_error(
        self, claimed: ClaimedSubmission, error: BaseException, began_at: float
    ) -> bool:
        """Record how it ended, without a receipt; see `_record`."""
        ended_at = time.monotonic()
        if self._expires_at is None and isinstance(error, (NotSent, Rejected)):
            self._expires_at = self._queued_meanwhile(claimed)
        if self._expires_at is None:
            ending = ending_of(error, claimed, began_at=began_at, ended_at=ended_at)
        else:
            ending = ending_of_queued(error, claimed, began_at=began_at, ended_at=ended_at)
            if ending.state is State.REJECTED:
                _log.error(
                    "A queued send was rejected, and waits for a person.",
                    extra={
                        "submission_id": claimed.id,
                        "outcome": Outcome.REJECTED.value,
                        "code": ending.code,
                    },
                )
            # Many that failed together must not be tried again together.
            jitter = random.uniform(*_JITTER)  # noqa: S311 - no secret
            ending = replace(ending, retry_after=ending.retry_after * jitter)
        return self._record(ending)

    def _queued_meanwhile(self, claimed: ClaimedSubmission) -> float | None:
        """Return until when it is queued, if somebody has queued it while it was in flight."""
        expires_at = sa.select(submission.c.expires_at).where(submission.c.id == claimed.id)
        try:
            with self._engine.connect() as connection:
                found: float | None = connection.scalar(expires_at)
        except sa.exc.DBAPIError:  # to record how it ended is more urgent
            return None
        return found

    def _record(self, ending: Ending) -> bool:
        """Record how it ended; retry while the ledger is not reachable.

        Returns:
            Whether it was recorded. Else another call has reclaimed it before.
        """
        deadline = time.monotonic() + self._outage_timeout
        while True:
            try:
                return self._singles.end(self._identity, ending)
            except sa.exc.DBAPIError as error:
                if is_full(error) and make_room(self._engine):
                    continue
                if not is_transient(error) or time.monotonic() >= deadline:
                    outcome = (
                        f"accepted as {ending.batch_no}" if ending.batch_no else ending.state.value
                    )
                    raise LedgerError(
                        Sentence(
                            "The submission ended ({outcome}), and the ledger cannot be "
                            "written ({error}): "
                            "the next call with that key will report that the outcome is unknown. "
                            "Then resolve it as it ended (once.resolve).",
                            outcome=outcome,
                            error=driver_message(error),
                        )
                    ) from None
            time.sleep(_POLL)


async def uncancellable(
    call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> tuple[_T, asyncio.CancelledError | None]:
    """Call a function in a thread, and wait for it even if the task is cancelled meanwhile.

    Returns:
        What the function returned, and the cancellation that came meanwhile, if any.
    """
    cancelled = None
    thread = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    while not thread.done():
        try:
            await asyncio.wait([thread])
        except asyncio.CancelledError as error:  # noqa: PERF203 - it waits
            cancelled = error
    if cancelled is not None and thread.exception() is not None:
        raise cancelled from thread.exception()
    return thread.result(), cancelled


async def _to_its_end(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call a function in a thread, and only then let the task be cancelled."""
    result, cancelled = await uncancellable(call, *args, **kwargs)
    if cancelled is not None:
        raise cancelled
    return result


def require_client(client: Client | AsyncClient, method: str, *, asynchronous: bool) -> None:
    """Check the kind of a client, and that it is open.

    Raises:
        TypeError: it is the other kind.
        RuntimeError: it is closed.
    """
    if inspect.iscoroutinefunction(client.send) is not asynchronous:
        wanted = (
            "AsyncLedger.{} needs an AsyncClient" if asynchronous else "Ledger.{} needs a Client"
        )
        raise TypeError(f"{wanted.format(method)}, got {type(client).__name__}.")
    client._check_open()


def _noted(claimed: ClaimedSubmission, pace_wait: float | None) -> AbstractContextManager[None]:
    """Let observers and the log know which submission of the ledger is sent."""
    return sent_from(Origin(None, claimed.id, claimed.attempts, pace_wait))


def _not_begun(claimed: ClaimedSubmission) -> Ending:
    now = time.monotonic()
    return ending_of(asyncio.CancelledError(), claimed, began_at=now, ended_at=now)


def _accepted(claimed: ClaimedSubmission, receipt: Receipt, began_at: float) -> Ending:
    ended_at = time.monotonic()
    return Ending(claimed, State.ACCEPTED, began_at, ended_at, batch_no=receipt.batch_no)


def _expired(key: str, reason: str) -> SendExpired:
    return SendExpired(
        Sentence(
            "The queued send {key} is cancelled, since {reason}. Nothing was sent: use "
            "another key to send it after all.",
            key=repr(key),
            reason=reason,
        ),
        safe_to_resend=True,
    )


def _shown(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def _check_key(key: str) -> None:
    if not key.strip() or not key.isprintable():
        raise ConfigurationError(Sentence("key={key} must be printable text.", key=repr(key)))
    if len(key) > NAME_LENGTH:
        raise ConfigurationError(
            Sentence(
                "A key may have {name_length} characters at most: shorten it.",
                name_length=NAME_LENGTH,
            )
        )


def check_queued(
    key: str,
    recipients: str | int | Iterable[str | int],
    message: str,
    *,
    channel: str | int,
    extension: str | int,
    signature: str | None,
    max_recipients: int,
    max_segments: int,
    recipient_pattern: str | re.Pattern[str],
    literal: bool,
    expires_in: float | timedelta,
) -> tuple[Submission, float]:
    """Check what is to be queued, for `OnceSends` and its asynchronous twin.

    Returns:
        The content, and the seconds in which it may be sent.

    Raises:
        ConfigurationError: the key or ``expires_in`` is invalid.
        InvalidRequest: a rule is broken.
    """
    _check_key(key)
    seconds = expires_in.total_seconds() if isinstance(expires_in, timedelta) else expires_in
    if not 0 < seconds <= _LONGEST:
        raise ConfigurationError(
            Sentence(
                "expires_in={expires_in} must be above 0, and 366 days at most.",
                expires_in=repr(expires_in),
            )
        )
    rules.check_limits(max_recipients, max_segments)
    numbers = rules.normalise_for_ledger(
        recipients, pattern=re.compile(recipient_pattern), limit=max_recipients
    )
    own = None if signature is None else rules.normalise_signature(signature)
    text = rules.normalise_message(message, own, literal=literal)
    rules.check_segments(text, max_segments)
    content = Submission(
        numbers, text, rules.normalise_channel(channel), rules.normalise_extension(extension)
    )
    return content, seconds


def _which(key: str, *, was_suspended: bool) -> str:
    if was_suspended:
        return Sentence(
            "this call with the key {key} is unknown, since its process was suspended too long",
            key=repr(key),
        )
    return Sentence(
        "an earlier call with the key {key} is unknown, and this call sent nothing", key=repr(key)
    )


def _earlier_outcome(
    connection: sa.Connection,
    found: Any,
    checked: Submission | None,
    protocol: str,
    *,
    was_suspended: bool = False,
) -> Receipt:
    """Return the receipt of a send that has ended, or raise its outcome.

    Args:
        connection: reads.
        found: the row of the send.
        checked: its content; None: what was queued.
        protocol: the client's.
        was_suspended: whether it is this call's own outcome, which became known too late.
    """
    if found.state == State.ACCEPTED.value:
        checked = checked or content_of(connection, found.id) or _PURGED
        return Receipt(
            batch_no=found.batch_no or "",
            recipients=checked.recipients,
            message=checked.message,
            channel=checked.channel,
            extension=checked.extension,
            protocol=protocol,
        )
    if found.state == State.UNKNOWN.value:
        late = transitions.late_batch_numbers(connection, submission.c.id == found.id)
        learnt = f" Its late result was the batch number {late[found.id]}." if late else ""
        raise OutcomeUnknown(
            Sentence(
                "The outcome of {which}.{learnt} The SMS may have been sent: ask the vendor, then "
                "decide with once.resolve (campaign resolve --key {key}). Reason: {reason}",
                which=_which(found.key, was_suspended=was_suspended),
                learnt=learnt,
                key=shlex.quote(found.key),
                reason=found.reason,
            )
        )
    if found.state == State.CANCELLED.value:
        raise _expired(found.key, found.reason)
    if found.state == State.SUPPRESSED.value:
        raise RecipientsSuppressed(found.reason, safe_to_resend=True)
    if found.code is not None:
        raise rejected_by_code(found.code, found.keyword)
    raise ConfigurationRejected(
        found.reason, category=Category.CONFIGURATION, safe_to_resend=found.safe_to_resend
    )
