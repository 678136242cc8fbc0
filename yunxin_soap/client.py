"""`Client`: the facade over rules, protocol and exchange."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from yunxin_soap import message as rules
from yunxin_soap import settings as _settings
from yunxin_soap.core import Core
from yunxin_soap.message import Submission
from yunxin_soap.results import Receipt
from yunxin_soap.settings import DEFAULT_ENDPOINT, Settings, Verify
from yunxin_soap.transport.sync import HttpTransport

if TYPE_CHECKING:
    from typing_extensions import Self
    from zeep.proxy import ServiceProxy


class ClientBase:
    """What `Client` and `AsyncClient` have in common: their arguments and what shows of them."""

    def __init__(
        self,
        user_code: str,
        user_pass: str,
        *,
        channel: str | int | None = None,
        signature: str | None = None,
        extension: str | int = "",
        endpoint: str = DEFAULT_ENDPOINT,
        protocol: str = "soap",
        timeout: float = 30.0,
        connect_timeout: float = 5.0,
        total_timeout: float | None = None,
        retries: int = 2,
        proxy: str | None = None,
        trust_env: bool = False,
        verify: Verify = True,
        recipient_pattern: str | re.Pattern[str] | None = None,
        max_recipients: int = rules.DEFAULT_MAX_RECIPIENTS,
        wsdl: str | os.PathLike[str] | None = None,
    ) -> None:
        """Check the settings; nothing is connected yet.

        Args:
            user_code: the login name.
            user_pass: the password; it is in no ``repr``, log line or error.
            channel: the channel number from the vendor's web page, such as ``37``.
            signature: appended as ``【signature】`` to a text that has none; with brackets or
                without.
            extension: the extension number; empty for none.
            endpoint: the address of the service's page. No other address is ever used, whatever the
                WSDL or a redirect says.
            protocol: the port to use: ``soap`` (1.1), ``soap12``, ``http-get`` or ``http-post``.
            timeout: seconds from the sending of the request to the end of its answer.
            connect_timeout: seconds to connect, for each address of the host; `AsyncClient` gives
                them to all of its addresses together.
            total_timeout: seconds from the start of a call within which a retry, its connection and
                its answer must end; one that might not is not begun. Looking a host name up has no
                bound but the system's. Default: twice ``timeout + connect_timeout``.
            retries: how often to connect again when nothing was sent; nothing else is ever retried.
            proxy: an HTTP proxy, such as ``http://user:password@proxy.example:3128``.
            trust_env: whether ``http_proxy`` and its kin in the environment are obeyed.
            verify: True for the system's certificate authorities, a PEM file or directory of your
                own, an `ssl.SSLContext`, or False for no check at all.
            recipient_pattern: the regular expression that a normalised number must match in full.
                Default: mainland mobile numbers.
            max_recipients: numbers in one submit, 500 by the vendor's manual, 1000 at most.
            wsdl: a WSDL file to use in place of the cached one.

        Raises:
            ConfigurationError: a setting is wrong, or the WSDL does not fit.
        """
        self._settings = Settings.build(
            user_code,
            user_pass,
            channel=channel,
            signature=signature,
            extension=extension,
            endpoint=endpoint,
            protocol=protocol,
            timeout=timeout,
            connect_timeout=connect_timeout,
            total_timeout=total_timeout,
            retries=retries,
            proxy=proxy,
            trust_env=trust_env,
            verify=verify,
            recipient_pattern=recipient_pattern,
            max_recipients=max_recipients,
            wsdl=wsdl,
        )
        self._open()

    def _open(self) -> None:
        """Make what a client needs beside its settings."""
        raise NotImplementedError

    @classmethod
    def from_env(cls, **overrides: Any) -> Self:
        """Build a client from the ``YUNXIN_*`` environment variables.

        They are ``YUNXIN_USER_CODE``, ``_USER_PASS``, ``_CHANNEL``, ``_SIGNATURE``,
        ``_EXTENSION``, ``_ENDPOINT``, ``_PROTOCOL``, ``_TIMEOUT`` (seconds) and ``_PROXY``; empty
        ones count as unset.

        Args:
            overrides: arguments of `Client` that take precedence.

        Raises:
            ConfigurationError: as `Client`; also where user code or password is missing.
        """
        arguments = {"user_code": "", "user_pass": "", **_settings.from_env(os.environ)}
        return cls(**{**arguments, **overrides})

    @property
    def endpoint(self) -> str:
        """The address that every request goes to."""
        return self._settings.endpoint.url

    @property
    def protocol(self) -> str:
        """The port in use: ``soap``, ``soap12``, ``http-get`` or ``http-post``."""
        return self._settings.protocol

    @property
    def total_timeout(self) -> float:
        """Seconds in which a whole call ends, retries included."""
        return self._settings.total_timeout

    def __repr__(self) -> str:
        """Show where the client sends to, and no password."""
        settings = self._settings
        return (
            f"<{type(self).__name__} {settings.user_code!r} {settings.protocol}"
            f" {settings.endpoint.url}>"
        )


class Client(ClientBase):
    """Sends SMS through the Yunxin gateway, and tells every outcome apart.

    One client may be shared between threads, and used after a fork. It keeps connections open;
    close it, or use it as a context manager.
    """

    _core: Core
    _exchange: HttpTransport
    _service: ServiceProxy | None = None

    def _open(self) -> None:
        self._core = Core(self._settings)
        self._exchange = HttpTransport(self._settings)

    def send(
        self,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int | None = None,
        extension: str | int | None = None,
    ) -> Receipt:
        """Send one text to up to 500 numbers in one submit, at most once.

        Args:
            recipients: a number, several joined by commas, or an iterable of numbers. Spaces,
                hyphens, full-width digits and the country code 86 are normalised, and
                duplicates dropped.
            message: the text. By the vendor's manual it ends in a signature ``【…】``; the
                client's ``signature`` is appended if it has none.
            channel: in place of the client's.
            extension: in place of the client's.

        Returns:
            The receipt, with the vendor's batch number.

        Raises:
            InvalidRequest: a rule is broken; nothing was sent.
            NotSent: nothing can have reached the gateway; it may be sent again.
            Rejected: the gateway refused it; mend the cause, then it may be sent again.
            OutcomeUnknown: it may have been sent. Never send it again unasked.
            RuntimeError: the client is closed.
        """
        return self.submit(self._core.prepare(recipients, message, channel, extension))

    def submit(self, submit: Submission) -> Receipt:
        """Send what `check` returned, at most once; else as `send`."""
        core = self._core
        try:
            fields, request = core.encode(submit)
            core.log_request(fields)
            response = self._exchange.send(request)
            core.log_response(response)
            return core.conclude(submit, response)
        except BaseException as raised:
            core.attempted(raised, len(submit.recipients), submit.channel)
            raise

    def check(
        self,
        recipients: str | int | Iterable[str | int],
        message: str,
        *,
        channel: str | int | None = None,
        extension: str | int | None = None,
    ) -> Submission:
        """Return what `send` would send for the same arguments, and send nothing.

        Raises:
            InvalidRequest: a rule is broken, or the port cannot carry it.
        """
        return self._core.check(recipients, message, channel, extension)

    @property
    def service(self) -> ServiceProxy:
        """zeep's own typed operation, ``service.sendMesExt(userCode=…, …)``.

        It returns the gateway's answer as it came, also a negative code. No rule for numbers or
        texts is checked before, and no signature is appended; only what the port cannot carry is
        an `InvalidRequest`. A field that is left out is sent empty. What `send` raises for a
        failed exchange, a fault or an empty answer, it raises too.
        """
        if self._service is None:
            from yunxin_soap.wire.service import bind

            self._service = bind(self._core, self._exchange)
        return self._service

    def close(self) -> None:
        """Close the idle connections; the client sends nothing more."""
        self._exchange.close()

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
