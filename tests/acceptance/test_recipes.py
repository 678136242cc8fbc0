"""The recipes for task queues in ``docs/`` run as they are printed there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.campaign.killing.processes import wait_until
from tests.support.brokers import (
    RABBITMQ,
    RedisServer,
    delete_queue,
    rabbitmq_missing,
    redis_missing,
)
from tests.support.doc_pages import DOCS, find_block, read_blocks
from tests.support.lists import TEXT, numbers
from tests.support.postgresql import database
from tests.support.services import skip_or_fail
from yunxin_soap.campaign import CampaignState, Ledger, State
from yunxin_soap.sandbox import Sandbox

HOW_TO = DOCS / "how-to"
NUMBERS = numbers(40)


def write_block(document: str, name: str, folder: Path) -> None:
    """Write the code block of a document that begins with the name of a file."""
    (folder / name).write_text(find_block(HOW_TO / document, f"# {name}\n"), "utf-8")


def sh_lines(document: str, program: str) -> list[list[str]]:
    """Return the commands of a document that run a program."""
    blocks = [each.code for each in read_blocks(HOW_TO / document) if each.language == "sh"]
    lines = [line.split() for block in blocks for line in block.splitlines()]
    return [line[1:] for line in lines if line[0] == program]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A gateway that nobody else sends to."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def database_url(postgresql_server: None) -> Iterator[str]:
    """A database for the ledger, and for the jobs of procrastinate."""
    yield from database()


@pytest.fixture
def environment(database_url: str, sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """The variables of a deployment."""
    return {
        **os.environ,
        "YUNXIN_LEDGER": database_url,
        "YUNXIN_ENDPOINT": sandbox.url,
        "YUNXIN_USER_CODE": "demo",
        "YUNXIN_USER_PASS": "demo",
        "DATABASE_URL": database_url.replace("+psycopg", ""),
        "PYTHONPATH": str(tmp_path),
    }


@pytest.fixture
def run(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts commands of a document; all of them end at the end, by SIGTERM."""
    processes: list[subprocess.Popen[bytes]] = []

    def run(module: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{len(processes)}.log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    cwd=tmp_path,
                    env=environment,
                    stdout=log,
                    stderr=log,
                )
            )
        return processes[-1]

    yield run
    for each in processes:
        each.send_signal(signal.SIGTERM)
    for each in processes:
        each.wait(60)


def start_sending(ledger: Ledger) -> None:
    """Start a campaign, and queue single sends."""
    ledger.plan("june", NUMBERS[:30], TEXT, channel=37, max_recipients=1)
    for number in NUMBERS[30:]:
        ledger.once.enqueue(f"key-{number}", number, TEXT, channel=37)
    ledger.start("june", workers=2)


def wait_until_sent(ledger: Ledger, sandbox: Sandbox) -> None:
    """Wait until all is sent, and check that it was sent once."""
    wait_until(lambda: ledger.status("june").state is CampaignState.DONE, "june is done")
    wait_until(lambda: ledger.once.counts()[State.ACCEPTED] == 10, "the single sends are sent")
    assert sandbox.accepted_numbers == dict.fromkeys(NUMBERS, 1)


@pytest.fixture(params=["redis", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a broker, which loses the queues of the recipe afterwards."""
    is_redis = request.param == "redis"
    if why := redis_missing() if is_redis else rabbitmq_missing():
        skip_or_fail(why)
    if is_redis:
        server = RedisServer(tmp_path)
        yield server.url
        server.stop()
    else:
        yield RABBITMQ
        for queue in ("sms", "campaigns"):
            delete_queue(queue)


def test_celery_recipe_sends(
    broker_url: str,
    database_url: str,
    sandbox: Sandbox,
    environment: dict[str, str],
    run: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    """The module and the commands of docs/how-to/celery.md send what is queued and started."""
    # Celery prefers the variable to the address in the module.
    environment["CELERY_BROKER_URL"] = broker_url
    write_block("celery.md", "shop.py", tmp_path)
    with Ledger(database_url) as ledger:
        start_sending(ledger)
        commands = sh_lines("celery.md", "celery")
        assert [each[2] for each in commands] == ["worker", "worker", "beat"]
        for each in commands:
            run("celery", *each)
        for call in ["run_campaign.delay('june')", "sweep.delay()"]:
            code = f"import shop; from yunxin_soap.celery import run_campaign, sweep; {call}"
            subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        wait_until_sent(ledger, sandbox)


def test_celery_recipe_of_the_calls_sends(
    database_url: str, sandbox: Sandbox, environment: dict[str, str], tmp_path: Path
) -> None:
    """The calls that docs/how-to/celery.md shows send a queued message and a campaign."""
    write_block("celery.md", "shop.py", tmp_path)
    calls = find_block(HOW_TO / "celery.md", "import shop")
    with Ledger(database_url) as ledger:
        ledger.plan("june", NUMBERS[1:], TEXT, channel=37)
        ledger.once.enqueue("order-42-shipped", NUMBERS[:1], TEXT, channel=37)
    code = f"import shop\nshop.app.conf.task_always_eager = True\n{calls}"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert sandbox.accepted_numbers == dict.fromkeys(NUMBERS, 1)


def test_procrastinate_recipe_sends(
    database_url: str,
    sandbox: Sandbox,
    run: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    """The module and the commands of docs/how-to/procrastinate.md do the same without a broker."""
    write_block("procrastinate.md", "jobs.py", tmp_path)
    with Ledger(database_url) as ledger:
        start_sending(ledger)
        schema, worker = sh_lines("procrastinate.md", "procrastinate")
        assert run("procrastinate", *schema).wait(60) == 0
        run("procrastinate", *worker)
        wait_until_sent(ledger, sandbox)  # the sweep finds all of it
