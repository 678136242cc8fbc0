"""What the instrumentations that users install export while this package works: no secret.

They are the real ones: of aiohttp, requests, urllib3 and SQLAlchemy. Their logs of spans go to
memory, and each test first shows that a leak would be noticed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
import requests
import sqlalchemy as sa
import urllib3
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

from tests.integration.campaign.conftest import ledger_url, on_mariadb, on_server
from tests.integration.telemetry.conftest import KEY, TEXT, Exported
from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import protocol_name
from tests.support.lists import numbers
from tests.support.scripted_server import ScriptedServer, read_then_close, reply_with
from tests.support.secret_detector import NUMBERS, PASSWORD
from tests.support.wire_samples import HTML, http_response, result_response
from yunxin_soap import Client, OutcomeUnknown, SendError, SubmissionStarted, observe
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.sandbox import Account, Sandbox
from yunxin_soap.telemetry import instrument

__all__ = ["ledger_url", "on_mariadb", "on_server"]

FIELDS = {"userCode": "user", "userPass": PASSWORD, "DesNo": ",".join(NUMBERS), "Msg": TEXT}


@contextmanager
def instrumented(exported: Exported, *kinds: type[Any]) -> Iterator[None]:
    """Let instrumentations export for the time of a ``with`` block."""
    instrumentors = [kind() for kind in kinds]
    for each in instrumentors:
        # SQLAlchemy's is for versions before 2.1, and works with that one.
        each.instrument(skip_dep_check=True, **exported.providers)
    try:
        yield
    finally:
        for each in reversed(instrumentors):
            each.uninstrument()


@contextmanager
def ours(exported: Exported) -> Iterator[None]:
    """Let this package export for the time of a ``with`` block."""
    instrumentation = instrument(**exported.providers)
    try:
        yield
    finally:
        instrumentation.remove()


@pytest.fixture
def http_instrumented(exported: Exported) -> Iterator[Exported]:
    """What is exported while every HTTP library, and this package, is instrumented."""
    libraries = AioHttpClientInstrumentor, RequestsInstrumentor, URLLib3Instrumentor
    with instrumented(exported, *libraries), ours(exported):
        yield exported


def send_by_aiohttp(url: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session, session.get(url):
            pass

    asyncio.run(main())


def send_by_requests(url: str) -> None:
    requests.get(url, timeout=20)


def send_by_urllib3(url: str) -> None:
    with urllib3.PoolManager() as pool:
        pool.request("GET", url)


@pytest.mark.parametrize("send", [send_by_aiohttp, send_by_requests, send_by_urllib3])
def test_instrumentation_of_an_http_library_would_show_the_password(
    exported: Exported, send: Any
) -> None:
    """A library's GET has the password in its span: the other tests would notice."""
    with (
        ScriptedServer(reply_with(result_response("http-get"))) as server,
        instrumented(
            exported, AioHttpClientInstrumentor, RequestsInstrumentor, URLLib3Instrumentor
        ),
    ):
        send(f"{server.url}/sendMesExt?{urlencode(FIELDS)}")
    assert exported.spans
    with pytest.raises(AssertionError, match="sendMesExt"):
        exported.assert_harmless()


PAGE = http_response(f"<html>{TEXT} {PASSWORD} {NUMBERS[0]}</html>", "502 Bad Gateway", HTML)


@pytest.mark.parametrize(
    "script", [None, read_then_close, reply_with(PAGE, then_close=True)], ids=["ok", "cut", "502"]
)
def test_client_exports_no_secret(protocol: str, http_instrumented: Exported, script: Any) -> None:
    """Both clients, over every protocol: only our own span is there, and it shows nothing."""
    with (
        ScriptedServer(script or reply_with(result_response(protocol))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        if script is None:
            checked.send(TEXT)
        else:
            # The span of the application's own code records the error with its traceback.
            tracer = http_instrumented.tracer_provider.get_tracer("application")
            with pytest.raises(OutcomeUnknown), tracer.start_as_current_span("checkout"):
                checked.client.send(NUMBERS, "您好")
    names = [each.name for each in http_instrumented.spans]
    assert names == (["sendMesExt"] if script is None else ["sendMesExt", "checkout"])
    http_instrumented.assert_harmless()


def test_wsdl_refresh_exports_no_secret(
    sandbox: Sandbox, http_instrumented: Exported, tmp_path: Path
) -> None:
    """To fetch the WSDL needs no account, so its URL has none."""
    from yunxin_soap import wsdl

    wsdl.refresh(sandbox.url)
    http_instrumented.assert_harmless()


def work_until_sent(ledger: Ledger, client: Client, key: str) -> None:
    """Let a worker send what is queued."""
    stop = threading.Event()

    def stop_once_sent(_started: SubmissionStarted) -> Callable[[object], None]:
        return lambda _ended: stop.set()

    with observe(stop_once_sent):
        ledger.work(client, stop=stop)
    assert key in ledger.once.keys(State.ACCEPTED)


def work(url: str, sandbox: Sandbox, protocol: str) -> None:
    """Do whatever a ledger can do."""
    sandbox.add_account(Account("ledger", PASSWORD))
    rows = [{"mobile": each, "code": "QZ7KXV"} for each in numbers(30)]
    rows += [{"mobile": "139-bad-number", "code": "QZ7KXV"}]
    message = "您的验证码是{code}【签名】"
    with (
        Ledger(url) as ledger,
        Client(
            "ledger",
            PASSWORD,
            endpoint=sandbox.url,
            channel="37",
            protocol=protocol_name(protocol),
            retries=0,
        ) as client,
    ):
        ledger.suppression.add([numbers(3)[0], NUMBERS[1]], reason="STOP", by="test")
        ledger.suppression.add([numbers(3)[0]], reason="STOP", by="test")
        ledger.plan("a", rows, message, channel=37, max_recipients=5)
        ledger.plan("a", rows, message, channel=37, max_recipients=5)
        ledger.plan("b", numbers(20), TEXT, channel=37, max_recipients=5)
        ledger.plan("c", numbers(20), TEXT, channel=37, max_recipients=5)
        ledger.suppression.add([numbers(3)[1]], reason="STOP", by="test")
        ledger.preview("a")
        ledger.pace.set("account-37", rate=1000.0)
        with sandbox.inject_fault("code", code="-6:QZ7KXV"):
            ledger.run("a", client, concurrency=1)
        ledger.retry("a", by="test")
        with sandbox.inject_fault("close", when="after"):
            ledger.run("a", client, concurrency=1)
        with sandbox.inject_fault("code", code="-16", times=3):
            ledger.run("b", client, isolate=True, pace="account-37", rate_limit=500.0)
        ledger.resolve("a", "accepted", by="test", batch_no="7")
        ledger.start("c", workers=1)
        ledger.pause("c", by="test")
        ledger.work_slice("c", client)
        ledger.resume("c")
        ledger.sweep()
        ledger.work_slice("c", client)
        ledger.plan("e", numbers(5), TEXT, channel=37)
        ledger.cancel("e", by="test")
        ledger.once.send(client, KEY, NUMBERS[0], TEXT)
        ledger.once.send(client, KEY, NUMBERS[0], TEXT)
        with pytest.raises(SendError), sandbox.inject_fault("close", when="after"):
            ledger.once.send(client, f"{KEY}-2", NUMBERS[0], TEXT)
        ledger.once.resolve(f"{KEY}-2", "not_sent", by="test")
        ledger.once.retry(f"{KEY}-2", by="test")
        ledger.once.enqueue(f"{KEY}-3", NUMBERS[0], TEXT, channel=37)
        ledger.once.send_queued(client, f"{KEY}-3")
        ledger.once.enqueue(f"{KEY}-4", NUMBERS[0], TEXT, channel=37, pace="account-37")
        work_until_sent(ledger, client, f"{KEY}-4")
        ledger.pace.list()
        ledger.pace.remove("account-37")
        assert ledger.find(NUMBERS[0])
        for name in ("a", "b", "c"):
            list(ledger.results(name, states=list(State)))
            list(ledger.skipped_lines(name))
            ledger.timings(name)
            ledger.progress(name)
            ledger.activity(name)
        ledger.statuses()
        ledger.backlog()
        ledger.once.counts()
        list(ledger.once.keys(State.ACCEPTED))
        ledger.plan("d", numbers(5), TEXT, channel=37)
        ledger.delete("d")
        ledger.suppression.remove([numbers(3)[0]])
        ledger.purge(older_than=0)


def test_instrumentation_of_sqlalchemy_would_show_literals(
    exported: Exported, tmp_path: Path
) -> None:
    """A number in the text of a statement is in its span: the next test would notice."""
    with instrumented(exported, SQLAlchemyInstrumentor):
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
        with engine.connect() as connection:
            connection.execute(sa.select(sa.literal_column(f"'{NUMBERS[0]}'")))
        engine.dispose()
    with pytest.raises(AssertionError, match=NUMBERS[0]):
        exported.assert_harmless()


def test_ledger_exports_statements_without_values(
    ledger_url: str, sandbox: Sandbox, exported: Exported
) -> None:
    """SQLAlchemy's spans have our statements with placeholders, on every database."""
    with instrumented(exported, SQLAlchemyInstrumentor), ours(exported):
        work(ledger_url, sandbox, "http-get")
    statements = "\n".join(
        str((each.attributes or {}).get("db.statement")) for each in exported.spans
    )
    for table in ("submission", "recipients", "content", "suppression", "history"):
        assert f"INSERT INTO yunxin_{table}" in statements
    exported.assert_harmless()
