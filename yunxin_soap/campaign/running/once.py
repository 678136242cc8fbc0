"""Single sends, each once for its key, over the same ledger as campaigns."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import sqlalchemy as sa

from yunxin_soap.campaign.models import State
from yunxin_soap.campaign.storage.claims import Store
from yunxin_soap.campaign.storage.engine import OUTAGE, may_pass, why
from yunxin_soap.campaign.storage.runner_identity import Owner
from yunxin_soap.campaign.storage.schema import content, recipients, submit
from yunxin_soap.campaign.turns import Result, Work
from yunxin_soap.codes import Category
from yunxin_soap.errors import (
    ConfigurationError,
    ConfigurationRejected,
    ContentConflict,
    LedgerError,
    NotSent,
    OutcomeUnknown,
    Rejected,
    rejected_by_code,
)
from yunxin_soap.message import Submission
from yunxin_soap.results import Receipt

if TYPE_CHECKING:
    from yunxin_soap.async_client import AsyncClient
    from yunxin_soap.client import Client, ClientBase

_P = ParamSpec("_P")
_T = TypeVar("_T")
_POLL = 0.1
"""Seconds between two looks at a send that another is doing."""
_MARGIN = 60.0
"""Seconds beyond a client's deadline, for the ledger, before a send counts as given up."""


class Sending:
    """One call of `Ledger.send_once`.

    Args:
        store: the ledger's statements.
        engine: the ledger's.
        key: names what is sent.
    """

    def __init__(self, store: Store, engine: sa.Engine, key: str) -> None:
        if not key.strip() or not key.isprintable():
            raise ConfigurationError("A send needs a key, of characters that can be printed.")
        self._store, self._engine, self._key = store, engine, key
        self._valid_until = 0.0

    def send(self, client: Client, checked: Submission) -> Receipt:
        """Send it, or say how it ended before."""
        self._owner = Owner.new()
        try:
            while (step := self._begin(checked, client)) is None:
                time.sleep(_POLL)
            if isinstance(step, Receipt):
                return step
            began = time.time()
            try:
                self._still_in_time(began)
                receipt = client.submit(checked)
            except BaseException as error:
                self._failed(step, error, began)
                raise
            self._end(Result(step, State.ACCEPTED, began, time.time(), receipt.batch_no))
            return receipt
        finally:
            self._owner.end()

    async def send_async(self, client: AsyncClient, checked: Submission) -> Receipt:
        """Send it, or say how it ended before."""
        self._owner = Owner.new()
        try:
            while True:
                step, cancelled = await _to_the_end(self._begin, checked, client)
                if cancelled is not None:
                    if isinstance(step, Work):  # it has not left
                        await _to_the_end(self._failed, step, cancelled, time.time())
                    raise cancelled
                if isinstance(step, Receipt):
                    return step
                if step is not None:
                    break
                await asyncio.sleep(_POLL)
            began = time.time()
            try:
                self._still_in_time(began)
                receipt = await client.submit(checked)
            except BaseException as error:
                _, cancelled = await _to_the_end(self._failed, step, error, began)
                if cancelled is not None:
                    raise cancelled from error
                raise
            accepted = Result(step, State.ACCEPTED, began, time.time(), receipt.batch_no)
            _, cancelled = await _to_the_end(self._end, accepted)
            if cancelled is not None:
                raise cancelled
            return receipt
        finally:
            self._owner.end()

    def _begin(self, checked: Submission, client: ClientBase[Any]) -> Receipt | Work | None:
        """Commit to sending it, or return its receipt; None while another sends it.

        Raises:
            Rejected, OutcomeUnknown: that is how it ended.
            ContentConflict: the key was used for something else.
        """
        digest = hashlib.sha256(
            json.dumps(
                [sorted(checked.recipients), checked.message, checked.channel, checked.extension]
            ).encode()
        ).hexdigest()
        try:
            with self._engine.begin() as connection:
                found = connection.execute(
                    sa.select(submit).where(submit.c.key == self._key).with_for_update()
                ).one_or_none()
                if found is None:
                    made = self._insert(connection, checked, digest)
                elif found.digest is None:
                    raise ContentConflict(
                        f"The key {self._key!r} was used, and what was sent was purged: whether"
                        f" this is the same cannot be told. It ended {found.state}"
                        + (f" as {found.batch_no}" if found.batch_no else "")
                        + ". Nothing was sent: give this one another key."
                    )
                elif found.digest != digest:
                    raise ContentConflict(
                        f"The key {self._key!r} was used for other recipients, text, channel or"
                        " extension: nothing was sent. Give this one another key."
                    )
                elif found.state == State.PENDING.value:
                    made = found.id
                elif found.state == State.SUBMITTING.value:
                    buried = self._store.bury(connection, None)
                    if found.id not in buried:
                        return None
                    made = None
                else:
                    return _ended(found, checked, client.protocol)
                if made is not None:
                    lease = client.total_timeout + _MARGIN
                    self._store.enlist(connection, self._owner, lease)
                    self._valid_until = time.time() + lease
                    (work,) = self._store.commit_to(connection, self._owner, [made], time.time())
                    return work
        except sa.exc.IntegrityError:
            return None  # another came first
        except sa.exc.DBAPIError as error:
            raise LedgerError(
                f"The ledger cannot be used ({why(error)}): nothing was sent by this call."
            ) from None
        return self._begin(checked, client)

    def _still_in_time(self, now: float) -> None:
        """Send nothing once others may have given this one up: a process may have stood still."""
        if now >= self._valid_until:
            raise NotSent(
                "This process stood still before it sent anything: send it again.",
                safe_to_resend=True,
                retryable=True,
            )

    def _insert(self, connection: sa.Connection, checked: Submission, digest: str) -> int:
        text = connection.execute(
            content.insert().values(
                message=checked.message, channel=checked.channel, extension=checked.extension
            )
        ).inserted_primary_key
        assert text is not None
        made = connection.execute(
            submit.insert().values(
                key=self._key,
                digest=digest,
                content_id=text[0],
                size=len(checked.recipients),
                state=State.PENDING.value,
                attempts=0,
                reason="",
                safe=True,
            )
        ).inserted_primary_key
        assert made is not None
        connection.execute(
            recipients.insert().values(submit_id=made[0], numbers=",".join(checked.recipients))
        )
        number: int = made[0]
        return number

    def _failed(self, work: Work, error: BaseException, began: float) -> None:
        """Record how it ended, if not with a receipt."""
        state, code, safe = State.UNKNOWN, None, False
        cause = error.__cause__ if isinstance(error, asyncio.CancelledError) else error
        if isinstance(cause, NotSent) or (
            isinstance(error, asyncio.CancelledError) and not isinstance(cause, OutcomeUnknown)
        ):
            state, safe = State.PENDING, True
        elif isinstance(cause, Rejected):
            state, code, safe = State.REJECTED, cause.code, cause.safe_to_resend
        reason = (
            str(cause)
            if isinstance(cause, (NotSent, Rejected, OutcomeUnknown))
            else (f"it ended with {type(error).__name__}")
        )
        keyword = cause.keyword if isinstance(cause, Rejected) else None
        self._end(
            Result(work, state, began, time.time(), None, code, reason, safe, keyword=keyword)
        )

    def _end(self, result: Result) -> None:
        """Record how it ended, once the ledger can be written."""
        give_up = time.monotonic() + OUTAGE
        while True:
            try:
                return self._store.conclude(self._owner, result)
            except sa.exc.DBAPIError as error:
                if not may_pass(error) or time.monotonic() >= give_up:
                    how = (
                        f"accepted as {result.batch_no}" if result.batch_no else result.state.value
                    )
                    raise LedgerError(
                        f"The submit ended, {how}, and the ledger cannot be written ({why(error)}):"
                        " the next call with that key will say that it is unknown."
                    ) from None
            time.sleep(_POLL)


async def _to_the_end(
    call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> tuple[_T, asyncio.CancelledError | None]:
    """Call something in a thread, and wait for it also if the task is cancelled meanwhile."""
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


def _ended(found: sa.Row[tuple[object, ...]], checked: Submission, protocol: str) -> Receipt:
    if found.state == State.ACCEPTED.value:
        return Receipt(
            batch_no=found.batch_no or "",
            recipients=checked.recipients,
            message=checked.message,
            channel=checked.channel,
            extension=checked.extension,
            protocol=protocol,
        )
    if found.state == State.UNKNOWN.value:
        raise OutcomeUnknown(
            f"This was sent before under that key, and it is unknown how it ended: {found.reason}"
        )
    if found.code is not None:
        raise rejected_by_code(found.code, found.keyword)
    raise ConfigurationRejected(
        found.reason, category=Category.CONFIGURATION, safe_to_resend=found.safe
    )
