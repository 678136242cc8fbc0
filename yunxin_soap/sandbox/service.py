"""The service without its server: answers a request, keeps what arrived, and fails on purpose."""

from __future__ import annotations

import html
import logging
import re
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from yunxin_soap.redact import Redactor
from yunxin_soap.sandbox import asmx
from yunxin_soap.sandbox.asmx import Fields, HttpRequest, HttpResponse, MethodError
from yunxin_soap.sandbox.effects import changed
from yunxin_soap.sandbox.faults import Fault, Faults, Kind
from yunxin_soap.sandbox.gateway import Gateway
from yunxin_soap.sandbox.raw import MASK, TELLING, raw_answer, raw_request
from yunxin_soap.sandbox.record import NotKept, Outcome, Record
from yunxin_soap.wsdl import PortName

_log = logging.getLogger(__name__)

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
        self.faults = Faults()

    def answer(self, request: HttpRequest, remote: str) -> tuple[HttpResponse, Fault | None]:
        """Answer one request.

        Returns:
            The answer, and the fault that its connection has still to suffer.
        """
        call = _Call(self, remote)
        answer = asmx.handle(request, call.method)
        if call.port is None and not (asmx.is_call(request) and answer.status >= 400):
            return answer, None  # a page was looked at
        if call.fault is not None:
            answer = changed(answer, call.fault)
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
        self.port: PortName | None = None
        self.fault: Fault | None = None

    def hide(self, text: str) -> str:
        """Mask the password that came; where none was understood, all known, however spelt."""
        if self.port is not None:
            password = self._fields.get("userPass", "")
            return text.replace(password, MASK) if len(password) >= TELLING else text
        for password in self._service.gateway.passwords:
            if len(password) >= TELLING:
                text = _redactor(password).hide(text)
        return text

    def method(self, fields: Fields, port: PortName) -> str:
        """Answer as the gateway does, unless a fault comes before it."""
        try:
            return self._method(fields, port)
        except MethodError as error:
            self._thrown = str(error)
            raise

    def _method(self, fields: Fields, port: PortName) -> str:
        self.port = port
        self._fields = {name: value or "" for name, value in fields.items()}
        fault = self.fault = self._service.faults.of(fields, port)
        if fault is not None and fault.kind in (Kind.CODE, Kind.BALANCE):
            self._answer = "-7" if fault.kind is Kind.BALANCE else fault.code
            return self._answer
        if fault is not None and fault.when == "before":
            raise MethodError(_REFUSED)
        try:
            self._answer = self._service.gateway.submit(fields, port, self._remote)
        except MethodError as error:
            self._batch_no = error.batch_no
            if error.batch_no is not None:
                self._service.faults.accepted(fields, port)
            raise
        if not self._answer.startswith("-"):
            self._batch_no = self._answer
            self._service.faults.accepted(fields, port)
        if fault is not None and fault.kind is Kind.ERROR:
            raise MethodError(_REFUSED)
        return self._answer

    def take_back(self) -> None:
        """Have nothing accepted, since it is not on record."""
        if self._batch_no is not None:
            self._service.gateway.take_back(self._batch_no)

    def values(self, answer: HttpResponse) -> dict[str, Any]:
        """Return what is to be recorded of the call."""
        if self.port is None:
            what = html.unescape(re.sub(r"<[^>]*>", " ", answer.body.decode("utf-8", "replace")))
            return {
                "outcome": Outcome.MALFORMED,
                "answer": self.hide(" ".join(what.split()))[:500]
                or _BARE.get(answer.status, f"HTTP {answer.status}"),
            }
        if self._batch_no is not None:
            outcome = Outcome.ACCEPTED
        else:
            outcome = Outcome.FAILED if self._answer is None else Outcome.REJECTED
        numbers = self._fields["DesNo"]
        return {
            "outcome": outcome,
            "answer": self._thrown or self._answer or "",
            "port": self.port,
            "user_code": self._fields["userCode"],
            "recipients": tuple(numbers.split(",")) if numbers else (),
            "message": self._fields["Msg"],
            "channel": self._fields["Channel"],
            "extension": self._fields["ExeNo"],
            "batch_no": self._batch_no,
            # A test number makes the method throw, and no rule.
            "fault": self.fault.kind.value if self.fault else ("error" if self._thrown else None),
        }


@lru_cache(maxsize=64)
def _redactor(password: str) -> Redactor:
    return Redactor(password)
