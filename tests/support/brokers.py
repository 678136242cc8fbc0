"""Message brokers for tests: a Redis server of a test's own, and queues on a shared RabbitMQ."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import kombu
import pytest
import redis

from tests.integration.campaign.killing.processes import wait_until
from tests.support.ports import free_port
from tests.support.services import skip_or_fail

RABBITMQ = os.environ.get("YUNXIN_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")


class RedisServer:
    """A Redis server that keeps nothing on disk: what it has is lost when it is restarted."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
                    *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
                ],
                stdout=log,
                stderr=log,
            )

        def answers() -> bool:
            assert self._process.poll() is None, "the server did not start"
            try:
                return bool(self.client().ping())
            except redis.ConnectionError:
                return False

        wait_until(answers, "Redis answers")

    def client(self) -> redis.Redis:
        """Return a client of it."""
        return redis.Redis(port=self.port)

    def stop(self) -> None:
        """Kill it, and forget all that it had."""
        self._process.kill()
        self._process.wait()


class BrokerProxy:
    """A way to a broker that records what passes, and can be shut as if the broker were restarted.

    Args:
        url: the address of the broker.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._server = (address.hostname, address.port)
        self._port = free_port()
        user = address.netloc.rpartition("@")[0]
        here = f"{user}@127.0.0.1:{self._port}" if user else f"127.0.0.1:{self._port}"
        self.url = urlunsplit(address._replace(netloc=here))
        """The address of the broker by this proxy."""
        self.passed: list[bytes] = []
        """What has passed, in both directions."""
        self.start()

    def start(self) -> None:
        """Let connections through."""
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._run(self._accept, self._listener)

    def stop(self) -> None:
        """Close all connections, and let none through."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    @staticmethod
    def _run(target: Callable[..., None], *arguments: socket.socket) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                self._run(self._forward, client, server)
                self._run(self._forward, server, client)

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                self.passed.append(piece)
                target.sendall(piece)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


def delete_queue(name: str) -> None:
    """Delete a queue of Celery's on RabbitMQ, with its exchange."""
    with kombu.Connection(RABBITMQ) as connection:
        channel: Any = connection.default_channel
        channel.queue_delete(name)
        channel.exchange_delete(name)


def redis_missing() -> str:
    """Return why there can be no Redis server; empty if there can."""
    return "" if shutil.which("redis-server") else "there is no redis-server"


def rabbitmq_missing() -> str:
    """Return why there is no RabbitMQ; empty if there is."""
    try:
        with kombu.Connection(RABBITMQ, connect_timeout=5) as connection:
            connection.connect()
    except (OSError, kombu.exceptions.KombuError) as error:
        return f"no RabbitMQ ({error})"
    return ""


@pytest.fixture(scope="session")
def rabbitmq_server() -> None:
    """A running RabbitMQ; skips the test if there is none."""
    if why := rabbitmq_missing():
        skip_or_fail(why)
