"""The service without its server: answers a request, keeps what arrived, and fails on purpose."""

from __future__ import annotations

import html
import logging
import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from yunxin_soap.redact import Redactor
from yunxin_soap.sandbox.arrivals.masking import (
    MASK,
    TELLING,
    raw_answer,
    raw_request,
    without_echo,
)
from yunxin_soap.sandbox.arrivals.store import NotKept, Outcome, Record
from yunxin_soap.sandbox.asmx import handler as asmx
from yunxin_soap.sandbox.asmx.handler import Fields, HttpRequest, HttpResponse, MethodError
from yunxin_soap.sandbox.faults.effects import apply_to_response
from yunxin_soap.sandbox.faults.injector import FaultInjector, TriggeredFault
from yunxin_soap.sandbox.faults.model import BalanceFault, CodeFault, ErrorFault
from yunxin_soap.sandbox.gateway import Gateway
from yunxin_soap.wsdl import ProtocolName

_log = logging.getLogger(__name__)

_MAX_KEPT = 10_000
"""Numbers of one submit that are kept: the gateway refuses more than 1,000."""
_REFUSED = "The service is broken on purpose."
_BARE = {
    400: "HTTP 400: the envelope is no well-formed XML, has a DOCTYPE, or an element in a value",
    415: "HTTP 415: the Content-Type is not the one of a SOAP envelope of that version",
}
"""What is wrong where the answer has no word about it."""


class Service:
    """What a sandbox is, but for its sockets.

    Args:
        gateway: decides; one with the account ``demo`` by default.
        record: keeps what arrived.
    """

    def __init__(self, gateway: Gateway | None = None, record: Record | None = None) -> None:
        self.gateway = gateway or Gateway()
        self.record = record or Record()
        self.faults = FaultInjector()

    def answer(
        self, request: HttpRequest, remote: str
    ) -> tuple[HttpResponse, TriggeredFault | None]:
        """Answer one request.

        Returns:
            The answer, and the fault that its connection has still to suffer.
        """
        call = _Call(self, remote)
        answer = asmx.handle(request, call.method)
        if call.port is None and not (asmx.is_call(request) and answer.status >= 400):
            return answer, None  # a page was looked at
        if call.fault is not None:
            answer = apply_to_response(answer, call.fault.fault)
        try:
            self.record.add(
                received_at=datetime.now(timezone.utc),
                status=answer.status,
                remote=remote,
                request=raw_request(request, call.hide),
                response=raw_answer(answer, call.hide),
                **call.values(answer),
            )
        except NotKept as error:
            # As a service whose own log fails: it throws, and its caller cannot know.
            _log.error("%s", error)
            call.take_back()
            return HttpResponse(500, "text/plain; charset=utf-8", f"{error}\r\n".encode()), None
        return answer, call.fault

    def refused(self, what: str, remote: str, status: int = 400) -> None:
        """Keep that something came which the web server refused, and could not be read."""
        try:
            self.record.add(
                received_at=datetime.now(timezone.utc),
                outcome=Outcome.MALFORMED,
                answer=f"HTTP {status}: {what}",
                status=status,
                remote=remote,
            )
        except NotKept as error:
            _log.error("%s", error)

    def clear(self) -> None:
        """Forget what arrived and every fault; give every account its balance back.

        Raises:
            NotKept: the record's file cannot be written; what arrived is still there.
        """
        self.faults.clear()
        self.record.clear()
        self.gateway.clear()


class _Call:
    """One call of the method, if the request gets that far."""

    def __init__(self, service: Service, remote: str) -> None:
        self._service, self._remote = service, remote
        self._fields: dict[str, str] = {}
        self._answer: str | None = None
        self._batch_no: str | None = None
        self._thrown = ""
        self._right = False
        """Whether the password that came is the account's."""
        self.port: ProtocolName | None = None
        self.fault: TriggeredFault | None = None

    def hide(self, text: str) -> str:
        """Mask the password that came, and, unless it was right, all known, however spelt."""
        # Known ones first: of one that came in two pieces, only the first is the field.
        for password in () if self._right else self._service.gateway.passwords:
            if len(password) >= TELLING:
                text = _redactor(password).redact_secrets(text)
        came = self._fields.get("userPass", "")
        return text.replace(came, MASK) if len(came) >= TELLING else text

    def method(self, fields: Fields, port: ProtocolName) -> str:
        """Answer as the gateway does, unless a fault comes before it."""
        try:
            return self._method(fields, port)
        except MethodError as error:
            self._thrown = str(error)
            raise

    def _method(self, fields: Fields, port: ProtocolName) -> str:
        self.port = port
        self._fields = {name: value or "" for name, value in fields.items()}
        self._right = self._service.gateway.knows(
            self._fields["userCode"], self._fields["userPass"]
        )
        self.fault = self._service.faults.trigger(fields, port)
        fault = self.fault.fault if self.fault is not None else None
        if isinstance(fault, CodeFault | BalanceFault):
            self._answer = fault.code if isinstance(fault, CodeFault) else "-7"
            return self._answer
        if fault is not None and fault.when == "before":
            raise MethodError(_REFUSED)
        try:
            self._answer = self._service.gateway.submit(fields, port, self._remote)
        except MethodError as error:
            self._batch_no = error.batch_no
            if error.batch_no is not None:
                self._service.faults.charge(fields, port)
            raise
        if not self._answer.startswith("-"):
            self._batch_no = self._answer
            self._service.faults.charge(fields, port)
        if isinstance(fault, ErrorFault):
            raise MethodError(_REFUSED)
        return self._answer

    def take_back(self) -> None:
        """Have nothing accepted, since it is not on record."""
        if self._batch_no is not None:
            assert self.port is not None
            self._service.gateway.take_back(self._batch_no)
            self._service.faults.refund(self._fields, self.port)

    def values(self, answer: HttpResponse) -> dict[str, Any]:
        """Return what is to be recorded of the call."""
        if self.port is None:
            what = html.unescape(re.sub(r"<[^>]*>", " ", answer.body.decode("utf-8", "replace")))
            return {
                "outcome": Outcome.MALFORMED,
                "answer": without_echo(self.hide(" ".join(what.split())))[:500]
                or _BARE.get(answer.status, f"HTTP {answer.status}"),
            }
        if self._batch_no is not None:
            outcome = Outcome.ACCEPTED
        else:
            outcome = Outcome.FAILED if self._answer is None else Outcome.REJECTED
        numbers = self._fields["DesNo"]
        # Right ones are in their places.
        shown = str if self._right else self.hide
        return {
            "outcome": outcome,
            "answer": self._thrown or self._answer or "",
            "port": self.port,
            "user_code": shown(self._fields["userCode"]),
            "recipients": tuple(shown(numbers).split(",", _MAX_KEPT)[:_MAX_KEPT])
            if numbers
            else (),
            "message": shown(self._fields["Msg"]),
            "channel": shown(self._fields["Channel"]),
            "extension": shown(self._fields["ExeNo"]),
            "batch_no": self._batch_no,
            # A test number makes the method throw, and no rule.
            "fault": self.fault.kind if self.fault else ("error" if self._thrown else None),
        }


@lru_cache(maxsize=64)
def _redactor(password: str) -> Redactor:
    return Redactor(password)
