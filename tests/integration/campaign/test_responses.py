"""A submission whose response leaves its outcome open is never sent a second time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.support.lists import TEXT, numbers
from tests.support.scripted_server import Connection, Script, ScriptedServer
from tests.support.wire_samples import (
    BATCH_NO,
    HTML,
    http_response,
    result_response,
    result_xml,
    soap_fault,
)
from yunxin_soap import Client, OutcomeUnknown
from yunxin_soap.campaign import CampaignState, Ledger, Progress, State
from yunxin_soap.campaign.running import decisions

TO = "13900000000"

# The server accepted the submission, and then responded so.
OPEN: dict[str, bytes] = {
    "408": http_response("<h1>Timeout</h1>", "408 Request Timeout", HTML),
    "499": http_response("", "499 Client Closed Request", HTML),
    "409": http_response("", "409 Conflict", HTML),
    "504": http_response("", "504 Gateway Timeout", HTML),
    "404 around a batch number": http_response(result_xml("soap"), "404 Not Found"),
    "a fault beside a batch number": http_response(
        soap_fault("soap", "Client").partition("</soap:Body>")[0]
        + result_xml("soap").partition("<soap:Body>")[2]
    ),
    "a code with a batch number": result_response("soap", f"-3,{BATCH_NO}"),
}


def accept_after(first: bytes) -> Script:
    """Respond so to the first request, and accept all further ones, on whatever connection."""

    def script(connection: Connection) -> None:
        while connection.read() is not None:
            is_first = len(connection.server.requests) == 1
            connection.send(first if is_first else result_response("soap"))

    return script


def connect(server: ScriptedServer) -> Client:
    return Client("demo", "demo", endpoint=server.url, channel="37", retries=0, timeout=30.0)


@pytest.mark.parametrize("name", OPEN)
def test_run_response_that_leaves_it_open_is_sent_once(
    ledger_url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resume or another run sends nothing again of which the outcome is unknown."""
    monkeypatch.setattr(decisions, "UNREACHABLE_PAUSE", 0.0)
    with (
        ScriptedServer(accept_after(OPEN[name])) as server,
        connect(server) as client,
        Ledger(ledger_url) as ledger,
    ):
        ledger.plan("a", numbers(6), TEXT, channel=37, max_recipients=3)
        for _ in range(2):
            ledger.run("a", client, concurrency=1)
            ledger.resume("a")
        status = ledger.run("a", client, concurrency=1)
    assert (status.numbers[State.UNKNOWN], status.numbers[State.ACCEPTED]) == (3, 3)
    sent = [number for request in server.requests for number in numbers_in(request.body)]
    assert sorted(sent) == sorted(numbers(6))


@pytest.mark.parametrize("name", OPEN)
def test_once_response_that_leaves_it_open_is_sent_once(ledger_url: str, name: str) -> None:
    """A second call with the same key reports that the outcome is unknown, and sends nothing."""
    with (
        ScriptedServer(accept_after(OPEN[name])) as server,
        connect(server) as client,
        Ledger(ledger_url) as ledger,
    ):
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                ledger.once.send(client, "key", TO, TEXT)
    assert len(server.requests) == 1


def test_run_too_many_requests_waits_and_goes_on(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After HTTP 429 the campaign pauses for a while, and then sends the same again."""
    monkeypatch.setattr(decisions, "TOO_MANY_REQUESTS_PAUSE", 0.1)
    seen: list[Progress] = []
    with (
        ScriptedServer(accept_after(http_response("", "429 Wait", HTML))) as server,
        connect(server) as client,
        Ledger(ledger_url) as ledger,
    ):
        ledger.plan("a", numbers(1), TEXT, channel=37)
        status = ledger.run("a", client, on_progress=seen.append)
    assert status.numbers[State.ACCEPTED] == 1
    assert len(server.requests) == 2
    (reason, *_) = [each.reason for each in seen if each.state is CampaignState.PAUSED]
    assert "429" in reason


_RUNS = """
import asyncio, sys
from yunxin_soap import AsyncClient, Client
from yunxin_soap.campaign import AsyncLedger, Ledger

url, gateway, kind = sys.argv[1:]
arguments = dict(channel="37", endpoint=gateway, timeout=0.5, retries=0)

async def run():
    async with AsyncLedger(url) as ledger, AsyncClient("u", "p", **arguments) as client:
        await ledger.run("a", client)

if kind == "async":
    asyncio.run(run())
else:
    with Ledger(url) as ledger, Client("u", "p", **arguments) as client:
        ledger.run("a", client)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_run_responses_that_came_while_it_was_stopped_count(
    ledger: Ledger, ledger_url: str, kind: str
) -> None:
    """A run that was stopped for longer than its timeout records the responses that wait."""
    both = threading.Barrier(2, timeout=20)
    started = threading.Event()

    def script(connection: Connection) -> None:
        if connection.number <= both.parties:
            connection.read()
            started.wait(20)
            if both.wait() == 0:
                running.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, running.pid, os.WSTOPPED)
            both.wait()
            connection.send(result_response("soap"))
            connection.ended.wait(0.7)  # longer than the timeout
            if both.wait() == 0:
                running.send_signal(signal.SIGCONT)
        while connection.read() is not None:
            connection.send(result_response("soap"))

    ledger.plan("a", numbers(6), TEXT, channel=37, max_recipients=1)
    with ScriptedServer(script) as server:
        running = subprocess.Popen([sys.executable, "-c", _RUNS, ledger_url, server.url, kind])
        started.set()
        assert running.wait(30) == 0
    assert ledger.status("a").numbers[State.ACCEPTED] == 6
    assert len(server.requests) == 6


_SENDS_ONCE = """
import asyncio, sys
from yunxin_soap import AsyncClient, Client
from yunxin_soap.campaign import AsyncLedger, Ledger

url, gateway, kind = sys.argv[1:]
arguments = dict(channel="37", endpoint=gateway, timeout=0.5, retries=0)
given = "k", "13900000000", "您好【签名】"

async def send():
    async with AsyncLedger(url) as ledger, AsyncClient("u", "p", **arguments) as client:
        print((await ledger.once.send(client, *given)).batch_no)

if kind == "async":
    asyncio.run(send())
else:
    with Ledger(url) as ledger, Client("u", "p", **arguments) as client:
        print(ledger.once.send(client, *given).batch_no)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be stopped here")
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_once_response_that_came_while_it_was_stopped_counts(
    ledger: Ledger, ledger_url: str, kind: str
) -> None:
    """A single send that was stopped for longer than its timeout records the response."""
    started = threading.Event()

    def script(connection: Connection) -> None:
        connection.read()
        started.wait(20)
        sending.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, sending.pid, os.WSTOPPED)
        connection.send(result_response("soap"))
        connection.ended.wait(0.7)  # longer than the timeout
        sending.send_signal(signal.SIGCONT)

    with ScriptedServer(script) as server:
        sending = subprocess.Popen(
            [sys.executable, "-c", _SENDS_ONCE, ledger_url, server.url, kind],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.set()
        batch_no, _ = sending.communicate(timeout=30)
    assert sending.returncode == 0
    assert ledger.once.counts()[State.ACCEPTED] == 1
    (found,) = ledger.find("13900000000")
    assert found.batch_no == batch_no.strip()
    assert len(server.requests) == 1


def numbers_in(body: bytes) -> list[str]:
    """Return the recipients of a SOAP request."""
    return body.decode().partition("DesNo>")[2].partition("<")[0].split(",")
