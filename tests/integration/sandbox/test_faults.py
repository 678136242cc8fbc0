"""Each fault, seen by both clients over all protocols."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.asmx_requests import GOOD
from tests.support.client_matrix import ClientVariant, client_class, protocol_name
from tests.support.raw_http import connected, port_of, written
from tests.support.summary import note
from yunxin_soap import (
    BalanceRejected,
    Client,
    ConfigurationRejected,
    ContentRejected,
    CredentialsRejected,
    NotSent,
    OutcomeUnknown,
    Receipt,
    SendError,
)
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.sandbox.arrivals.models import Outcome

NUMBERS = ["13900000000", "13900000001"]

# The fault, the outcome that the client must report, and whether the gateway accepted.
CASES: dict[str, tuple[dict[str, Any], type, bool]] = {
    "delay": ({"fault": "delay", "seconds": 0.05}, Receipt, True),
    "delay, beyond the timeout": ({"fault": "delay", "seconds": 30}, OutcomeUnknown, True),
    "close, unread": ({"fault": "close", "when": "unread"}, OutcomeUnknown, False),
    "close, before": ({"fault": "close", "when": "before"}, OutcomeUnknown, False),
    "close, after": ({"fault": "close"}, OutcomeUnknown, True),
    "reset, unread": ({"fault": "reset", "when": "unread"}, OutcomeUnknown, False),
    "reset, before": ({"fault": "reset", "when": "before"}, OutcomeUnknown, False),
    "reset, after": ({"fault": "reset"}, OutcomeUnknown, True),
    "hang, unread": ({"fault": "hang", "when": "unread"}, OutcomeUnknown, False),
    "hang, before": ({"fault": "hang", "when": "before"}, OutcomeUnknown, False),
    "hang, after": ({"fault": "hang"}, OutcomeUnknown, True),
    "cut": ({"fault": "cut"}, OutcomeUnknown, True),
    "garble": ({"fault": "garble"}, OutcomeUnknown, True),
    "trickle": ({"fault": "trickle", "seconds": 0.0}, Receipt, True),
    "trickle, beyond the timeout": ({"fault": "trickle", "seconds": 0.1}, OutcomeUnknown, True),
    "content-type": ({"fault": "content-type"}, OutcomeUnknown, True),
    "html 502, before": ({"fault": "html", "when": "before"}, OutcomeUnknown, False),
    "html 502, after": ({"fault": "html"}, OutcomeUnknown, True),
    "html 503, after": ({"fault": "html", "status": 503}, OutcomeUnknown, True),
    "html 504, after": ({"fault": "html", "status": 504}, OutcomeUnknown, True),
    "html 408, after": ({"fault": "html", "status": 408}, OutcomeUnknown, True),
    "html 499, after": ({"fault": "html", "status": 499}, OutcomeUnknown, True),
    "html 403, before": (
        {"fault": "html", "status": 403, "when": "before"},
        ConfigurationRejected,
        False,
    ),
    "error, before": ({"fault": "error", "when": "before"}, OutcomeUnknown, False),
    "error, after": ({"fault": "error"}, OutcomeUnknown, True),
    "code -6": ({"fault": "code", "code": "-6:促销"}, ContentRejected, False),
    "balance": ({"fault": "balance", "left": 1}, BalanceRejected, False),
    "refuse": ({"fault": "refuse", "seconds": 60}, NotSent, False),
}
OUTCOMES = {Receipt: "accepted", NotSent: "not_sent", OutcomeUnknown: "unknown"}


def client_of(sandbox: Sandbox, protocol: ClientVariant, *, timeout: float = 30.0) -> Any:
    return client_class(protocol)(
        "demo",
        "demo",
        channel="37",
        signature="签名",
        endpoint=sandbox.url,
        protocol=protocol_name(protocol),
        timeout=timeout,
        retries=0,
    )


def send(client: Any, to: Any = NUMBERS) -> Receipt | SendError:
    try:
        receipt = client.send(to, "您好")
    except SendError as error:
        return error
    assert isinstance(receipt, Receipt)
    return receipt


@pytest.mark.parametrize("kept_alive", [False, True], ids=["fresh", "kept alive"])
@pytest.mark.parametrize("case", CASES)
def test_fault_each_kind_gives_the_right_outcome(
    protocol: ClientVariant, case: str, kept_alive: bool, request: pytest.FixtureRequest
) -> None:
    """No fault makes a client report a wrong outcome, or the sandbox a wrong count."""
    options, expected, accepted = CASES[case]
    selected = dict(options)
    kind = selected.pop("fault")
    if kept_alive and kind == "refuse":
        pytest.skip("an open connection is not refused")
    with Sandbox() as sandbox:
        client = client_of(
            sandbox, protocol, timeout=0.2 if "hang" in case or "beyond" in case else 20.0
        )
        with client:
            if kept_alive:
                assert isinstance(send(client), Receipt)
                sandbox.store.clear()
            sandbox.inject_fault(kind, **selected)
            outcome = send(client)
        arrivals = sandbox.arrivals
    row = "async" if protocol.is_async else "sync"
    reported = OUTCOMES.get(type(outcome), "rejected")
    note(request.config, "outcome of each fault", case, f"{row} {protocol}", reported)
    assert isinstance(outcome, expected)
    assert [arrival.outcome is Outcome.ACCEPTED for arrival in arrivals if arrival.batch_no] == [
        True
    ] * accepted
    for number in NUMBERS:
        assert sandbox.times_accepted(number) == accepted
    if isinstance(outcome, Receipt):
        assert [outcome.batch_no] == [arrival.batch_no for arrival in arrivals]


def test_fault_lost_rejection_is_unknown(protocol: ClientVariant, sandbox: Sandbox) -> None:
    """A rejection whose response is lost is unknown to the client."""
    sandbox.inject_fault("close")
    with client_of(sandbox, protocol) as client, pytest.raises(OutcomeUnknown):
        client.send("15499990007", "您好")
    (arrival,) = sandbox.arrivals
    assert (arrival.outcome, arrival.result) == (Outcome.REJECTED, "-7")


def test_fault_after_it_the_gateway_accepts_again(sandbox: Sandbox) -> None:
    """After its submissions, or its removal, a fault hits nothing more."""
    with Client("demo", "demo", channel="37", signature="签名", endpoint=sandbox.url) as client:
        sandbox.inject_fault("error", times=2)
        for _ in range(2):
            assert isinstance(send(client), OutcomeUnknown)
        assert isinstance(send(client), Receipt)
        with sandbox.inject_fault("code", code="-7", times=None):
            for _ in range(3):
                assert isinstance(send(client), BalanceRejected)
        assert isinstance(send(client), Receipt)


def test_refuse_port_opens_again(sandbox: Sandbox) -> None:
    """After its seconds, a client reaches the port again, and one SMS arrives."""
    with Client("demo", "demo", channel="37", signature="签名", endpoint=sandbox.url) as client:
        sandbox.inject_fault("refuse", seconds=0.3)
        deadline = time.monotonic() + 20
        while isinstance(outcome := send(client), NotSent):
            assert time.monotonic() < deadline
    assert isinstance(outcome, Receipt)
    assert len(sandbox.inbox) == 1


def test_refuse_injected_from_another_event_loop_closes_the_port(sandbox: Sandbox) -> None:
    """`inject_fault` closes the port before it returns, in an event loop too."""

    async def inject() -> None:
        with (
            sandbox.inject_fault("refuse", seconds=600),
            pytest.raises(ConnectionRefusedError),
        ):
            socket.create_connection(("127.0.0.1", port_of(sandbox))).close()

    asyncio.run(inject())
    with Client("demo", "demo", channel="37", signature="签名", endpoint=sandbox.url) as client:
        assert isinstance(send(client), Receipt)


def test_reset_sends_rst_and_close_does_not(sandbox: Sandbox) -> None:
    """A reset is an error of the connection, a close is its end."""
    for kind in ("close", "reset"):
        sandbox.inject_fault(kind)
        with connected(sandbox) as connection:
            connection.sendall(written("GET", "/api/MsgSend.asmx/sendMesExt?" + urlencode(GOOD)))
            if kind == "close":
                assert connection.recv(1) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    connection.recv(1)


def test_refuse_end_notifies_listeners(sandbox: Sandbox) -> None:
    """Listeners are called when the port opens again."""
    exhausted = threading.Event()

    def check() -> None:
        if [each.exhausted for each in sandbox.faults.statuses().values()] == [True]:
            exhausted.set()

    unsubscribe = sandbox.faults.subscribe(check)
    sandbox.inject_fault("refuse", seconds=0.05)
    assert exhausted.wait(20)
    unsubscribe()


def test_balance_is_charged_for_accepted_submissions_only(sandbox: Sandbox) -> None:
    """Failed and rejected submissions cost nothing."""
    client, wrong = (
        Client("demo", password, channel="37", signature="签名", endpoint=sandbox.url)
        for password in ("demo", "wrong")
    )
    with client, wrong:
        sandbox.inject_fault("error", when="before")
        sandbox.inject_fault("balance", left=1, times=None)
        assert isinstance(send(client, to="13900000000"), OutcomeUnknown)
        assert isinstance(send(wrong, to="13900000000"), CredentialsRejected)
        assert isinstance(send(client, to="13900000000"), Receipt)
        assert isinstance(send(client, to="13900000000"), BalanceRejected)
