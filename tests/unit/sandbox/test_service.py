"""The service without a server: what it stores of a submission, and what a fault changes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.asmx_requests import GOOD, fault_of, post, soap11
from yunxin_soap.sandbox import Account, Config, Gateway, Outcome
from yunxin_soap.sandbox.arrivals.models import Arrival
from yunxin_soap.sandbox.asmx.handler import HttpRequest
from yunxin_soap.sandbox.faults.model import Fault, FaultKind
from yunxin_soap.sandbox.service import Service

REMOTE = "10.0.0.1"


def form(**fields: str) -> HttpRequest:
    """Return a submission over http-post."""
    return post(urlencode(GOOD | fields))


def arrival_of(service: Service, request: HttpRequest) -> Arrival:
    """Let the service process a request, and return its arrival."""
    service.respond(request, REMOTE)
    return service.store.arrivals[-1]


def inject(service: Service, kind: FaultKind, **options: Any) -> None:
    """Activate a fault."""
    service.faults.add(Fault.from_options(kind, **options))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"DesNo": ",".join(f"1391000{n:04}" for n in range(1000))}, id="1000 numbers"),
        pytest.param({"DesNo": "13900000000,13900000000"}, id="a number twice"),
        pytest.param({"Msg": "a\r\nb\tc【签名】"}, id="line breaks and tab"),
        pytest.param({"Msg": "【通知】您好【签名】"}, id="brackets in front too"),
        pytest.param({"Msg": "😀 \ufffd【签名】"}, id="emoji and replacement character"),
        pytest.param({"ExeNo": "08"}, id="extension"),
    ],
)
def test_service_accepted_submission_is_stored_unchanged(fields: dict[str, str]) -> None:
    """An accepted arrival has the submission's own values and its batch number."""
    service = Service()
    arrival = arrival_of(service, form(**fields))

    expected = GOOD | fields
    assert service.store.accepted == (arrival,)
    assert arrival.recipients == tuple(expected["DesNo"].split(","))
    assert (arrival.message, arrival.extension) == (expected["Msg"], expected["ExeNo"])
    assert (arrival.protocol, arrival.user_code, arrival.channel) == ("http-post", "demo", "37")
    assert arrival.result == arrival.batch_no is not None
    assert (arrival.http_status, arrival.remote, arrival.fault) == (200, REMOTE, None)
    assert arrival.received_at.tzinfo is not None


def test_service_rejected_submission_has_its_code_and_no_batch_number() -> None:
    """A rejected arrival has its code, and is no accepted one."""
    service = Service()
    arrival = arrival_of(service, form(Msg="no signature"))
    assert (arrival.outcome, arrival.result, arrival.batch_no) == (Outcome.REJECTED, "-5", None)
    assert service.store.accepted == ()


@pytest.mark.parametrize(
    ("kind", "options", "result"),
    [("code", {"code": "-14"}, "-14"), ("balance", {}, "-7")],
)
def test_service_rejecting_fault_prevents_the_charge(
    kind: FaultKind, options: dict[str, Any], result: str
) -> None:
    """A fault that rejects a submission does not charge the account."""
    service = Service(Gateway(Config((Account("demo", "demo", balance=1),))))
    inject(service, kind, times=1, **options)
    rejected = arrival_of(service, form())
    assert (rejected.outcome, rejected.result) == (Outcome.REJECTED, result)
    assert (rejected.fault, rejected.batch_no) == (kind, None)
    assert arrival_of(service, form()).outcome is Outcome.ACCEPTED
    assert arrival_of(service, form()).result == "-7"


@pytest.mark.parametrize(
    ("when", "fields", "outcome"),
    [
        ("before", {}, Outcome.FAILED),
        ("after", {}, Outcome.ACCEPTED),
        ("after", {"Msg": "no signature"}, Outcome.REJECTED),
        ("after", {"DesNo": "15499991000"}, Outcome.ACCEPTED),
        ("after", {"DesNo": "15499991001"}, Outcome.FAILED),
    ],
)
def test_service_error_fault_hides_the_outcome_from_the_caller(
    when: str, fields: dict[str, str], outcome: Outcome
) -> None:
    """The caller gets an error, whatever the gateway decided; the arrival has the decision."""
    service = Service()
    inject(service, "error", when=when)
    response, _ = service.respond(form(**fields), REMOTE)
    (arrival,) = service.store.arrivals
    assert (response.status, arrival.http_status) == (500, 500)
    assert (arrival.outcome, arrival.fault) == (outcome, "error")
    assert (arrival.batch_no is not None) == (outcome is Outcome.ACCEPTED)
    assert arrival.result in response.body.decode()


def test_service_error_fault_is_a_soap_fault_over_soap() -> None:
    """Over SOAP, the error is a Server fault."""
    service = Service()
    inject(service, "error")
    response, triggered = service.respond(soap11(), REMOTE)
    assert triggered is not None
    assert fault_of(response)[0] == "Server"


def test_service_clear_deletes_arrivals_and_faults_and_restores_balances() -> None:
    """After `clear` the sandbox is as new, except for the ids."""
    service = Service(Gateway(Config((Account("demo", "demo", balance=1),))))
    inject(service, "error", when="before", skip=1)
    assert arrival_of(service, form()).outcome is Outcome.ACCEPTED
    service.clear()
    assert service.store.arrivals == ()
    assert service.faults.statuses() == {}
    outcomes = [arrival_of(service, form()).outcome for _ in range(2)]
    assert outcomes == [Outcome.ACCEPTED, Outcome.REJECTED]
    assert (service.store.kept, service.store.last_id) == (2, 3)


def test_service_unreadable_request_is_a_malformed_arrival() -> None:
    """A request that the web server rejected is stored with its problem and status."""
    service = Service()
    service.add_unreadable("this is TLS", REMOTE, 400)
    (arrival,) = service.store.arrivals
    assert (arrival.outcome, arrival.http_status) == (Outcome.MALFORMED, 400)
    assert (arrival.result, arrival.remote) == ("HTTP 400: this is TLS", REMOTE)
    assert arrival.protocol is None
