"""Brokers for Celery, a ledger, and a gateway to send to."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.celery.workers import Deployment, Worker
from tests.support.brokers import (
    RABBITMQ,
    RedisServer,
    delete_queue,
    rabbitmq_server,
    redis_missing,
)
from tests.support.postgresql import database
from tests.support.services import skip_or_fail
from yunxin_soap import Client
from yunxin_soap.campaign import Ledger
from yunxin_soap.sandbox import Sandbox

__all__ = ["rabbitmq_server"]


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server of this test's own."""
    if why := redis_missing():
        skip_or_fail(why)
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def rabbitmq_queue(rabbitmq_server: None) -> Iterator[str]:
    """A name for a queue on RabbitMQ; the queue, and the second one, are deleted afterwards."""
    name = f"yunxin-{uuid.uuid4().hex}"
    yield name
    for each in (name, f"{name}-2"):
        delete_queue(each)


@pytest.fixture
def ledger_url(postgresql_server: None) -> Iterator[str]:
    """The address of a ledger that is not there yet."""
    yield from database()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A gateway that nobody else sends to."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """The ledger of all workers of this test."""
    with Ledger(ledger_url, heartbeat_timeout=3.0) as ledger:
        yield ledger


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """A client of that gateway."""
    with Client("demo", "demo", endpoint=sandbox.url, channel="37") as client:
        yield client


@pytest.fixture(params=["redis", "rabbitmq"])
def deployment(
    request: pytest.FixtureRequest, tmp_path: Path, ledger_url: str, sandbox: Sandbox
) -> Deployment:
    """A deployment on each broker."""
    if request.param == "redis":
        broker_url, queue = request.getfixturevalue("redis_server").url, "yunxin"
    else:
        broker_url, queue = RABBITMQ, request.getfixturevalue("rabbitmq_queue")
    setup = {"slice_seconds": 2.0, "sweep_interval": 1.0}
    return Deployment(tmp_path, broker_url, queue, ledger_url, sandbox.url, {}, setup)


@pytest.fixture
def start(deployment: Deployment) -> Iterator[Callable[..., Worker]]:
    """Starts workers of that deployment, and waits until they take tasks; kills them at the end."""
    workers: list[Worker] = []

    def start(*arguments: str, **environment: str) -> Worker:
        workers.append(deployment.start(*arguments, **environment))
        workers[-1].wait_until_ready()
        return workers[-1]

    yield start
    for each in workers:
        each.kill()
