"""The examples of docs/how-to/observability.md run; its SQL stays cheap in a large ledger."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ledger_url, on_mariadb, on_server
from tests.integration.campaign.killing.processes import wait_until
from tests.support.doc_pages import DOCS, read_blocks
from tests.support.lists import TEXT, numbers
from tests.support.query_cost import rows_read
from yunxin_soap import BalanceRejected, Client
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.campaign.storage.schema import submission
from yunxin_soap.sandbox import Sandbox

__all__ = ["ledger_url", "on_mariadb", "on_server"]

TO = "13900000000"
BLOCKS = read_blocks(DOCS / "how-to" / "observability.md")
QUERIES = [each.code for each in BLOCKS if each.language == "sql"]
EXAMPLES = [each.code for each in BLOCKS if each.language == "python"]


def example(word: str) -> str:
    """Return the example that contains a word."""
    (found,) = (each for each in EXAMPLES if word in each)
    return found


@pytest.fixture
def log_to_restore() -> Iterator[logging.Logger]:
    """The package's logger, which is as before after the test."""
    log = logging.getLogger("yunxin_soap")
    yield log
    for each in [*log.handlers]:
        log.removeHandler(each)
    log.setLevel(logging.NOTSET)


@pytest.mark.parametrize("word", ["class JsonFormatter", "import structlog"])
def test_logging_example_writes_json(
    log_to_restore: logging.Logger, sandbox: Sandbox, tmp_path: Path, word: str
) -> None:
    """Each record is one line of JSON with the attributes, and without number, text or key."""
    exec(compile(example(word), "docs/how-to/observability.md", "exec"), {})
    (handler,) = log_to_restore.handlers
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    handler.setStream(written)
    log_to_restore.setLevel(logging.DEBUG)
    with (
        Ledger(tmp_path / "ledger.sqlite") as ledger,
        Client("demo", "demo", endpoint=sandbox.url, channel="37") as client,
    ):
        ledger.plan("autumn", numbers(5), TEXT, channel=37)
        ledger.start("autumn")
        ledger.work_slice("autumn", client)
    entries = [json.loads(line) for line in written.getvalue().splitlines()]
    (sent,) = (each for each in entries if each.get("outcome"))
    assert sent["level"].upper() == "DEBUG"
    assert (
        sent.items()
        >= {
            "logger": "yunxin_soap",
            "campaign": "autumn",
            "outcome": "accepted",
            "batch_no": sandbox.inbox[0].batch_no,
            "recipients": 5,
        }.items()
    )
    assert any(each["campaign"] == "autumn" for each in entries if "slice" in str(each))
    assert TEXT not in str(entries)
    assert not any(number in str(entries) for number in numbers(5))


def test_observer_example_is_told(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """The observer prints a line for each submission, until it is removed."""
    before, after = example("observation = observe").split("...\n")
    names: dict[str, Any] = {}
    exec(compile(before, "docs/how-to/observability.md", "exec"), names)
    with Client("demo", "demo", endpoint=sandbox.url, channel="37", signature="签名") as client:
        client.send("13900000000", "x")
        exec(compile(after, "docs/how-to/observability.md", "exec"), names)
        client.send("13900000000", "x")
    assert re.fullmatch(r"37 1 accepted [0-9.e-]+\n", capsys.readouterr().out)


@pytest.fixture
def environment(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """The variables of a deployment."""
    return {
        **os.environ,
        "YUNXIN_LEDGER": str(tmp_path / "ledger.sqlite"),
        "YUNXIN_ENDPOINT": sandbox.url,
        "YUNXIN_USER_CODE": "demo",
        "YUNXIN_USER_PASS": "demo",
    }


def assert_one_span(printed: str) -> None:
    """Check what the exporter to the console has printed."""
    assert printed.count('"name": "sendMesExt"') == 1
    assert '"yunxin.outcome": "accepted"' in printed
    assert TO not in printed
    # The exporter prints JSON, in ASCII.
    assert json.dumps(TEXT)[1:-1] not in printed


def test_worker_example_exports_and_drains(environment: dict[str, str], tmp_path: Path) -> None:
    """The program sends what is queued, exports its span, and ends at SIGTERM."""
    program = tmp_path / "worker.py"
    program.write_text(example("# worker.py"), "utf-8")
    with Ledger(environment["YUNXIN_LEDGER"]) as ledger:
        ledger.once.enqueue("order-42", TO, TEXT, channel=37)
        worker = subprocess.Popen(
            [sys.executable, program], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            wait_until(lambda: ledger.once.counts()[State.ACCEPTED] == 1, "it is sent")
            worker.send_signal(signal.SIGTERM)
            printed, _ = worker.communicate(timeout=60)
        finally:
            worker.kill()
            worker.communicate()
    assert worker.returncode == 0
    assert_one_span(printed)


def test_celery_example_instruments_each_process_of_a_pool(environment: dict[str, str]) -> None:
    """The signal that Celery sends in each process lets it export."""
    sdk = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
"""
    before, after = example("worker_process_init").split("    # … here set up the SDK …\n")
    send = f"""
from yunxin_soap import Client
worker_process_init.send(sender="pool")
with Client.from_env(channel="37") as client:
    client.send({TO!r}, {TEXT!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", before + sdk + after + send],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert_one_span(done.stdout)


def grow(ledger: Ledger, engine: sa.Engine, client: Client, name: str, count: int) -> None:
    """Add a campaign that has been sent, without sending it."""
    ledger.plan(name, numbers(count), TEXT, channel=37, max_recipients=1)
    state = submission.c.state == State.PENDING.value
    with engine.begin() as connection:
        connection.execute(submission.update().where(state).values(state=State.ACCEPTED.value))
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("ANALYZE"))


@pytest.mark.timeout(300)
def test_sql_is_valid_and_its_cost_does_not_grow(ledger_url: str, sandbox: Sandbox) -> None:
    """Each query runs on each database, and reads no more in a ledger three times as large."""
    engine = open_engine(ledger_url)
    values = {"now": time.time(), "campaign_id": 1, "submission_id": 1}
    # The limits are for real ledgers; the tests' are smaller.
    queries = [re.sub(r"LIMIT (5000|1000)", "LIMIT 20", each) for each in QUERIES]
    assert len(queries) == 12
    with (
        Ledger(ledger_url) as ledger,
        Client("demo", "demo", endpoint=sandbox.url, channel="37", retries=0) as client,
    ):
        ledger.pace.set("account-37", rate=1000.0)
        ledger.plan("small", numbers(40), TEXT, channel=37, max_recipients=1)
        with sandbox.inject_fault("close", when="after"):
            ledger.run("small", client, pace="account-37")
        sandbox.inject_fault("code", code="-7")
        with pytest.raises(BalanceRejected):
            ledger.once.send(client, "notice", TO, TEXT)
        costs = []
        for name, count in (("large", 3000), ("larger", 9000)):
            grow(ledger, engine, client, name, count)
            with engine.connect() as connection:
                costs.append([_cost(connection, sql, values) for sql in queries])
    with engine.connect() as connection:
        found = [connection.execute(sa.text(sql), _used(sql, values)).all() for sql in QUERIES]
        later = {"now": values["now"] + 2 * 86400}
        assert connection.execute(sa.text(QUERIES[11]), later).all() == []
    engine.dispose()
    states = {state: int(count) for state, count in found[2]}
    assert states == {"accepted": 39, "unknown": 1}
    assert [row[1] for row in found[3]] == ["small"]
    assert sum(int(row[2]) for row in found[7]) == 41
    assert [row[0] for row in found[5]] == [None]  # one of a campaign has no key
    assert [row[0] for row in found[8]] == ["account-37"]
    assert int(found[10][0][0]) == 39
    assert [(row[1], row[2], row[3]) for row in found[11]] == [
        (None, "notice", "rejected"),
        ("small", None, "unknown"),
    ]
    for sql, before, after in zip(queries, *costs, strict=True):
        assert after <= before * 1.5 + 200, sql


def _cost(connection: sa.Connection, sql: str, values: dict[str, Any]) -> int:
    return rows_read(connection, sql, _used(sql, values))


def _used(sql: str, values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f":{name}" in sql}
