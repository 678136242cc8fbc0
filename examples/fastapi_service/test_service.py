"""The service sends to a sandbox here; the fixtures come with yunxin-soap."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from service import app
from sqlalchemy import event
from sqlalchemy.orm import Session

from yunxin_soap import Client
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.sandbox import Sandbox

PHONE = "13900000000"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a database for one test."""
    address = f"sqlite:///{tmp_path}/shop.sqlite"
    monkeypatch.setenv("DATABASE_URL", address)
    return address


@pytest.fixture
def web(yunxin_env: Sandbox, database: str) -> Iterator[TestClient]:
    """The service, which has started and sends to the sandbox."""
    with TestClient(app, raise_server_exceptions=False) as web:
        yield web


def send_due(database: str) -> None:
    """Send what is queued and due, as a worker would."""
    with Client.from_env() as client, Ledger(database) as ledger:
        for key in ledger.sweep().due_keys:
            ledger.once.send_queued(client, key)


def code_in(sandbox: Sandbox) -> str:
    """Return the code in the only message that was sent."""
    (arrival,) = sandbox.assert_sent(PHONE, "验证码")
    found = re.search("[0-9]{6}", arrival.message)
    assert found is not None
    return found[0]


def test_a_code_works_once(web: TestClient, yunxin_sandbox: Sandbox) -> None:
    """The code that arrives is accepted, and not a second time."""
    assert web.post("/codes", json={"phone": "+86 139 0000 0000"}).json() == {"status": "sent"}
    shown = {"phone": PHONE, "code": code_in(yunxin_sandbox)}
    assert web.post("/codes/check", json=shown | {"code": "no"}).status_code == 403
    assert web.post("/codes/check", json=shown).status_code == 204
    assert web.post("/codes/check", json=shown).status_code == 403


def test_a_second_code_has_to_wait(web: TestClient, yunxin_sandbox: Sandbox) -> None:
    """Who asks twice gets one SMS."""
    web.post("/codes", json={"phone": PHONE})
    response = web.post("/codes", json={"phone": PHONE})
    assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
    yunxin_sandbox.assert_sent(PHONE, times=1)


@pytest.mark.parametrize("phone", ["12345678901", f"{PHONE},13900000001", "１２３"])
def test_what_is_no_phone_is_invalid(web: TestClient, yunxin_sandbox: Sandbox, phone: str) -> None:
    """Nothing is sent to what is no number, or more than one."""
    assert web.post("/codes", json={"phone": phone}).status_code == 422
    assert web.post("/orders", json={"phone": phone, "item": "茶"}).status_code == 422
    assert web.get("/health").json()["pending"] == 0
    yunxin_sandbox.assert_nothing_sent()


@pytest.mark.parametrize(
    ("code", "status", "wait"), [(-14, 422, None), (-7, 503, None), (-8, 503, "300")]
)
def test_a_rejection_says_whose_turn_it_is(
    web: TestClient, yunxin_sandbox: Sandbox, code: int, status: int, wait: str | None
) -> None:
    """A bad number is the user's to correct, all else is ours; then the next code is sent."""
    yunxin_sandbox.inject_fault("code", code=code)
    response = web.post("/codes", json={"phone": PHONE})
    assert (response.status_code, response.headers.get("Retry-After")) == (status, wait)
    assert web.post("/codes", json={"phone": PHONE}).status_code == 200


def test_an_unknown_code_stays_valid(web: TestClient, yunxin_sandbox: Sandbox) -> None:
    """A code whose response is lost is not sent again, and works if it arrives."""
    yunxin_sandbox.inject_fault("close")
    response = web.post("/codes", json={"phone": PHONE})
    assert (response.status_code, response.json()) == (202, {"status": "unknown"})
    assert web.post("/codes", json={"phone": PHONE}).status_code == 429
    shown = {"phone": PHONE, "code": code_in(yunxin_sandbox)}
    assert web.post("/codes/check", json=shown).status_code == 204


def test_a_gateway_that_is_away_may_be_asked_again(
    web: TestClient, yunxin_sandbox: Sandbox
) -> None:
    """What was not sent may be tried again at once."""
    with yunxin_sandbox.inject_fault("refuse", seconds=60):
        response = web.post("/codes", json={"phone": PHONE})
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert web.post("/codes", json={"phone": PHONE}).status_code == 200


def test_a_notice_is_sent_once(web: TestClient, yunxin_sandbox: Sandbox, database: str) -> None:
    """An order queues its notice; the worker sends it, however often it looks."""
    assert web.post("/orders", json={"phone": PHONE, "item": "茶"}).json() == {"id": 1}
    assert web.get("/health").json()["pending"] == 1
    yunxin_sandbox.assert_nothing_sent()
    send_due(database)
    send_due(database)
    yunxin_sandbox.assert_sent(PHONE, "您的订单1已收到【小店】", times=1)


def test_an_order_that_fails_has_no_notice(web: TestClient, database: str) -> None:
    """If the order is not committed, nothing is queued."""

    def fail(_session: Session) -> None:
        raise RuntimeError("no commit")

    event.listen(Session, "before_commit", fail)
    try:
        assert web.post("/orders", json={"phone": PHONE, "item": "茶"}).status_code == 500
    finally:
        event.remove(Session, "before_commit", fail)
    with Ledger(database) as ledger:
        assert ledger.once.counts()[State.PENDING] == 0


def test_who_wants_no_sms_may_order(
    web: TestClient, yunxin_sandbox: Sandbox, database: str
) -> None:
    """A number on the do-not-send list gets no notice, and its order stands."""
    with Ledger(database) as ledger:
        ledger.suppression.add([PHONE], by="客服")
    assert web.post("/orders", json={"phone": PHONE, "item": "茶"}).status_code == 201
    send_due(database)
    yunxin_sandbox.assert_nothing_sent()


def test_the_worker_sends_what_is_queued(
    web: TestClient, yunxin_sandbox: Sandbox, database: str
) -> None:
    """The worker that the README starts sends the notice, and ends when it is told to."""
    web.post("/orders", json={"phone": PHONE, "item": "茶"})
    command = [sys.executable, "-m", "yunxin_soap", "worker", "--ledger", database]
    with subprocess.Popen(command) as worker:
        while not yunxin_sandbox.inbox and worker.poll() is None:
            time.sleep(0.05)
        worker.terminate()
    assert worker.returncode == 0
    yunxin_sandbox.assert_sent(PHONE, "订单1")
