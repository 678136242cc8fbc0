"""`Client`, and what it shares with `AsyncClient`: everything but the exchange of bytes."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterable
from inspect import Parameter, Signature
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import unquote_plus

from yunxin_soap import message as rules
from yunxin_soap import observer, wsdl
from yunxin_soap.clock import wall_clock
from yunxin_soap.errors import OutcomeUnknown, RequestInfo, SendError, invalid_request
from yunxin_soap.marketing import check_opt_out, check_sending_time
from yunxin_soap.message import Submission
from yunxin_soap.observer import SubmissionStarted, Watch
from yunxin_soap.operation import ProtocolName
from yunxin_soap.redact import Redactor, clear_frames, summarise_numbers, truncate_printable
from yunxin_soap.results import Receipt, parse_result
from yunxin_soap.settings import Settings, parameters
from yunxin_soap.transport.base import AsyncTransport, Request, Response, Transport
from yunxin_soap.transport.network import proxy_secrets, select_proxy
from yunxin_soap.transport.sync import HttpTransport
from yunxin_soap.wire.codec import Codec, Fields, SubmissionEncoder
from yunxin_soap.wire.service import Call, Operations, Service

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from yunxin_soap.settings import ClientArguments, ClientOptions

_log = logging.getLogger("yunxin_soap")
_Transport = TypeVar("_Transport", Transport, AsyncTransport)


class ClientBase(Generic[_Transport]):
    """The base of `Client` and `AsyncClient`: settings, validation, encoding, parsing and logs."""

    _codec: Codec
    _encoder: SubmissionEncoder
    _operations: Operations
    _closed = False

    def __init__(
        self,
        user_code: str,
        user_pass: str,
        *,
        transport: _Transport | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        """Validate the settings. No connection is opened.

        Args:
            user_code: the login name (the vendor's ``userCode``).
            user_pass: the password (``userPass``). No ``repr``, log line or error contains it.
            channel: the channel number from the vendor's web page, such as ``37`` (``Channel``).
                Default: None, and each call must pass one.
            signature: the signature that is appended as ``【signature】`` to a message without one.
                Its brackets may be omitted. Default: None, and each message must have its own.
            extension: the extension number (``ExeNo``). Default: empty, none.
            endpoint: the address of the service's page. Requests go to no other address, whatever
                the WSDL or a redirect says. Default: the vendor's.
            protocol: ``soap`` (SOAP 1.1), ``soap12``, ``http-get`` or ``http-post``.
                Default: ``soap``.
            timeout: seconds from the start of sending to the end of the response. Default: 30.
            connect_timeout: seconds to get a connection: to wait for a free one, or to look up the
                host's name, connect and start TLS. Default: 5.
            total_timeout: seconds for the whole call, retries included. A retry starts only if it
                is certain to end in time. Default: ``2 * (timeout + connect_timeout)``.
            retries: how many times to connect again if nothing was sent. Nothing else is ever
                retried. Default: 2.
            proxy: the address of an http or https proxy, such as
                ``http://user:password@proxy:3128``. Percent-encode ``/ ? # @ %`` in the password.
                Default: None.
            trust_env: whether to honour ``http_proxy``, ``https_proxy`` and ``no_proxy`` of the
                environment. Default: False.
            verify: true to trust the system's certificate authorities, the path of a PEM file or of
                a directory with others, an `ssl.SSLContext`, which may hold a client certificate,
                or False to check nothing. Default: True.
            recipient_pattern: the regular expression that a normalised number must match in full.
                Default: mobile numbers of mainland China.
            max_recipients: the most numbers in one submission. The vendor's manual says 500; the
                result codes allow up to 1000. Default: 500.
            max_segments: the most SMS segments that one message may take for each number.
                Default: 10.
            max_connections: the most open connections, from 1 to 10000. A call that finds them all
                in use waits up to ``connect_timeout`` seconds, and then raises `NotSent`.
                Default: 100.
            wsdl: the path of a WSDL to use instead of the cached one. Default: None.
            log_messages: whether the log, at DEBUG, shows the texts that are sent and the start of
                each response, which may quote them. A text may be a verification code. Default:
                False.
            transport: what carries the requests, for tests. It replaces the network and with it
                every setting of the network. The client closes it. Default: HTTP.

        Raises:
            ConfigurationError: a setting is wrong, or the WSDL does not fit.
        """
        try:
            settings = Settings(user_code, user_pass, **options)
        finally:
            # An error keeps this frame: it must not keep a password.
            del user_pass, options
        self._set_up(settings, transport)

    @classmethod
    def from_settings(cls, settings: Settings, *, transport: _Transport | None = None) -> Self:
        """Build a client from validated settings, such as those of another client.

        Args:
            settings: the settings.
            transport: as in the constructor.

        Raises:
            ConfigurationError: the WSDL does not fit.
        """
        client = cls.__new__(cls)
        client._set_up(settings, transport)
        return client

    @classmethod
    def from_env(
        cls, *, transport: _Transport | None = None, **overrides: Unpack[ClientArguments]
    ) -> Self:
        """Build a client from the ``YUNXIN_*`` environment variables.

        They are ``YUNXIN_USER_CODE``, ``_USER_PASS``, ``_CHANNEL``, ``_SIGNATURE``,
        ``_EXTENSION``, ``_ENDPOINT``, ``_PROTOCOL``, ``_TIMEOUT`` (seconds), ``_PROXY`` and
        ``_MAX_SEGMENTS``. White space around a value is removed (of the password, only line breaks
        at its end), a value in quotes is refused, and a blank variable counts as unset.

        Args:
            transport: as in the constructor.
            overrides: arguments of the constructor. They take precedence.

        Raises:
            ConfigurationError: a setting is wrong, user name or password are missing, or the WSDL
                does not fit.
        """
        try:
            settings = Settings.from_env(os.environ, **overrides)
        finally:
            # An error keeps this frame: it must not keep a password.
            del overrides
        return cls.from_settings(settings, transport=transport)

    def _set_up(self, settings: Settings, transport: _Transport | None) -> None:
        self._settings = settings
        self._redact = Redactor(settings.user_pass, *proxy_secrets(settings.proxy))
        self._open(transport)

    def _open(self, transport: _Transport | None) -> None:
        """Prepare all that a client needs beside its settings."""
        raise NotImplementedError

    @property
    def settings(self) -> Settings:
        """The validated settings. They cannot be changed; the password is not in their ``repr``."""
        return self._settings

    @property
    def user_code(self) -> str:
        """The account's login name."""
        return self._settings.user_code

    @property
    def endpoint(self) -> str:
        """The address that every request goes to."""
        return self._settings.endpoint.url

    @property
    def protocol(self) -> ProtocolName:
        """The protocol in use: ``soap``, ``soap12``, ``http-get`` or ``http-post``."""
        return self._settings.protocol

    @property
    def total_timeout(self) -> float:
        """The most seconds that a call takes, retries included."""
        return self._settings.total_timeout

    def __repr__(self) -> str:
        """Show user name, protocol and endpoint; omit the password."""
        if not hasattr(self, "_settings"):  # a setting was invalid, and a debugger shows the frame
            return f"<{type(self).__name__} without settings>"
        settings = self._settings
        return (
            f"<{type(self).__name__} {settings.user_code!r} {settings.protocol}"
            f" {settings.endpoint.url}>"
        )

    def _check_open(self) -> None:
        # Also here, since a transport of the caller's own may not check it.
        if self._closed:
            raise RuntimeError("The client is closed.")

    def _load_all(
        self, transport: _Transport | None, connect: Callable[[Settings], _Transport]
    ) -> _Transport:
        """Load the WSDL, and return the transport: the caller's, or a new one. This reads files.

        Args:
            transport: the caller's.
            connect: builds a new one.
        """
        settings = self._settings
        try:
            self._load_wsdl()
            if transport is not None:
                return transport
            self._redact.add_secret(*proxy_secrets(select_proxy(settings)))
            return connect(settings)
        except BaseException as error:
            # A transport's frames hold the address of the proxy.
            clear_frames(error)
            raise

    def _load_wsdl(self) -> None:
        """Load the WSDL and make the codec. This reads a file."""
        settings = self._settings
        loaded, path = wsdl.load(settings.wsdl), settings.endpoint.path
        self._codec = Codec(loaded, settings.protocol, path, self._redact)
        self._encoder = SubmissionEncoder(self._codec, settings.user_code, settings.user_pass)
        self._operations = Operations(loaded, self._codec, path, self._redact)

    def _prepare(
        self,
        recipients: str | int | Iterable[str | int],
        message: str,
        channel: str | int | None,
        extension: str | int | None,
        literal: bool,
        marketing: bool,
    ) -> Submission:
        """Validate and normalise the arguments of one submission.

        Raises:
            InvalidRequest: an argument breaks a rule.
        """
        settings = self._settings
        # The settings are normalised already.
        number = settings.channel if channel is None else rules.normalise_channel(channel)
        if number is None:
            raise invalid_request(
                "There is no channel: pass channel=, or set it on the client (YUNXIN_CHANNEL)."
            )
        normalised = rules.normalise_recipients(
            recipients, pattern=settings.recipient_pattern, limit=settings.max_recipients
        )
        text = rules.normalise_message(message, settings.signature, literal=literal)
        rules.check_segments(text, settings.max_segments)
        if marketing:
            check_opt_out(text)
        return Submission(
            normalised,
            text,
            number,
            settings.extension if extension is None else rules.normalise_extension(extension),
        )

    def _check(
        self,
        recipients: str | int | Iterable[str | int],
        message: str,
        channel: str | int | None,
        extension: str | int | None,
        literal: bool,
        marketing: bool,
    ) -> Submission:
        """Do as `_prepare`, and check that the protocol can carry the submission.

        It warns, at the caller of `check`, of what is allowed but seldom meant.

        Raises:
            InvalidRequest: an argument breaks a rule, or the protocol cannot carry the submission.
        """
        submission = self._prepare(recipients, message, channel, extension, literal, marketing)
        try:
            self._encoder.encode(submission)
        except BaseException as raised:
            clear_frames(raised)
            raise
        for note in submission.notes:
            warnings.warn(note, UserWarning, stacklevel=3)
        return submission

    def _parse_response(
        self, submission: Submission, response: Response, watch: Watch | None
    ) -> Receipt:
        """Return the receipt in a response.

        Args:
            submission: what was sent.
            response: the response.
            watch: is told of the receipt, if somebody wants to know.

        Raises:
            Rejected: the gateway rejected the submission.
            OutcomeUnknown: the response does not show the outcome.
        """
        if watch is not None:
            self._log_response(response)
        receipt = Receipt(
            parse_result(self._codec.decode(response), self._redact),
            submission.recipients,
            submission.message,
            submission.channel,
            submission.extension,
            self._settings.protocol,
        )
        if watch is not None:
            watch.accepted(receipt.batch_no)
        return receipt

    def _annotate(
        self, raised: BaseException, recipients: int, channel: str, watch: Watch | None
    ) -> None:
        """Set ``request`` of a `SendError`, also of one that caused a cancellation, and tell it.

        Frames of the codec, of zeep and of the transport hold the password: they are cleared. What
        an error of an HTTP library or of a caller's transport quotes may contain it: it is removed.
        """
        self._redact.redact_chain(raised, SendError)
        for error in (raised, raised.__cause__):
            if isinstance(error, SendError):
                settings = self._settings
                error.request = RequestInfo(
                    settings.endpoint.url, settings.protocol, recipients, channel
                )
        ending = raised if isinstance(raised, SendError) else raised.__cause__
        if watch is None and recipients and isinstance(ending, OutcomeUnknown):
            # The log wants it even if nobody watches. Other operations have no recipients.
            watch = Watch(self._started(recipients, channel), ())
        if watch is not None:
            watch.failed(raised)

    def _add_secrets(self, call: Call) -> None:
        """Mask the passwords in a call of `service`, which may use another account."""
        self._redact.add_secret(*call.secrets)

    def _annotate_call(self, raised: BaseException, call: Call, watch: Watch | None) -> None:
        """Set ``request`` of an error that a call of `service` raised."""
        # The caller may have put the password into the wrong field.
        self._annotate(raised, call.recipients, self._redact(call.channel), watch)

    def _begin_exchange(self, submission: Submission, request: Request) -> Watch | None:
        """Check that the client is open, and tell who wants to know that a submission begins."""
        if self._closed:
            self._check_open()
        if not observer.is_watched():
            return None
        self._log_request(submission, request)
        return Watch(self._started(len(submission.recipients), submission.channel))

    def _begin_call(self, call: Call, request: Request) -> Watch | None:
        """Do as `_begin_exchange` with a call of `service`, which need not be a submission."""
        self._check_open()
        if not observer.is_watched():
            return None
        self._log_request(call.sent, request)
        if isinstance(call.sent, str):
            return None
        return Watch(self._started(call.recipients, self._redact(call.channel)))

    def _started(self, recipients: int, channel: str) -> SubmissionStarted:
        settings = self._settings
        endpoint = settings.endpoint
        return SubmissionStarted(
            settings.protocol,
            endpoint.host,
            endpoint.port,
            recipients,
            channel,
            *observer.ORIGIN.get(),
        )

    def _parse_call(self, call: Call, response: Response, watch: Watch | None) -> Any:
        """Return the result of a call of `service`."""
        if observer.is_watched():
            self._log_response(response)
        result = call.parse(response)
        if watch is not None:
            watch.returned(result)
        return result

    def _log_request(self, sent: Submission | Fields | str, request: Request) -> None:
        """Log a request at DEBUG: no password, one shortened number, and no text unless asked to.

        Args:
            sent: a submission, its fields, or what may be shown of another call.
            request: the request that carries it.
        """
        if not _log.isEnabledFor(logging.DEBUG):
            return
        url = self._settings.endpoint.url
        if isinstance(sent, str):
            _log.debug("%s %s to %s: %s", request.method, request.path, url, sent)
            return
        fields = self._encoder.fields(sent) if isinstance(sent, Submission) else sent
        shown = self._codec.encode(
            fields._replace(
                userPass="***",
                DesNo=summarise_numbers(fields.DesNo),
                Msg=fields.Msg
                if self._settings.log_messages
                else f"*** ({len(fields.Msg)} characters)",
            )
        )
        content = shown.query if shown.body is None else shown.body.decode()
        if self._settings.protocol.startswith("http-"):
            content = unquote_plus(content)
        _log.debug(
            "%s %s to %s: %r",
            shown.method,
            shown.path,
            url,
            self._redact(content),
        )

    def _log_response(self, response: Response) -> None:
        """Log a response at DEBUG, redacted. Its body may quote the text, as error pages do."""
        if not _log.isEnabledFor(logging.DEBUG):
            return
        _log.debug(
            "HTTP %d (%s): %s",
            response.status,
            truncate_printable(self._redact(response.content_type), 100),
            self._redact.excerpt(response.body, limit=2000)
            if self._settings.log_messages
            else f"{len(response.body)} bytes",
        )


# The options as `help` and interactive shells show them.
ClientBase.__init__.__signature__ = Signature(  # type: ignore[attr-defined]
    [
        Parameter("self", Parameter.POSITIONAL_OR_KEYWORD),
        *parameters(),
        Parameter("transport", Parameter.KEYWORD_ONLY, default=None),
    ]
)


class Client(ClientBase[Transport]):
    """Sends SMS through the Yunxin gateway. Each call ends in one of four distinct outcomes.

    Threads may share one client, and it may be used after a fork. It keeps connections open: close
    it, or use it as a context manager.
    """

    _transport: Transport
    _service: Service | None = None

    def _open(self, transport: Transport | None) -> None:
        self._transport = self._load_all(transport, HttpTransport)

    def send(
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
            RuntimeError: the client is closed.
        """
        submission = self._prepare(recipients, message, channel, extension, literal, marketing)
        if marketing:
            check_sending_time(wall_clock())
        return self.submit(submission)

    def submit(self, submission: Submission, *, valid_until: float | None = None) -> Receipt:
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
            RuntimeError: the client is closed.
        """
        watch = None
        try:
            request = self._encoder.encode(submission)
            watch = self._begin_exchange(submission, request)
            return self._parse_response(
                submission,
                # A transport for tests need not know what is not used.
                self._transport.send(request)
                if valid_until is None
                else self._transport.send(request, valid_until=valid_until),
                watch,
            )
        except BaseException as raised:
            self._annotate(raised, len(submission.recipients), submission.channel, watch)
            raise

    def check(
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
        """
        return self._check(recipients, message, channel, extension, literal, marketing)

    @property
    def service(self) -> Service:
        """The operations of the WSDL by zeep's types: ``service.sendMesExt(userCode=…, …)``.

        ``sendMesExt`` returns the gateway's result as it is, also a negative code. Numbers and
        texts are not validated, and no signature is appended. Only what the protocol cannot carry
        raises `InvalidRequest`. An omitted field is sent empty. A failed exchange, a fault and an
        empty result raise what they raise in `send`.

        Any other operation that the WSDL has takes arguments and returns a result as zeep builds
        and parses them. Its failures raise the same errors, and it is sent at most once, too.
        """
        if self._service is None:
            self._service = Service(self._operations, self._call)
        return self._service

    def close(self) -> None:
        """Close all connections. A closed client sends nothing more."""
        self._closed = True
        self._transport.close()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the client."""
        self.close()

    def _call(self, call: Call) -> Any:
        """Send one call of `service`."""
        watch = None
        try:
            self._add_secrets(call)
            request = call.build()
            watch = self._begin_call(call, request)
            return self._parse_call(call, self._transport.send(request), watch)
        except BaseException as raised:
            self._annotate_call(raised, call, watch)
            raise
