"""`AsyncClient`: the client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from yunxin_soap.client import ClientBase
from yunxin_soap.clock import wall_clock
from yunxin_soap.errors import SendError
from yunxin_soap.marketing import check_sending_time
from yunxin_soap.message import Submission
from yunxin_soap.observer import Watch
from yunxin_soap.results import Receipt
from yunxin_soap.transport.aio import AsyncHttpTransport
from yunxin_soap.transport.base import AsyncTransport
from yunxin_soap.transport.failures import CANCELLED, not_sent, outcome_unknown
from yunxin_soap.wire.service import AsyncService, Call, Operations

if TYPE_CHECKING:
    from typing_extensions import Self


class AsyncClient(ClientBase[AsyncTransport]):
    """Sends SMS through the Yunxin gateway from asyncio.

    Each call ends in one of four distinct outcomes.

    Arguments, outcomes, errors and safety are those of `Client`.

    The first call loads the WSDL in a thread, so that building a client never blocks a running
    event loop. A WSDL that does not fit raises `ConfigurationError` there. The client belongs to
    the event loop that used it first, and the tasks of that loop may share it. It keeps
    connections open: close it, or use it as an asynchronous context manager.

    A task that is cancelled during a call gets its `asyncio.CancelledError`. The ``__cause__`` is
    an `OutcomeUnknown` if the request may have reached the gateway, and a `NotSent` if not.
    """

    _transport: AsyncTransport | None
    _loaded = False

    def _open(self, transport: AsyncTransport | None) -> None:
        self._transport = transport
        self._loading = asyncio.Lock()

    async def _load(self) -> None:
        """Load the WSDL and make the transport, once."""
        try:
            async with self._loading:
                self._check_open()
                if not self._loaded:
                    self._transport = await asyncio.to_thread(self._load_in_thread)
                    self._loaded = True
        except asyncio.CancelledError as cancelled:
            raise cancelled from not_sent(CANCELLED)

    def _load_in_thread(self) -> AsyncTransport:
        # A TLS context reads the certificate authorities from files.
        return self._load_all(self._transport, AsyncHttpTransport)

    async def send(
        self,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int | None = None,
        extension: str | int | None = None,
        literal: bool = False,
        marketing: bool = False,
    ) -> Receipt:
        """Send one message to up to 500 numbers in one submission, at most once.

        Args:
            recipients: a number, several numbers joined by commas, or an iterable of numbers.
                Spaces, hyphens, full-width digits and the country code 86 are normalised, and
                duplicates removed.
            message: the text. By the vendor's manual it must end in a signature ``【…】``; the
                client's ``signature`` is appended if it has none.
            channel: the channel number. Default: the client's.
            extension: the extension number; the empty string for none. Default: the client's.
            literal: whether to send what looks like a placeholder that nothing filled, such as
                ``{name}`` or ``${HOME}``, as it is. Default: False, it is refused.
            marketing: whether the message is marketing: it must then say how to refuse further
                ones, and it must be from 08:00 to 21:00 in China. Default: False.

        Returns:
            The receipt with the vendor's batch number.

        Raises:
            InvalidRequest: an argument breaks a rule. Nothing was sent.
            NotSent: nothing can have reached the gateway. It is safe to send again.
            Rejected: the gateway rejected the submission. Fix the cause before you send again.
            OutcomeUnknown: the SMS may have been sent. Never send it again automatically.
            ConfigurationError: the WSDL does not fit.
            RuntimeError: the client is closed, or used from another event loop.
            asyncio.CancelledError: the task was cancelled; see the class.
        """
        if not self._loaded:
            await self._load()
        submission = self._prepare(recipients, message, channel, extension, literal, marketing)
        if marketing:
            check_sending_time(wall_clock())
        return await self.submit(submission)

    async def submit(self, submission: Submission, *, valid_until: float | None = None) -> Receipt:
        """Send a checked submission at most once.

        Args:
            submission: recipients, message, channel and extension, normalised by `check`.
            valid_until: the time, by `yunxin_soap.clock.lease_clock`, from which on the first byte
                must not leave any more: it is `NotSent` then. Default: None, no such time.

        Returns:
            The receipt with the vendor's batch number.

        Raises:
            InvalidRequest: the protocol cannot carry the submission. Nothing was sent.
            NotSent: nothing can have reached the gateway. It is safe to send again.
            Rejected: the gateway rejected the submission. Fix the cause before you send again.
            OutcomeUnknown: the SMS may have been sent. Never send it again automatically.
            ConfigurationError: the WSDL does not fit.
            RuntimeError: the client is closed, or used from another event loop.
            asyncio.CancelledError: the task was cancelled; see the class.
        """
        if not self._loaded:
            await self._load()
        watch = None
        try:
            request = self._encoder.encode(submission)
            watch = self._begin_exchange(submission, request)
            assert self._transport is not None
            return self._parse_response(
                submission,
                # A transport for tests need not know what is not used.
                await self._transport.send(request)
                if valid_until is None
                else await self._transport.send(request, valid_until=valid_until),
                watch,
            )
        except BaseException as raised:
            self._annotate(raised, len(submission.recipients), submission.channel, watch)
            raise

    async def check(
        self,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int | None = None,
        extension: str | int | None = None,
        literal: bool = False,
        marketing: bool = False,
    ) -> Submission:
        """Check the arguments and return the submission without sending it.

        It warns (`UserWarning`) of each of the submission's ``notes``, such as more than 1,000
        characters.

        Args:
            recipients: as in `send`.
            message: as in `send`.
            channel: as in `send`.
            extension: as in `send`.
            literal: as in `send`.
            marketing: as in `send`; the time is not checked.

        Returns:
            The normalised submission, with its length and its number of segments.

        Raises:
            InvalidRequest: an argument breaks a rule, or the protocol cannot carry the submission.
            ConfigurationError: the WSDL does not fit.
        """
        if not self._loaded:
            await self._load()
        return self._check(recipients, message, channel, extension, literal, marketing)

    @property
    def service(self) -> AsyncService:
        """The operations of the WSDL by zeep's types: ``await service.sendMesExt(userCode=…, …)``.

        ``sendMesExt`` returns the gateway's result as it is, also a negative code. Numbers and
        texts are not validated, and no signature is appended. Only what the protocol cannot carry
        raises `InvalidRequest`. An omitted field is sent empty. A failed exchange, a fault and an
        empty result raise what they raise in `send`.

        Any other operation that the WSDL has takes arguments and returns a result as zeep builds
        and parses them. Its failures raise the same errors, and it is sent at most once, too.
        """
        return AsyncService(self._load_operations, self._call)

    async def close(self) -> None:
        """Close all connections. A closed client sends nothing more."""
        self._closed = True
        if self._transport is not None:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        """Load the WSDL, and return the client itself."""
        await self._load()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client."""
        await self.close()

    def _annotate(
        self, raised: BaseException, recipients: int, channel: str, watch: Watch | None
    ) -> None:
        cancelled = isinstance(raised, asyncio.CancelledError)
        if cancelled and not isinstance(raised.__cause__, SendError):
            # A caller's transport that does not tell how far it came may have sent the request.
            raised.__cause__ = outcome_unknown(CANCELLED, None)
        super()._annotate(raised, recipients, channel, watch)

    async def _call(self, call: Call) -> Any:
        """Send one call of `service`."""
        watch = None
        try:
            self._add_secrets(call)
            request = call.build()
            watch = self._begin_call(call, request)
            assert self._transport is not None
            return self._parse_call(call, await self._transport.send(request), watch)
        except BaseException as raised:
            self._annotate_call(raised, call, watch)
            raise

    async def _load_operations(self) -> Operations:
        if not self._loaded:
            await self._load()
        return self._operations
