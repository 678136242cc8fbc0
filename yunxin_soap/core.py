"""What `Client` and `AsyncClient` share: everything but the exchange of bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import unquote_plus

from yunxin_soap import message as rules
from yunxin_soap import wsdl
from yunxin_soap.errors import InvalidRequest, RequestInfo, SendError
from yunxin_soap.message import Submission
from yunxin_soap.redact import Redactor, summarise_numbers
from yunxin_soap.results import Receipt, parse_result
from yunxin_soap.settings import Settings
from yunxin_soap.transport.base import Request, Response
from yunxin_soap.wire.codec import Codec, Fields

_log = logging.getLogger("yunxin_soap")


class Core:
    """All of a client but its exchange: what it knows, checks, encodes, reads and logs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._redact = Redactor(settings.user_pass)
        self.document = wsdl.load(settings.wsdl)
        self.protocol = Codec(
            self.document, settings.protocol, settings.endpoint.path, self._redact
        )

    def prepare(
        self,
        recipients: str | int | Iterable[str | int],
        message: str,
        channel: str | int | None,
        extension: str | int | None,
    ) -> Submission:
        """Check and normalise a submit.

        Raises:
            InvalidRequest: it breaks a rule.
        """
        settings = self.settings
        # What the settings hold is normalised already.
        number = settings.channel if channel is None else rules.normalise_channel(channel)
        if number is None:
            raise InvalidRequest(
                "There is no channel: pass channel=, or set it on the client (YUNXIN_CHANNEL)."
            )
        return Submission(
            recipients=rules.normalise_recipients(
                recipients, pattern=settings.recipient_pattern, limit=settings.max_recipients
            ),
            message=rules.normalise_message(message, settings.signature),
            channel=number,
            extension=(
                settings.extension if extension is None else rules.normalise_extension(extension)
            ),
        )

    def check(
        self,
        recipients: str | int | Iterable[str | int],
        message: str,
        channel: str | int | None,
        extension: str | int | None,
    ) -> Submission:
        """Check a submit as a whole: the rules, and whether the port can carry it.

        Raises:
            InvalidRequest: it breaks a rule, or the port cannot carry it.
        """
        submit = self.prepare(recipients, message, channel, extension)
        self.encode(submit)
        return submit

    def encode(self, submit: Submission) -> tuple[Fields, Request]:
        """Return the six values and the request that carries them.

        Raises:
            InvalidRequest: the port cannot carry them.
        """
        fields = Fields(
            userCode=self.settings.user_code,
            userPass=self.settings.user_pass,
            DesNo=",".join(submit.recipients),
            Msg=submit.message,
            Channel=submit.channel,
            ExeNo=submit.extension,
        )
        if self.settings.protocol.startswith("http-"):
            rules.check_request_validation(fields.Msg, "The message")
        return fields, self.protocol.encode(fields)

    def conclude(self, submit: Submission, response: Response) -> Receipt:
        """Turn a response into a receipt, or raise how else the submit ended."""
        return Receipt(
            batch_no=parse_result(self.protocol.decode(response), self._redact),
            recipients=submit.recipients,
            message=submit.message,
            channel=submit.channel,
            extension=submit.extension,
            protocol=self.settings.protocol,
        )

    def attempted(self, raised: BaseException, recipients: int, channel: str) -> None:
        """Tell a `SendError`, also one behind a cancellation, what was attempted."""
        for error in (raised, raised.__cause__):
            if isinstance(error, SendError):
                settings = self.settings
                error.request = RequestInfo(
                    settings.endpoint.url, settings.protocol, recipients, channel
                )

    def mask(self, secret: str) -> None:
        """Keep one more secret out of logs and errors, as that of a call by another account."""
        self._redact.add_secret(secret)

    def log_request(self, fields: Fields) -> None:
        """Log what is about to be sent, the password masked and the numbers shortened."""
        if not _log.isEnabledFor(logging.DEBUG):
            return
        shown = self.protocol.encode(
            fields._replace(userPass="***", DesNo=summarise_numbers(fields.DesNo))
        )
        content = shown.query if shown.body is None else shown.body.decode()
        if self.settings.protocol.startswith("http-"):
            content = unquote_plus(content)
        _log.debug(
            "%s %s to %s: %r",
            shown.method,
            shown.path,
            self.settings.endpoint.url,
            self._redact(content),
        )

    def log_response(self, response: Response) -> None:
        """Log what came back, masked in the same way."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(
                "HTTP %d (%s): %s",
                response.status,
                self._redact(response.content_type),
                self._redact.excerpt(response.body, limit=2000),
            )
