"""The service without its server: decides, injects faults and stores what arrives."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache, partial

from yunxin_soap.operation import ProtocolName
from yunxin_soap.redact import Redactor
from yunxin_soap.sandbox.arrivals.masking import (
    MASK,
    MIN_MASKED_LENGTH,
    mask_echo,
    raw_request,
    raw_response,
)
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome, StorageError
from yunxin_soap.sandbox.arrivals.store import ArrivalStore
from yunxin_soap.sandbox.asmx import handler as asmx
from yunxin_soap.sandbox.asmx.handler import Fields, HttpRequest, HttpResponse, MethodError
from yunxin_soap.sandbox.faults.effects import apply_to_response
from yunxin_soap.sandbox.faults.injector import FaultInjector, TriggeredFault
from yunxin_soap.sandbox.faults.model import BalanceFault, CodeFault, ErrorFault
from yunxin_soap.sandbox.gateway import Gateway, GatewayDecision

_log = logging.getLogger(__name__)

_MAX_RECIPIENTS = 10_000
"""How many numbers of one submission are stored; the gateway rejects more than 1,000."""
_PAGE_TITLE = re.compile("<title>(?P<title>[^<]*)</title>")
"""What an error page says; the rest of it is styles, and the title again."""
_INJECTED_ERROR = "An injected fault makes the method throw."
_EMPTY_RESPONSES = {
    400: "HTTP 400: the envelope is no well-formed XML, has a DOCTYPE, or an element in a value",
    415: "HTTP 415: the Content-Type is not the one of a SOAP envelope of that version",
}
"""What was wrong, for the responses of ASP.NET that do not say it."""


@dataclass(frozen=True)
class _Call:
    """One call of the method."""

    fields: dict[str, str]
    """The six parameters; a null is an empty text."""
    protocol: ProtocolName
    authenticated: bool
    """Whether the account exists and the password is the account's."""
    triggered: TriggeredFault | None
    decision: GatewayDecision

    @property
    def outcome(self) -> Outcome:
        """How the gateway took the submission."""
        if self.decision.batch_no is not None:
            return Outcome.ACCEPTED
        return Outcome.FAILED if self.decision.result is None else Outcome.REJECTED

    @property
    def fault_kind(self) -> str | None:
        """The kind of the fault that the call triggered; test numbers count as ``error``."""
        if self.triggered is not None:
            return self.triggered.kind
        return "error" if self.decision.error is not None else None


class Service:
    """A sandbox without its sockets.

    Args:
        gateway: decides about submissions; one with the account ``demo`` by default.
        store: keeps the arrivals; in memory by default.
    """

    def __init__(self, gateway: Gateway | None = None, store: ArrivalStore | None = None) -> None:
        self.gateway = gateway or Gateway()
        self.store = store or ArrivalStore()
        self.faults = FaultInjector()

    def respond(
        self, request: HttpRequest, remote: str
    ) -> tuple[HttpResponse, TriggeredFault | None]:
        """Process one request.

        Args:
            request: the request.
            remote: the IP address of the caller.

        Returns:
            The response, and the fault to apply to its connection.
        """
        calls: list[_Call] = []

        def method(fields: Fields, protocol: ProtocolName) -> str | None:
            call = self._call(fields, protocol, remote)
            calls.append(call)
            if call.decision.error is not None:
                raise MethodError(call.decision.error)
            return call.decision.result

        response = asmx.handle(request, method)
        call = calls[0] if calls else None
        if call is None and not (asmx.is_call(request) and response.status >= 400):
            return response, None  # a page, which is no arrival
        triggered = call.triggered if call is not None else None
        if triggered is not None:
            response = apply_to_response(response, triggered.fault)
        try:
            self.store.add(self._arrival(call, request, response, remote))
        except StorageError as error:
            # Like a service that cannot write its own log: it throws, and the caller cannot know.
            _log.error("%s", error)
            if call is not None and call.outcome is Outcome.ACCEPTED:
                self.gateway.roll_back(call.fields)
                self.faults.refund(call.fields, call.protocol)
            return HttpResponse(500, "text/plain; charset=utf-8", f"{error}\r\n".encode()), None
        return response, triggered

    def add_unreadable(self, problem: str, remote: str, status: int = 400) -> None:
        """Store an arrival that the web server rejected because it could not be read.

        Args:
            problem: what was wrong, in words.
            remote: the IP address of the caller.
            status: the HTTP status of the response.
        """
        try:
            self.store.add(
                Arrival(
                    received_at=datetime.now(timezone.utc),
                    outcome=Outcome.MALFORMED,
                    result=f"HTTP {status}: {problem}",
                    http_status=status,
                    remote=remote,
                )
            )
        except StorageError as error:
            _log.error("%s", error)

    def clear(self) -> None:
        """Delete all arrivals and faults, and restore every account's balance.

        Raises:
            StorageError: the record file cannot be written; the arrivals are still there.
        """
        self.faults.clear()
        self.store.clear()
        self.gateway.clear()

    def _call(self, fields: Fields, protocol: ProtocolName, remote: str) -> _Call:
        """Decide about one call of the method, and trigger its fault."""
        values = {name: value or "" for name, value in fields.items()}
        authenticated = self.gateway.authenticates(values["userCode"], values["userPass"])
        triggered = self.faults.trigger(values, protocol)
        decision = self._decide(values, protocol, remote, triggered)
        return _Call(values, protocol, authenticated, triggered, decision)

    def _decide(
        self,
        fields: Fields,
        protocol: ProtocolName,
        remote: str,
        triggered: TriggeredFault | None,
    ) -> GatewayDecision:
        fault = triggered.fault if triggered is not None else None
        if isinstance(fault, CodeFault):
            return GatewayDecision(fault.code)
        if isinstance(fault, BalanceFault):
            return GatewayDecision("-7")
        if fault is not None and fault.when == "before":
            return GatewayDecision(error=_INJECTED_ERROR)
        decision = self.gateway.decide(fields, remote)
        if decision.batch_no is not None:
            self.faults.charge(fields, protocol)
        if isinstance(fault, ErrorFault) and decision.error is None:
            return replace(decision, error=_INJECTED_ERROR)
        return decision

    def _arrival(
        self, call: _Call | None, request: HttpRequest, response: HttpResponse, remote: str
    ) -> Arrival:
        password = call.fields["userPass"] if call is not None else ""
        authenticated = call is not None and call.authenticated
        # A known password can be anywhere in a request, unless the account's was in its place.
        known = frozenset() if authenticated else self.gateway.passwords
        mask = partial(_mask, password=password, known=known)
        received_at = datetime.now(timezone.utc)
        request_text = raw_request(request, mask)
        response_text = raw_response(response, mask)
        if call is None:
            return Arrival(
                received_at=received_at,
                outcome=Outcome.MALFORMED,
                result=_problem(response, mask),
                http_status=response.status,
                remote=remote,
                request=request_text,
                response=response_text,
            )
        show: Callable[[str], str] = str if authenticated else mask
        numbers = call.fields["DesNo"]
        return Arrival(
            received_at=received_at,
            outcome=call.outcome,
            result=call.decision.error or call.decision.result or "",
            http_status=response.status,
            remote=remote,
            protocol=call.protocol,
            user_code=show(call.fields["userCode"]),
            recipients=tuple(show(numbers).split(",", _MAX_RECIPIENTS)[:_MAX_RECIPIENTS])
            if numbers
            else (),
            message=show(call.fields["Msg"]),
            channel=show(call.fields["Channel"]),
            extension=show(call.fields["ExeNo"]),
            batch_no=call.decision.batch_no,
            fault=call.fault_kind,
            request=request_text,
            response=response_text,
        )


def _problem(response: HttpResponse, mask: Callable[[str], str]) -> str:
    """Return what a response says was wrong with its request."""
    body = response.body.decode("utf-8", "replace")
    page = _PAGE_TITLE.search(body)
    text = html.unescape(re.sub(r"<[^>]*>", " ", page["title"] if page else body))
    said = mask_echo(mask(" ".join(text.split())))[:500]
    return said or _EMPTY_RESPONSES.get(response.status, f"HTTP {response.status}")


def _mask(text: str, *, password: str, known: Collection[str]) -> str:
    """Mask the password of a request, and known passwords in whatever encoding."""
    # Known passwords first: of one that arrived in two pieces, the field holds only the first.
    for each in known:
        if len(each) >= MIN_MASKED_LENGTH:
            text = _redactor(each).redact_secrets(text)
    return text.replace(password, MASK) if len(password) >= MIN_MASKED_LENGTH else text


@lru_cache(maxsize=64)
def _redactor(password: str) -> Redactor:
    return Redactor(password)
